"""Invoices before a period closes: as soon as its usage reaches the plan's threshold (docs/decisions/0018).

Judged at the end of each local day, so that the same log gives the same invoices whenever runs happen. A threshold
invoice bears what the usage so far comes to less what earlier ones of the period bore; the closing invoice the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.events.schema import INSTANT
from valueverse.invoicing.assemble import shown_amounts
from valueverse.invoicing.closing import INVOICE, running_periods, stretches
from valueverse.invoicing.usage_lines import usage_lines
from valueverse.money import EXACT

if TYPE_CHECKING:
    from datetime import date, datetime

    from valueverse.invoicing.terms import Terms
    from valueverse.invoicing.usage_lines import Consumption

PURPOSE = "threshold"
_PERIOD = ["tenant", "subscription", "period_from"]
_LINE = [*_PERIOD, "key", "dimensions"]
EARLY = pl.Schema(
    {
        "tenant": pl.String(),
        "subscription": pl.String(),
        "period_from": INSTANT,
        "cut": INSTANT,
        "key": pl.String(),
        "dimensions": pl.String(),
        "quantity": EXACT,
        "amount_precise": EXACT,
        "amount_minor": pl.Int64(),
        "event_count": pl.Int64(),
    }
)
"""What threshold invoices billed of a period, by line; ``cut`` is where they close."""
_BORNE = ("quantity", "amount_precise", "amount_minor", "event_count")


def threshold_lines(
    segments: pl.DataFrame,
    terms: Terms,
    consumption: Consumption,
    tenants: pl.DataFrame,
    window: tuple[date, date],
    *,
    closed_by: datetime | None,
    booked: pl.DataFrame,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines of the threshold invoices of a window, and all that threshold invoices bore (EARLY), these included.

    Args:
        segments: billable segments with terms.
        terms: theirs.
        consumption: what metering reads.
        tenants: tenant, timezone.
        window: from, to.
        closed_by: the run's present.
        booked: EARLY of the threshold invoices that stand.
    """
    limits = terms.policies.filter(pl.col("threshold").is_not_null()).select("terms", "threshold")
    mine = segments.join(limits.select("terms"), on="terms", how="semi")
    cuts = _cuts(running_periods(mine, tenants, *window), closed_by) if not mine.is_empty() else pl.DataFrame()
    if cuts.is_empty():
        return pl.DataFrame(schema=dict.fromkeys(INVOICE, pl.String)).clear(), booked
    shown = _worked_out(cuts, segments, terms, consumption)
    limit = pl.lit(10).cast(pl.Int64).pow(pl.col("decimals")).cast(pl.Int64).cast(EXACT) * pl.col("threshold")
    sums = (
        shown.join(limits, on="terms")
        .group_by(*_PERIOD, pl.col("period_to").alias("cut"))
        .agg(pl.col("amount_minor").sum().alias("sum"), limit.min().alias("limit"))
    )
    reached = _reached(sums, booked)
    picked = shown.rename({"period_to": "cut"}).join(reached, on=[*_PERIOD, "cut"], how="semi")
    both = pl.concat([booked, *_differences(picked, booked)], how="vertical")
    lines = _as_lines(picked, both)
    return lines, both


def _cuts(running: pl.DataFrame, closed_by: datetime | None) -> pl.DataFrame:
    """One pseudo-invoice per local day of each period that ends inside it."""
    parts = []
    for (zone,), part in running.group_by("timezone", maintain_order=True):
        start, end = (pl.col(name).dt.convert_time_zone(str(zone)) for name in ("period_from", "period_to"))
        days = pl.datetime_ranges(start.dt.truncate("1d"), end, "1d", closed="left").alias("cut")
        listed = part.with_columns(days).explode("cut").with_columns(pl.col("cut").dt.convert_time_zone("UTC"))
        parts.append(listed)
    if not parts:
        return running
    every = pl.concat(parts).filter(pl.col("cut") > pl.col("period_from"), pl.col("cut") < pl.col("period_to"))
    inside = every.filter(pl.col("cut") > pl.col("window_from"), pl.col("cut") <= pl.col("window_to"))
    if closed_by is not None:
        inside = inside.filter(pl.col("cut") <= pl.lit(closed_by, INSTANT))
    return inside.with_columns(pl.col("cut").alias("period_to")).select(*INVOICE, "full_from", "full_to")


def _worked_out(cuts: pl.DataFrame, segments: pl.DataFrame, terms: Terms, consumption: Consumption) -> pl.DataFrame:
    """Usage lines of each period so far, at each cut; more follows, so no minimum is due."""
    whole = stretches(segments, cuts).with_columns(
        pl.min_horizontal("to", "period_to").alias("to"), pl.lit(value=False).alias("final")
    )
    lines = usage_lines(whole.filter(pl.col("from") < pl.col("to")), consumption, terms)
    good = lines.filter(pl.col("problem").is_null())
    shown = shown_amounts(good.with_columns(pl.lit(None, pl.String).alias("explains")), terms)
    return shown.join(terms.sets.select("terms", "catalog_hash"), on="terms", how="left", maintain_order="left")


