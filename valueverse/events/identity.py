"""When are two events the same? Key (tenant, source, id) for ever; same payload = equal canonical JSON.

The 128-bit ``payload_hash`` of the texts as they came decides the common case. Where the texts of two events with one
key differ, they are compared as values: key order, white space and the form of numbers (1, 1.0, 1e0) do not matter.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import polars as pl
import polars_hash  # noqa: F401 - registers the stable hashes as an expression namespace

from valueverse.errors import RefusalError
from valueverse.events.strict import load_exact_json

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENT_KEY = ("tenant", "source", "id")
COMPARED_FIELDS = ("type", "subject", "time", "replaces", "data")
_UNIT = "\x1f"


def _joined(names: tuple[str, ...]) -> pl.Expr:
    # Null and empty text stay apart, and no text can hold the separator twice in a row by accident of its neighbours.
    return pl.concat_str(
        [pl.coalesce(pl.lit("+") + pl.col(name).cast(pl.String), pl.lit("-")) for name in names], separator=_UNIT
    )


def _xxh3_128(names: tuple[str, ...]) -> pl.Expr:
    hashed: pl.Expr = _joined(names).nchash.xxh3_128()  # type: ignore[attr-defined]  # registered by polars_hash
    return hashed


@cache
def key_hash() -> pl.Expr:
    """xxh3_128 of the key, as UInt128."""
    return _xxh3_128(EVENT_KEY)


@cache
def payload_hash() -> pl.Expr:
    """xxh3_128 of everything compared, as text; equal hashes mean the same payload, others need a closer look."""
    return _xxh3_128(("type", "subject", "time", "replaces", "data")).cast(pl.String)


def same_payload(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two events with one key say the same (COMPARED; ``time`` as an instant, ``data`` as values)."""
    if any(one[name] != other[name] for name in COMPARED_FIELDS if name != "data"):
        return False
    return bool(_value(one["data"]) == _value(other["data"]))


def _value(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return _distinguished(load_exact_json(text))
    except RefusalError:
        return text


def _distinguished(value: Any) -> Any:
    # In Python True == 1; in JSON they are not the same.
    if isinstance(value, dict):
        return {key: _distinguished(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_distinguished(item) for item in value]
    return ("boolean", value) if isinstance(value, bool) else value
