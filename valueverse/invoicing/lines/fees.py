"""Fixed fees: what each stretch of plan owes in arrears, and what is charged, or given back, in advance.

An in-advance fee is charged at the start of a stretch for the whole rest of its period. Where the stretch ends before
that (plan change, pause, end), the unused share is credited on the closing invoice and the next plan's share charged
there: each rounded by itself, the credit never above what was charged (billing.md, Time).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.lines.amount_limits import OUT_OF_RANGE, amount_in_range, times
from valueverse.money import with_decimals
from valueverse.schemas.invoicing import INVOICE, LINES, LINKED, SETTLED, SHOWN, WORKING_LINES
from valueverse.schemas.types import EXACT
from valueverse.subscriptions import exact_text, prorated_expr, with_used_days

if TYPE_CHECKING:
    from valueverse.invoicing.lines.plan_terms import Terms

PLANNED_END = pl.min_horizontal("full_to", "planned_end")
"""Where a stretch would have ended as planned when it began: its period's end, or the end stated at the start."""


def full_fees(stretches: pl.DataFrame, fees: pl.DataFrame) -> pl.DataFrame:
    """One row per stretch and fee, with ``full_amount``: the fee for one whole period, null where it is out of range.

    Args:
        stretches: terms, currency, quantities and more.
        fees: PLAN_FEES.
    """
    joined = stretches.join(fees, on="terms")
    # A seat count stated by the subscription wins over the plan's; JSON paths are constants in Polars, hence one per
    # fee.
    stated = [
        pl.when(pl.col("fee") == fee).then(exact_text(pl.col("quantities").str.json_path_match(f"$['{fee}']")))
        for fee in joined["fee"].unique(maintain_order=True)
    ]
    sized = with_decimals(joined.with_columns(quantity=pl.coalesce(*stated, "quantity")))
    return sized.with_columns(
        pl.when(pl.col("unit_amount").is_null())
        .then(amount_in_range(pl.col("amount")))
        .otherwise(times(pl.col("unit_amount"), pl.col("quantity")))
        .alias("full_amount")
    ).drop("decimals")


def _with_fees(stretches: pl.DataFrame, terms: Terms, timing: str) -> pl.DataFrame:
    return full_fees(stretches, terms.fees.filter(pl.col("timing") == timing))


def _lines(rows: pl.DataFrame, sign: int = 1) -> pl.DataFrame:
    """Fee lines (WORKING_LINES) of rows with from, to (the service period), used_days, full_days and full_amount."""
    if rows.is_empty():
        return WORKING_LINES.to_frame()
    part = pl.when(pl.col("used_days") != pl.col("full_days"), pl.col("prorate") != "none").then(
        pl.format(" ({} of {} days)", pl.col("used_days"), pl.col("full_days"))
    )
    what = "" if sign > 0 else "unused share of "
    lines = rows.select(
        *INVOICE,
        "terms",
        pl.col("position").cast(pl.Int32).alias("rank"),
        pl.col("fee").alias("key"),
        pl.lit("fee").alias("kind"),
        pl.concat_str(pl.lit(what), pl.col("label"), part.fill_null("")).alias("description"),
        pl.col("from").alias("service_from"),
        pl.col("to").alias("service_to"),
        pl.lit(None, pl.String).alias("meter"),
        pl.lit("").alias("dimensions"),
        pl.when(pl.col("unit_amount").is_not_null()).then("quantity").alias("quantity"),
        (prorated_expr(pl.col("full_amount"), pl.col("prorate")) * pl.lit(sign).cast(EXACT)).alias("amount_precise"),
        "currency",
        pl.lit(None, pl.Int64).alias("event_count"),
        pl.lit([], LINES["tiers"]).alias("tiers"),
        pl.when(pl.col("full_amount").is_null()).then(pl.lit(OUT_OF_RANGE)).alias("problem"),
    )
    return WORKING_LINES.conform(lines, unset=("amount_rounded", *LINKED, *SHOWN, *SETTLED))


def arrears(stretches: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Fees in arrears of the stretches just closed."""
    return _lines(_with_fees(stretches.filter(pl.col("invoice_type") == "period"), terms, "in_arrears"))


def _over(rows: pl.DataFrame, start: pl.Expr, end: pl.Expr) -> pl.DataFrame:
    """The rows' fees over [start, end) of their period, in local days."""
    moved = rows.with_columns(start.alias("from"), end.alias("to")).filter(pl.col("from") < pl.col("to"))
    return with_used_days(moved)


def advance(starting: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """In-advance fees charged at the start of a stretch, up to the end of its period as planned then."""
    rows = _with_fees(starting, terms, "in_advance")
    return _lines(_over(rows, pl.col("from"), PLANNED_END))


def settlement(stretches: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """In-advance fees of a closed period put right: stretches that began inside it are charged, unused rests
    credited."""
    closed = stretches.filter(pl.col("invoice_type") == "period")
    rows = _with_fees(closed, terms, "in_advance")
    charged = _over(rows.filter(~pl.col("advance_fees_invoiced")), pl.col("from"), PLANNED_END)
    unused = rows.filter(pl.col("prorate") != "none")
    credited = _over(unused, pl.col("to"), PLANNED_END)
    return pl.concat([_lines(charged), _lines(credited, sign=-1)])
