"""Calculators: one JSON object per line in, one per line out, a bad line answered without stopping.

The formats stand in contracts.md, section 5. Input is read as bytes: a line that is no UTF-8, nests without
end or never ends is one bad line, not the end of the run.
"""

from __future__ import annotations

import json
import re
import select
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Document = dict[str, Any]
Handler = Callable[[list[Document]], Iterable[Document | RefusalError]]

BATCH = 2_000
"""Lines handed to the engine at once: large enough to vectorise, small enough to answer a pipe promptly."""
LONGEST_LINE = 64 * 1024 * 1024
DEEPEST = 64
_CHUNK = 256 * 1024
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""A half of a surrogate pair; json joins the two halves of one character, and leaves one alone as it is."""
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')


def significant_digits(text: str) -> int:
    """Digits that carry the value of a JSON number's text: leading zeros and the exponent do not."""
    mantissa = text.lower().partition("e")[0].replace("-", "").replace(".", "")
    return len(mantissa.lstrip("0"))


class _Long(Decimal):
    """A JSON number longer than a double carries."""


class _Written(str):
    """A JSON number's own text."""

    __slots__ = ()


def _no_constant(text: str) -> Decimal:
    raise ValueError(f"{text} is not a JSON number")


def _unique_keys(pairs: list[tuple[str, Any]]) -> Document:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:60]!r} stands twice in one object")
    return found


def _too_deep(line: bytes) -> bool:
    if line.count(b"[") + line.count(b"{") <= DEEPEST:
        return False
    depth = 0
    for match in _BRACKETS.finditer(line):
        token = match.group()
        depth += 1 if token in b"[{" else -1 if token in b"]}" else 0
        if depth > DEEPEST:
            return True
    return False


def _text(line: str | bytes) -> str:
    raw = line.encode("utf-8", "surrogatepass") if isinstance(line, str) else line
    if len(raw) > LONGEST_LINE:
        raise RefusalError("malformed", f"a line may hold at most {LONGEST_LINE // 1024**2} MiB")
    if _too_deep(raw):
        raise RefusalError("malformed", f"objects and lists may nest at most {DEEPEST} deep")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusalError("malformed", f"byte {error.start + 1} of the line is not UTF-8") from error


def read_document(line: str | bytes, *, floats: bool = False) -> Document:
    """Parse one line; every number becomes a Decimal read from its text.

    Args:
        line: one JSON object.
        floats: numbers are floats by nature, so that all their digits are taken.

    Raises:
        RefusalError: ``malformed`` (not one JSON object, or half a character in it) or ``inexact_number`` (over
            15 significant digits, because whoever wrote them may already have passed them through a binary
            float); an ``id`` may be either.
    """
    long: list[_Long] = []

    def number(text: str) -> Decimal:
        if significant_digits(text) <= 15:
            return Decimal(text)
        long.append(_Long(text))
        return long[-1]

    try:
        text = _text(line)
        document = json.loads(
            text,
            parse_float=number,
            parse_int=number,
            parse_constant=_no_constant,
            object_pairs_hook=_unique_keys,
        )
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise RefusalError("malformed", f"not a JSON object: {error}") from error
    if not isinstance(document, dict):
        raise RefusalError("malformed", "each line must hold one JSON object")
    if long and not floats:
        _refuse_long(document)
    if _HALF.search(text):
        _refuse_halves(document)
    return document


def _refuse_halves(document: Document) -> None:
    for path, value in _but_id(document):
        if not (_encodes(path) and (not isinstance(value, str) or _encodes(value))):
            raise RefusalError("malformed", "half of a surrogate pair is no character: write both halves", path)


def _but_id(document: Document) -> Iterator[tuple[str, Any]]:
    return _leaves({name: value for name, value in document.items() if name != "id"}, "")


def _refuse_long(document: Document) -> None:
    for path, value in _but_id(document):
        if isinstance(value, _Long):
            raise RefusalError(
                "inexact_number",
                f"{str(value)[:60]} has more than 15 significant digits: write it as a string",
                path,
            )


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for place, item in enumerate(value):
            yield from _leaves(item, f"{path}[{place}]")
    else:
        yield path, value


