"""``bucketed``: each hour or day priced by itself, then summed, with windowed commitments.

A bucket with commitment C and amount a: a >= C -> C + (a - C) x overage_factor, else true_up ? C : a
(billing.md, Prices). Buckets whose local start lies in a ``time_of_day`` window take the terms of the first
such window; a term it does not name is the price's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog import ChargePricing, bucket_rules
from valueverse.rating.charge_steps import after_included, with_priced_units
from valueverse.rating.tiered import ONE
from valueverse.schemas.types import EXACT

if TYPE_CHECKING:
    from collections.abc import Callable

    from valueverse.catalog import Bucketed, BucketRule
    from valueverse.rating.price_book import ChargeBook

_MOST_PER_BUCKET = pl.lit(10**14).cast(EXACT)


def bucketed(
    rows: pl.DataFrame,
    buckets: pl.DataFrame,
    book: ChargeBook,
    price: Callable[[pl.DataFrame, ChargeBook], pl.DataFrame],
) -> pl.DataFrame:
    """Amount of every line: the sum over its buckets (line, quantity, minute) in time order.

    ``price`` turns inner lines (line, charge, quantity) and their book into line, amount. A line without
    buckets is one bucket of its whole quantity.
    """
    return (
        priced_buckets(rows, buckets, book, price)
        .group_by("line")
        .agg(pl.when(pl.col("due").null_count() == 0).then(pl.col("due").sum()).alias("amount"))
    )


def priced_buckets(
    rows: pl.DataFrame,
    buckets: pl.DataFrame,
    book: ChargeBook,
    price: Callable[[pl.DataFrame, ChargeBook], pl.DataFrame],
) -> pl.DataFrame:
    """The buckets of ``bucketed``: line, value (units to price), amount (of its price), commitment and ``due``."""
    own = buckets.join(rows.select("line"), on="line", how="semi")
    alone = rows.join(own, on="line", how="anti").select(
        "line", pl.col("to_price").alias("quantity"), pl.lit(None, pl.Int32).alias("minute")
    )
    every = pl.concat([own.select(alone.columns), alone]).rename({"quantity": "value"})
    terms = ("charge", "divide_by", "multiply_by", "convert_round", "included")
    joined = every.join(rows.select("line", *terms), on="line", maintain_order="left")
    placed = after_included(with_priced_units(joined, value="value"))
    numbered, inner = _with_terms(placed, book)
    lines = numbered.select(
        pl.col("bucket").alias("line"), pl.col("inner").alias("charge"), pl.col("value").alias("quantity")
    )
    priced = numbered.join(price(lines, inner).rename({"line": "bucket"}), on="bucket", how="left")
    amount, least, factor = pl.col("amount"), pl.col("commitment"), pl.col("overage_factor")
    extra = amount - least
    over = least + pl.when(extra.abs() < _MOST_PER_BUCKET / pl.max_horizontal(factor, ONE)).then(extra) * factor
    due = (
        pl.when(amount.is_null() | least.is_null())
        .then(amount)
        .when(amount >= least)
        .then(over)
        .when("true_up")
        .then(least)
        .otherwise(amount)
    )
    return priced.with_columns(pl.when(due.abs() < _MOST_PER_BUCKET).then(due).alias("due"))


def _with_terms(placed: pl.DataFrame, book: ChargeBook) -> tuple[pl.DataFrame, ChargeBook]:
    """Number the buckets and choose each one's terms; ``inner`` indexes the returned book of inner prices."""
    pricings: list[tuple[ChargePricing, str, str]] = []
    parts = []
    for charge in placed["charge"].unique(maintain_order=True):
        document = book.buckets[charge]
        rest = placed.filter(pl.col("charge") == charge)
        for window, rule in _windows(document):
            mine = rest.filter(window)
            rest = rest.filter(~window)
            parts.append(
                mine.with_columns(
                    pl.lit(len(pricings), pl.UInt32).alias("inner"),
                    pl.lit(rule.commitment, EXACT).alias("commitment"),
                    pl.lit(rule.overage_factor, EXACT).alias("overage_factor"),
                    pl.lit(rule.true_up).alias("true_up"),
                )
            )
            pricings.append((ChargePricing(price=rule.price), "half_up", "line"))
    return pl.concat(parts).with_row_index("bucket"), type(book).build(pricings)


def _windows(document: Bucketed) -> list[tuple[pl.Expr, BucketRule]]:
    """Condition on a bucket's minute and the terms that hold there; the charge's own terms come last."""
    own, windows = bucket_rules(document)
    found = []
    for window, rule in windows:
        start, end = _minute(window.from_), _minute(window.to)
        minute = pl.col("minute")
        inside = minute.is_between(start, end, closed="left") if start < end else (minute >= start) | (minute < end)
        found.append((inside.fill_null(value=False), rule))
    return [*found, (pl.lit(value=True), own)]


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
