"""Every usage event is billed, or unbilled with one reason."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from tests.support.ledger import World, instant
from valueverse.invoicing.billing_context import with_terms
from valueverse.invoicing.usage_accounting import REASONS, account_usage, accounting_totals
from valueverse.metering.daily_usage import derive_daily_usage

METER = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n", "dimensions": ["model"]}
OTHER = METER | {"key": "other"}
CHARGE = {"key": "usage", "meter": "tokens", "when": {"model": "large"}, "price": {"model": "standard", "unit": "1"}}
LARGE = '{"model":"large"}'


def acme() -> World:
    plan = {"key": "pro", "period": {"align": "calendar"}, "trial": {"days": 9}, "charges": [CHARGE]}
    world = World({"meters": [METER, OTHER], "plans": [plan]})
    world.start("2023-11-01", ends_at="2023-12-01")
    return world


def outcomes(world: World, known: str = "2023-12-05") -> list[str]:
    """Outcomes of the world's usage, with November billed as known at an instant."""
    timeline, history = world.timeline(), world.history()
    billed = world.bill("2023-11-01", "2023-12-01", known_at=instant(known)).invoices
    segments, terms = with_terms(timeline, history)
    booked = billed.select("tenant", "subscription", "period_from", "period_to", "events_known_at")
    accounted = account_usage(world.usage_frame(), segments, timeline.segments, booked, terms)
    unbilled, days = accounting_totals(accounted)
    assert days["accepted"].sum() == days["billed"].sum() + unbilled["events"].sum()
    return accounted["outcome"].sort().to_list()


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        ({}, "billed"),
        ({"time": "2023-11-05"}, "in_trial"),
        ({"time": "2023-10-05"}, "before_start"),
        ({"time": "2023-12-05"}, "after_end"),
        ({"customer": "stranger"}, "no_subscription"),
        ({"subscription": "another"}, "no_subscription"),
        ({"meter": "other"}, "no_charge"),
        ({"dimensions": '{"model":"small"}'}, "no_charge"),
        ({"status": "no_value", "value": None}, "no_value"),
        ({"status": "no_meter", "meter": None, "value": None}, "no_meter"),
        ({"status": "awaiting_original", "meter": None, "value": None}, "awaiting_original"),
        ({"status": "void", "meter": None, "value": None}, "void"),
        ({"known_until": instant("2023-11-30")}, "superseded"),
        ({"received_at": instant("2023-12-06")}, "period_open"),
    ],
)
def test_an_event_has_the_one_reason_that_holds(row: dict[str, Any], outcome: str) -> None:
    world = acme()
    whole = {"time": "2023-11-20", "meter": "tokens", "value": "5", "dimensions": LARGE} | row
    world.use(**whole)
    assert outcomes(world) == [outcome]
    assert outcome in {*REASONS, "billed"}


def test_what_two_subscriptions_could_take_is_ambiguous() -> None:
    world = acme()
    world.start("2023-11-01", subscription="s2")
    world.use("2023-11-20", "tokens", "5", dimensions=LARGE)
    assert outcomes(world) == ["ambiguous_subscription"]


def test_an_event_that_any_meters_line_took_is_billed() -> None:
    world = acme()
    world.use("2023-11-20", "tokens", "5", dimensions=LARGE, id="one")
    world.use("2023-11-20", "other", "5", dimensions=LARGE, id="one")
    assert outcomes(world) == ["billed"]


def test_usage_of_a_day_adds_up_per_customer_meter_and_dimensions() -> None:
    world = acme()
    for value in ("1.5", "2"):
        world.use("2023-11-20", "tokens", value, dimensions=LARGE)
    world.use("2023-11-20", "tokens", "9", known_until=instant("2023-11-21"))
    row = derive_daily_usage(world.usage_frame(), world.history().meters).row(0, named=True)
    assert (row["day"].isoformat(), row["meter"], str(row["quantity"].normalize()), row["events"]) == (
        "2023-11-20",
        "tokens",
        "3.5",
        2,
    )


def test_a_day_without_usage_has_no_account() -> None:
    assert account_is_empty(acme())


def account_is_empty(world: World) -> bool:
    timeline, history = world.timeline(), world.history()
    segments, terms = with_terms(timeline, history)
    booked = world.bill("2023-11-01", "2023-12-01").invoices
    accounted = account_usage(world.usage_frame(), segments, timeline.segments, booked, terms)
    unbilled, days = accounting_totals(accounted)
    return isinstance(accounted, pl.DataFrame) and accounted.is_empty() and unbilled.is_empty() and days.is_empty()
