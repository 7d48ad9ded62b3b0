"""Which invoices a window of dates holds: one rule, for the engine, ``simulate`` and ``rerate plan``."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.ledger import World
from valueverse.invoicing import closing_within

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

FEE = {"key": "base", "amount": "10"}
WHOLE = ("2023-09-01", "2024-03-01")
Close = tuple[str, str]


def world(zone: str) -> World:
    """Subscriptions whose starts and closes lie on the first of a month and beside it."""
    plans: list[dict[str, Any]] = [{"key": "pro", "period": {"align": "anniversary"}, "fees": [FEE]}]
    acme = World({"currency": "USD", "timezone": zone, "plans": plans})
    for day in ("2023-10-31", "2023-11-01", "2023-11-02", "2023-11-30", "2023-12-01"):
        moment = f"{day}T12:00:00+00:00"
        acme.start(moment, subscription=day, customer=day)
    return acme


def closes(invoices: pl.DataFrame) -> list[Close]:
    return sorted(invoices.select("subscription", "invoice_type").rows())


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Asia/Tokyo"])
@pytest.mark.parametrize(
    "window", [("2023-11-01", "2023-12-01"), ("2023-12-01", "2023-12-31"), ("2023-11-30", "2023-12-01")]
)
def test_finalised_invoices_are_chosen_by_the_window_in_which_they_are_billed(zone: str, window: Sequence[str]) -> None:
    acme = world(zone)
    days = [date.fromisoformat(day) for day in window]
    all_invoices = acme.bill(*WHOLE).invoices
    chosen = closing_within(all_invoices, acme.timeline().tenants, *days)
    assert closes(chosen) == closes(acme.bill(*window).invoices) != []
    assert chosen.columns == all_invoices.columns


def test_windows_that_follow_each_other_hold_each_invoice_once() -> None:
    acme = world("Asia/Tokyo")
    invoices, tenants = acme.bill(*WHOLE).invoices, acme.timeline().tenants
    ends = [date(2023, 9, 1), date(2023, 11, 1), date(2023, 11, 2), date(2023, 12, 1), date(2024, 3, 1)]
    parts = [closing_within(invoices, tenants, *ends[place : place + 2]) for place in range(len(ends) - 1)]
    assert all(part.height for part in parts)
    assert sorted(one for part in parts for one in closes(part)) == closes(invoices)
