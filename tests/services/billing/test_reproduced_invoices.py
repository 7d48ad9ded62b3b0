"""Finalised invoices are worked out again from the lake: to the same hash, or the difference is named."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from tests.support.ledger import World, instant
from tests.support.warehouse_billing import (
    LATER,
    NOVEMBER,
    acme,
    rows,
    run,
    store,
)
from valueverse.platform.lake import Lake
from valueverse.services.billing.reproducibility_check import reproduce
from valueverse.services.billing.run_billing import bill

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def test_finalised_invoices_are_worked_out_again_to_the_same_hash_adjustments_included(settings: Settings) -> None:
    world = acme(2)
    paid = {"customer": "c0", "wallet": "w", "amount": "15", "currency": "USD"}
    world.record("wallet.purchased", "2023-11-02", paid)
    run(world, settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    world.use("2023-11-07", "tokens", "250", customer="c0", received_at=instant("2023-12-25"))
    run(world, settings)
    months = [date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1)]
    found = reproduce(settings, Lake(settings.lake_url), months)
    assert found.height == 5
    assert found["ok"].all()
    adjusted = rows(settings, "select number from billing.invoice join billing.invoice_line using (invoice_id) "
                    "where corrected_invoice_id is not null")  # fmt: skip
    assert adjusted[0][0] in found["number"].to_list()


def test_an_invoice_of_another_zone_than_the_tenants_comes_out_again(settings: Settings) -> None:
    world = acme(1)
    world.record("tenant.created", "2023-10-01", {"tenant": "acme", "timezone": "Pacific/Auckland"})
    world.record("customer.created", "2023-10-01", {"customer": "c0", "timezone": "Europe/Berlin"})
    run(world, settings)
    found = reproduce(settings, Lake(settings.lake_url), [date(2023, 12, 1)])
    assert found["ok"].to_list() == [True]


def test_an_invoice_that_does_not_come_out_again_is_reported(settings: Settings) -> None:
    world = acme(1)
    run(world, settings)
    world.usage.clear()
    world.use("2023-11-05", "tokens", "99", customer="c0")
    found = reproduce(settings, store(world, settings), [NOVEMBER])
    assert found["ok"].to_list() == [False]


def test_a_late_month_of_a_run_of_many_comes_out_again_with_what_earlier_ones_of_it_used_up(settings: Settings) -> None:
    fee, half = {"key": "base", "amount": "10", "timing": "in_arrears"}, {"key": "half", "percent": "50", "periods": 2}
    world = World({"plans": [{"key": "pro", "period": {"align": "calendar"}, "fees": [fee]}], "coupons": [half]})
    bought = {"wallet": "w", "amount": "12", "currency": "USD"}
    for customer, data in (("c0", {"coupon": "half"}), ("c1", bought)):
        kind = "coupon.applied" if "coupon" in data else "wallet.purchased"
        world.record("customer.created", "2023-10-30", {"customer": customer})
        world.start("2023-11-01", subscription=f"s{customer}", customer=customer)
        world.record(kind, "2023-11-01", {"customer": customer} | data)
    lake = store(world, settings)
    bill(settings, lake, NOVEMBER, date(2024, 3, 2), as_of=LATER, run_id="test")
    for month in [date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1), date(2024, 2, 1)]:
        found = reproduce(settings, lake, [month])
        assert found.height == 2
        assert found["ok"].all(), (month, found.rows())
