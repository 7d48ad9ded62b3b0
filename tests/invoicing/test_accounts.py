"""The account of usage, number by number: what was billed, what was not and why, per day, customer and meter."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl

from tests.support.ledger import World, instant
from valueverse.invoicing.billing_context import with_terms
from valueverse.invoicing.usage_accounting import account_usage, accounting_totals
from valueverse.metering.daily_usage import derive_daily_usage

METER = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n", "dimensions": ["model"]}
CHARGE = {"key": "usage", "meter": "tokens", "when": {"model": "large"}, "price": {"model": "standard", "unit": "1"}}
LARGE, SMALL = '{"model":"large"}', '{"model":"small"}'


def world(**plan: Any) -> World:
    acme = World(
        {"meters": [METER, METER | {"key": "other"}],
         "plans": [{"key": "pro", "period": {"align": "calendar"}, "charges": [CHARGE]} | plan]}
    )  # fmt: skip
    acme.start("2023-11-01")
    return acme


def accounted(acme: World) -> pl.DataFrame:
    """The account of all usage, with November billed as known on 5 December."""
    timeline = acme.timeline()
    billed = acme.bill("2023-11-01", "2023-12-01", known_at=instant("2023-12-05")).invoices
    segments, terms = with_terms(timeline, acme.history())
    booked = billed.select("tenant", "subscription", "period_from", "period_to", "events_known_at")
    return account_usage(acme.usage_frame(), segments, timeline.segments, booked, terms)


def days(frame: pl.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    whole = [pl.col(name).cast(pl.Int64) if name == "quantity" else pl.col(name) for name in names]
    return sorted(frame.select(whole).rows(), key=lambda row: [str(value) for value in row])


def test_an_event_is_accounted_for_with_its_day_customer_meter_and_quantity() -> None:
    acme = world()
    acme.use("2023-11-20T23:59:59+00:00", "tokens", "5", dimensions=LARGE)
    acme.use("2023-11-21", "tokens", "7", customer="stranger", dimensions=LARGE)
    acme.use("2023-11-22", "", None, status="no_meter", customer=None)
    acme.usage[-1]["meter"] = None
    assert days(accounted(acme), "tenant", "day", "customer", "meter", "outcome", "quantity") == [
        ("acme", date(2023, 11, 20), "c1", "tokens", "billed", 5),
        ("acme", date(2023, 11, 21), "stranger", "tokens", "no_subscription", 7),
        ("acme", date(2023, 11, 22), "", "", "no_meter", None),
    ]


def test_of_an_event_s_rows_the_one_nearest_to_being_billed_counts() -> None:
    acme = world()
    acme.use("2023-11-20", "other", "3", dimensions=LARGE, id="a")
    acme.use("2023-11-20", "tokens", "5", dimensions=LARGE, id="a")
    acme.use("2023-11-20", "other", "3", dimensions=SMALL, id="b")
    acme.use("2023-11-20", "tokens", None, dimensions=SMALL, id="b", status="no_value")
    acme.use("2023-12-20", "tokens", "1", dimensions=LARGE, id="c")
    acme.use("2023-12-20", "other", "2", dimensions=LARGE, id="c")
    assert days(accounted(acme), "meter", "outcome", "quantity") == [
        ("other", "no_charge", 3),
        ("tokens", "billed", 5),
        ("tokens", "period_open", 1),
    ]


def test_ids_of_two_sources_are_two_events() -> None:
    acme = world()
    for source in ("x", "y"):
        acme.use("2023-11-20", "tokens", "5", dimensions=LARGE, id="a", source=source)
    assert accounted(acme).height == 2


def test_unbilled_usage_is_summed_by_reason_and_each_day_adds_up() -> None:
    acme = world()
    for value in ("1", "2"):
        acme.use("2023-11-20", "tokens", value, dimensions=LARGE)
    for value in ("10", "20"):
        acme.use("2023-11-20", "tokens", value, dimensions=SMALL)
    acme.use("2023-11-20", "tokens", "100", customer="c9", dimensions=SMALL)
    acme.use("2023-11-21", "tokens", "1000", dimensions=SMALL)
    unbilled, totals = accounting_totals(accounted(acme))
    assert days(unbilled, "tenant", "day", "reason", "customer", "meter", "events", "quantity") == [
        ("acme", date(2023, 11, 20), "no_charge", "c1", "tokens", 2, 30),
        ("acme", date(2023, 11, 20), "no_subscription", "c9", "tokens", 1, 100),
        ("acme", date(2023, 11, 21), "no_charge", "c1", "tokens", 1, 1000),
    ]
    assert days(totals, "tenant", "day", "accepted", "billed", "unbilled") == [
        ("acme", date(2023, 11, 20), 5, 2, 3),
        ("acme", date(2023, 11, 21), 1, 0, 1),
    ]


def test_events_of_the_instants_where_a_period_a_trial_and_a_life_begin_and_end() -> None:
    acme = world(trial={"days": 4})
    acme.record("subscription.ended", "2023-11-30", {"subscription": "s1"})
    for time in (
        "2023-10-31T23:59:59+00:00",
        "2023-11-01",
        "2023-11-04T23:59:59+00:00",
        "2023-11-05",
        "2023-11-29T23:59:59+00:00",
        "2023-11-30",
    ):
        acme.use(time, "tokens", "1", dimensions=LARGE)
    assert [outcome for _, outcome in days(accounted(acme), "day", "outcome")] == [
        "before_start",
        "in_trial",
        "in_trial",
        "billed",
        "billed",
        "after_end",
    ]


def test_between_two_subscriptions_and_in_a_pause_a_customer_has_ended() -> None:
    acme = world()
    acme.record("subscription.paused", "2023-11-10", {"subscription": "s1"})
    acme.record("subscription.resumed", "2023-11-20", {"subscription": "s1"})
    acme.use("2023-11-15", "tokens", "1", dimensions=LARGE)
    assert accounted(acme)["outcome"].to_list() == ["after_end"]


def test_what_two_subscriptions_could_take_is_billed_to_the_one_that_it_names() -> None:
    acme = world()
    acme.start("2023-11-01", subscription="s2")
    acme.use("2023-11-15", "tokens", "1", dimensions=LARGE)
    acme.use("2023-11-15", "tokens", "2", dimensions=LARGE, subscription="s2")
    assert days(accounted(acme), "outcome", "quantity") == [("ambiguous_subscription", 1), ("billed", 2)]


def test_usage_of_a_day_has_a_row_for_each_distinct_key() -> None:
    acme = world()
    acme.use("2023-11-20", "tokens", "1", dimensions=LARGE)
    acme.use("2023-11-20T12:00:00+00:00", "tokens", "2", dimensions=LARGE)
    acme.use("2023-11-20", "tokens", "4", dimensions=SMALL)
    acme.use("2023-11-20", "tokens", "8", dimensions=LARGE, subscription="s1")
    acme.use("2023-11-20", "other", "16", dimensions=LARGE)
    acme.use("2023-11-20", "tokens", "32", dimensions=LARGE, customer="c2")
    acme.use("2023-11-21", "tokens", "64", dimensions=LARGE)
    acme.use("2023-11-21", "tokens", "128", dimensions=LARGE, status="no_value")
    acme.use("2023-11-21", "other", None, dimensions=LARGE)
    found = days(
        derive_daily_usage(acme.usage_frame(), acme.history().meters),
        "day",
        "customer",
        "subscription",
        "meter",
        "dimensions",
        "quantity",
        "events",
    )
    assert found == [
        (date(2023, 11, 20), "c1", "", "other", LARGE, 16, 1),
        (date(2023, 11, 20), "c1", "", "tokens", LARGE, 3, 2),
        (date(2023, 11, 20), "c1", "", "tokens", SMALL, 4, 1),
        (date(2023, 11, 20), "c1", "s1", "tokens", LARGE, 8, 1),
        (date(2023, 11, 20), "c2", "", "tokens", LARGE, 32, 1),
        (date(2023, 11, 21), "c1", "", "other", LARGE, None, 1),
        (date(2023, 11, 21), "c1", "", "tokens", LARGE, 64, 1),
    ]
