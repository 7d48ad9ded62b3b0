"""Usage lines: the quantity that each stretch of plan used of each meter, priced by the charge that takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.charges import assign, split_label
from valueverse.invoicing.closing import INVOICE
from valueverse.invoicing.schema import LINES, TIER
from valueverse.metering.quantities import meter_quantities
from valueverse.money import plain_text
from valueverse.rating.engine import rate

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.invoicing.terms import Terms

_LINE = ("stretch", "charge", "label")


def metering_windows(stretches: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """One window per stretch and meter that its terms charge for."""
    metered = terms.charges.select("terms", "meter").drop_nulls("meter").unique(maintain_order=True)
    return (
        stretches.filter(pl.col("purpose") == "period")
        .join(metered, on="terms")
        .select(
            "stretch", "terms", "tenant", "customer", "subscription", "meter", "from", "to", "full_from", "full_to",
            "timezone",
        )  # fmt: skip
        .with_row_index("window")
    )


def _to_price(taken: pl.DataFrame, stretches: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """One row per line to price: every charge of every stretch, also without usage (a flat, a minimum may be due)."""
    due = stretches.filter(pl.col("purpose") == "period").join(terms.charges, on="terms")
    used = taken.group_by(_LINE).agg(pl.col("quantity").sum(), pl.col("event_count").sum())
    return (
        due.join(used, on=["stretch", "charge"], how="left")
        .with_columns(
            pl.col("label").fill_null(""), pl.col("quantity").fill_null(0), pl.col("event_count").fill_null(0)
        )
        .sort("stretch", "position", "label")
        .with_row_index("line")
    )


def _tier_texts(tiers: pl.DataFrame) -> pl.DataFrame:
    shown = [
        pl.when(pl.col(name).is_null()).then(None).otherwise(plain_text(pl.col(name))).alias(name)
        for name in ("from", "to", "quantity", "unit", "flat", "amount")
    ]
    return (
        tiers.sort("line", "tier").group_by("line", maintain_order=True).agg(pl.struct(shown).cast(TIER).alias("tiers"))
    )


def usage_lines(
    stretches: pl.DataFrame,
    usage: pl.LazyFrame,
    meters: pl.DataFrame,
    terms: Terms,
    known_at: datetime | None,
) -> pl.DataFrame:
    """Meter, choose charges, price: the usage lines of all stretches at once, in the columns of LINES.

    Args:
        stretches: as ``closing.stretches`` gives them.
        usage: the usage table, or any part of it that covers the stretches.
        meters: the tenants' meters over time (``CatalogHistory.meters``).
        terms: compiled terms.
        known_at: usage as known then; None: as known now.
    """
    windows = metering_windows(stretches, terms)
    found = meter_quantities(usage, windows, meters, known_at).join(
        windows.select("window", "stretch", "terms", "meter"), on="window"
    )
    taken = split_label(assign(found, terms).drop_nulls("charge"), terms)
    to_price = _to_price(taken, stretches, terms)
    rated = rate(to_price, terms.book)
    return (
        to_price.rename({"quantity": "metered"})
        .join(rated.lines, on="line", how="left")
        .join(_tier_texts(rated.tiers), on="line", how="left")
        .select(
            *INVOICE,
            pl.col("position").cast(pl.Int32).alias("rank"),
            "key",
            pl.lit("usage").alias("kind"),
            pl.col("label_text").alias("description"),
            pl.col("from").alias("service_from"),
            pl.col("to").alias("service_to"),
            "meter",
            pl.col("label").alias("dimensions"),
            "quantity",
            pl.col("amount").alias("amount_precise"),
            pl.col("amount_rounded"),
            "currency",
            "event_count",
            pl.col("tiers").fill_null(pl.lit([], LINES["tiers"])),
        )
    )
