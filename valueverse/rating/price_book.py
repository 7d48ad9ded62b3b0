"""The charge book: the pricing parts of any number of charges, as frames that lines join."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.catalog import (
    Bucketed,
    Capacity,
    Dynamic,
    FormulaPrice,
    Graduated,
    GraduatedPercentage,
    Matrix,
    Package,
    Percentage,
    Standard,
    Volume,
)
from valueverse.schemas.dimensions import dimensions_text
from valueverse.schemas.rating import CAPACITY_AMOUNTS, CAPACITY_LIMITS, CHARGE_PRICES, MATRIX_PRICES, PRICE_TIERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from valueverse.catalog import ChargePricing


@dataclass(frozen=True)
class ChargeBook:
    """Prices of numbered charges.

    Attributes:
        charges: one row per charge (CHARGE_PRICES).
        tiers: of graduated, volume and graduated_percentage (PRICE_TIERS).
        cells: of matrix (MATRIX_PRICES); ``dimensions`` is canonical JSON text.
        limits, steps: of capacity (CAPACITY_LIMITS, CAPACITY_AMOUNTS).
        formulas: amount formula by charge.
        amount_paths: path into an event's data, of dynamic charges that read their amount there.
        matrix_dimensions: the axes of matrix charges.
        buckets: bucketed price documents by charge.
    """

    charges: pl.DataFrame
    tiers: pl.DataFrame
    cells: pl.DataFrame
    limits: pl.DataFrame
    steps: pl.DataFrame
    formulas: dict[int, str]
    amount_paths: dict[int, str]
    matrix_dimensions: dict[int, tuple[str, ...]]
    buckets: dict[int, Bucketed]

    @classmethod
    def build(cls, pricings: Sequence[tuple[ChargePricing, str, str]]) -> ChargeBook:
        """Lay out pricings, each with its rounding mode and level; a charge's number is its place in the
        sequence.
        """
        rows: dict[str, list[dict[str, Any]]] = {"charges": [], "tiers": [], "cells": [], "limits": [], "steps": []}
        formulas: dict[int, str] = {}
        paths: dict[int, str] = {}
        axes: dict[int, tuple[str, ...]] = {}
        buckets: dict[int, Bucketed] = {}
        for number, (pricing, mode, level) in enumerate(pricings):
            price = pricing.price
            rows["charges"].append(_charge_row(number, pricing) | {"rounding_mode": mode, "rounding_level": level})
            rows["tiers"] += _tier_rows(number, price)
            if isinstance(price, Matrix):
                axes[number] = price.dimensions
                rows["cells"] += _cell_rows(number, price)
            elif isinstance(price, Capacity):
                rows["steps"] += _step_rows(number, price)
                rows["limits"] += _limit_rows(number, price)
            elif isinstance(price, FormulaPrice):
                formulas[number] = price.amount
            elif isinstance(price, Dynamic) and price.amount is not None:
                paths[number] = price.amount
            elif isinstance(price, Bucketed):
                buckets[number] = price
        return cls(
            pl.DataFrame(rows["charges"], schema=CHARGE_PRICES),
            pl.DataFrame(rows["tiers"], schema=PRICE_TIERS),
            pl.DataFrame(rows["cells"], schema=MATRIX_PRICES),
            pl.DataFrame(rows["limits"], schema=CAPACITY_LIMITS),
            pl.DataFrame(rows["steps"], schema=CAPACITY_AMOUNTS),
            formulas,
            paths,
            axes,
            buckets,
        )


def _cell_rows(number: int, price: Matrix) -> list[dict[str, Any]]:
    return [{"charge": number, "dimensions": dimensions_text(cell.values), "unit": cell.unit} for cell in price.cells]


def _step_rows(number: int, price: Capacity) -> list[dict[str, Any]]:
    return [{"charge": number, "tier": place, "amount": tier.amount} for place, tier in enumerate(price.tiers)]


def _limit_rows(number: int, price: Capacity) -> list[dict[str, Any]]:
    return [
        {"charge": number, "tier": place, "meter": meter, "limit": limit}
        for place, tier in enumerate(price.tiers)
        for meter, limit in tier.limits.items()
        if limit is not None
    ]


def _charge_row(number: int, pricing: ChargePricing) -> dict[str, Any]:
    price, convert = pricing.price, pricing.convert
    row: dict[str, Any] = dict.fromkeys(CHARGE_PRICES)
    row |= {
        "charge": number,
        "model": price.model,
        "divide_by": convert.divide_by if convert else None,
        "multiply_by": convert.multiply_by if convert else None,
        "convert_round": convert.round if convert else "none",
        "included": pricing.included,
        "discount_percent": pricing.discount_percent,
        "minimum": pricing.minimum,
        "maximum": pricing.maximum,
        "per_event": False,
    }
    match price:
        case Standard():
            row["unit"] = price.unit
        case Graduated() | Volume():
            row["bill_flat_at_zero"] = price.bill_flat_at_zero
        case GraduatedPercentage():
            row["bill_flat_at_zero"] = True
        case Package():
            row |= {
                "size": price.size,
                "package_amount": price.amount,
                "free": price.free,
                "package_round": price.round,
            }
        case Percentage():
            row |= {
                name: getattr(price, name)
                for name in (
                    "rate", "fixed", "free_events", "free_amount", "min_per_event", "max_per_event",
                "per_event", )
            }  # fmt: skip
        case Dynamic():
            row["unit"] = price.multiplier
        case Matrix():
            row["unit"] = price.default_unit
        case _:
            pass
    return row


def _tier_rows(number: int, price: object) -> list[dict[str, Any]]:
    if isinstance(price, GraduatedPercentage):
        priced: list[tuple[Decimal | None, Decimal, Decimal, Decimal | None, Decimal | None]] = [
            (tier.up_to, tier.rate, tier.flat, None, None) for tier in price.tiers
        ]
    elif isinstance(price, Graduated | Volume):
        priced = [(tier.up_to, tier.unit, tier.flat, tier.per, tier.cap) for tier in price.tiers]
    else:
        return []
    lowers = [0, *(upper for upper, *_ in priced[:-1])]
    return [
        {
            "charge": number,
            "tier": place,
            "lower": lower,
            "upper": upper,
            "unit": unit,
            "flat": flat,
            "per": per,
            "cap": cap,
        }
        for place, (lower, (upper, unit, flat, per, cap)) in enumerate(zip(lowers, priced, strict=True))
    ]
