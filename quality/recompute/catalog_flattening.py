"""Catalog documents flattened for SQL: one row per charge and per meter, numbers as the text they were
    written in.

The documents are read as plain JSON, not through the engine's catalog: what reconciles must not share its
code.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from quality.recompute.columns import CHARGES, FEES, METERS, PERCENTAGE, PLANS
from quality.recompute.overrides import merged_with
from valueverse.platform.isolation import is_shared

if TYPE_CHECKING:
    from collections.abc import Iterable

_PRICED = {
    "standard": {"model", "unit"},
    "graduated": {"model", "tiers", "bill_flat_at_zero"},
    "volume": {"model", "tiers", "bill_flat_at_zero"},
    "package": {"model", "size", "amount", "free", "round"},
    "percentage": {"model", *PERCENTAGE},
    "graduated_percentage": {"model", "tiers"},
    "matrix": {"model", "dimensions", "cells", "default_unit"},
    "dynamic": {"model", "amount", "multiplier"},
    "capacity": {"model", "meters", "tiers"},
    "formula": {"model", "amount"},
    "bucketed": {"model", "every", "price", "commitment", "overage_factor", "true_up", "time_of_day"},
}
"""Models that are recomputed, with the fields that are understood: a new one is left out, and reported as left out."""
_FLAT = {"charges": CHARGES, "fees": FEES, "plans": PLANS}
_METERED = {"count", "sum", "min", "max", "avg", "latest", "unique_count", "weighted_sum"}
_PATH = re.compile(r"`([^`]*)`|([^.`]+)")


def flatten(documents: dict[str, str], overridden: Iterable[tuple[str, str]] = ()) -> dict[str, pl.DataFrame]:
    """charges (CHARGES), fees (FEES), meters (METERS) and plans (PLANS) of catalog documents (JSON text by hash).

    ``overridden`` are the pairs of a plan and the overrides (JSON text) that subscriptions have of it: each makes a set
    of charges of its own beside the plan's, whose ``overrides`` is ''. ``newest`` marks a plan's highest version.
    ``not_priced`` and ``not_metered`` say why a row is out of reach of the recomputation: null = it is
        recomputed.
    """
    by_plan: dict[str, list[str]] = {}
    for plan, overrides in overridden:
        by_plan.setdefault(plan, []).append(overrides)
    listed: dict[str, list[pl.DataFrame]] = {name: [] for name in _FLAT}
    meters: list[dict[str, Any]] = []
    for catalog_hash, text in documents.items():
        document = json.loads(text, parse_float=Decimal)
        meters += [{"catalog_hash": catalog_hash, **_meter(meter)} for meter in document.get("meters") or ()]
        metered = {meter["key"]: meter for meter in document.get("meters") or ()}
        rounding = document.get("rounding") or {}
        policy = {
            "rounding_mode": rounding.get("mode") or "half_up",
            "rounding_level": rounding.get("level") or "line",
            "skips_zero": document.get("zero_invoices") == "skip",
        }
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
                try:
                    rows = _terms_of(merged_with(plan, overrides), metered)
                    read = {name: _frame(name, [named | row | policy for row in rows[name]]) for name in rows}
                except BaseException as error:
                    # Ingestion knows no plan to judge overrides by: any error of reading them is theirs.
                    if not overrides or is_shared(error):
                        raise
                    # What makes no terms of this plan is not billed either: a line by it would have no counterpart.
                    continue
                for name, frame in read.items():
                    listed[name].append(frame)
    frames = {name: pl.concat([_frame(name, []), *parts]) for name, parts in listed.items()}
    return frames | {"meters": pl.DataFrame(meters, METERS, orient="row")}


def _frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    columns = _FLAT[name]
    return pl.DataFrame([{column: row[column] for column in columns} for row in rows], columns, orient="row")


def _terms_of(merged: dict[str, Any], metered: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Rows of a plan with overrides, its charges and its fees, with the period that they are drawn by."""
    listed = merged.get("charges") or []
    period = {"unit": "month", "every": 1, "align": "anniversary"} | (merged.get("period") or {})
    trial = int((merged.get("trial") or {}).get("days") or 0)
    drawn = {"every": _text(period["every"]), "period": period["unit"], "align": period["align"], "trial": trial}
    least = _text((merged.get("commitment") or {}).get("minimum"))
    return {
        "plans": [drawn | {"commitment": least, "threshold": _text(merged.get("threshold"))}],
        "charges": [{**_charge(charge, listed, metered), **drawn} for charge in listed],
        "fees": [{**_fee(fee), **drawn} for fee in merged.get("fees") or ()],
    }


def _fee(fee: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": fee["key"],
        **{name: _text(fee.get(name)) for name in ("amount", "unit_amount", "quantity")},
        "quantity_path": f'$."{fee["key"]}"',
        "timing": fee.get("timing") or "in_advance",
        "prorate": fee.get("prorate") or "day",
    }


def _version(plan: dict[str, Any]) -> int:
    return int(plan.get("version") or 1)


