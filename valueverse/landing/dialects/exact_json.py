"""JSON whose numbers keep their digits: a price or a quantity never passes through binary fractions."""

from __future__ import annotations

import json
from typing import Any

import orjson

from valueverse.errors import RefusalError


class Number(str):
    """A number as it was written."""

    __slots__ = ()


def read_json(body: bytes) -> Any:
    """The value of a body; its numbers are of type Number.

    Raises:
        RefusalError: ``malformed_body``.
    """
    try:
        return _DECODER.decode(body.decode())
    except UnicodeDecodeError as error:
        raise RefusalError("malformed_body", f"byte {error.start} of the body is no UTF-8", "body") from error
    except RecursionError as error:
        raise RefusalError("malformed_body", "the body is nested too deeply", "body") from error
    except json.JSONDecodeError as error:
        message = f"the body is no JSON: {error.msg} at character {error.pos}"
        raise RefusalError("malformed_body", message, "body") from error


def json_text(value: Any) -> str:
    """The value on one line, each number with its digits.

    Raises:
        RefusalError: ``malformed_body``: a text with half of a surrogate pair, which has no UTF-8.
    """
    try:
        return orjson.dumps(value, default=_digits, option=orjson.OPT_PASSTHROUGH_SUBCLASS).decode()
    except (TypeError, RecursionError) as error:
        raise RefusalError("malformed_body", f"the body cannot be written as JSON: {error}", "body") from error


def _digits(value: Any) -> orjson.Fragment:
    if isinstance(value, Number):
        return orjson.Fragment(str(value))
    raise TypeError(f"a value of type {type(value).__name__}")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RefusalError("malformed_body", f"an object has the member {twice[:60]!r} twice", "body")
    return found


def _constant(name: str) -> Any:
    raise RefusalError("malformed_body", f"{name} is no JSON", "body")


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=_constant, object_pairs_hook=_members)
