"""What closes in a window of dates, billed: one pure function of the log, the window and the state of knowledge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.assemble import invoices_of, shown_amounts
from valueverse.invoicing.claims import claims
from valueverse.invoicing.closing import (
    INVOICE,
    advance_stretches,
    billable,
    closing_invoices,
    starting_invoices,
    stretches,
)
from valueverse.invoicing.fees import advance, arrears, settlement
from valueverse.invoicing.held import NOT_BILLED_YET
from valueverse.invoicing.terms import TERMS_KEY, Terms, compile_terms
from valueverse.invoicing.usage_lines import Consumption, usage_lines

if TYPE_CHECKING:
    from datetime import date, datetime

    from valueverse.catalog.history import CatalogHistory
    from valueverse.subscriptions.timeline import Timeline


@dataclass(frozen=True)
class Billed:
    """What closes in a window.

    Attributes:
        invoices: one row per invoice: INVOICE columns, totals in minor units, dates, finalise_after.
        lines: LINES with decimals and the rounding policy.
        problems: lines that have no amount (tenant, customer, subscription, key, problem): their invoices are held
        back.
    """

    invoices: pl.DataFrame
    lines: pl.DataFrame
    problems: pl.DataFrame


def with_terms(timeline: Timeline, history: CatalogHistory) -> tuple[pl.DataFrame, Terms]:
    """The billable segments, each with the number of its terms, and the terms."""
    segments = billable(timeline.segments)
    terms = compile_terms(segments, history.catalogs)
    return segments.join(terms.sets, on=TERMS_KEY, how="left", nulls_equal=True, maintain_order="left"), terms


def bill(
    timeline: Timeline,
    history: CatalogHistory,
    usage: pl.LazyFrame,
    window: tuple[date, date],
    *,
    known_at: datetime | None,
    closed_by: datetime | None = None,
    without: pl.DataFrame | None = None,
) -> Billed:
    """Bill every period that ends in (from, to] and every subscription that starts in [from, to), tenant-local days.

    Args:
        timeline: subscriptions as known at ``known_at``.
        history: their catalogs.
        usage: the usage table.
        window: from, to.
        known_at: state of knowledge; None: all that is recorded, and documents say the close of their period.
        closed_by: leave out what closes later than this instant (the run's present).
        without: INVOICE rows to leave out (finalised already).
    """
    segments, terms = with_terms(timeline, history)
    due = pl.concat(
        [
            closing_invoices(segments, timeline.tenants, *window),
            starting_invoices(segments, timeline.tenants, *window),
        ]
    )
    close = pl.when(pl.col("purpose") == "start").then("period_from").otherwise("period_to")
    if closed_by is not None:
        due = due.filter(close <= pl.lit(closed_by).cast(pl.Datetime("us", "UTC")))
    if without is not None:
        # By where the period begins: an end that became known later must not bill a finalised period again.
        begun = ["tenant", "subscription", "purpose", "period_from"]
        due = due.join(without, on=begun, how="anti", maintain_order="left")
    closed = stretches(segments, due)
    consumption = Consumption(usage, history.meters, claims(segments, terms), known_at)
    starting = advance_stretches(segments, due)
    lines = pl.concat(
        [
            arrears(closed, terms),
            advance(starting, terms),
            settlement(closed, terms),
            usage_lines(closed, consumption, terms),
        ],
        how="diagonal",
    ).join(terms.sets.select("terms", "catalog_hash"), on="terms", how="left", maintain_order="left")
    zones = (
        pl.concat([closed, starting]).select(*INVOICE, "timezone").unique(INVOICE, keep="first", maintain_order=True)
    )
    return _billed(lines, terms, timeline, zones, known_at)


def _billed(
    lines: pl.DataFrame, terms: Terms, timeline: Timeline, zones: pl.DataFrame, known_at: datetime | None
) -> Billed:
    mixed = pl.col("currency").n_unique().over(*INVOICE) > 1
    plans = terms.policies.select("terms", "held")
    customers = timeline.held.with_columns(pl.lit(NOT_BILLED_YET).alias("held_customer"))
    joined = lines.join(plans, on="terms", how="left", maintain_order="left").join(
        customers, on=["tenant", "customer"], how="left", maintain_order="left"
    )
    marked = joined.with_columns(
        pl.coalesce("problem", "held", "held_customer", pl.when(mixed).then(pl.lit("mixed_currencies"))).alias(
            "problem"
        )
    )
    problems = marked.filter(pl.col("problem").is_not_null())
    good = marked.join(problems.select(INVOICE).unique(), on=INVOICE, how="anti", maintain_order="left")
    shown = shown_amounts(good, terms)
    invoices = invoices_of(shown, timeline.tenants, zones, known_at)
    kept = shown.join(invoices.select(INVOICE), on=INVOICE, how="semi", maintain_order="left")
    return Billed(invoices, kept, problems.select(*INVOICE, "key", "problem"))
