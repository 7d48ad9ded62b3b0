"""Catalog documents flattened for SQL: one row per charge and per meter, numbers as the text they were
    written in.

The documents are read as plain JSON, not through the engine's catalog: what reconciles must not share its
code.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_TEXT = pl.String
_PERCENTAGE = ("rate", "fixed", "free_events", "free_amount", "min_per_event", "max_per_event")
_CONDITION = pl.List(pl.Struct({"path": pl.String, "value": pl.String}))
CHARGES: dict[str, Any] = {
    "catalog_hash": _TEXT,
    "plan": _TEXT,
    "version": pl.Int32,
    "newest": pl.Boolean,
    "overrides": _TEXT,
    "charge": _TEXT,
    "meter": _TEXT,
    "conditions": _CONDITION,
    "takes": pl.List(pl.Struct({"meter": _TEXT, "rivals": pl.List(_CONDITION)})),
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
    "flat_at_zero": pl.Boolean,
    "tiers": pl.List(
        pl.Struct({"above": _TEXT, "up_to": _TEXT, "unit": _TEXT, "flat": _TEXT, "per": _TEXT, "cap": _TEXT})
    ),
    **dict.fromkeys(_PERCENTAGE, _TEXT),
    "per_event": pl.Boolean,
    "carried": _TEXT,
    "axes": pl.List(pl.Struct({"path": _TEXT})),
    "cells": pl.List(pl.Struct({"label": _TEXT, "unit": _TEXT})),
    "steps": pl.List(pl.Struct({"amount": _TEXT, "limits": pl.List(pl.Struct({"meter": _TEXT, "most": _TEXT}))})),
    "minimum": _TEXT,
    "maximum": _TEXT,
    **dict.fromkeys(("every", "period", "align"), _TEXT),
    "not_priced": _TEXT,
}
FEES: dict[str, Any] = {
    "catalog_hash": _TEXT,
    "plan": _TEXT,
    "version": pl.Int32,
    "newest": pl.Boolean,
    "overrides": _TEXT,
    **dict.fromkeys(("key", "amount", "unit_amount", "quantity", "quantity_path", "prorate"), _TEXT),
    **dict.fromkeys(("every", "period", "align"), _TEXT),
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
_PRICED = {
    "standard": {"model", "unit"},
    "graduated": {"model", "tiers", "bill_flat_at_zero"},
    "volume": {"model", "tiers", "bill_flat_at_zero"},
    "package": {"model", "size", "amount", "free", "round"},
    "percentage": {"model", *_PERCENTAGE},
    "graduated_percentage": {"model", "tiers"},
    "matrix": {"model", "dimensions", "cells", "default_unit"},
    "dynamic": {"model", "amount", "multiplier"},
    "capacity": {"model", "meters", "tiers"},
}
"""Models that are recomputed, with the fields that are understood: one that is new is left out, and said to be."""
_METERED = {"count", "sum", "min", "max", "avg", "latest", "unique_count"}
_PARTS = {"percentage", "matrix", "capacity", "dynamic"}
"""Models that need more of a meter than its quantity."""


def flatten(
    documents: dict[str, str], overridden: Iterable[tuple[str, str]] = ()
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Charges (CHARGES), fees (FEES) and meters (METERS) of catalog documents given as JSON text by hash.

    ``overridden`` are the pairs of a plan and the overrides (JSON text) that subscriptions have of it: each makes a set
    of charges of its own beside the plan's, whose ``overrides`` is ''. ``newest`` marks a plan's highest version.
    ``not_priced`` and ``not_metered`` say why a row is out of reach of the recomputation: null = it is
        recomputed.
    """
    by_plan: dict[str, list[str]] = {}
    for plan, overrides in overridden:
        by_plan.setdefault(plan, []).append(overrides)
    charges: list[dict[str, Any]] = []
    fees: list[dict[str, Any]] = []
    meters: list[dict[str, Any]] = []
    for catalog_hash, text in documents.items():
        document = json.loads(text, parse_float=Decimal)
        meters += [{"catalog_hash": catalog_hash, **_meter(meter)} for meter in document.get("meters") or ()]
        unmetered = {row["meter"] for row in meters if row["catalog_hash"] == catalog_hash and row["not_metered"]}
        rounding = (document.get("rounding") or {}).get("level") or "line"
        plans = document.get("plans") or []
        newest = {plan["key"]: 0 for plan in plans}
        for plan in plans:
            newest[plan["key"]] = max(newest[plan["key"]], _version(plan))
        for plan in plans:
            for overrides in ("", *by_plan.get(plan["key"], ())):
                named = {
                    "catalog_hash": catalog_hash,
                    "plan": plan["key"],
                    "version": _version(plan),
                    "newest": newest[plan["key"]] == _version(plan),
                    "overrides": overrides,
                }
                merged = _merged(plan, overrides)
                listed = merged.get("charges") or []
                period = {"unit": "month", "every": 1, "align": "anniversary"} | (merged.get("period") or {})
                drawn = {"every": _text(period["every"]), "period": period["unit"], "align": period["align"]}
                charges += [{**named, **_charge(charge, listed, rounding, unmetered), **drawn} for charge in listed]
                fees += [{**named, **_fee(fee), **drawn} for fee in merged.get("fees") or ()]
    frames = ((charges, CHARGES), (fees, FEES), (meters, METERS))
    laid_out, owed, metered = (pl.DataFrame(rows, schema, orient="row") for rows, schema in frames)
    return laid_out, owed, metered


def _fee(fee: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": fee["key"],
        **{name: _text(fee.get(name)) for name in ("amount", "unit_amount", "quantity")},
        "quantity_path": f'$."{fee["key"]}"',
        "prorate": fee.get("prorate") or "day",
    }


