"""Subscriptions of customers that no event has created are held, and released whole."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import polars as pl
import pytest

from tests.support.companies import bill_runs
from tests.support.ledger import World, instant
from valueverse.invoicing import engine
from valueverse.subscriptions.timeline import build_timeline

if TYPE_CHECKING:
    from valueverse.subscriptions.timeline import Timeline

PLAN = {"key": "pro", "period": {"align": "calendar"}, "fees": [{"key": "base", "amount": "10"}]}


def world() -> World:
    """s1 of ``nobody``, paused and resumed; s2 of c2, which exists."""
    acme = World({"currency": "USD", "plans": [PLAN], "coupons": [{"key": "ten", "percent": "10"}]})
    acme.record("customer.created", "2024-01-01", {"customer": "c2"})
    acme.start("2024-01-01", customer="nobody")
    acme.start("2024-01-01", subscription="s2", customer="c2")
    acme.record("subscription.paused", "2024-02-10", {"subscription": "s1"})
    acme.record("subscription.resumed", "2024-02-20", {"subscription": "s1"})
    acme.record("coupon.applied", "2024-01-01", {"customer": "nobody", "coupon": "ten"})
    return acme


def held(acme: World, known_at: str | None = None) -> Timeline:
    return build_timeline(acme.facts_frame(), acme.history().plans, None if known_at is None else instant(known_at))


def billed(acme: World) -> list[tuple[str, int]]:
    window = (date(2024, 1, 1), date(2024, 5, 1))
    found = engine.bill(held(acme), acme.history(), acme.usage_frame().lazy(), window, known_at=None)
    return [
        (f"{row['subscription']} {row['close']:%F}", row["total_minor"])
        for row in found.invoices.sort("subscription", "close", "invoice_type").iter_rows(named=True)
    ]


def test_a_subscription_of_a_customer_that_no_event_has_created_is_held_and_named_once() -> None:
    acme = world()
    timeline = held(acme)
    assert timeline.segments["subscription"].unique().to_list() == ["s2"]
    assert timeline.customers["customer"].to_list() == ["c2"]
    # Its other events wait with it: one line lists what is missing.
    ((reason, message),) = timeline.rejected.select("reason", "message").rows()
    assert reason == "unknown_customer"
    assert "the subscription 's1' is held: no event has created its customer 'nobody'" in message
    assert {name[:2] for name, _ in billed(acme)} == {"s2"}


def test_once_the_customer_is_created_all_periods_are_billed_as_if_it_had_been_there() -> None:
    knew, late = world(), world()
    knew.facts.insert(1, knew.facts[1] | {"id": "c", "data": '{"customer": "nobody"}'})
    # Created later than the start, in time and in knowledge: what it is called then does not matter for when it pays.
    late.record("customer.created", "2024-04-20", {"customer": "nobody"})
    assert billed(late) == billed(knew)
    assert {name for name, _ in billed(late)} >= {"s1 2024-01-01", "s1 2024-02-01", "s1 2024-03-01", "s1 2024-04-01"}
    assert held(late).rejected.is_empty()
    assert held(late, "2024-04-19").rejected["reason"].to_list() == ["unknown_customer"]


@pytest.mark.parametrize("created", ["2024-01-02", "2024-03-20"])
def test_a_customer_who_arrives_after_others_were_billed_is_billed_for_every_period_and_others_stay(
    created: str,
) -> None:
    late = world()
    # Received in April, in a file of its own: when it says that the customer was created does not matter.
    late.record("customer.created", created, {"customer": "nobody"}, received_at=instant("2024-04-02"))
    late.use("2024-01-20", "none", "1", customer="nobody")
    days = ("2024-03-03", "2024-04-03", "2024-05-03")
    runs = bill_runs([late], [("2024-01-01", f"{at[:8]}01", at) for at in days], holds=True)
    found = [
        sorted((row["subscription"], f"{row['close']:%F}", row["total_minor"]) for row in run.invoices.to_dicts())
        for run in runs
    ]
    assert found[0] == [("s2", "2024-01-01", 1000), ("s2", "2024-02-01", 1000), ("s2", "2024-03-01", 1000)]
    of_all = sorted(one for run in found for one in run)
    assert len(set(of_all)) == len(of_all)
    # What s1 comes to is what it comes to where its customer was known from the start.
    knew = world()
    knew.record("customer.created", "2024-01-01", {"customer": "nobody"})
    whole = [(name, total) for name, total in billed(knew) if name.startswith("s1")]
    assert [(f"{name} {close}", total) for name, close, total in of_all if name == "s1"] == whole
    assert {name for name, *_ in found[1]} == {"s1", "s2"}


def test_an_update_makes_a_customer_known_too_and_another_tenants_customer_does_not() -> None:
    acme = world()
    acme.record("customer.created", "2024-01-01", {"customer": "nobody"}, tenant="other")
    assert held(acme).rejected["reason"].to_list() == ["unknown_customer"]
    acme.record("customer.updated", "2024-01-01", {"customer": "nobody", "name": "Somebody"})
    assert held(acme).rejected.is_empty()


def test_the_start_that_mends_a_wrong_customer_is_billed() -> None:
    acme = world()
    acme.start("2024-01-01", customer="c2")
    timeline = held(acme)
    mine = timeline.segments.filter(pl.col("subscription") == "s1")
    assert mine["customer"].unique().to_list() == ["c2"]
    assert mine.height == 2
    assert timeline.rejected["reason"].to_list() == ["unknown_customer"]


def test_a_part_of_a_log_is_billed_without_its_customers() -> None:
    acme = world()
    whole = build_timeline(acme.facts_frame(), acme.history().plans, None, holds=False)
    assert whole.segments["subscription"].unique().sort().to_list() == ["s1", "s2"]