def _identity(line: bytes) -> str:
    """The JSON text of the line's ``id``, its numbers as they are written; ``null`` when there is none."""
    try:
        document = json.loads(_text(line), parse_float=_Written, parse_int=_Written, parse_constant=lambda _: None)
    except (ValueError, RecursionError, RefusalError):
        return "null"
    return _as_written(document.get("id")) if isinstance(document, dict) else "null"


def _as_written(value: Any) -> str:
    if isinstance(value, _Written):
        return str(value)
    if isinstance(value, list):
        return f"[{','.join(_as_written(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_json(name)}:{_as_written(item)}" for name, item in value.items()) + "}"
    return _json(value)


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate (JSON can write one) has no UTF-8: it goes out the way it came in.
    return text if text.isascii() or _encodes(text) else json.dumps(value, separators=(",", ":"))


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _answers(lines: list[bytes], handler: Handler, *, floats: bool) -> Iterator[tuple[str, bool]]:
    """The answer to each line as JSON text, and whether it failed."""
    parsed: list[Document | RefusalError] = []
    for line in lines:
        try:
            parsed.append(read_document(line, floats=floats))
        except RefusalError as refusal:
            parsed.append(refusal)
    good = [document for document in parsed if isinstance(document, dict)]
    results = iter(handler(good)) if good else iter(())
    for line, document in zip(lines, parsed, strict=True):
        answer = next(results) if isinstance(document, dict) else document
        failed = isinstance(answer, RefusalError)
        body = {"error": answer.as_json()} if isinstance(answer, RefusalError) else answer
        rest = _json({key: value for key, value in body.items() if key != "id"})
        yield f'{{"id":{_identity(line)}{"," if rest != "{}" else ""}{rest[1:]}', failed


def _more_waits(stream: IO[bytes]) -> bool:
    """Whether reading on would not block: then a batch may grow, else it is answered at once."""
    try:
        return bool(select.select([stream], [], [], 0)[0])
    except (OSError, ValueError):  # not a descriptor: a buffer in memory never blocks
        return True


def _batches(stream: IO[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    pending = bytearray()
    read = getattr(stream, "read1", stream.read)
    while chunk := read(_CHUNK):
        head, newline, rest = chunk.rpartition(b"\n")
        if newline:
            pending += head
            batch += [line for line in bytes(pending).split(b"\n") if line.strip()]
            pending = bytearray(rest)
        elif len(pending) <= LONGEST_LINE:  # of a longer line the rest is not kept
            pending += rest
        while len(batch) >= BATCH:
            yield batch[:BATCH]
            del batch[:BATCH]
        if batch and not _more_waits(stream):
            yield batch
            batch = []
    if pending.strip():
        batch.append(bytes(pending))
    if batch:
        yield batch


def run_calculator(handler: Handler, file: Path | None, out: IO[str] | None = None, *, floats: bool = False) -> int:
    """Answer every line of ``file`` (or of standard input) and return the exit code: 0, or 1 if any failed.

    ``handler`` takes a batch of documents and gives, in order, one answer or one RefusalError for each.

    Raises:
        RefusalError: ``unreadable_file``.
    """
    if out is None:
        out = sys.stdout
        if hasattr(out, "reconfigure"):
            out.reconfigure(encoding="utf-8")  # JSON is UTF-8 whatever the locale says
    failed = False
    with ExitStack() as stack:
        if file is None:
            stream: IO[bytes] = sys.stdin.buffer
        else:
            try:
                stream = stack.enter_context(file.open("rb"))
            except OSError as error:
                raise RefusalError("unreadable_file", f"{file}: {error.strerror}", "--file") from error
        for batch in _batches(stream):
            for text, bad in _answers(batch, handler, floats=floats):
                failed |= bad
                out.write(text + "\n")
            out.flush()
    return int(failed)
