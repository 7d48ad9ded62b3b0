"""The frames of a small run hold what their contracts say: columns, types, nulls and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.journal import booked, document, line
from tests.support.ledger import World
from valueverse.invoicing.billing_context import build_billing_context
from valueverse.invoicing.settlement.adjustment_events import read_adjustment_events
from valueverse.metering.daily_usage import derive_daily_usage
from valueverse.schemas import catalog, events, ledger, metering, rating, settlement, subscriptions, terms

if TYPE_CHECKING:
    import polars as pl

    from valueverse.schemas.contract import Contract

TIERS = [{"up_to": "10", "unit": "1", "flat": "2"}, {"up_to": None, "unit": "0.5"}]
CHARGES = [
    {"key": "calls", "meter": "calls", "price": {"model": "graduated", "tiers": TIERS}},
    {"key": "seats", "meter": "seats", "price": {"model": "package", "size": "10", "amount": "5"}, "minimum": "1"},
]
METERS = [
    {"key": "calls", "event_type": "used", "aggregation": "sum", "value": "n"},
    {"key": "seats", "event_type": "used", "aggregation": "max", "value": "n"},
]
PLAN = {"key": "pro", "fees": [{"key": "base", "amount": "30"}], "charges": CHARGES, "period": {"align": "calendar"}}


@pytest.fixture(scope="module")
def frames() -> list[tuple[Contract, pl.DataFrame]]:
    """Frames of two customers, one of whom ended, with adjustments and an event that cannot be applied."""
    half = {"key": "half", "percent": "50"}
    acme = World({"currency": "USD", "timezone": "UTC", "meters": METERS, "plans": [PLAN], "coupons": [half]})
    acme.start("2024-01-01")
    acme.start("2024-01-10", subscription="s2", customer="c2")
    acme.record("subscription.ended", "2024-01-20", {"subscription": "s2"})
    acme.record("subscription.ended", "2024-01-21", {"subscription": "s9"})
    acme.record("coupon.applied", "2024-01-02", {"customer": "c1", "coupon": "half"})
    acme.record("one_off.added", "2024-01-03", {"customer": "c1", "key": "set-up", "amount": "9", "currency": "USD",
                                              "description": "Set-up"})  # fmt: skip
    acme.record("wallet.granted", "2024-01-04", {"customer": "c1", "wallet": "w", "amount": "5", "currency": "USD"})
    acme.record("credit_note.issued", "2024-02-10", {"invoice": "acme-000001", "amount": "1", "reason": "r"})
    acme.record("invoice.voided", "2024-02-11", {"invoice": "acme-000001", "reason": "r"})
    for customer, value in (("c1", "7"), ("c1", "8"), ("c2", "3")):
        acme.use("2024-01-15", "calls", value, customer)
    timeline, history, usage = acme.timeline(), acme.history(), acme.usage_frame()
    run = build_billing_context(timeline, history, usage.lazy(), None)
    adjusted = read_adjustment_events(timeline, history)
    journal = booked(document(1, [line(4_100)]))
    return [
        (catalog.CATALOG_VERSIONS, history.versions),
        (catalog.PLAN_VERSIONS, history.plans),
        (catalog.METER_VERSIONS, history.meters),
        (subscriptions.TENANT_PROFILES, timeline.tenants),
        (subscriptions.SEGMENTS, timeline.segments),
        (events.REJECTED_EVENTS, timeline.rejected),
        (metering.USAGE, usage),
        (metering.DAILY_USAGE, derive_daily_usage(usage, history.meters)),
        (terms.PLAN_FEES, run.terms.fees),
        (terms.PLAN_CHARGES, run.terms.charges),
        (terms.CHARGE_METERS, run.terms.takes),
        (terms.INVOICING_POLICIES, run.terms.policies),
        (rating.CHARGE_PRICES, run.terms.book.charges),
        (rating.PRICE_TIERS, run.terms.book.tiers),
        (settlement.COUPONS, adjusted.coupons),
        (settlement.WALLETS, adjusted.wallets),
        (settlement.ONE_OFFS, adjusted.one_offs),
        (settlement.CREDIT_NOTES, adjusted.notes),
        (settlement.INVOICE_VOIDS, adjusted.voids),
        (ledger.JOURNAL_ENTRIES, journal.entries),
        (ledger.JOURNAL_POSTINGS, journal.postings),
    ]


def test_the_frames_of_a_run_hold_their_contracts(frames: list[tuple[Contract, pl.DataFrame]]) -> None:
    found = {tuple(contract): contract.violations(frame) for contract, frame in frames}
    assert {columns: violations for columns, violations in found.items() if violations} == {}


def test_each_of_these_frames_has_rows(frames: list[tuple[Contract, pl.DataFrame]]) -> None:
    assert [contract.names() for contract, frame in frames if frame.is_empty()] == []
