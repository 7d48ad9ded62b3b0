"""One line at a time, every number a Decimal: for lines whose text says that columns could read them wrongly."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from valueverse.documents import UNSTORABLE, check_values, child_path, decode_line, encodable
from valueverse.errors import RefusalError

ENVELOPE_ATTRIBUTES = ("specversion", "id", "source", "type", "subject", "time", "tenant", "replaces")
DEEPEST = 100
"""Levels of nesting of an event."""
_ATTRIBUTE = re.compile(rf'"({"|".join(ENVELOPE_ATTRIBUTES)})"\s*:\s*"([^"\\\x00-\x1f]*)"')

Verdict = dict[str, Any]


def load_exact_json(text: str) -> Any:
    """JSON with exact numbers.

    Raises:
        RefusalError: ``malformed``, or ``inexact_number`` for more than 15 significant digits outside a string.
    """
    document = decode_line(text)
    check_values(document, deepest=DEEPEST)
    return document


def plain_numbers(value: Any) -> Any:
    """JSON without decimals: they are text that has their digits (docs/decisions/1611), whole numbers as they are."""
    if isinstance(value, dict):
        return {name: plain_numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain_numbers(item) for item in value]
    if isinstance(value, Decimal):
        return int(value) if value.adjusted() < 18 and value == value.to_integral_value() else str(value)
    return value


def check_range(value: Any, path: str) -> None:
    """Refuse numbers that no quantity may be: 10^12 and more, or more than 18 decimals.

    Raises:
        RefusalError: ``out_of_range`` with the path.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            check_range(item, child_path(path, encodable(key)))
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
    verdict: Verdict = dict.fromkeys((*ENVELOPE_ATTRIBUTES, "data", "reason", "message", "path"))
    try:
        document = _event(raw)
        data = document.get("data")
        verdict |= {name: document.get(name) for name in ENVELOPE_ATTRIBUTES}
        verdict["data"] = None if data is None else dumps(data)
    except RefusalError as refusal:
        verdict |= readable_attributes(raw)
        verdict |= {"reason": refusal.code, "message": refusal.message, "path": refusal.path}
    return verdict


def _event(raw: str) -> dict[str, Any]:
    if "\x00" in raw:
        raise RefusalError("malformed", "the line holds a NUL character; remove it")
    document = decode_line(raw)
    if not isinstance(document, dict):
        raise RefusalError("malformed", "a line must hold one JSON object, a CloudEvent")
    _check_attributes(document)
    if document.get("data") is not None:
        _check_object(document["data"])
    check_values(document, deepest=DEEPEST)
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
    return {
        name: value
        for name in ENVELOPE_ATTRIBUTES
        if isinstance(value := document.get(name), str) and not UNSTORABLE.search(value)
    }


def _check_attributes(document: dict[str, Any]) -> None:
    for name in ENVELOPE_ATTRIBUTES:
        value = document.get(name)
        if value is not None and not isinstance(value, str):
            raise RefusalError("malformed", f"{name!r} must be a string, not {encodable(str(value)[:40])}", name)


def judge_data(data: str | None, *, is_billing: bool) -> Verdict:
    """``data`` of a CSV or Parquet row: the text, or why it is refused."""
    verdict: Verdict = {"data": None, "reason": None, "message": None, "path": None}
    if data is None or data.strip() == "null":
        return verdict
    try:
        document = decode_line(data)
        _check_object(document)
        check_values(document, "data", deepest=DEEPEST)
        if not is_billing:
            check_range(document, "data")
        verdict["data"] = data.strip()
    except RefusalError as refusal:
        verdict |= {"reason": refusal.code, "message": refusal.message, "path": refusal.path or "data"}
    return verdict
