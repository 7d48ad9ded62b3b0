"""Invoices before a period closes: as soon as its usage reaches the plan's threshold (docs/decisions/0018).

Judged at the end of each local day, so that the same log gives the same invoices whenever runs happen. A threshold
invoice bills what the usage so far comes to less the earlier ones of the period; the closing invoice the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.lines.line_amounts import shown_amounts
from valueverse.invoicing.lines.usage.usage_lines import usage_lines
from valueverse.invoicing.periods.billing_periods import running_periods, stretches
from valueverse.invoicing.rules import OF_PERIOD
from valueverse.schemas.invoicing import INVOICE, THRESHOLD_LINES, WORKING_LINES
from valueverse.schemas.types import EXACT, INSTANT
from valueverse.subscriptions import local_date, local_midnight

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.invoicing.billing_context import BillingContext
    from valueverse.invoicing.lines.plan_terms import Terms
    from valueverse.invoicing.lines.usage.consumption import Consumption
    from valueverse.invoicing.prior_state import PriorState
    from valueverse.subscriptions import DateOrExpr

INVOICE_TYPE = "threshold"
_PERIOD = ["tenant", "subscription", "period_from"]
_THRESHOLD = [*_PERIOD, "period_to"]
_LINE = [*_PERIOD, "key", "dimensions"]
_AMOUNTS = ("quantity", "amount_precise", "amount_minor", "event_count")


def threshold_lines(
    context: BillingContext, window: tuple[DateOrExpr, DateOrExpr], *, closed_by: datetime | None, prior: PriorState
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines of the threshold invoices of a window (WORKING_LINES), and all that threshold invoices billed
    (THRESHOLD_LINES), these included.

    Args:
        context: of the run.
        window: from, to.
        closed_by: the run's present.
        prior: what is already billed. What comes late for a period whose closing invoice stands is a correction of
            that one.
    """
    segments, terms, closed = context.segments, context.terms, prior.issued.closing
    booked = prior.thresholds.lines.filter(pl.col("kind") == "usage")
    limits = terms.policies.filter(pl.col("threshold").is_not_null()).select("terms", "threshold")
    if limits.is_empty():
        return WORKING_LINES.to_frame(), booked
    mine = segments.join(limits.select("terms"), on="terms", how="semi")
    running = running_periods(mine, context.timeline.tenants, *window)
    cuts = _cuts(running.join(closed, on=_PERIOD, how="anti", maintain_order="left"), closed_by)
    if cuts.is_empty():
        return WORKING_LINES.to_frame(), booked
    shown = _worked_out(cuts, segments, terms, context.consumption)
    limit = pl.lit(10).cast(pl.Int64).pow(pl.col("decimals")).cast(pl.Int64).cast(EXACT) * pl.col("threshold")
    sums = (
        shown.join(limits, on="terms")
        .group_by(*_PERIOD, pl.col("period_to").alias("threshold_at"))
        .agg(pl.col("amount_minor").sum().alias("sum"), limit.min().alias("limit"))
    )
    reached = _reached(sums, booked)
    picked = _with_vanished(
        shown.join(reached, left_on=_THRESHOLD, right_on=[*_PERIOD, "threshold_at"], how="semi", maintain_order="left"),
        booked,
    )
    both = pl.concat([booked, *_differences(picked, booked)], how="vertical")
    return _renumbered(_as_lines(picked, both), prior.issued.voided), both


def _with_vanished(shown: pl.DataFrame, booked: pl.DataFrame) -> pl.DataFrame:
    """Lines at their ``threshold_at``, and lines of zero where an earlier invoice billed what has no line now."""
    before = pl.concat(
        [booked.select(*_LINE, "threshold_at"), shown.select(*_LINE, pl.col("period_to").alias("threshold_at"))]
    )
    wanted = (
        shown.select(_THRESHOLD)
        .unique()
        .join(before, on=_PERIOD)
        .filter(pl.col("threshold_at") < pl.col("period_to"))
        .select(*_LINE, "period_to")
        .unique()
    )
    return pl.concat([shown, _vanished(shown, wanted)]).rename({"period_to": "threshold_at"})


