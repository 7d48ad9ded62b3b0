"""The commitment of a plan: what a closed period's fees and charges lack of it is trued up (billing.md; 0012)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.lines.fees import advance
from valueverse.invoicing.lines.line_amounts import shown_amounts
from valueverse.invoicing.periods.billing_periods import advance_stretches
from valueverse.invoicing.settlement.totals import NOT_COMMITTED
from valueverse.money import with_decimals
from valueverse.rating import round_amounts
from valueverse.schemas.invoicing import INVOICE, LINES, LINKED, SETTLED, WORKING_LINES
from valueverse.schemas.types import EXACT
from valueverse.subscriptions import prorated_expr

if TYPE_CHECKING:
    from valueverse.invoicing.lines.plan_terms import Terms

KEY = "commitment"
RANK = 1_000_000
"""Behind every fee and charge."""


def true_ups(shown: pl.DataFrame, closed: pl.DataFrame, segments: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """The true-up lines of the invoices that close a period under a commitment, shown amounts included.

    A plan change in mid-period gives each plan's commitment for its own days. The period's in-advance fees count
    where they stand: on the invoice before.

    Args:
        shown: ``shown_amounts`` of the closing invoices.
        closed: the stretches they bill.
        segments: billable segments with terms.
        terms: theirs.
    """
    minimums = terms.policies.filter(pl.col("commitment").is_not_null()).select("terms", "commitment")
    committed = closed.filter(pl.col("invoice_type") == "period").join(minimums, on="terms")
    if committed.is_empty():
        return shown.clear()
    due = (
        committed.with_columns(prorated_expr(pl.col("commitment"), pl.lit("day")).alias("part"))
        .group_by(INVOICE, maintain_order=True)
        .agg(
            pl.col("part").sum().alias("amount_precise"),
            pl.col("terms", "currency", "full_from", "full_to").last(),
        )
        .join(terms.policies.select("terms", "rounding_mode", "rounding_level", "zero_invoices"), on="terms")
        .join(terms.sets.select("terms", "catalog_hash"), on="terms")
    )
    due = with_decimals(due)
    scale = pl.lit(10).cast(pl.Int64).pow(pl.col("decimals")).cast(pl.Int64).cast(EXACT)
    minimum = due.with_columns((round_amounts(due, "amount_precise") * scale).cast(pl.Int64).alias("minimum"))
    lacking = (
        minimum.join(_counted(shown, _billed_before(due, segments, terms)), on=INVOICE, how="left")
        .with_columns((pl.col("minimum") - pl.col("counted").fill_null(0)).alias("amount_minor"))
        .filter(pl.col("amount_minor") > 0)
        .with_columns(pl.col("amount_minor").cast(EXACT).truediv(scale).alias("amount_precise"))
    )
    return _lines(lacking)


def _billed_before(due: pl.DataFrame, segments: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """The in-advance fees of each closed period, charged when it began: INVOICE of the closing one, amount_minor."""
    began = due.select(*INVOICE, "full_from", "full_to").with_columns(pl.lit("start").alias("invoice_type"))
    invoiced_before = advance_stretches(segments, began).filter("advance_fees_invoiced")
    minor = shown_amounts(advance(invoiced_before, terms), terms).with_columns(pl.lit("period").alias("invoice_type"))
    return minor.select(*INVOICE, "amount_minor")


def _counted(shown: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    # What is given back of this period's fees may begin where the period was cut off; the next one's are not its own.
    own = (pl.col("service_from") < pl.col("period_to")) | ((pl.col("kind") == "fee") & (pl.col("amount_minor") < 0))
    inside = shown.filter(~pl.col("kind").is_in(NOT_COMMITTED), own).select(*INVOICE, "amount_minor")
    return pl.concat([inside, before]).group_by(INVOICE).agg(pl.col("amount_minor").sum().alias("counted"))


def _lines(lacking: pl.DataFrame) -> pl.DataFrame:
    written = lacking.with_columns(
        pl.lit(RANK, pl.Int32).alias("rank"),
        pl.lit(KEY).alias("key"),
        pl.lit("minimum").alias("kind"),
        pl.lit("minimum commitment: what the period's fees and charges lack of it").alias("description"),
        pl.col("period_from").alias("service_from"),
        pl.col("period_to").alias("service_to"),
        pl.lit("").alias("dimensions"),
        pl.lit([], LINES["tiers"]).alias("tiers"),
        pl.col("amount_precise").alias("amount_rounded"),
    )
    return WORKING_LINES.conform(
        written, unset=("meter", "quantity", "event_count", "problem", "place", *LINKED, *SETTLED)
    )
