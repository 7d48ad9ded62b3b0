"""Usage lines: the quantity that each stretch of plan used of each meter, priced by the charge that takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.charges import assign, split_label
from valueverse.invoicing.closing import INVOICE
from valueverse.invoicing.detail import detail_of
from valueverse.invoicing.schema import LINES, TIER, with_decimals
from valueverse.metering.quantities import Scope, meter_quantities
from valueverse.money import plain_text
from valueverse.rating.engine import rate

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.invoicing.terms import Terms

_LINE = ("stretch", "charge", "label")
_ADDS_UP = ("sum", "count")


@dataclass(frozen=True)
class Consumption:
    """What metering has to read, whoever asks: the usage table, the tenants' meters over time, and the state of
    knowledge.

    Attributes:
        usage: the usage table, or any part of it that covers the stretches.
        meters: ``CatalogHistory.meters``.
        unnamed: stretches in which usage that names only a customer belongs to one subscription (``claims.claims``).
        known_at: usage as known then; None: as known now.
    """

    usage: pl.LazyFrame
    meters: pl.DataFrame
    unnamed: pl.DataFrame | None
    known_at: datetime | None


def metering_windows(stretches: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """One window per stretch and meter that its terms charge for."""
    metered = (
        terms.charges.drop_nulls("meter")
        .group_by("terms", "meter", maintain_order=True)
        .agg(pl.col("prorate").any(), pl.col("round_prorated").max())
    )
    return (
        stretches.filter(pl.col("purpose") == "period")
        .join(metered, on="terms")
        .select(
            "stretch",
            "terms",
            "tenant",
            "customer",
            "subscription",
            "meter",
            "from",
            "to",
            "full_from",
            "full_to",
            "timezone",
            "catalog_hash",
            "prorate",
            "round_prorated",
        )
        .with_row_index("window")
    )


def _quantities(windows: pl.DataFrame, consumption: Consumption) -> pl.DataFrame:
    scope = Scope(unnamed=consumption.unnamed)
    return meter_quantities(consumption.usage, windows, consumption.meters, consumption.known_at, scope)


def taken_usage(windows: pl.DataFrame, consumption: Consumption, terms: Terms) -> pl.DataFrame:
    """Quantity and events per stretch, charge and label (the dimensions that the charge shows a line for).

    Also the ``lines`` mapping (window, dimensions -> charge and label) that decided it, for detail by event.
    """
    found = _quantities(windows, consumption).join(windows.select("window", "stretch", "terms", "meter"), on="window")
    labelled = split_label(assign(found, terms).drop_nulls("charge"), terms)
    # Maxima, distinct values and rounded quantities do not add up over dimensions: where several dimensions make one
    # line,
    # and the meter does not simply add, the line is metered again as one.
    rules = consumption.meters.select(
        "tenant", "meter", "catalog_hash", "aggregation", "rounding_mode", "carry_over"
    ).unique()
    several = (
        labelled.with_columns(pl.len().over(*_LINE, "window").alias("parts"))
        .join(windows.select("window", "tenant", "catalog_hash"), on="window")
        .join(rules, on=["tenant", "meter", "catalog_hash"], how="left")
        .filter(
            pl.col("parts") > 1,
            ~pl.col("aggregation").is_in(_ADDS_UP) | pl.col("rounding_mode").is_not_null() | pl.col("carry_over"),
        )
    )
    kept = labelled.select(*_LINE, "window", "dimensions", "quantity", "prorated_quantity", "event_count")
    if several.is_empty():
        return kept
    return pl.concat(
        [kept.join(several, on=["window", "dimensions"], how="anti"), _metered_as_one(several, windows, consumption)]
    )


def _metered_as_one(several: pl.DataFrame, windows: pl.DataFrame, consumption: Consumption) -> pl.DataFrame:
    lines = several.select(
        "window", "dimensions", pl.concat_str(pl.col("charge").cast(pl.String), pl.lit(" "), "label").alias("line")
    )
    again = meter_quantities(
        consumption.usage,
        windows.join(several.select("window").unique(), on="window", how="semi"),
        consumption.meters,
        consumption.known_at,
        Scope(unnamed=consumption.unnamed, lines=lines),
    )
    named = (
        several.select(*_LINE, "window")
        .unique()
        .with_columns(pl.concat_str(pl.col("charge").cast(pl.String), pl.lit(" "), "label").alias("line"))
    )
    return (
        again.rename({"dimensions": "line"})
        .join(named, on=["window", "line"])
        .select(
            *_LINE,
            "window",
            pl.lit(None, pl.String).alias("dimensions"),
            "quantity",
            "prorated_quantity",
            "event_count",
        )
    )


def _to_price(taken: pl.DataFrame, stretches: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """One row per line to price: every charge of every stretch, also without usage (a flat, a minimum may be due)."""
    due = with_decimals(stretches.filter(pl.col("purpose") == "period").join(terms.charges, on="terms"))
    used = taken.group_by(_LINE).agg(
        pl.col("quantity").sum(),
        pl.when(pl.col("prorated_quantity").null_count() < pl.len()).then(pl.col("prorated_quantity").sum()),
        pl.col("event_count").sum(),
    )
    return (
        due.join(used, on=["stretch", "charge"], how="left")
        .with_columns(
            pl.col("label").fill_null(""), pl.col("quantity").fill_null(0), pl.col("event_count").fill_null(0)
        )
        .sort("stretch", "position", "label")
        .with_row_index("line")
    )


def _tier_texts(tiers: pl.DataFrame) -> pl.DataFrame:
    shown = [plain_text(pl.col(name)).alias(name) for name in ("from", "to", "quantity", "unit", "flat", "amount")]
    return (
        tiers.sort("line", "tier").group_by("line", maintain_order=True).agg(pl.struct(shown).cast(TIER).alias("tiers"))
    )


def usage_lines(stretches: pl.DataFrame, consumption: Consumption, terms: Terms) -> pl.DataFrame:
    """Meter, choose charges, price: the usage lines of all stretches at once, in the columns of LINES.

    ``amount_rounded`` (EXACT, by the terms' rounding mode) and ``problem`` (null, or why the line has no amount) come
    with them.
    """
    windows = metering_windows(stretches, terms)
    taken = taken_usage(windows, consumption, terms)
    lines = _to_price(taken, stretches, terms)
    rated = rate(lines, terms.book, detail_of(lines, taken, windows, consumption, terms))
    return (
        lines.rename({"quantity": "metered"})
        .join(rated.lines, on="line", how="left")
        .join(_tier_texts(rated.tiers), on="line", how="left")
        .select(
            *INVOICE,
            "terms",
            pl.col("position").cast(pl.Int32).alias("rank"),
            "key",
            pl.lit("usage").alias("kind"),
            pl.col("description"),
            pl.col("from").alias("service_from"),
            pl.col("to").alias("service_to"),
            "meter",
            pl.col("label").alias("dimensions"),
            "quantity",
            pl.col("amount").alias("amount_precise"),
            "currency",
            "event_count",
            pl.col("tiers").fill_null(pl.lit([], LINES["tiers"])),
            "amount_rounded",
            pl.coalesce("held", "problem").alias("problem"),
        )
    )
