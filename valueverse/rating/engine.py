"""``rate()``: priced lines from quantities, for all tenants and subscriptions at once.

One chain for every model (billing.md): convert -> round -> minus included -> price -> discount -> maximum ->
minimum -> round. With something billed before, the line is the difference: A(before + now) - booked, of
either sign.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from valueverse.formula import compile_amount
from valueverse.rating.buckets import bucketed
from valueverse.rating.capacity import capacity
from valueverse.rating.charge_steps import after_included, round_amounts, with_adjusted, with_priced_units
from valueverse.rating.percentage import percentage
from valueverse.rating.tiered import EXACT_ZERO, graduated, graduated_by_events, started_blocks, volume
from valueverse.schemas.rating import BUCKET_QUANTITIES, LINE_AMOUNTS, METER_QUANTITIES, RATED_EVENTS, TIER_AMOUNTS
from valueverse.schemas.types import EXACT

if TYPE_CHECKING:
    from collections.abc import Callable

    from valueverse.rating.price_book import ChargeBook


_DEFAULTS = {
    "prorated_quantity": pl.lit(None, EXACT),
    "used_days": pl.lit(None, pl.Int32),
    "full_days": pl.lit(None, pl.Int32),
    "final": pl.lit(value=True),
    "billed_quantity": EXACT_ZERO,
    "billed_amount": EXACT_ZERO,
    "decimals": pl.lit(2, pl.Int8),
    "included_left": pl.lit(None, EXACT),
    "bounded": pl.lit(value=True),
}


@dataclass(frozen=True)
class Rated:
    """Priced lines.

    Attributes:
        lines: line, quantity (converted and rounded, before included), amount (precise), amount_rounded,
            problem (null, or ``out_of_range`` / ``no_cell`` / ``no_result``: then the amounts are null and
            nothing may be billed).
        tiers: the walk through the tiers of every line that has some (TIER_AMOUNTS).
    """

    lines: pl.DataFrame
    tiers: pl.DataFrame


@dataclass(frozen=True)
class RatingDetail:
    """What some models need beside a line's quantity; a part that is absent is empty.

    Attributes:
        events: line, value, prorated?, amount? (dynamic), dimensions? (matrix), in time order within a line.
        quantities: line, meter, quantity (capacity).
        buckets: line, quantity, minute (local minute of the day, or null), one row per bucket (bucketed).
    """

    events: pl.DataFrame = field(default_factory=RATED_EVENTS.to_frame)
    quantities: pl.DataFrame = field(default_factory=METER_QUANTITIES.to_frame)
    buckets: pl.DataFrame = field(default_factory=BUCKET_QUANTITIES.to_frame)


def rate(lines: pl.DataFrame, book: ChargeBook, detail: RatingDetail | None = None) -> Rated:
    """Price every line.

    Args:
        lines: line (UInt32), charge (index in the book), quantity (EXACT, raw metered units), and where they
            apply: prorated_quantity, used_days, full_days (a partial period), final (false: no minimum yet),
            billed_quantity, billed_amount (booked so far for this charge and period), decimals (of the
            currency), included_left (of the charge's included units; null: all of them), bounded (false: no
            maximum and minimum, since they hold for several lines together).
        book: the charges' prices.
        detail: events, capacity quantities and buckets of the lines that need them.
    """
    detail = detail or RatingDetail()
    absent = [value.alias(name) for name, value in _DEFAULTS.items() if name not in lines.columns]
    asked = lines.select("line", "charge", "quantity", *(name for name in _DEFAULTS if name in lines.columns))
    own = asked.with_columns(absent).join(book.charges, on="charge", how="left")
    open_lines = _units(own.with_columns(_of_the_line()))
    amounts, tiers = _priced(open_lines, book, detail)
    tiers = _tier_level(tiers, open_lines)
    by_tier = tiers.group_by("line").agg(
        pl.when(pl.col("amount").null_count() == 0).then(pl.col("amount").sum()).alias("amount")
    )
    found = pl.concat([amounts.select(LINE_AMOUNTS.names()).cast(LINE_AMOUNTS), by_tier.cast(LINE_AMOUNTS)])
    chained = with_adjusted(open_lines.join(found, on="line", how="left"), "amount", "whole")
    shown = chained.with_columns(round_amounts(chained, "whole").alias("whole_rounded")).select(
        "line",
        (pl.col("converted") - pl.col("billed_units")).alias("quantity"),
        (pl.col("whole") - pl.col("billed_amount")).alias("amount"),
        (pl.col("whole_rounded") - pl.col("billed_amount")).alias("amount_rounded"),
        _problem().alias("problem"),
    )
    return Rated(shown.sort("line"), tiers.sort("line", "tier"))


def _of_the_line() -> list[pl.Expr]:
    """Terms of the charge as far as they hold for the line alone."""
    bounds = [pl.when("bounded").then(name).alias(name) for name in ("maximum", "minimum")]
    return [pl.coalesce("included_left", "included").alias("included"), *bounds]


def _problem() -> pl.Expr:
    unpriced = pl.col("converted").is_not_null() & pl.col("amount").is_null()
    return (
        pl.when(unpriced & (pl.col("model") == "matrix"))
        .then(pl.lit("no_cell"))
        .when(unpriced & (pl.col("model") == "formula"))
        .then(pl.lit("no_result"))
        .when(pl.col("whole").is_null())
        .then(pl.lit("out_of_range"))
    )


def _units(lines: pl.DataFrame) -> pl.DataFrame:
    """Add total (raw), converted, billed_units, units (after included: they choose tiers), priced (the units to pay)
    and top.
    """
    before = pl.col("billed_quantity")
    whole = lines.with_columns(
        (pl.col("quantity") + before).alias("total"),
        pl.coalesce(pl.col("prorated_quantity") + before, pl.col("quantity") + before).alias("to_price"),
    )
    priced = with_priced_units(whole, converted="total", prorated="to_price", billed_units="billed_quantity")
    return priced.with_columns(
        _after_included("converted").alias("units"), _after_included("prorated").alias("priced")
    ).with_columns(pl.col("units").alias("top"))


def _after_included(name: str) -> pl.Expr:
    """A line's units to price: never below 0; null stays null."""
    left = pl.max_horizontal(pl.col(name) - pl.col("included"), EXACT_ZERO)
    return pl.when(pl.col(name).is_not_null()).then(left)


