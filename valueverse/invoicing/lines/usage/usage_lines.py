"""Usage lines: the quantity that each stretch of plan used of each meter, priced by the charge that takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.lines.usage.charge_assignment import assign, split_label, with_cells
from valueverse.invoicing.lines.usage.consumption import LINE, OUTCOME, AssignedUsage, Consumption
from valueverse.invoicing.lines.usage.rating_inputs import ADDS_UP, detail_of
from valueverse.invoicing.lines.usage.shared_limits import with_shared_included, within_shared_bounds
from valueverse.metering import QuantityScope, meter_quantities
from valueverse.money import plain_text, with_decimals
from valueverse.rating import rate
from valueverse.schemas.invoicing import INVOICE, LINES, LINKED, SETTLED, SHOWN, TIER, WORKING_LINES
from valueverse.schemas.types import EXACT

if TYPE_CHECKING:
    from valueverse.invoicing.lines.plan_terms import Terms

_PART = (*LINE, "cell", "window")
_EXTREMES = ("min", "max")
_AS_ONE = pl.when(pl.col("cell") != "").then("cell").alias("dimensions")
_PRORATION = ("prorate", "round_prorated")


def metering_windows(stretches: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """One window per stretch and meter that its terms charge for; several where charges differ in how they prorate."""
    metered = terms.takes.select("terms", "meter", *_PRORATION).unique(maintain_order=True)
    return (
        stretches.filter(pl.col("invoice_type") == "period")
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
    scope = QuantityScope(unnamed=consumption.unnamed)
    return meter_quantities(consumption.usage, windows, consumption.meters, consumption.known_at, scope)


def assigned_usage(windows: pl.DataFrame, consumption: Consumption, terms: Terms) -> AssignedUsage:
    """Which usage each charge takes, and the quantities that come of it."""
    asked = windows.select("window", "stretch", "terms", "meter", *_PRORATION)
    found = _quantities(windows, consumption).join(asked, on="window")
    own = terms.takes.select("terms", "charge", "meter", *_PRORATION)
    charged = assign(found, terms).join(own, on=own.columns, how="semi", nulls_equal=True, maintain_order="left")
    labelled = with_cells(split_label(charged, terms), terms)
    # Maxima, distinct values and rounded quantities do not add up over dimensions: where several dimensions make one
    # line, or one cell of a matrix, they are put together by the meter's own rule.
    rules = consumption.meters.select(
        "tenant", "meter", "catalog_hash", "aggregation", "rounding_mode", "carry_over"
    ).unique()
    several = (
        labelled.with_columns(pl.len().over(*_PART).alias("parts"))
        .join(windows.select("window", "tenant", "catalog_hash"), on="window")
        .join(rules, on=["tenant", "meter", "catalog_hash"], how="left")
        .filter(
            pl.col("parts") > 1,
            ~pl.col("aggregation").is_in(ADDS_UP) | pl.col("rounding_mode").is_not_null() | pl.col("carry_over"),
        )
    )
    decided = labelled.select(*LINE, "window", "dimensions")
    measured = labelled.select(*LINE, "window", "dimensions", "quantity", "prorated_quantity", "event_count")
    if several.is_empty():
        return AssignedUsage(measured, decided)
    extreme = pl.col("aggregation").is_in(_EXTREMES)
    alone = measured.join(several, on=["window", "dimensions"], how="anti")
    together = [_extremes(several.filter(extreme)), _metered_as_one(several.filter(~extreme), windows, consumption)]
    return AssignedUsage(pl.concat([alone, *(part.select(measured.columns) for part in together)]), decided)


def _extremes(several: pl.DataFrame) -> pl.DataFrame:
    """The greatest of maxima is the maximum, also of rounded ones: rounding keeps their order."""
    quantity = pl.col("quantity")
    return (
        several.group_by(_PART)
        .agg(
            pl.when(pl.col("aggregation").first() == "max").then(quantity.max()).otherwise(quantity.min()),
            pl.col("event_count").sum(),
        )
        .with_columns(_AS_ONE, pl.lit(None, EXACT).alias("prorated_quantity"))
    )


def _metered_as_one(several: pl.DataFrame, windows: pl.DataFrame, consumption: Consumption) -> pl.DataFrame:
    line = pl.concat_str(pl.col("charge").cast(pl.String), "label", "cell", separator=" ").alias("line")
    again = meter_quantities(
        consumption.usage,
        windows.join(several.select("window").unique(), on="window", how="semi"),
        consumption.meters,
        consumption.known_at,
        QuantityScope(unnamed=consumption.unnamed, lines=several.select("window", "dimensions", line)),
    )
    named = several.select(*_PART).unique().with_columns(line)
    return again.rename({"dimensions": "line"}).join(named, on=["window", "line"]).with_columns(_AS_ONE)


def lines_to_price(taken: pl.DataFrame, stretches: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """One row per line to price: every charge of every stretch, also without usage (a flat, a minimum may be due)."""
    models = terms.book.charges.select("charge", "model")
    charged = terms.charges.join(models, on="charge").filter(pl.col("model") != OUTCOME)
    due = with_decimals(stretches.filter(pl.col("invoice_type") == "period").join(charged, on="terms"))
    used = taken.group_by(LINE).agg(
        # A quantity beyond the exact range is missing; it must not be billed as 0.
        pl.when(pl.col("quantity").null_count() == 0).then(pl.col("quantity").sum()),
        pl.when(pl.col("prorated_quantity").null_count() < pl.len()).then(pl.col("prorated_quantity").sum()),
        pl.col("event_count").sum(),
    )
    return (
        due.join(used, on=["stretch", "charge"], how="left")
        .with_columns(
            pl.col("label").fill_null(""),
            pl.when(pl.col("event_count").is_null()).then(0).otherwise("quantity").cast(EXACT).alias("quantity"),
            pl.col("event_count").fill_null(0),
        )
        .sort("stretch", "position", "label")
        .with_row_index("line")
    )


_RUNS_ON = ("standard", "graduated", "volume", "package", "formula", "graduated_percentage")


def run_on(lines: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Lines of charges that run on over a plan change, with what earlier stretches of the period counted before.

    The later plan prices the whole of it and what it would have billed for the earlier part is taken off, so that
    tiers and included units go on where they stood (contracts.md: across_segments).
    """
    runs = pl.col("across_segments") & pl.col("model").is_in(_RUNS_ON)
    same = [*INVOICE, "key", "label"]
    going = lines.filter(runs).sort("from")
    if going.is_empty():
        return lines
    days = pl.col("used_days").cum_sum().over(same)
    before = going.with_columns(
        (pl.col("quantity").cum_sum().over(same) - pl.col("quantity")).cast(EXACT).alias("billed_quantity"),
        days.alias("used_days"),
    )
    earlier = before.select(
        "line", "charge", pl.col("billed_quantity").alias("quantity"), "decimals", pl.lit(value=False).alias("final"),
    )  # fmt: skip
    billed = rate(earlier, terms.book).lines.select("line", pl.col("amount_rounded").alias("billed_amount"))
    first = pl.col("billed_quantity") == 0
    ran = before.join(billed, on="line").with_columns(
        pl.when(~first).then("billed_amount").otherwise(0).alias("billed_amount")
    )
    nothing = [pl.lit(0).cast(EXACT).alias(name) for name in ("billed_quantity", "billed_amount")]
    rest = lines.join(going.select("line"), on="line", how="anti").with_columns(nothing)
    return pl.concat([rest, ran.select(rest.columns).cast(rest.schema)]).sort("line")