def _version(plan: dict[str, Any]) -> int:
    return int(plan.get("version") or 1)


def _merged(plan: dict[str, Any], overrides: str) -> dict[str, Any]:
    """A plan with overrides: charges and fees merge by key, field by field; anything else takes its place."""
    if not overrides:
        return plan
    stated = json.loads(overrides, parse_float=Decimal)
    merged = {**plan, **stated}
    for name in ("charges", "fees"):
        own = {entry["key"]: entry for entry in plan.get(name) or ()}
        for entry in stated.get(name) or ():
            own[entry["key"]] = own.get(entry["key"], {}) | entry
        merged[name] = list(own.values())
    return merged


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


def _meters_of(charge: dict[str, Any]) -> list[str]:
    """Meters whose usage a charge takes; an outcome takes none."""
    price = charge["price"]
    if price["model"] == "outcome":
        return []
    limited = (name for tier in price.get("tiers") or () for name in tier.get("limits") or ())
    named = [charge.get("meter"), *(price.get("meters") or ()), *limited]
    return sorted({name for name in named if name})


def _takes(charge: dict[str, Any], listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each meter of a charge with the conditions of those that win over it where they hold."""
    own = len(charge.get("when") or {})
    return [
        {
            "meter": meter,
            "rivals": [
                _conditions(other)
                for other in listed
                if meter in _meters_of(other) and len(other.get("when") or {}) > own
            ],
        }
        for meter in _meters_of(charge)
    ]


def _charge(
    charge: dict[str, Any], listed: list[dict[str, Any]], rounding: str, unmetered: Collection[str]
) -> dict[str, Any]:
    price, convert = charge["price"], charge.get("convert") or {}
    model, axes = price["model"], sorted(price.get("dimensions") or ())
    tiers = price.get("tiers") or ()
    return {
        "charge": charge["key"],
        "meter": charge.get("meter"),
        "conditions": _conditions(charge),
        "takes": _takes(charge, listed),
        "splits": [{"path": _path(name)} for name in charge.get("split_by") or ()],
        "model": price["model"],
        "multiply_by": _text(convert.get("multiply_by")),
        "divide_by": _text(convert.get("divide_by")),
        "convert_round": convert.get("round"),
        "included": _text(charge.get("included")),
        "discount": _text(charge.get("discount_percent")),
        **{name: _text(price.get(name)) for name in ("size", "free", *_PERCENTAGE)},
        "unit": _text(price.get({"dynamic": "multiplier", "matrix": "default_unit"}.get(model, "unit"))),
        "amount": _text(price.get("amount")) if model == "package" else None,
        "package_round": price.get("round"),
        "flat_at_zero": price.get("bill_flat_at_zero") is not False,
        "tiers": [] if model == "capacity" else _tiers(tiers),
        "per_event": bool(Decimal(price.get("fixed") or 0))
        or any(price.get(name) is not None for name in _PERCENTAGE[2:]),
        "carried": _path(price["amount"]) if model == "dynamic" and price.get("amount") else None,
        "axes": [{"path": _path(name)} for name in axes],
        "cells": [
            # a published document holds a cell's dimension values apart
            {"label": _label(_text(cell.get("values", cell)[name]) for name in axes), "unit": _text(cell["unit"])}
            for cell in price.get("cells") or ()
        ],
        "steps": _steps(tiers) if model == "capacity" else [],
        "minimum": _text(charge.get("minimum")),
        "maximum": _text(charge.get("maximum")),
        "not_priced": _out_of_reach(charge, rounding, unmetered),
    }


def _out_of_reach(charge: dict[str, Any], rounding: str, unmetered: Collection[str]) -> str | None:
    price = {name for name, value in charge["price"].items() if value is not None}
    model = charge["price"]["model"]
    if model not in _PRICED or price - _PRICED[model]:
        return f"price {model}" + "".join(f" with {name}" for name in sorted(price - _PRICED.get(model, price)))
    whole = []
    if model in _PARTS and set(_meters_of(charge)) & set(unmetered):
        whole.append(f"{model} on a meter that is not recomputed")
    if charge.get("split_by") and any(charge.get(name) is not None for name in ("minimum", "maximum")):
        whole.append("bounds over split lines")
    if model == "matrix" and charge.get("included") is not None:
        whole.append("included units of a matrix")
    if charge.get("prorate") == "day" or charge.get("across_segments"):
        whole.append("proration or tiers across segments")
    if rounding == "tier" and model in {"graduated", "volume", "graduated_percentage"}:
        whole.append("rounding by tier")
    return ", ".join(whole) or None


def _label(values: Iterable[str | None]) -> str:
    """Dimension values as one text; a missing one differs from every text."""
    return "cell " + "/".join("-" if value is None else f"={value}" for value in values)


def _steps(tiers: Any) -> list[dict[str, Any]]:
    return [
        {
            "amount": _text(tier["amount"]),
            "limits": [
                {"meter": meter, "most": _text(most)}
                for meter, most in (tier.get("limits") or {}).items()
                if most is not None
            ],
        }
        for tier in tiers
    ]


def _tiers(tiers: Any) -> list[dict[str, str | None]]:
    bounds = [None, *(tier.get("up_to") for tier in tiers)]
    return [
        {
            "above": _text(above) or "0",
            "up_to": _text(tier.get("up_to")),
            "unit": _text(tier.get("rate", tier.get("unit"))) or "0",
            "flat": _text(tier.get("flat")) or "0",
            "per": _text(tier.get("per")),
            "cap": _text(tier.get("cap")),
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