def _tier_level(tiers: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Round each tier's amount where the policy says so (level ``tier``)."""
    if "tier" not in lines["rounding_level"].unique():
        return tiers
    policies = tiers.join(lines.select("line", "rounding_mode", "rounding_level", "decimals"), on="line")
    by_tier = pl.col("rounding_level") == "tier"
    return policies.with_columns(
        pl.when(by_tier).then(round_amounts(policies, "amount")).otherwise("amount").alias("amount")
    ).select(tiers.columns)


def _of(lines: pl.DataFrame, model: str) -> pl.DataFrame:
    return lines.filter(pl.col("model") == model)


def _priced(lines: pl.DataFrame, book: ChargeBook, detail: RatingDetail) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Amounts of the lines without tiers, and the tiers of those with."""
    amounts, tiers = [LINE_AMOUNTS.to_frame()], [TIER_AMOUNTS.to_frame()]
    simple: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
        "standard": lambda rows: rows.select("line", (pl.col("priced") * pl.col("unit")).alias("amount")),
        "package": _package,
        "percentage": lambda rows: _percentage(rows, detail.events),
        "dynamic": lambda rows: _dynamic(rows, detail.events),
        "matrix": lambda rows: _matrix(rows, detail.events, book),
        "capacity": lambda rows: capacity(rows, detail.quantities, book),
        "formula": lambda rows: _formula(rows, book),
        "bucketed": lambda rows: bucketed(rows, detail.buckets, book, bucket_amounts),
    }
    for model in lines["model"].unique(maintain_order=True):
        rows = _of(lines, model)
        if model in simple:
            amounts.append(simple[model](rows).select("line", pl.col("amount").cast(EXACT)))
        elif model == "volume":
            tiers.append(volume(rows, book).select(TIER_AMOUNTS.names()))
        elif model in {"graduated", "graduated_percentage"}:
            tiers += [part.select(TIER_AMOUNTS.names()) for part in _graduated(rows, detail.events, book)]
    return pl.concat(amounts), pl.concat(tiers)


def _graduated(rows: pl.DataFrame, events: pl.DataFrame, book: ChargeBook) -> list[pl.DataFrame]:
    percent = rows["model"].first() == "graduated_percentage"
    prorated = events.filter(pl.col("prorated").is_not_null())
    if prorated.is_empty():
        return [graduated(rows, book, percent=percent)]
    terms = rows.select("line", "divide_by", "multiply_by", "convert_round", "included")
    walked = with_priced_units(
        prorated.join(terms, on="line", maintain_order="left"), value="value", prorated="prorated"
    )
    level = pl.col("value").cum_sum().over("line").cast(EXACT) - pl.col("value")
    placed = walked.with_columns((level - pl.col("included")).alias("before"))
    # Flats are due by the highest level reached, also where later events brought the level down again.
    tops = placed.group_by("line").agg((pl.col("before") + pl.col("value")).max().alias("highest"))
    by_events = rows.join(tops, on="line").with_columns(pl.max_horizontal("top", "highest").alias("top"))
    whole = rows.join(tops, on="line", how="anti")
    return [graduated(whole, book, percent=percent), graduated_by_events(by_events, placed, book, percent=percent)]


def _package(rows: pl.DataFrame) -> pl.DataFrame:
    paid = pl.max_horizontal(pl.col("priced") - pl.col("free"), EXACT_ZERO)
    started = started_blocks(paid, pl.col("size"))
    whole = pl.when(started * pl.col("size") > paid).then(started - 1).otherwise(started)
    blocks = pl.when(pl.col("package_round") == "down").then(whole).otherwise(started)
    known = pl.when(pl.col("priced").is_not_null()).then(blocks * pl.col("package_amount"))
    return rows.select("line", known.alias("amount"))


def _unless_negative(rows: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Events that take back more than there was price as no quantity (billing.md: clamped at 0)."""
    negative = rows.filter(pl.col("total") < 0).select("line")
    return found.with_columns(
        pl.when(pl.col("line").is_in(negative["line"].implode())).then(EXACT_ZERO).otherwise("amount").alias("amount")
    )


def _percentage(rows: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Amounts of percentage lines; a quantity without events is one event, no quantity none."""
    own = events.join(rows.select("line"), on="line", how="semi", maintain_order="left").select(
        "line", pl.coalesce("prorated", "value").alias("value")
    )
    alone = rows.join(own, on="line", how="anti").filter(pl.col("priced").is_null() | (pl.col("priced") > 0))
    terms = (
        "divide_by", "multiply_by", "convert_round", "included", "rate", "fixed", "free_events",
        "free_amount", "min_per_event", "max_per_event",
    )  # fmt: skip
    every = pl.concat([own, alone.select("line", pl.col("to_price").alias("value"))])
    joined = every.join(rows.select("line", *terms), on="line", maintain_order="left")
    paid = percentage(after_included(with_priced_units(joined, value="value")))
    silent = rows.join(every, on="line", how="anti").select("line", EXACT_ZERO.alias("amount"))
    return _unless_negative(rows, pl.concat([paid, silent]))


def _dynamic(rows: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    carried = (
        events.filter(pl.col("amount").is_not_null()).group_by("line").agg(pl.col("amount").sum().alias("carried"))
    )
    joined = rows.join(carried, on="line", how="left")
    by_multiplier = pl.col("priced") * pl.col("unit")
    return joined.select(
        "line",
        pl.when(pl.col("unit").is_not_null())
        .then(by_multiplier)
        .otherwise(pl.col("carried").fill_null(0))
        .alias("amount"),
    )


def _matrix(rows: pl.DataFrame, events: pl.DataFrame, book: ChargeBook) -> pl.DataFrame:
    """Amounts of matrix lines.

    A cell is one quantity, however many events it comes from: it is converted and rounded as a whole, prices as 0 where
    it is below (billing.md: clamped at 0), and included units go to the cells in the order of their labels.
    """
    own = (
        events.join(rows.select("line"), on="line", how="semi", maintain_order="left")
        .group_by("line", "dimensions")
        .agg(pl.coalesce("prorated", "value").sum().cast(EXACT).alias("value"))
        .sort("line", "dimensions")
    )
    alone = rows.join(own, on="line", how="anti").select(
        "line", pl.lit("").alias("dimensions"), pl.col("to_price").alias("value")
    )
    terms = (
        "charge",
        "divide_by",
        "multiply_by",
        "convert_round",
        "included",
        pl.col("unit").alias("default_unit"),
    )
    cells = pl.concat([own, alone]).join(rows.select("line", *terms), on="line", maintain_order="left")
    below = pl.col("value") < 0
    units = with_priced_units(cells, value="value").with_columns(
        pl.when(below).then(EXACT_ZERO).otherwise("value").alias("value")
    )
    parts = after_included(units).join(book.cells, on=["charge", "dimensions"], how="left")
    amount = pl.col("value") * pl.coalesce("unit", "default_unit")
    unpriced = amount.is_null() & (pl.col("value") != 0)
    found = (
        parts.with_columns(amount.alias("amount"), unpriced.alias("unpriced"))
        .group_by("line")
        .agg(pl.when(~pl.col("unpriced").any()).then(pl.col("amount").sum()).alias("amount"))
    )
    return _unless_negative(rows, found)


def _formula(rows: pl.DataFrame, book: ChargeBook) -> pl.DataFrame:
    parts = [LINE_AMOUNTS.to_frame()]
    for text in sorted({book.formulas[charge] for charge in rows["charge"].unique()}):
        mine = rows.filter(pl.col("charge").is_in([key for key, formula in book.formulas.items() if formula == text]))
        amount = compile_amount(text, {"quantity": pl.col("priced")})
        parts.append(mine.select("line", amount.cast(EXACT).alias("amount")))
    return pl.concat(parts)


def bucket_amounts(lines: pl.DataFrame, book: ChargeBook) -> pl.DataFrame:
    """Precise amounts of buckets: the inner prices alone, without a chain around them."""
    return rate(lines, book).lines.select("line", "amount")