def _renumbered(lines: pl.DataFrame, voided: pl.DataFrame) -> pl.DataFrame:
    """Invoices that replace voided ones are distinct from them."""
    same = [*_THRESHOLD, "invoice_type"]
    before = voided.group_by(same).agg(pl.len().cast(pl.Int32).alias("before"))
    return (
        lines.join(before, on=same, how="left", maintain_order="left")
        .with_columns(pl.col("before").fill_null(0).alias("revision"))
        .drop("before")
    )


def _cuts(running: pl.DataFrame, closed_by: datetime | None) -> pl.DataFrame:
    """One pseudo-invoice per local day of each period that ends inside it."""
    first = local_date(running, pl.col("period_from"), "timezone", "first_day")
    days = local_date(first, pl.col("period_to"), "timezone", "last_day").with_columns(
        pl.date_ranges("first_day", "last_day").alias("day")
    )
    begun = local_midnight(days.explode("day"), pl.col("day"), "timezone", "threshold_at")
    # A day that a zone skipped begins with the next one, and is one cut with it.
    every = begun.filter(
        pl.col("threshold_at") > pl.col("period_from"), pl.col("threshold_at") < pl.col("period_to")
    ).unique([*INVOICE, "threshold_at"], keep="first", maintain_order=True)
    inside = every.filter(pl.col("threshold_at") > pl.col("window_from"), pl.col("threshold_at") <= pl.col("window_to"))
    if closed_by is not None:
        inside = inside.filter(pl.col("threshold_at") <= pl.lit(closed_by, INSTANT))
    return inside.with_columns(pl.col("threshold_at").alias("period_to")).select(*INVOICE, "full_from", "full_to")


def _worked_out(cuts: pl.DataFrame, segments: pl.DataFrame, terms: Terms, consumption: Consumption) -> pl.DataFrame:
    """Usage lines of each period so far, at each cut; more follows, so no minimum is due."""
    whole = stretches(segments, cuts).with_columns(
        pl.min_horizontal("to", "period_to").alias("to"), pl.lit(value=False).alias("final")
    )
    lines = usage_lines(whole.filter(pl.col("from") < pl.col("to")), consumption, terms)
    # A period in two currencies is held when it closes; their amounts do not add up to a threshold either.
    one_currency = pl.col("currency").n_unique().over(*INVOICE) == 1
    return shown_amounts(lines.filter(one_currency & pl.col("problem").is_null()), terms)


def _reached(sums: pl.DataFrame, booked: pl.DataFrame) -> pl.DataFrame:
    """The cuts at which a period's usage has grown by its threshold since the last one: one round per invoice."""
    base = booked.group_by(_PERIOD).agg(
        pl.col("amount_minor").sum().alias("base"), pl.col("threshold_at").max().alias("last")
    )
    found: list[pl.DataFrame] = []
    while True:
        open_cuts = (
            sums.join(base, on=_PERIOD, how="left")
            .filter(pl.col("last").is_null() | (pl.col("threshold_at") > pl.col("last")))
            .filter((pl.col("sum") - pl.col("base").fill_null(0)).cast(EXACT) >= pl.col("limit"))
        )
        if open_cuts.is_empty():
            every: pl.DataFrame = pl.concat([sums.clear().select(*_PERIOD, "threshold_at"), *found])
            return every
        first = open_cuts.sort("threshold_at").unique(_PERIOD, keep="first", maintain_order=True)
        found.append(first.select(*_PERIOD, "threshold_at"))
        now = first.select(*_PERIOD, pl.col("sum").alias("base"), pl.col("threshold_at").alias("last"))
        base = pl.concat([base.join(now, on=_PERIOD, how="anti"), now])


