"""Columns of catalog documents that are flattened for SQL: numbers as the text they were written in."""

from __future__ import annotations

from typing import Any

import polars as pl

_TEXT = pl.String
PERCENTAGE = ("rate", "fixed", "free_events", "free_amount", "min_per_event", "max_per_event")
_CONDITION = pl.List(pl.Struct({"path": pl.String, "value": pl.String}))
_TIER = pl.Struct({"above": _TEXT, "up_to": _TEXT, "unit": _TEXT, "flat": _TEXT, "per": _TEXT, "cap": _TEXT})
PRICE: dict[str, Any] = {
    "model": _TEXT,
    **dict.fromkeys(("unit", "size", "amount", "free", "package_round", "rate", "formula"), _TEXT),
    "flat_at_zero": pl.Boolean,
    "tiers": pl.List(_TIER),
}
"""What prices a quantity by itself."""
INNER: dict[str, Any] = {
    **dict.fromkeys(("first", "after"), pl.Int32),
    "price": pl.Struct(PRICE),
    **dict.fromkeys(("commitment", "overage_factor"), _TEXT),
    "true_up": pl.Boolean,
}
"""Terms of the buckets that begin in the minutes [first, after) of a day; null: of all that no other terms hold for."""
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
    "splits": pl.List(pl.Struct({"path": pl.String, "label": pl.String})),
    "by_days": pl.Boolean,
    "round_prorated": pl.Int32,
    "trial": pl.Int32,
    "across_segments": pl.Boolean,
    **dict.fromkeys(("multiply_by", "divide_by", "convert_round", "included", "discount"), _TEXT),
    **PRICE,
    **dict.fromkeys(PERCENTAGE[1:], _TEXT),
    "per_event": pl.Boolean,
    "carried": _TEXT,
    "every_bucket": _TEXT,
    "inner_prices": pl.List(pl.Struct(INNER)),
    "axes": pl.List(pl.Struct({"path": _TEXT})),
    "cells": pl.List(pl.Struct({"label": _TEXT, "unit": _TEXT})),
    "steps": pl.List(pl.Struct({"amount": _TEXT, "limits": pl.List(pl.Struct({"meter": _TEXT, "most": _TEXT}))})),
    "minimum": _TEXT,
    "maximum": _TEXT,
    "share": _TEXT,
    **dict.fromkeys(("every", "period", "align", "rounding_mode", "rounding_level"), _TEXT),
    "not_priced": _TEXT,
}
FEES: dict[str, Any] = {
    "catalog_hash": _TEXT,
    "plan": _TEXT,
    "version": pl.Int32,
    "newest": pl.Boolean,
    "overrides": _TEXT,
    **dict.fromkeys(("key", "amount", "unit_amount", "quantity", "quantity_path", "timing", "prorate"), _TEXT),
    **dict.fromkeys(("every", "period", "align", "rounding_mode", "rounding_level"), _TEXT),
}
PLANS: dict[str, Any] = {
    "catalog_hash": _TEXT,
    "plan": _TEXT,
    "version": pl.Int32,
    "newest": pl.Boolean,
    "overrides": _TEXT,
    **dict.fromkeys(("every", "period", "align"), _TEXT),
    "trial": pl.Int32,
    **dict.fromkeys(("commitment", "threshold"), _TEXT),
    **dict.fromkeys(("rounding_mode", "rounding_level"), _TEXT),
    "skips_zero": pl.Boolean,
}
METERS: dict[str, Any] = {
    "catalog_hash": _TEXT,
    "meter": _TEXT,
    "event_type": _TEXT,
    "aggregation": _TEXT,
    "path": _TEXT,
    "operation": _TEXT,
    "value_formula": _TEXT,
    "where_formula": _TEXT,
    "dimension_paths": pl.List(pl.Struct({"name": _TEXT, "path": _TEXT})),
    "carry_over": pl.Boolean,
    "rounding": _TEXT,
    "places": pl.Int32,
    "not_metered": _TEXT,
}
