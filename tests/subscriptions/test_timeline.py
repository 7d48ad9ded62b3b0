"""Billing events to segments: what a subscription is on, and which events could not be applied."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import polars as pl
import pytest

from tests.support.ledger import World, instant

CATALOG: dict[str, Any] = {
    "currency": "USD",
    "plans": [
        {"key": "pro", "version": 1, "fees": [{"key": "base", "amount": "10"}]},
        {"key": "pro", "version": 2, "fees": [{"key": "base", "amount": "12"}]},
        {"key": "max", "period": {"unit": "month", "align": "calendar"}, "trial": {"days": 14}},
    ],
}


@pytest.fixture
def world() -> World:
    return World(CATALOG)


def plans(world: World, known_at: str | None = None) -> list[tuple[str, int, str, str | None]]:
    segments = world.timeline(known_at).segments
    day = pl.col("from", "to").dt.strftime("%F")
    return segments.select("plan", "plan_version", day).rows()


def reasons(world: World) -> list[str]:
    return world.timeline().rejected["reason"].to_list()


def test_a_subscription_without_an_end_runs_on_and_takes_the_newest_version(world: World) -> None:
    world.start("2023-02-10")
    assert plans(world) == [("pro", 2, "2023-02-10", None)]


def test_a_stated_version_stays(world: World) -> None:
    world.start("2023-02-10", plan_version=1)
    assert plans(world) == [("pro", 1, "2023-02-10", None)]


def test_a_catalog_published_later_does_not_change_a_running_subscription(world: World) -> None:
    world.start("2023-02-10")
    later = {"schema": "valueverse.catalog/v1", "plans": [{"key": "pro", "version": 3}]}
    world.record("catalog.published", "2023-03-01", later)
    world.start("2023-03-02", subscription="s2")
    assert plans(world) == [("pro", 2, "2023-02-10", None), ("pro", 3, "2023-03-02", None)]


def test_a_stated_anchor_date_sets_the_day_of_the_periods(world: World) -> None:
    world.start("2023-02-10", anchor_date="2023-01-31")
    world.record("subscription.changed", "2023-02-15", {"subscription": "s1", "plan": "max", "effective": "period_end"})
    assert world.timeline().segments["anchor"].unique().to_list() == [date(2023, 1, 31)]
    assert plans(world) == [("pro", 2, "2023-02-10", "2023-02-28"), ("max", 1, "2023-02-28", None)]


def test_a_start_that_was_refused_leaves_the_place_to_the_one_that_mends_it(world: World) -> None:
    world.start("2023-02-01", plan="gold")
    world.start("2023-02-05", ends_at="2023-02-05")
    world.start("2023-02-10")
    world.start("2023-02-20")
    assert sorted(reasons(world)) == ["already_started", "ends_before_start", "unknown_plan"]
    assert plans(world) == [("pro", 2, "2023-02-10", None)]


def test_a_change_takes_effect_now_or_at_the_end_of_the_running_period(world: World) -> None:
    world.start("2023-02-10", subscription="now")
    world.start("2023-02-10", subscription="then")
    world.record("subscription.changed", "2023-02-20", {"subscription": "now", "plan": "max"})
    world.record(
        "subscription.changed", "2023-02-20", {"subscription": "then", "plan": "max", "effective": "period_end"}
    )
    assert plans(world) == [
        ("pro", 2, "2023-02-10", "2023-02-20"),
        ("max", 1, "2023-02-20", None),
        ("pro", 2, "2023-02-10", "2023-03-10"),
        ("max", 1, "2023-03-10", None),
    ]


def test_several_changes_apply_one_after_the_other(world: World) -> None:
    world.start("2023-02-10", plan_version=1)
    world.record("subscription.changed", "2023-02-15", {"subscription": "s1", "plan_version": 2})
    world.record("subscription.changed", "2023-02-20", {"subscription": "s1", "plan": "max"})
    assert plans(world) == [
        ("pro", 1, "2023-02-10", "2023-02-15"),
        ("pro", 2, "2023-02-15", "2023-02-20"),
        ("max", 1, "2023-02-20", None),
    ]


def test_a_pause_is_a_gap(world: World) -> None:
    world.start("2023-02-10")
    world.record("subscription.paused", "2023-03-01", {"subscription": "s1"})
    world.record("subscription.resumed", "2023-04-01", {"subscription": "s1"})
    assert plans(world) == [("pro", 2, "2023-02-10", "2023-03-01"), ("pro", 2, "2023-04-01", None)]


def test_an_end_ends_at_once_and_a_stated_end_at_local_midnight(world: World) -> None:
    world.start("2023-02-10", subscription="a")
    world.record("subscription.ended", "2023-03-05", {"subscription": "a"})
    world.start("2023-02-10", subscription="b", ends_at="2023-04-01", timezone="Europe/Berlin")
    segments = world.timeline().segments
    assert segments["to"].to_list() == [instant("2023-03-05"), instant("2023-03-31T22:00:00+00:00")]
    assert segments["planned_end"].to_list() == [None, instant("2023-03-31T22:00:00+00:00")]


def test_the_time_zone_is_the_subscriptions_else_the_customers_else_the_tenants(world: World) -> None:
    world.record("tenant.created", "2023-01-01", {"tenant": "acme", "timezone": "Asia/Tokyo"})
    world.record("customer.created", "2023-01-01", {"customer": "c2", "timezone": "America/New_York"})
    world.start("2023-02-10", subscription="a", customer="c1")
    world.start("2023-02-10", subscription="b", customer="c2")
    world.start("2023-02-10", subscription="c", customer="c2", timezone="Europe/Berlin")
    assert world.timeline().segments["timezone"].to_list() == ["Asia/Tokyo", "America/New_York", "Europe/Berlin"]


def test_a_trial_lasts_whole_local_days(world: World) -> None:
    world.start("2023-02-10T12:00:00+00:00", plan="max", timezone="Europe/Berlin")
    assert world.timeline().segments["trial_until"].item() == instant("2023-02-23T23:00:00+00:00")


def test_a_tenants_settings_are_its_catalogs_until_an_event_changes_them(world: World) -> None:
    row = world.timeline().tenants.row(0, named=True)
    assert (row["timezone"], row["currency"], row["grace_seconds"]) == ("UTC", "USD", 86_400)
    world.record("tenant.updated", "2023-03-01", {"tenant": "acme", "timezone": "Asia/Tokyo", "grace": "2 hours"})
    row = world.timeline().tenants.row(0, named=True)
    assert (row["timezone"], row["currency"], row["grace_seconds"]) == ("Asia/Tokyo", "USD", 7_200)


def test_an_update_of_a_customer_keeps_what_it_leaves_out(world: World) -> None:
    world.record("customer.created", "2023-01-01", {"customer": "c1", "name": "First", "email": "a@b.example"})
    world.record("customer.updated", "2023-02-01", {"customer": "c1", "name": "Second"})
    row = world.timeline().customers.row(0, named=True)
    assert (row["name"], row["email"]) == ("Second", "a@b.example")


def test_a_customer_that_only_a_subscription_names_has_its_key_as_name(world: World) -> None:
    world.start("2023-02-10", customer="walk-in")
    assert world.timeline().customers.select("customer", "name").rows() == [("walk-in", "walk-in")]


def test_what_was_received_later_is_not_known_yet(world: World) -> None:
    world.start("2023-02-10")
    world.record("subscription.ended", "2023-03-01", {"subscription": "s1"}, received_at=instant("2023-05-01"))
    assert plans(world, "2023-04-01") == [("pro", 2, "2023-02-10", None)]
    assert plans(world, "2023-05-01") == [("pro", 2, "2023-02-10", "2023-03-01")]


def test_a_voided_billing_event_counts_until_it_was_voided(world: World) -> None:
    world.start("2023-02-10")
    world.record("subscription.ended", "2023-03-01", {"subscription": "s1"}, known_until=instant("2023-04-01"))
    assert plans(world) == [("pro", 2, "2023-02-10", None)]
    assert plans(world, "2023-03-15") == [("pro", 2, "2023-02-10", "2023-03-01")]


@pytest.mark.parametrize(
    ("kind", "time", "data", "reason"),
    [
        ("started", "2023-03-01", {"subscription": "s1", "customer": "c1", "plan": "pro"}, "already_started"),
        ("started", "2023-03-01", {"subscription": "x", "customer": "c1", "plan": "gold"}, "unknown_plan"),
        ("started", "2022-03-01", {"subscription": "x", "customer": "c1", "plan": "pro"}, "unknown_plan"),
        (
            "started",
            "2023-03-01",
            {"subscription": "x", "customer": "c1", "plan": "pro", "plan_version": 9},
            "unknown_plan",
        ),
        (
            "started",
            "2023-03-01",
            {"subscription": "x", "customer": "c1", "plan": "pro", "ends_at": "2023-03-01"},
            "ends_before_start",
        ),
        ("started", "9999-12-01", {"subscription": "x", "customer": "c1", "plan": "pro"}, "bad_time"),
        ("ended", "2023-01-15", {"subscription": "s1"}, "unknown_subscription"),
        ("ended", "2023-03-01", {"subscription": "nobody"}, "unknown_subscription"),
        ("changed", "2023-03-01", {"subscription": "s1", "plan": "gold"}, "unknown_plan"),
        ("changed", "2023-03-01", {"subscription": "nobody", "plan": "max"}, "unknown_subscription"),
        ("resumed", "2023-03-01", {"subscription": "s1"}, "not_paused"),
    ],
)
def test_what_cannot_be_applied_is_rejected_with_its_reason(
    world: World, kind: str, time: str, data: dict[str, Any], reason: str
) -> None:
    world.start("2023-02-10")
    world.record(f"subscription.{kind}", time, data)
    assert reasons(world) == [reason]
    assert plans(world) == [("pro", 2, "2023-02-10", None)]


def test_a_second_end_and_a_second_pause_are_rejected(world: World) -> None:
    world.start("2023-02-10")
    for day in ("2023-03-01", "2023-03-02"):
        world.record("subscription.paused", day, {"subscription": "s1"})
    for day in ("2023-04-01", "2023-04-02"):
        world.record("subscription.ended", day, {"subscription": "s1"})
    world.record("subscription.changed", "2023-05-01", {"subscription": "s1", "plan": "max"})
    assert sorted(reasons(world)) == ["already_ended", "already_ended", "already_paused"]


def test_no_billing_event_at_all_makes_an_empty_timeline() -> None:
    timeline = World({"plans": []}).timeline()
    assert timeline.segments.is_empty()
    assert timeline.rejected.is_empty()
    assert timeline.tenants["tenant"].to_list() == ["acme"]


def _plans_over_time(world: World) -> list[tuple[str, str]]:
    rows = world.timeline().segments.select("plan", "from").rows()
    return [(plan, start.date().isoformat()) for plan, start in rows]


def _three_plans() -> World:
    fees = [{"key": "seats", "unit_amount": "9"}]
    plans = [{"key": key, "period": {"align": "calendar", "unit": unit}, "fees": fees} for key, unit in
             (("pro", "month"), ("max", "year"), ("mini", "month"))]  # fmt: skip
    world = World({"plans": plans})
    world.start("2023-02-10")
    return world


def _change(world: World, day: str, **more: Any) -> None:
    world.record("subscription.changed", day, {"subscription": "s1"} | more)


def test_the_last_change_for_a_period_s_end_counts() -> None:
    world = _three_plans()
    _change(world, "2023-02-15", plan="max", effective="period_end")
    _change(world, "2023-02-20", plan="mini", effective="period_end")
    assert _plans_over_time(world) == [("pro", "2023-02-10"), ("mini", "2023-03-01")]


def test_changes_for_the_same_period_s_end_add_up() -> None:
    world = _three_plans()
    _change(world, "2023-02-15", plan="max", effective="period_end")
    _change(world, "2023-02-20", quantities={"seats": 7}, effective="period_end")
    assert _plans_over_time(world) == [("pro", "2023-02-10"), ("max", "2023-03-01")]
    assert world.timeline().segments["quantities"].to_list() == [None, '{"seats":7}']


def test_a_change_now_takes_the_place_of_one_that_was_planned() -> None:
    world = _three_plans()
    _change(world, "2023-02-15", plan="max", effective="period_end")
    _change(world, "2023-02-20", plan="mini")
    assert _plans_over_time(world) == [("pro", "2023-02-10"), ("mini", "2023-02-20")]


def test_what_a_change_now_does_not_state_stays_planned() -> None:
    world = _three_plans()
    _change(world, "2023-02-15", plan="max", quantities={"seats": 3}, effective="period_end")
    _change(world, "2023-02-20", quantities={"seats": 7})
    assert _plans_over_time(world) == [("pro", "2023-02-10"), ("pro", "2023-02-20"), ("max", "2023-03-01")]
    assert world.timeline().segments["quantities"].to_list() == [None, '{"seats":7}', '{"seats":7}']


def test_overrides_of_the_running_plan_are_not_those_of_another_that_is_planned() -> None:
    world = _three_plans()
    planned, now = ({"fees": [{"key": "seats", "unit_amount": price}]} for price in "84")
    _change(world, "2023-02-15", plan="mini", overrides=planned, effective="period_end")
    _change(world, "2023-02-20", overrides=now)
    assert world.timeline().segments["overrides"].to_list() == [None, json.dumps(now).replace(" ", ""),
                                                                 json.dumps(planned).replace(" ", "")]  # fmt: skip


def test_what_stays_planned_comes_with_a_plan_that_ends_the_period_earlier() -> None:
    world = _three_plans()
    _change(world, "2023-02-15", quantities={"seats": 3}, effective="period_end")
    _change(world, "2023-02-20", plan="max")
    assert _plans_over_time(world) == [("pro", "2023-02-10"), ("max", "2023-02-20")]
    assert world.timeline().segments["quantities"].to_list() == [None, '{"seats":3}']


def test_a_refused_change_withdraws_nothing() -> None:
    world = _three_plans()
    _change(world, "2023-02-15", plan="max", effective="period_end")
    _change(world, "2023-02-20", plan="gold", quantities={"seats": 7})
    assert reasons(world) == ["unknown_plan"]
    assert _plans_over_time(world) == [("pro", "2023-02-10"), ("max", "2023-03-01")]


def test_a_change_now_after_a_planned_one_took_effect_starts_from_it() -> None:
    world = _three_plans()
    _change(world, "2023-02-15", plan="max", effective="period_end")
    _change(world, "2023-03-05", quantities={"seats": 2})
    assert _plans_over_time(world) == [("pro", "2023-02-10"), ("max", "2023-03-01"), ("max", "2023-03-05")]
