"""One line at a time, every number a Decimal: for the few lines whose text says that columns could read them wrongly."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from valueverse.errors import RefusalError

ATTRIBUTES = ("specversion", "id", "source", "type", "subject", "time", "tenant", "replaces")
_LIMIT = Decimal(10) ** 12
_DEEPEST = 100

Verdict = dict[str, Any]


class _Inexact(ValueError):
    """A number of more than 15 significant digits that is not written as a string."""


def _number(text: str) -> Decimal:
    digits = text.lower().partition("e")[0].replace("-", "").replace(".", "").lstrip("0")
    if len(digits) > 15:
        raise _Inexact(text)
    return Decimal(text)


def _no_constant(text: str) -> Decimal:
    raise ValueError(f"{text} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice in one object")
        found[key] = value
    return found


def loads(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """JSON with exact numbers.

    Raises:
        RefusalError: ``malformed``, or ``inexact_number`` for more than 15 significant digits outside a string.
    """
    try:
        return json.loads(
            text, parse_float=_number, parse_int=_number, parse_constant=_no_constant, object_pairs_hook=_unique
        )
    except _Inexact as error:
        shown = str(error)[:60]
        message = f"{shown} has more than 15 significant digits: send it as a string"
        raise RefusalError("inexact_number", message) from error
    except (ValueError, RecursionError) as error:
        raise RefusalError("malformed", f"not JSON: {str(error)[:120] or 'nested too deeply'}") from error


def check_range(value: Any, path: str, depth: int = 0) -> None:  # noqa: ANN401 - any JSON value
    """Refuse numbers that no quantity may be: 10^12 and more, or more than 18 decimals.

    Raises:
        RefusalError: ``out_of_range`` with the path, ``malformed`` for nesting beyond 100 levels.
    """
    if depth > _DEEPEST:
        raise RefusalError("malformed", f"nested more than {_DEEPEST} levels deep", path)
    if isinstance(value, dict):
        for key, item in value.items():
            check_range(item, f"{path}.{key}", depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_range(item, f"{path}[{index}]", depth + 1)
    elif isinstance(value, Decimal):
        exponent = value.normalize().as_tuple().exponent
        if value and (value.adjusted() >= 12 or abs(value) >= _LIMIT):
            raise RefusalError("out_of_range", f"{_shown(value)} is 10^12 or more: no quantity may be", path)
        if isinstance(exponent, int) and exponent < -18:
            raise RefusalError("out_of_range", f"{_shown(value)} has more than 18 decimals", path)


def _shown(value: Decimal) -> str:
    return str(value)[:40]


def dumps(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """JSON text that keeps every Decimal's digits."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dumps, value)) + "]"
    if isinstance(value, Decimal):
        return format(value, "f") if abs(value.adjusted()) < 40 else str(value)
    return json.dumps(value, ensure_ascii=False)


def parse_line(raw: str) -> Verdict:
    """Attributes as text, ``data`` as JSON text, or reason, message and path."""
    verdict: Verdict = dict.fromkeys((*ATTRIBUTES, "data", "reason", "message", "path"))
    try:
        if "\x00" in raw or "\\u0000" in raw:
            raise RefusalError("malformed", "the line holds a NUL character; remove it")
        document = loads(raw)
        if not isinstance(document, dict):
            raise RefusalError("malformed", "a line must hold one JSON object, a CloudEvent")
        verdict |= {name: document[name] for name in ATTRIBUTES if isinstance(document.get(name), str)}
        _check_attributes(document)
        data = document.get("data")
        if data is not None and not isinstance(data, dict):
            raise RefusalError("malformed", "'data' must be a JSON object", "data")
        if not str(document.get("type")).startswith("billing."):
            check_range(data, "data")
        verdict["data"] = None if data is None else dumps(data)
    except RefusalError as refusal:
        verdict |= {"reason": refusal.code, "message": refusal.message, "path": refusal.path}
    return verdict


def _check_attributes(document: dict[str, Any]) -> None:
    for name in ATTRIBUTES:
        value = document.get(name)
        if value is not None and not isinstance(value, str):
            raise RefusalError("malformed", f"{name!r} must be a string, not {str(value)[:40]}", name)


def judge_data(data: str | None) -> Verdict:
    """``data`` of a CSV or Parquet row: the text, or why it is refused."""
    verdict: Verdict = {"data": None, "reason": None, "message": None, "path": None}
    if data is None or data.strip() == "null":
        return verdict
    try:
        document = loads(data)
        if not isinstance(document, dict):
            raise RefusalError("malformed", "'data' must be a JSON object", "data")
        check_range(document, "data")
        verdict["data"] = data.strip()
    except RefusalError as refusal:
        verdict |= {"reason": refusal.code, "message": refusal.message, "path": refusal.path or "data"}
    return verdict
