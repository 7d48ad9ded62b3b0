"""Fixed fees: what each stretch of plan owes in arrears, and what is charged, or given back, in advance.

An in-advance fee is charged at the start of a stretch for the whole rest of its period. Where the stretch ends before
that (plan change, pause, end), the unused share is credited on the closing invoice and the next plan's share charged
there: each rounded by itself, the credit never above what was charged (billing.md, Time).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.closing import INVOICE
from valueverse.invoicing.schema import LINES
from valueverse.money import EXACT
from valueverse.subscriptions.proration import share

if TYPE_CHECKING:
    from valueverse.invoicing.terms import Terms


def _with_fees(stretches: pl.DataFrame, terms: Terms, timing: str) -> pl.DataFrame:
    """One row per stretch and fee of this timing, with ``full_amount``: the fee for one whole period."""
    joined = stretches.join(terms.fees.filter(pl.col("timing") == timing), on="terms")
    # A seat count stated by the subscription wins over the plan's; JSON paths are constants in Polars, hence per fee key.
    overridden = pl.coalesce(
        pl.lit(None, EXACT),
        *(
            pl.when(pl.col("fee") == fee).then(
                pl.col("quantities").str.json_path_match(f"$['{fee}']").cast(EXACT, strict=False)
            )
            for fee in joined["fee"].unique(maintain_order=True)
        ),
    )
    return joined.with_columns(quantity=pl.coalesce(overridden, "quantity")).with_columns(
        pl.when(pl.col("unit_amount").is_null())
        .then("amount")
        .otherwise(pl.col("unit_amount") * pl.col("quantity"))
        .alias("full_amount")
    )


def _lines(rows: pl.DataFrame) -> pl.DataFrame:
    """Fee lines from rows that carry from, to (the service period) and amount_precise."""
    part = pl.when(pl.col("prorated")).then(pl.lit(", part of a period")).otherwise(pl.lit(""))
    return rows.select(
        *INVOICE,
        pl.col("position").cast(pl.Int32).alias("rank"),
        pl.col("fee").alias("key"),
        pl.lit("fee").alias("kind"),
        pl.concat_str(pl.col("label"), part).alias("description"),
        pl.col("from").alias("service_from"),
        pl.col("to").alias("service_to"),
        pl.lit(None, pl.String).alias("meter"),
        pl.lit("").alias("dimensions"),
        pl.when(pl.col("unit_amount").is_not_null()).then("quantity").alias("quantity"),
        "amount_precise",
        "currency",
        pl.lit(None, pl.Int64).alias("event_count"),
        pl.lit([], LINES["tiers"]).alias("tiers"),
    )


def _prorated(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(
        share(pl.col("full_amount"), pl.col("prorate")).alias("amount_precise"),
        ((pl.col("from") != pl.col("full_from")) | (pl.col("to") != pl.col("full_to"))).alias("prorated"),
    )


def arrears(stretches: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Fees in arrears of the stretches just closed."""
    rows = _with_fees(stretches.filter(pl.col("purpose") == "period"), terms, "in_arrears")
    return _lines(_prorated(rows).with_columns(label=pl.concat_str(pl.col("fee"), pl.lit(" fee"))))
