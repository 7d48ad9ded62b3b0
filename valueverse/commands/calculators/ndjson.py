"""Calculators: one JSON object per line in, one per line out, a bad line answered without stopping.

The formats are in contracts.md, section 5. Input is read as bytes: a line that is no UTF-8, nests without
end or never ends is one bad line, not the end of the run.
"""

from __future__ import annotations

import json
import re
import select
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
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
_DOUBTFUL = re.compile(r"[0-9.]{16}|\\u[dD][89a-fA-F]")
"""What a number of more than 15 digits or half of a surrogate pair has; lines without need not be looked through."""


class _Written(str):
    """A JSON number's own text."""

    __slots__ = ()


def _text(line: str | bytes) -> str:
    raw = line.encode("utf-8", "surrogatepass") if isinstance(line, str) else line
    if len(raw) > LONGEST_LINE:
        raise RefusalError("malformed", f"a line may hold at most {LONGEST_LINE // 1024**2} MiB")
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
    text = _text(line)
    from valueverse.documents import check_values, decode_line

    document = decode_line(text)
    if not isinstance(document, dict):
        raise RefusalError("malformed", "each line must hold one JSON object")
    if _DOUBTFUL.search(text) or text.count("[") + text.count("{") > DEEPEST:
        fields = {name: value for name, value in document.items() if name != "id"}
        check_values(fields, deepest=DEEPEST, texts="answered", inexact=floats)
        check_values(document.get("id"), "id", deepest=DEEPEST, texts="any", inexact=True)
    return document


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
        body = _refused(answer) if isinstance(answer, RefusalError) else answer
        rest = _json({key: value for key, value in body.items() if key != "id"})
        yield f'{{"id":{_identity(line)}{"," if rest != "{}" else ""}{rest[1:]}', failed


def _refused(refusal: RefusalError) -> Document:
    """``error``: the first thing wrong; ``problems``: all of them, where there are several."""
    body: Document = {"error": refusal.as_json()}
    from valueverse.documents import DocumentError

    if isinstance(refusal, DocumentError) and len(refusal.problems) > 1:
        names = ("code", "message", "path", "suggestion")
        body["problems"] = [{name: getattr(one, name) for name in names} for one in refusal.problems]
    return body


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
        elif len(pending) <= LONGEST_LINE:  # the rest of a longer line is dropped
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
