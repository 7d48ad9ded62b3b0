"""One line at a time, every number a Decimal: for lines whose text says that columns could read them wrongly."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from valueverse.errors import RefusalError

ATTRIBUTES = ("specversion", "id", "source", "type", "subject", "time", "tenant", "replaces")
_DEEPEST = 100
_ATTRIBUTE = re.compile(rf'"({"|".join(ATTRIBUTES)})"\s*:\s*"([^"\\\x00-\x1f]*)"')

Verdict = dict[str, Any]


class _Long(Decimal):
    """A number of more than 15 significant digits that is not written as a string."""


def _number(text: str) -> Decimal:
    mantissa, _, exponent = text.lower().partition("e")
    digits = mantissa.replace("-", "").replace(".", "").lstrip("0")
    if not digits:
        return Decimal(0)
    if len(exponent.lstrip("+-0")) > 4:
        # Decimal ends at exponents of a million; a number this far out is out of range wherever it stands.
        text = f"{mantissa}e{'-' if exponent.startswith('-') else ''}9999"
    return _Long(text) if len(digits) > 15 else Decimal(text)


def _no_constant(text: str) -> Decimal:
    raise ValueError(f"{text} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice in one object")
        found[key] = value
    return found


def _decode(text: str) -> Any:
    try:
        return json.loads(
            text, parse_float=_number, parse_int=_number, parse_constant=_no_constant, object_pairs_hook=_unique
        )
    except RecursionError as error:
        raise RefusalError("malformed", f"nested more than {_DEEPEST} levels deep") from error
    except ValueError as error:
        raise RefusalError("malformed", f"not JSON: {_sayable(str(error)[:120])}") from error


def loads(text: str) -> Any:
    """JSON with exact numbers.

    Raises:
        RefusalError: ``malformed``, or ``inexact_number`` for more than 15 significant digits outside a string.
    """
    document = _decode(text)
    check_exact(document, "")
    return document


def _below(path: str, key: str) -> str:
    return f"{path}.{_sayable(key)}" if path else _sayable(key)


def check_exact(value: Any, path: str, depth: int = 0) -> None:
    """Refuse what no column could hold unchanged.

    Raises:
        RefusalError: ``inexact_number`` with the path; ``malformed`` for texts that hold NUL or half a surrogate
            pair, and for nesting beyond 100 levels.
    """
    if depth > _DEEPEST:
        raise RefusalError("malformed", f"nested more than {_DEEPEST} levels deep", path[:200])
    if isinstance(value, dict):
        for key, item in value.items():
            _check_text(key, path)
            check_exact(item, _below(path, key), depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_exact(item, f"{path}[{index}]", depth + 1)
    elif isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, _Long):
        message = f"{_shown(value)} has more than 15 significant digits: send it as a string"
        raise RefusalError("inexact_number", message, path)


def _check_text(text: str, path: str) -> None:
    if "\x00" in text:
        raise RefusalError("malformed", "the text holds a NUL character; remove it", path)
    if not _is_storable(text):
        raise RefusalError("malformed", "the text holds half a surrogate pair, which is no character", path)


def _is_storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _sayable(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\x00", "?")


def check_range(value: Any, path: str) -> None:
    """Refuse numbers that no quantity may be: 10^12 and more, or more than 18 decimals.

    Raises:
        RefusalError: ``out_of_range`` with the path.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            check_range(item, _below(path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_range(item, f"{path}[{index}]")
    elif isinstance(value, Decimal) and value:
        exponent = value.normalize().as_tuple().exponent
        if value.adjusted() >= 12:
            raise RefusalError("out_of_range", f"{_shown(value)} is 10^12 or more: no quantity may be", path)
        if isinstance(exponent, int) and exponent < -18:
            raise RefusalError("out_of_range", f"{_shown(value)} has more than 18 decimals", path)


def _shown(value: Decimal) -> str:
    return str(value)[:60]


def dumps(value: Any) -> str:
    """JSON text that keeps every Decimal's digits."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dumps, value)) + "]"
    if isinstance(value, Decimal):
        return format(value, "f") if abs(value.adjusted()) < 40 else str(value)
    return json.dumps(value, ensure_ascii=False)


def parse_line(raw: str) -> Verdict:
    """Attributes as text, ``data`` as JSON text, or reason, message and path (with the attributes that can be read)."""
    verdict: Verdict = dict.fromkeys((*ATTRIBUTES, "data", "reason", "message", "path"))
    try:
        document = _event(raw)
        data = document.get("data")
        verdict |= {name: document.get(name) for name in ATTRIBUTES}
        verdict["data"] = None if data is None else dumps(data)
    except RefusalError as refusal:
        verdict |= readable_attributes(raw)
        verdict |= {"reason": refusal.code, "message": refusal.message, "path": refusal.path}
    return verdict


def _event(raw: str) -> dict[str, Any]:
    if "\x00" in raw:
        raise RefusalError("malformed", "the line holds a NUL character; remove it")
    document = _decode(raw)
    if not isinstance(document, dict):
        raise RefusalError("malformed", "a line must hold one JSON object, a CloudEvent")
    _check_attributes(document)
    if document.get("data") is not None:
        _check_object(document["data"])
    check_exact(document, "")
    if not str(document.get("type")).startswith("billing."):
        check_range(document.get("data"), "data")
    return document


def _check_object(data: object) -> None:
    if not isinstance(data, dict):
        raise RefusalError("malformed", "'data' must be a JSON object", "data")


def readable_attributes(raw: str) -> dict[str, str]:
    """The attributes of a refused line as far as they can be read, so that its sender can find the event."""
    try:
        document = json.loads(raw, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        document = dict(reversed(_ATTRIBUTE.findall(raw.partition('"data"')[0])))
    if not isinstance(document, dict):
        return {}
    return {name: value for name in ATTRIBUTES if isinstance(value := document.get(name), str) and _is_storable(value)}


def _check_attributes(document: dict[str, Any]) -> None:
    for name in ATTRIBUTES:
        value = document.get(name)
        if value is not None and not isinstance(value, str):
            raise RefusalError("malformed", f"{name!r} must be a string, not {_sayable(str(value)[:40])}", name)


def judge_data(data: str | None, *, is_billing: bool) -> Verdict:
    """``data`` of a CSV or Parquet row: the text, or why it is refused."""
    verdict: Verdict = {"data": None, "reason": None, "message": None, "path": None}
    if data is None or data.strip() == "null":
        return verdict
    try:
        document = _decode(data)
        _check_object(document)
        check_exact(document, "data")
        if not is_billing:
            check_range(document, "data")
        verdict["data"] = data.strip()
    except RefusalError as refusal:
        verdict |= {"reason": refusal.code, "message": refusal.message, "path": refusal.path or "data"}
    return verdict
