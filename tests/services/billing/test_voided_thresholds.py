"""Threshold invoices on a real warehouse: their amounts are billed once, also when they are voided."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.ledger import World, instant
from tests.support.warehouse_billing import JANUARY, LATER, NOVEMBER, rows, run
from valueverse.platform.lake import Lake
from valueverse.services.billing.reproducibility_check import reproduce

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
LINES = (
    "select i.invoice_type, i.revision, l.kind, l.amount_minor, l.discount_minor from billing.invoice_line l "
    "join billing.invoice i using (tenant_id, invoice_id) "
    "where l.amount_minor <> 0 order by i.sequence, l.line_no"
)
NOT_VOIDED = (
    "select sum(total_minor) from billing.invoice i where not exists "
    "(select from billing.invoice_void v where v.invoice_id = i.invoice_id)"
)
DISCOUNTS = (
    "select i.number, d.amount_minor from billing.invoice_discount d join billing.invoice i using (invoice_id) "
    "order by i.sequence"
)


def world() -> World:
    """60 early in November and 30 more, 10 % off."""
    meter = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
    charge = {"key": "usage", "meter": "tokens", "price": {"model": "standard", "unit": "1"}}
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": [charge], "threshold": "50"}
    acme = World({"currency": "USD", "meters": [meter], "plans": [plan], "coupons": [{"key": "off", "percent": "10"}]})
    acme.start("2023-11-01")
    acme.record("coupon.applied", "2023-11-01", {"customer": "c1", "coupon": "off"})
    acme.use("2023-11-05", "tokens", "60")
    acme.use("2023-11-25", "tokens", "30")
    return acme


def test_a_threshold_invoice_voided_after_its_period_closed_is_billed_with_the_next_invoice(
    settings: Settings,
) -> None:
    acme = world()
    run(acme, settings, as_of=instant("2024-01-05"))
    assert rows(settings, NOT_VOIDED) == [(8100,)]
    acme.record("invoice.voided", "2024-01-06", {"invoice": "acme-000001", "reason": "wrong"})
    for _ in range(2):
        run(acme, settings)
        assert rows(settings, LINES) == [
            ("threshold", 0, "usage", 6000, 600),
            ("period", 0, "usage", 3000, 300),
            ("period", 0, "adjustment", 5400, 0),
        ]
        assert rows(settings, NOT_VOIDED) == [(8100,)]


def test_a_threshold_invoice_voided_while_its_period_runs_is_made_again(settings: Settings) -> None:
    acme = world()
    later = acme.usage.pop()
    run(acme, settings, as_of=instant("2023-11-10"))
    acme.usage.append(later)
    acme.record("invoice.voided", "2023-11-11", {"invoice": "acme-000001", "reason": "wrong"})
    run(acme, settings, as_of=instant("2023-11-12"))
    run(acme, settings)
    assert rows(settings, LINES) == [
        ("threshold", 0, "usage", 6000, 600),
        ("threshold", 1, "usage", 6000, 600),
        ("period", 0, "usage", 3000, 300),
    ]
    assert rows(settings, NOT_VOIDED) == [(8100,)]


def test_what_a_coupon_took_early_is_given_back_with_the_usage_and_comes_out_again(settings: Settings) -> None:
    acme = world()
    acme.usage.pop()
    run(acme, settings, as_of=instant("2023-11-10"))
    acme.usage[0]["known_until"] = instant("2023-11-20")
    acme.use("2023-11-06", "tokens", "20", received_at=instant("2023-11-20"))
    run(acme, settings, as_of=instant("2023-12-10"))
    assert rows(settings, DISCOUNTS) == [("acme-000001", 600), ("acme-000002", -400)]
    assert rows(settings, NOT_VOIDED) == [(1800,)]
    acme.use("2023-11-07", "tokens", "50", received_at=instant("2023-12-20"))
    run(acme, settings, as_of=LATER)
    # 63 are due for 70.
    assert rows(settings, NOT_VOIDED) == [(6300,)]
    found = reproduce(settings, Lake(settings.lake_url), [NOVEMBER, JANUARY])
    assert found.height >= 3
    assert found["ok"].all()