def _tier_texts(tiers: pl.DataFrame) -> pl.DataFrame:
    shown = [plain_text(pl.col(name)).alias(name) for name in ("from", "to", "quantity", "unit", "flat", "amount")]
    return (
        tiers.sort("line", "tier").group_by("line", maintain_order=True).agg(pl.struct(shown).cast(TIER).alias("tiers"))
    )


def usage_lines(stretches: pl.DataFrame, consumption: Consumption, terms: Terms) -> pl.DataFrame:
    """Meter, choose charges, price: the usage lines of all stretches at once (WORKING_LINES, not shown yet).

    ``problem`` says why a line has no amount.
    """
    windows = metering_windows(stretches, terms)
    taken = assigned_usage(windows, consumption, terms)
    lines = with_shared_included(lines_to_price(taken.quantities, stretches, terms), terms)
    detail = detail_of(lines, taken, windows, consumption, terms)
    continued = run_on(lines, terms)
    rated = rate(continued, terms.book, detail)
    priced = lines.rename({"quantity": "metered"}).join(rated.lines, on="line", how="left")
    bounded, minimums = within_shared_bounds(priced, terms)
    shown = bounded.join(_tier_texts(rated.tiers), on="line", how="left").with_columns(
        pl.lit("usage").alias("kind"),
        # Quantities of several meters do not add up to anything.
        pl.when(pl.col("meter").is_not_null()).then("quantity").alias("quantity"),
    )
    lacking = minimums.with_columns(pl.lit("minimum").alias("kind"), pl.lit(None, LINES["tiers"]).alias("tiers"))
    return pl.concat([_as_lines(shown), _as_lines(lacking)])


def _as_lines(rows: pl.DataFrame) -> pl.DataFrame:
    lines = rows.select(
        *INVOICE,
        "terms",
        pl.col("position").alias("rank"),
        "key",
        "kind",
        "description",
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
        "problem",
    )
    return WORKING_LINES.conform(lines, unset=(*LINKED, *SHOWN, *SETTLED))
