"""What threshold invoices billed of a period already, as coupons have to know it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from valueverse.invoicing.prior_state import ThresholdAmounts

LineName = tuple[str, str]
"""A line's key and dimensions."""
_PERIOD = ["tenant", "subscription", "period_from"]


@dataclass
class ThresholdTotals:
    """Totals of the threshold invoices of one period, in minor units. Mutable: each of them adds to it.

    Attributes:
        gross: by line, before coupons.
        off: by line, what coupons took of it.
        taken: by a coupon's origin, its key and what it took.
    """

    gross: defaultdict[LineName, int] = field(default_factory=lambda: defaultdict(int))
    off: defaultdict[LineName, int] = field(default_factory=lambda: defaultdict(int))
    taken: dict[str, tuple[str, int]] = field(default_factory=dict)

    def add_line(self, name: LineName, gross: int, off: int) -> None:
        """Add a line."""
        self.gross[name] += gross
        self.off[name] += off

    def took(self, origin: str, key: str, amount: int) -> None:
        """Add what a coupon took of one of the invoices."""
        self.taken[origin] = (key, amount + self.taken.get(origin, ("", 0))[1])


def threshold_totals(
    thresholds: ThresholdAmounts, invoices: pl.DataFrame
) -> dict[tuple[str, str, str, datetime], ThresholdTotals]:
    """What coupons have to know of threshold invoices, by tenant, customer, subscription and begin of the period.

    Args:
        thresholds: what they billed.
        invoices: tenant, subscription, period_from of the invoices whose coupons are to be worked out.
    """
    found: defaultdict[tuple[str, str, str, datetime], ThresholdTotals] = defaultdict(ThresholdTotals)
    periods = invoices.select(_PERIOD).unique()
    owner = ("tenant", "customer", "subscription", "period_from")
    threshold_totals_of = thresholds.lines.join(periods, on=_PERIOD, how="semi", maintain_order="left")
    for *whose, kind, key, dimensions, gross, off in threshold_totals_of.select(
        *owner, "kind", "key", "dimensions", "amount_minor", "discount_minor"
    ).iter_rows():
        if kind == "usage":
            found[tuple(whose)].add_line((key, dimensions), gross, off)
    took = thresholds.coupons.join(periods, on=_PERIOD, how="semi", maintain_order="left")
    for *whose, origin, key, minor in took.select(*owner, "origin", "key", "amount_minor").iter_rows():
        found[tuple(whose)].took(origin, key, minor)
    return dict(found)