def _meter(meter: dict[str, Any]) -> dict[str, Any]:
    value, operation, rounding = meter.get("value"), meter.get("operation"), meter.get("rounding") or {}
    counts, plain = meter["aggregation"] == "count", value is None or _is_path(value)
    return {
        "meter": meter["key"],
        "event_type": meter["event_type"],
        "aggregation": meter["aggregation"],
        "path": None if value is None or not plain or counts else _path(value),
        "operation": None if operation is None else _path(operation),
        "value_formula": None if plain or counts else value,
        "where_formula": meter.get("where"),
        "dimension_paths": [{"name": name, "path": _path(name)} for name in meter.get("dimensions") or ()],
        "carry_over": bool(meter.get("carry_over")),
        "rounding": (rounding.get("mode") or "half_up") if rounding else None,
        "places": int(rounding.get("places") or 0) if rounding else None,
        "not_metered": None if meter["aggregation"] in _METERED else f"aggregation {meter['aggregation']}",
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


def _charge(charge: dict[str, Any], listed: list[dict[str, Any]], metered: dict[str, dict[str, Any]]) -> dict[str, Any]:
    price, convert = charge["price"], charge.get("convert") or {}
    model, axes = price["model"], sorted(price.get("dimensions") or ())
    return {
        "charge": charge["key"],
        "meter": charge.get("meter"),
        "conditions": _conditions(charge),
        "takes": _takes(charge, listed),
        "splits": [{"path": _path(name), "label": f'$."{name}"'} for name in charge.get("split_by") or ()],
        "by_days": charge.get("prorate") == "day",
        "round_prorated": charge.get("round_prorated"),
        "across_segments": bool(charge.get("across_segments")),
        "multiply_by": _text(convert.get("multiply_by")),
        "divide_by": _text(convert.get("divide_by")),
        "convert_round": convert.get("round"),
        "included": _text(charge.get("included")),
        "discount": _text(charge.get("discount_percent")),
        **_price(price),
        **{name: _text(price.get(name)) for name in PERCENTAGE[1:]},
        "per_event": bool(Decimal(price.get("fixed") or 0))
        or any(price.get(name) is not None for name in PERCENTAGE[2:]),
        "carried": _path(price["amount"]) if model == "dynamic" and price.get("amount") else None,
        "every_bucket": price.get("every"),
        "inner_prices": _inner(price) if model == "bucketed" else [],
        "axes": [{"path": _path(name)} for name in axes],
        "cells": [
            # a published document holds a cell's dimension values apart
            {"label": _label(_dimension(cell.get("values", cell)[name]) for name in axes), "unit": _text(cell["unit"])}
            for cell in price.get("cells") or ()
        ],
        "steps": _steps(price.get("tiers") or ()) if model == "capacity" else [],
        "minimum": _text(charge.get("minimum")),
        "maximum": _text(charge.get("maximum")),
        "share": _text(price.get("share")),
        "not_priced": _out_of_reach(charge, metered),
    }


def _price(price: dict[str, Any]) -> dict[str, Any]:
    model = price["model"]
    return {
        "model": model,
        "unit": _text(price.get({"dynamic": "multiplier", "matrix": "default_unit"}.get(model, "unit"))),
        "size": _text(price.get("size")),
        "amount": _text(price.get("amount")) if model == "package" else None,
        "free": _text(price.get("free")),
        "package_round": price.get("round"),
        "rate": _text(price.get("rate")),
        "formula": price.get("amount") if model == "formula" else None,
        "flat_at_zero": price.get("bill_flat_at_zero") is not False,
        "tiers": [] if model == "capacity" else _tiers(price.get("tiers") or ()),
    }


def _inner(price: dict[str, Any]) -> list[dict[str, Any]]:
    """Terms by time of day, the price's own last."""
    return [
        {
            "first": _minute(window["from"]) if "from" in window else None,
            "after": _minute(window["to"]) if "to" in window else None,
            "price": _price(window.get("price") or price["price"]),
            **{
                name: _text(window[name] if name in window else price.get(name))
                for name in ("commitment", "overage_factor")
            },
            "true_up": bool(window["true_up"] if "true_up" in window else price.get("true_up")),
        }
        for window in (*(price.get("time_of_day") or ()), {})
    ]


def _minute(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _out_of_reach(charge: dict[str, Any], metered: dict[str, dict[str, Any]]) -> str | None:
    """Why a charge's price is not worked out again; None: it is."""
    stated = charge["price"]
    for price in (stated, *_inner_documents(stated)):
        model = price["model"]
        odd = {name for name, value in price.items() if value is not None} - _PRICED.get(model, set())
        if odd:
            return f"price {model}" + "".join(f" with {name}" for name in sorted(odd if model in _PRICED else ()))
    meter = metered.get(charge.get("meter") or "", {})
    whole = []
    if stated["model"] == "matrix":
        if Decimal(charge.get("included") or 0):
            whole.append("included units of a matrix")
        if charge.get("convert") and set(meter.get("dimensions") or ()) - set(stated["dimensions"]):
            whole.append("a conversion before a matrix of some of the meter's dimensions")
    if stated["model"] == "bucketed":
        if meter.get("carry_over"):
            whole.append("buckets of a level that carries over")
        if charge.get("prorate") == "day":
            whole.append("buckets that count by days")
    return ", ".join(whole) or None


def _inner_documents(price: dict[str, Any]) -> list[dict[str, Any]]:
    if price["model"] != "bucketed":
        return []
    return [price["price"], *(window["price"] for window in price.get("time_of_day") or () if window.get("price"))]


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
    return [{"path": _path(name), "value": _dimension(value)} for name, value in (charge.get("when") or {}).items()]


def _dimension(value: Any) -> str | None:
    """A dimension's value as events carry it: a number without zeros at its end."""
    if isinstance(value, str | bool) or value is None:
        return _text(value)
    return f"{Decimal(value).normalize():f}"


def _is_path(value: str) -> bool:
    return all(part.isidentifier() for part in value.split("."))


def _path(name: str) -> str:
    """The JSONPath of names joined by dots, odd ones in backticks."""
    return "$" + "".join(f'."{quoted or bare}"' for quoted, bare in _PATH.findall(name))


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else f"{Decimal(value):f}"
