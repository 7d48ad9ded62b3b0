"""What the amount of one ``percentage`` line is made of, for whoever explains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from valueverse.rating.charge_steps import after_included, with_priced_units
from valueverse.rating.percentage import priced_events
from valueverse.rating.price_book import ChargeBook
from valueverse.schemas.types import EXACT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from valueverse.catalog import ChargePricing


@dataclass(frozen=True)
class PercentageParts:
    """A line's events by how they were priced.

    Attributes:
        free_events, free_value: events that cost nothing, and their values.
        paid_events, paid_value: the others, and the values that pay the rate.
        by_rate, fixed: what the rate and the fixed amount of each paid event come to.
        raised_events, raised: events raised to the least of an event, and by how much.
        cut_events, cut: events cut to the most of an event, and by how much.
    """

    free_events: int
    free_value: Decimal
    paid_events: int
    paid_value: Decimal
    by_rate: Decimal
    fixed: Decimal
    raised_events: int
    raised: Decimal
    cut_events: int
    cut: Decimal

    @property
    def amount(self) -> Decimal:
        """What the price asks for."""
        return self.by_rate + self.fixed + self.raised - self.cut


def percentage_parts(pricing: ChargePricing, values: Sequence[Decimal]) -> PercentageParts | None:
    """The parts of what a charge with a ``percentage`` price asks for these events, in the order of time; None where
    something is out of range, or the events take back more than there was.
    """
    charge = ChargeBook.build([(pricing, "half_up", "line")]).charges
    events = pl.DataFrame({"value": values}, schema={"value": EXACT}).with_columns(pl.lit(0, pl.UInt32).alias("line"))
    rows = after_included(with_priced_units(events.join(charge, how="cross"), value="value"))
    priced = priced_events(rows)
    if priced.is_empty() or priced["amount"].null_count() or priced["value"].sum() < 0:
        return None
    paid, moved = pl.col("paid"), pl.col("amount") - pl.col("full")
    fixed = pl.when(paid).then("fixed").otherwise(0)
    return PercentageParts(
        **priced.select(
            (~paid).sum().alias("free_events"),
            pl.col("value").filter(~paid).sum().alias("free_value"),
            paid.sum().alias("paid_events"),
            pl.col("part").filter(paid).sum().alias("paid_value"),
            (pl.when(paid).then(pl.col("full")).otherwise(0) - fixed).sum().alias("by_rate"),
            fixed.sum().alias("fixed"),
            (paid & (moved > 0)).sum().alias("raised_events"),
            moved.filter(paid, moved > 0).sum().alias("raised"),
            (paid & (moved < 0)).sum().alias("cut_events"),
            (-moved).filter(paid, moved < 0).sum().alias("cut"),
        ).to_dicts()[0]
    )
