"""The terms that subscriptions are billed on, as frames: one numbered set of terms per distinct plan version and
override.

Catalog documents are few and nested, subscriptions many and flat: documents are read once here, and everything after
joins on ``terms``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import ValidationError

from valueverse.catalog import Dynamic, Plan, all_meters, amount_meter_key, check_references
from valueverse.errors import RefusalError
from valueverse.rating import ChargeBook
from valueverse.schemas.terms import (
    CHARGE_CONDITIONS,
    CHARGE_METERS,
    INVOICING_POLICIES,
    PLAN_CHARGES,
    PLAN_FEES,
    PLAN_TAXES,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from valueverse.catalog import Catalog, ChargePricing

BAD_OVERRIDES = "bad_overrides"
_OF_THE_PLAN = ("key", "version", "currency", "period")
"""Periods are drawn, and invoices made out, by what the plan itself says."""
TERMS_KEY = ("catalog_hash", "plan", "plan_version", "overrides")


@dataclass(frozen=True)
class Terms:
    """All terms in force in one computation.

    Attributes:
        sets: terms, and what identifies them (TERMS_KEY).
        fees, charges, takes, conditions, policies, taxes: PLAN_FEES, PLAN_CHARGES, CHARGE_METERS, CHARGE_CONDITIONS,
            INVOICING_POLICIES, PLAN_TAXES.
        book: the charges' prices, compiled; ``charge`` indexes into it.
        dimension_names: every dimension that some ``when`` or ``split_by`` reads.
        splits: charges by the dimensions they show one line for.
    """

    sets: pl.DataFrame
    fees: pl.DataFrame
    charges: pl.DataFrame
    takes: pl.DataFrame
    conditions: pl.DataFrame
    policies: pl.DataFrame
    taxes: pl.DataFrame
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


def resolve_plan(catalog: Catalog, plan: str, version: int, overrides: str | None) -> tuple[Plan, str | None]:
    """The plan version with a subscription's overrides applied and validated again, and why it is held, if it is."""
    found = next(entry for entry in catalog.plans if entry.key == plan and entry.version == version)
    if not overrides:
        return found, None
    document = found.model_dump(exclude_unset=True, by_alias=True)
    try:
        merged = Plan.model_validate(_merged(document, json.loads(overrides, parse_float=str, parse_int=str)))
        others = [entry for entry in catalog.plans if entry is not found]
        check_references(catalog.model_copy(update={"plans": (*others, merged)}))
    except (ValidationError, RefusalError, KeyError, TypeError, AttributeError):
        return found, BAD_OVERRIDES
    if _unread(merged, catalog) or any(getattr(merged, name) != getattr(found, name) for name in _OF_THE_PLAN):
        return found, BAD_OVERRIDES
    return merged, None


def _unread(plan: Plan, catalog: Catalog) -> bool:
    """Usage was read for what the catalog says: no override can make a price look at another amount of its events."""
    known = {meter.key for meter in all_meters(catalog)}
    paths = [(charge.meter, charge.price.amount) for charge in plan.charges if isinstance(charge.price, Dynamic)]
    return any(path and amount_meter_key(str(meter), path) not in known for meter, path in paths)


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


def _policy_row(terms: int, plan: Plan, catalog: Catalog, held: str | None) -> dict[str, Any]:
    return {
        "terms": terms,
        "rounding_mode": catalog.rounding.mode,
        "rounding_level": catalog.rounding.level,
        "zero_invoices": catalog.zero_invoices,
        "grace_seconds": int(catalog.grace.total_seconds()),
        "commitment": None if plan.commitment is None else plan.commitment.minimum,
        "threshold": plan.threshold,
        "hold_reason": held,
    }


def _tax_rows(terms: int, plan: Plan) -> Iterable[dict[str, Any]]:
    fees = [(fee.key, fee.taxes) for fee in plan.fees]
    stated = [("", plan.taxes), *fees, *((charge.key, charge.taxes) for charge in plan.charges)]
    return ({"terms": terms, "key": key, "taxes": ",".join(taxes)} for key, taxes in stated if taxes)


@dataclass
class TermRows:
    """Rows of the frames as documents are read."""

    fees: list[dict[str, Any]] = field(default_factory=list)
    charges: list[dict[str, Any]] = field(default_factory=list)
    takes: list[dict[str, Any]] = field(default_factory=list)
    conditions: list[dict[str, Any]] = field(default_factory=list)
    policies: list[dict[str, Any]] = field(default_factory=list)
    taxes: list[dict[str, Any]] = field(default_factory=list)
    pricings: list[tuple[ChargePricing, str, str]] = field(default_factory=list)

    def add_charges(self, terms: int, plan: Plan, catalog: Catalog) -> None:
        """Lay out a plan's charges; each gets the next number in the book."""
        for position, charge in enumerate(plan.charges, start=len(plan.fees)):
            index = len(self.pricings)
            self.pricings.append((charge, catalog.rounding.mode, catalog.rounding.level))
            self.charges.append(
                {
                    "terms": terms,
                    "charge": index,
                    "key": charge.key,
                    "description": charge.name or charge.key,
                    "position": position,
                    "meter": charge.meter,
                    "split_by": sorted(charge.split_by),
                    "across_segments": charge.across_segments,
                }
            )
            for meter in charge.metered_by():
                self.takes.append(
                    {
                        "terms": terms,
                        "charge": index,
                        "meter": meter,
                        "specificity": len(charge.when),
                        "prorate": charge.prorate == "day",
                        "round_prorated": charge.round_prorated,
                    }
                )
                self.conditions += [
                    {"terms": terms, "meter": meter, "charge": index, "name": name, "value": str(value)}
                    for name, value in charge.when.items()
                ]


def compile_terms(segments: pl.DataFrame, catalogs: Mapping[str, Catalog]) -> Terms:
    """Number the distinct terms of these segments and lay out their fees, charges and policies.

    Numbers follow from what the terms say: which of two comes first does not depend on who else is billed.
    """
    sets = segments.select(TERMS_KEY).unique().sort(TERMS_KEY).with_row_index("terms")
    rows = TermRows()
    for row in sets.iter_rows(named=True):
        catalog = catalogs[row["catalog_hash"]]
        plan, held = resolve_plan(catalog, row["plan"], row["plan_version"], row["overrides"])
        rows.fees += _fee_rows(row["terms"], plan)
        rows.policies.append(_policy_row(row["terms"], plan, catalog, held))
        rows.taxes += _tax_rows(row["terms"], plan)
        rows.add_charges(row["terms"], plan, catalog)
    return _terms(sets, rows)


def _terms(sets: pl.DataFrame, rows: TermRows) -> Terms:
    conditions = pl.DataFrame(rows.conditions, schema=CHARGE_CONDITIONS)
    splits: dict[tuple[str, ...], list[int]] = {}
    for row in rows.charges:
        if row["split_by"]:
            splits.setdefault(tuple(row["split_by"]), []).append(row["charge"])
    names = {*conditions["name"], *(name for split in splits for name in split)}
    return Terms(
        sets,
        pl.DataFrame(rows.fees, schema=PLAN_FEES),
        pl.DataFrame(rows.charges, schema=PLAN_CHARGES),
        pl.DataFrame(rows.takes, schema=CHARGE_METERS),
        conditions,
        pl.DataFrame(rows.policies, schema=INVOICING_POLICIES),
        pl.DataFrame(rows.taxes, schema=PLAN_TAXES),
        ChargeBook.build(rows.pricings),
        tuple(sorted(names)),
        splits,
    )
