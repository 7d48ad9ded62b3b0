"""Catalog documents flattened for SQL: one row per charge and per meter, numbers as the text they were
    written in.

The documents are read as plain JSON, not through the engine's catalog: what reconciles must not share its
code.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import polars as pl

_TEXT = pl.String
_CONDITION = pl.List(pl.Struct({"path": pl.String, "value": pl.String}))
CHARGES: dict[str, Any] = {
    "catalog_hash": _TEXT,
    "plan": _TEXT,
    "version": pl.Int32,
    "charge": _TEXT,
    "meter": _TEXT,
    "conditions": _CONDITION,
    "rivals": pl.List(_CONDITION),
    "splits": pl.List(pl.Struct({"path": pl.String})),
    "model": _TEXT,
    **dict.fromkeys(
        (
            "multiply_by",
            "divide_by",
            "convert_round",
            "included",
            "discount",
            "unit",
            "size",
            "amount",
            "free",
        ),
        _TEXT,
    ),
    "package_round": _TEXT,
    "rate": _TEXT,
    "fixed": _TEXT,
    "flat_at_zero": pl.Boolean,
    "tiers": pl.List(pl.Struct({"above": _TEXT, "up_to": _TEXT, "unit": _TEXT, "flat": _TEXT})),
    "not_priced": _TEXT,
}
METERS: dict[str, Any] = {
    "catalog_hash": _TEXT,
    "meter": _TEXT,
    "event_type": _TEXT,
    "aggregation": _TEXT,
    "path": _TEXT,
    "operation": _TEXT,
    "not_metered": _TEXT,
}
_SIMPLE = {
    "standard": {"model", "unit"},
    "graduated": {"model", "tiers", "bill_flat_at_zero"},
    "volume": {"model", "tiers", "bill_flat_at_zero"},
    "package": {"model", "size", "amount", "free", "round"},
    "percentage": {"model", "rate", "fixed"},
}
_METERED = {"count", "sum", "min", "max", "latest", "unique_count"}


def flatten(documents: dict[str, str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Charges (CHARGES) and meters (METERS) of catalog documents given as JSON text by hash.

    ``not_priced`` and ``not_metered`` say why a row is out of reach of the recomputation: null = it is
        recomputed.
    """
    charges: list[dict[str, Any]] = []
    meters: list[dict[str, Any]] = []
    for catalog_hash, text in documents.items():
        document = json.loads(text, parse_float=Decimal)
        meters += [{"catalog_hash": catalog_hash, **_meter(meter)} for meter in document.get("meters") or ()]
        for plan in document.get("plans") or ():
            named = {
                "catalog_hash": catalog_hash,
                "plan": plan["key"],
                "version": int(plan.get("version") or 1),
            }
            listed = [charge for charge in plan.get("charges") or () if charge.get("meter")]
            charges += [{**named, **_charge(charge, listed)} for charge in listed]
    return pl.DataFrame(charges, CHARGES, orient="row"), pl.DataFrame(meters, METERS, orient="row")


def _meter(meter: dict[str, Any]) -> dict[str, Any]:
    value, operation = meter.get("value"), meter.get("operation")
    reason = None
    if meter["aggregation"] not in _METERED:
        reason = f"aggregation {meter['aggregation']}"
    elif meter.get("where") or meter.get("rounding") or meter.get("carry_over"):
        reason = "where, rounding or carry_over"
    elif value is not None and not _is_path(value):
        reason = "a formula"
    return {
        "meter": meter["key"],
        "event_type": meter["event_type"],
        "aggregation": meter["aggregation"],
        "path": None if value is None or reason else _path(value),
        "operation": None if operation is None else _path(operation),
        "not_metered": reason,
    }


def _charge(charge: dict[str, Any], listed: list[dict[str, Any]]) -> dict[str, Any]:
    price, convert = charge["price"], charge.get("convert") or {}
    own = _conditions(charge)
    rivals = [_conditions(other) for other in listed if other["meter"] == charge["meter"]]
    return {
        "charge": charge["key"],
        "meter": charge["meter"],
        "conditions": own,
        "rivals": [conditions for conditions in rivals if len(conditions) > len(own)],
        "splits": [{"path": _path(name)} for name in charge.get("split_by") or ()],
        "model": price["model"],
        "multiply_by": _text(convert.get("multiply_by")),
        "divide_by": _text(convert.get("divide_by")),
        "convert_round": convert.get("round"),
        "included": _text(charge.get("included")),
        "discount": _text(charge.get("discount_percent")),
        **{name: _text(price.get(name)) for name in ("unit", "size", "amount", "free", "rate", "fixed")},
        "package_round": price.get("round"),
        "flat_at_zero": price.get("bill_flat_at_zero") is not False,
        "tiers": _tiers(price.get("tiers") or ()),
        "not_priced": _out_of_reach(charge),
    }


def _out_of_reach(charge: dict[str, Any]) -> str | None:
    price = {name for name, value in charge["price"].items() if value is not None}
    model = charge["price"]["model"]
    if model not in _SIMPLE or price - _SIMPLE[model]:
        return f"price {model}" + "".join(f" with {name}" for name in sorted(price - _SIMPLE.get(model, price)))
    if any(tier.get("per") or tier.get("cap") for tier in charge["price"].get("tiers") or ()):
        return "blocks or caps in tiers"
    whole = [name for name in ("minimum", "maximum") if charge.get(name) is not None]
    if charge.get("split_by") and charge.get("included") is not None:
        whole.append("included over split lines")
    if charge.get("prorate") == "day" or charge.get("across_segments"):
        whole.append("proration or tiers across segments")
    return ", ".join(whole) or None


def _tiers(tiers: Any) -> list[dict[str, str | None]]:
    bounds = [None, *(tier.get("up_to") for tier in tiers)]
    return [
        {
            "above": _text(above) or "0",
            "up_to": _text(tier.get("up_to")),
            "unit": _text(tier.get("unit")) or "0",
            "flat": _text(tier.get("flat")) or "0",
        }
        for above, tier in zip(bounds, tiers, strict=False)
    ]


def _conditions(charge: dict[str, Any]) -> list[dict[str, str | None]]:
    return [{"path": _path(name), "value": _text(value)} for name, value in (charge.get("when") or {}).items()]


def _is_path(value: str) -> bool:
    return all(part.isidentifier() for part in value.split("."))


def _path(name: str) -> str:
    return "$" + "".join(f'."{part}"' for part in name.split("."))


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else f"{Decimal(value):f}"