def _differences(picked: pl.DataFrame, booked: pl.DataFrame) -> list[pl.DataFrame]:
    """THRESHOLD_LINES rows of the cuts picked, each less what was billed before it."""
    if picked.is_empty():
        return []
    sums = (pl.col(name).sum() for name in _AMOUNTS)
    now = picked.group_by(*_LINE, "threshold_at").agg(pl.col("customer").first(), *sums).sort("threshold_at")
    billed_before = booked.group_by(_LINE).agg(pl.col(name).sum().alias(f"{name}_booked") for name in _AMOUNTS)
    before = now.join(billed_before, on=_LINE, how="left").with_columns(
        (pl.col(name) - pl.col(name).shift(1).over(_LINE).fill_null(pl.col(f"{name}_booked")).fill_null(0)).alias(name)
        for name in _AMOUNTS
    )
    before = before.with_columns(pl.lit("usage").alias("kind"), pl.lit(0).alias("discount_minor"))
    return [THRESHOLD_LINES.conform(before)]


def _as_lines(picked: pl.DataFrame, early: pl.DataFrame) -> pl.DataFrame:
    parts = early.select(*_LINE, "threshold_at", *(pl.col(name).alias(f"{name}_part") for name in _AMOUNTS))
    first = picked.unique([*_LINE, "threshold_at"], keep="first", maintain_order=True)
    lines = first.join(parts, on=[*_LINE, "threshold_at"]).with_columns(
        *(pl.col(f"{name}_part").alias(name) for name in _AMOUNTS),
        pl.lit(INVOICE_TYPE).alias("invoice_type"),
        pl.col("threshold_at").alias("period_to"),
        pl.lit("usage so far has reached the plan's threshold; what was billed before is taken off").alias("explains"),
        pl.lit(value=True).alias("is_difference"),
    )
    return WORKING_LINES.conform(lines)


def less_threshold_amounts(lines: pl.DataFrame, early: pl.DataFrame) -> pl.DataFrame:
    """Lines of closing invoices, less the amounts of threshold invoices of their period."""
    early = early.filter(pl.col("kind") == "usage")
    if early.is_empty() or lines.is_empty():
        return lines
    closes = lines.filter(pl.col("invoice_type") == "period")
    wanted = early.select(_LINE).unique(maintain_order=True).join(closes.select(_THRESHOLD).unique(), on=_PERIOD)
    lines = pl.concat([lines, _vanished(closes, wanted)])
    sums = early.group_by(_LINE).agg(pl.col(name).sum().alias(f"{name}_early") for name in _AMOUNTS)
    first = pl.struct(*_LINE, "invoice_type").is_first_distinct()
    closing = (pl.col("invoice_type") == "period") & pl.col("kind").is_in(OF_PERIOD) & first
    joined = lines.join(sums, on=_LINE, how="left", maintain_order="left")
    billed = closing & pl.col("amount_minor_early").is_not_null()
    return joined.with_columns(
        *(
            pl.when(closing).then(pl.col(name) - pl.col(f"{name}_early").fill_null(0)).otherwise(name).alias(name)
            for name in _AMOUNTS
        ),
        pl.when(billed)
        .then(pl.lit("less what threshold invoices of the period bore"))
        .otherwise("explains")
        .alias("explains"),
        (billed | pl.col("is_difference")).alias("is_difference"),
    ).drop(f"{name}_early" for name in _AMOUNTS)


def _vanished(lines: pl.DataFrame, wanted: pl.DataFrame) -> pl.DataFrame:
    """Lines of nothing where a threshold invoice billed (``wanted``: _LINE, period_to) what its period has no line for
    any more: its events were amended or voided since. They look like another line of their charge, or of their
    invoice."""
    gone = wanted.join(lines, on=[*_LINE, "period_to"], how="anti", maintain_order="left")
    alike = gone.join(
        lines.rename({"key": "key_alike"}).drop("dimensions"), on=_THRESHOLD, maintain_order="left_right"
    ).with_columns((pl.col("key_alike") == pl.col("key")).alias("same"))
    return (
        alike.sort("same", descending=True, maintain_order=True)
        .unique([*_LINE, "period_to"], keep="first", maintain_order=True)
        .with_columns(
            pl.lit("usage").alias("kind"),
            pl.when("same").then("description").otherwise("key").alias("description"),
            *(pl.lit(0).cast(lines.schema[name]).alias(name) for name in _AMOUNTS),
            pl.lit([], lines.schema["tiers"]).alias("tiers"),
        )
        .select(lines.columns)
    )
