"""Checking a value model: everything that is wrong with it, or what it is made of."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST = 4 * 1024 * 1024


def read_text(file: Path) -> str:
    """A model's text.

    Raises:
        RefusalError: ``unreadable``: no such file, none that can be read, too large, or no UTF-8.
    """
    try:
        raw = sys.stdin.buffer.read(_LARGEST + 1) if str(file) == "-" else _bytes(file)
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror or error}"
        raise RefusalError("unreadable", message) from error
    if len(raw) > _LARGEST:
        raise RefusalError("unreadable", f"{file} is larger than {_LARGEST} bytes, which is no model")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusalError("unreadable", f"{file} is no UTF-8 text; save it as such") from error


def _bytes(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(_LARGEST + 1)


def check(text: str) -> dict[str, Any]:
    """``{ok: true, tree, ...}`` or ``{ok: false, problems: [...]}``."""
    from valueverse.documents import DocumentError
    from valueverse.value.architect import tree_json, tree_text
    from valueverse.value.architect.compiler import compile_model
    from valueverse.value.architect.document import parse_model

    try:
        program = compile_model(parse_model(text))
    except DocumentError as error:
        return {"ok": False, "problems": [one.as_json() for one in error.problems]}
    return {"ok": True, **tree_json(program), "tree": tree_text(program)}
