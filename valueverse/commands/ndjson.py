"""Calculators: one JSON object per line in, one per line out, a bad line answered without stopping (contracts.md, 5)."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

Document = dict[str, Any]
Handler = Callable[[list[Document]], Iterable["Document | RefusalError"]] if TYPE_CHECKING else Any

BATCH = 2_000
"""Lines handed to the engine at once: large enough to vectorise, small enough to answer a pipe promptly."""


def significant_digits(text: str) -> int:
    """Digits that carry the value of a JSON number's text: leading zeros and the exponent do not."""
    mantissa = text.lower().partition("e")[0].replace("-", "").replace(".", "")
    return len(mantissa.lstrip("0"))


class _InexactNumberError(ValueError):
    """A JSON number longer than a double carries."""


def _number(text: str) -> Decimal:
    # A JSON number is exact up to 15 significant digits (contracts.md); longer ones must be strings, because
    # whoever wrote them may already have passed them through a binary float.
    if significant_digits(text) > 15:
        raise _InexactNumberError(text)
    return Decimal(text)


def _no_constant(text: str) -> Decimal:
    raise ValueError(f"{text} is not a JSON number")


def _unique_keys(pairs: list[tuple[str, Any]]) -> Document:
    found: Document = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice in one object")
        found[key] = value
    return found


def read_document(line: str) -> Document:
    """Parse one line; every number becomes a Decimal read from its text.

    Raises:
        RefusalError: ``malformed`` (not one JSON object) or ``inexact_number`` (over 15 significant digits).
    """
    try:
        document = json.loads(
            line, parse_float=_number, parse_int=_number, parse_constant=_no_constant, object_pairs_hook=_unique_keys
        )
    except _InexactNumberError as error:
        raise RefusalError(
            "inexact_number", f"{error} has more than 15 significant digits: write it as a string"
        ) from error
    except (ValueError, RecursionError) as error:
        raise RefusalError("malformed", f"not a JSON object: {error}") from error
    if not isinstance(document, dict):
        raise RefusalError("malformed", "each line must hold one JSON object")
    return document


def _identity(line: str) -> Any:  # noqa: ANN401 - an id is whatever JSON value the user wrote
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return document.get("id") if isinstance(document, dict) else None


def _answers(lines: list[str], handler: Handler) -> Iterator[Document]:
    parsed: list[Document | RefusalError] = []
    for line in lines:
        try:
            parsed.append(read_document(line))
        except RefusalError as refusal:
            parsed.append(refusal)
    good = [document for document in parsed if isinstance(document, dict)]
    results = iter(handler(good)) if good else iter(())
    for line, document in zip(lines, parsed, strict=True):
        answer = next(results) if isinstance(document, dict) else document
        body = {"error": answer.as_json()} if isinstance(answer, RefusalError) else answer
        yield {"id": _identity(line), **{key: value for key, value in body.items() if key != "id"}}


def _batches(stream: Iterable[str], live: bool) -> Iterator[list[str]]:
    batch: list[str] = []
    for line in stream:
        if line.strip():
            batch.append(line)
        if batch and (live or len(batch) >= BATCH):
            yield batch
            batch = []
    if batch:
        yield batch


def run_calculator(handler: Handler, file: Path | None, out: IO[str] | None = None) -> int:
    """Answer every line of ``file`` (or of standard input) and return the exit code: 0, or 1 if any line failed.

    ``handler`` takes a batch of documents and gives, in order, one answer or one RefusalError for each.
    """
    out = out or sys.stdout
    failed = False
    with ExitStack() as stack:
        if file is None:
            stream: Iterable[str] = sys.stdin
        else:
            try:
                stream = stack.enter_context(file.open(encoding="utf-8"))
            except OSError as error:
                raise RefusalError("unreadable_file", f"{file}: {error.strerror}", "--file") from error
        live = file is None and sys.stdin.isatty()
        for batch in _batches(stream, live):
            for answer in _answers(batch, handler):
                failed |= "error" in answer
                out.write(json.dumps(answer, ensure_ascii=False, separators=(",", ":")) + "\n")
            out.flush()
    return int(failed)