def _reached(sums: pl.DataFrame, booked: pl.DataFrame) -> pl.DataFrame:
    """The cuts at which a period's usage has grown by its threshold since the last one: one round per invoice."""
    base = booked.group_by(_PERIOD).agg(pl.col("amount_minor").sum().alias("base"), pl.col("cut").max().alias("last"))
    found: list[pl.DataFrame] = []
    while True:
        open_cuts = (
            sums.join(base, on=_PERIOD, how="left")
            .filter(pl.col("last").is_null() | (pl.col("cut") > pl.col("last")))
            .filter((pl.col("sum") - pl.col("base").fill_null(0)).cast(EXACT) >= pl.col("limit"))
        )
        if open_cuts.is_empty():
            every: pl.DataFrame = pl.concat([sums.clear().select(*_PERIOD, "cut"), *found])
            return every
        first = open_cuts.sort("cut").unique(_PERIOD, keep="first", maintain_order=True)
        found.append(first.select(*_PERIOD, "cut"))
        now = first.select(*_PERIOD, pl.col("sum").alias("base"), pl.col("cut").alias("last"))
        base = pl.concat([base.join(now, on=_PERIOD, how="anti"), now])


def _differences(picked: pl.DataFrame, booked: pl.DataFrame) -> list[pl.DataFrame]:
    """EARLY rows of the cuts picked, each less what was billed before it."""
    if picked.is_empty():
        return []
    now = picked.group_by(*_LINE, "cut").agg(pl.col(name).sum() for name in _BORNE).sort("cut")
    stands = booked.group_by(_LINE).agg(pl.col(name).sum().alias(f"{name}_booked") for name in _BORNE)
    before = now.join(stands, on=_LINE, how="left").with_columns(
        (pl.col(name) - pl.col(name).shift(1).over(_LINE).fill_null(pl.col(f"{name}_booked")).fill_null(0)).alias(name)
        for name in _BORNE
    )
    return [before.select(pl.col(name).cast(dtype) for name, dtype in EARLY.items())]


def _as_lines(picked: pl.DataFrame, early: pl.DataFrame) -> pl.DataFrame:
    parts = early.select(*_LINE, "cut", *(pl.col(name).alias(f"{name}_part") for name in _BORNE))
    first = picked.unique([*_LINE, "cut"], keep="first", maintain_order=True)
    return (
        first.join(parts, on=[*_LINE, "cut"])
        .with_columns(
            *(pl.col(f"{name}_part").alias(name) for name in _BORNE),
            pl.lit(PURPOSE).alias("purpose"),
            pl.col("cut").alias("period_to"),
            pl.lit("usage so far has reached the plan's threshold; what was billed before is taken off").alias(
                "explains"
            ),
        )
        .drop("cut", *(f"{name}_part" for name in _BORNE))
    )


def less_early(lines: pl.DataFrame, early: pl.DataFrame) -> pl.DataFrame:
    """Lines of closing invoices, less what threshold invoices of their period bore."""
    if early.is_empty() or lines.is_empty():
        return lines
    lines = pl.concat([lines, _vanished(lines, early)])
    sums = early.group_by(_LINE).agg(pl.col(name).sum().alias(f"{name}_early") for name in _BORNE)
    first = pl.struct(*_LINE, "purpose").is_first_distinct()
    closing = (pl.col("purpose") == "period") & pl.col("kind").is_in(["usage", "minimum"]) & first
    joined = lines.join(sums, on=_LINE, how="left", maintain_order="left")
    billed = closing & pl.col("amount_minor_early").is_not_null()
    return joined.with_columns(
        *(
            pl.when(closing).then(pl.col(name) - pl.col(f"{name}_early").fill_null(0)).otherwise(name).alias(name)
            for name in _BORNE
        ),
        pl.when(billed)
        .then(pl.lit("less what threshold invoices of the period bore"))
        .otherwise("explains")
        .alias("explains"),
    ).drop(f"{name}_early" for name in _BORNE)


def _vanished(lines: pl.DataFrame, early: pl.DataFrame) -> pl.DataFrame:
    """Lines of nothing where a threshold invoice billed what its period has no line for any more: its events were
    amended or voided since. They look like another line of their charge, or of their invoice."""
    closing = lines.filter(pl.col("purpose") == "period")
    gone = early.select(_LINE).unique(maintain_order=True).join(closing, on=_LINE, how="anti", maintain_order="left")
    alike = gone.join(
        closing.rename({"key": "key_alike"}).drop("dimensions"), on=_PERIOD, maintain_order="left"
    ).with_columns((pl.col("key_alike") == pl.col("key")).alias("same"))
    return (
        alike.sort("same", descending=True, maintain_order=True)
        .unique(_LINE, keep="first", maintain_order=True)
        .with_columns(
            pl.lit("usage").alias("kind"),
            pl.when("same").then("description").otherwise("key").alias("description"),
            *(pl.lit(0).cast(lines.schema[name]).alias(name) for name in _BORNE),
            pl.lit([], lines.schema["tiers"]).alias("tiers"),
        )
        .select(lines.columns)
    )
