"""The terms that subscriptions are billed on, as frames: one numbered set of terms per distinct plan version and
override.

Catalog documents are few and nested, subscriptions many and flat: documents are read once here, and everything after
joins on ``terms``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import ValidationError

from valueverse.catalog.checks import check_references
from valueverse.catalog.plans import Plan
from valueverse.errors import RefusalError
from valueverse.invoicing.held import BAD_OVERRIDES, charge_problem, plan_problem
from valueverse.money import EXACT
from valueverse.rating.book import ChargeBook

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from valueverse.catalog.document import Catalog
    from valueverse.catalog.prices import ChargePricing

TERMS_KEY = ("catalog_hash", "plan", "plan_version", "overrides")

FEES: dict[str, pl.DataType] = {
    "terms": pl.UInt32(),
    "fee": pl.String(),
    "label": pl.String(),
    "position": pl.Int32(),
    "amount": EXACT,
    "unit_amount": EXACT,
    "quantity": EXACT,
    "timing": pl.String(),
    "prorate": pl.String(),
}
CHARGES: dict[str, pl.DataType] = {
    "terms": pl.UInt32(),
    "charge": pl.UInt32(),
    "key": pl.String(),
    "description": pl.String(),
    "position": pl.Int32(),
    "meter": pl.String(),
    "specificity": pl.UInt32(),
    "split_by": pl.List(pl.String),
    "prorate": pl.Boolean(),
    "round_prorated": pl.Int32(),
    "held": pl.String(),
}
CONDITIONS: dict[str, pl.DataType] = {
    "terms": pl.UInt32(),
    "meter": pl.String(),
    "charge": pl.UInt32(),
    "name": pl.String(),
    "value": pl.String(),
}
POLICIES: dict[str, pl.DataType] = {
    "terms": pl.UInt32(),
    "rounding_mode": pl.String(),
    "rounding_level": pl.String(),
    "zero_invoices": pl.String(),
    "grace_seconds": pl.Int64(),
    "held": pl.String(),
}


@dataclass(frozen=True)
class Terms:
    """All terms in force in one computation.

    Attributes:
        sets: terms, and what identifies them (TERMS_KEY).
        fees, charges, conditions, policies: the frames described by FEES, CHARGES, CONDITIONS, POLICIES.
        book: the charges' prices, compiled; ``charge`` indexes into it.
        dimension_names: every dimension that some ``when`` or ``split_by`` reads.
        splits: charges by the dimensions they show one line for.
    """

    sets: pl.DataFrame
    fees: pl.DataFrame
    charges: pl.DataFrame
    conditions: pl.DataFrame
    policies: pl.DataFrame
    book: ChargeBook
    dimension_names: tuple[str, ...]
    splits: dict[tuple[str, ...], list[int]]


def _merged(plan: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """A plan document with a subscription's overrides: lists merge by key, anything else is replaced."""
    merged = dict(plan)
    for name, value in overrides.items():
        if name in {"fees", "charges"} and isinstance(value, list):
            known = {entry["key"]: entry for entry in merged.get(name, [])}
            for entry in value:
                known[entry["key"]] = known.get(entry["key"], {}) | entry
            merged[name] = list(known.values())
        else:
            merged[name] = value
    return merged


def plan_of(catalog: Catalog, plan: str, version: int, overrides: str | None) -> tuple[Plan, str | None]:
    """The plan version with a subscription's overrides applied and judged anew, and why it is held back, if it is."""
    found = next(entry for entry in catalog.plans if entry.key == plan and entry.version == version)
    if not overrides:
        return found, plan_problem(found)
    document = found.model_dump(exclude_unset=True, by_alias=True)
    try:
        merged = Plan.model_validate(_merged(document, json.loads(overrides, parse_float=str, parse_int=str)))
        others = [entry for entry in catalog.plans if entry is not found]
        check_references(catalog.model_copy(update={"plans": (*others, merged)}))
    except (ValidationError, RefusalError, KeyError, TypeError, AttributeError):
        return found, BAD_OVERRIDES
    return merged, plan_problem(merged)


def _fee_rows(terms: int, plan: Plan) -> Iterable[dict[str, Any]]:
    for position, fee in enumerate(plan.fees):
        yield {
            "terms": terms,
            "fee": fee.key,
            "label": fee.name or f"{fee.key} fee",
            "position": position,
            "amount": fee.amount,
            "unit_amount": fee.unit_amount,
            "quantity": fee.quantity if fee.quantity is not None or fee.unit_amount is None else 1,
            "timing": fee.timing,
            "prorate": fee.prorate,
        }


def compile_terms(segments: pl.DataFrame, catalogs: Mapping[str, Catalog]) -> Terms:
    """Number the distinct terms of these segments and lay out their fees, charges and policies."""
    sets = segments.select(TERMS_KEY).unique(maintain_order=True).with_row_index("terms")
    fees: list[dict[str, Any]] = []
    charges: list[dict[str, Any]] = []
    conditions: list[dict[str, Any]] = []
    policies: list[dict[str, Any]] = []
    pricings: list[tuple[ChargePricing, str, str]] = []
    for row in sets.iter_rows(named=True):
        catalog = catalogs[row["catalog_hash"]]
        plan, held = plan_of(catalog, row["plan"], row["plan_version"], row["overrides"])
        fees += _fee_rows(row["terms"], plan)
        policies.append(
            {
                "terms": row["terms"],
                "rounding_mode": catalog.rounding.mode,
                "rounding_level": catalog.rounding.level,
                "zero_invoices": catalog.zero_invoices,
                "grace_seconds": int(catalog.grace.total_seconds()),
                "held": held,
            }
        )
        for position, charge in enumerate(plan.charges, start=len(plan.fees)):
            index = len(pricings)
            pricings.append((charge, catalog.rounding.mode, catalog.rounding.level))
            charges.append(
                {
                    "terms": row["terms"],
                    "charge": index,
                    "key": charge.key,
                    "description": charge.name or charge.key,
                    "position": position,
                    "meter": charge.meter,
                    "specificity": len(charge.when),
                    "split_by": sorted(charge.split_by),
                    "prorate": charge.prorate == "day",
                    "round_prorated": charge.round_prorated,
                    "held": charge_problem(charge),
                }
            )
            conditions += [
                {"terms": row["terms"], "meter": charge.meter, "charge": index, "name": name, "value": str(value)}
                for name, value in charge.when.items()
            ]
    return _terms(sets, fees, charges, conditions, policies, pricings)


def _terms(
    sets: pl.DataFrame,
    fees: list[dict[str, Any]],
    charges: list[dict[str, Any]],
    conditions: list[dict[str, Any]],
    policies: list[dict[str, Any]],
    pricings: list[tuple[ChargePricing, str, str]],
) -> Terms:
    charge_frame = pl.DataFrame(charges, schema=CHARGES)
    condition_frame = pl.DataFrame(conditions, schema=CONDITIONS)
    splits: dict[tuple[str, ...], list[int]] = {}
    for row in charges:
        if row["split_by"]:
            splits.setdefault(tuple(row["split_by"]), []).append(row["charge"])
    names = {*condition_frame["name"], *(name for split in splits for name in split)}
    return Terms(
        sets,
        pl.DataFrame(fees, schema=FEES),
        charge_frame,
        condition_frame,
        pl.DataFrame(policies, schema=POLICIES),
        ChargeBook.build(pricings),
        tuple(sorted(names)),
        splits,
    )
