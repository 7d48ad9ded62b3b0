"""What every step of a billing run reads: who is on which terms, and what they consumed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.knowledge import newest_known_at
from valueverse.invoicing.lines.plan_terms import TERMS_KEY, Terms, compile_terms
from valueverse.invoicing.lines.usage.attribution import attributions
from valueverse.invoicing.lines.usage.consumption import Consumption
from valueverse.invoicing.periods.billing_periods import billable

if TYPE_CHECKING:
    from valueverse.catalog import Catalog, CatalogHistory
    from valueverse.invoicing.knowledge import KnownAt
    from valueverse.subscriptions import Timeline


@dataclass(frozen=True)
class BillingContext:
    """What every step of a run reads: who is on which terms, and what they consumed."""

    timeline: Timeline
    history: CatalogHistory
    segments: pl.DataFrame
    terms: Terms
    consumption: Consumption


def with_terms(timeline: Timeline, history: CatalogHistory) -> tuple[pl.DataFrame, Terms]:
    """The billable segments, each with the number of its terms, and the terms."""
    segments = billable(timeline.segments)
    terms = compile_terms(segments, history.catalogs)
    return segments.join(terms.sets, on=TERMS_KEY, how="left", nulls_equal=True, maintain_order="left"), terms


def build_billing_context(
    timeline: Timeline,
    history: CatalogHistory,
    usage: pl.LazyFrame,
    known_at: KnownAt | None,
) -> BillingContext:
    """The context of a run."""
    segments, terms = with_terms(timeline, history)
    consumption = Consumption(usage, history.meters, attributions(segments, terms), newest_known_at(known_at))
    return BillingContext(timeline, history, segments, terms, consumption)


def context_under(
    context: BillingContext, catalog_hash: str, catalog: Catalog, invoices: pl.DataFrame
) -> BillingContext:
    """The context as if these invoices' subscriptions had been on the plans of another catalog."""
    mine = context.segments.join(invoices.select("tenant", "subscription").unique(), on=["tenant", "subscription"])
    bare = mine.drop("terms").with_columns(pl.lit(catalog_hash).alias("catalog_hash"))
    catalogs = context.history.catalogs | {catalog_hash: catalog}
    terms = compile_terms(bare, catalogs)
    segments = bare.join(terms.sets, on=TERMS_KEY, how="left", nulls_equal=True, maintain_order="left")
    meters = context.consumption.meters
    alike = meters.unique(["tenant", "meter"], keep="last").with_columns(pl.lit(catalog_hash).alias("catalog_hash"))
    consumption = replace(context.consumption, meters=pl.concat([meters, alike]))
    history = replace(context.history, catalogs=catalogs)
    return replace(context, segments=segments, terms=terms, consumption=consumption, history=history)
