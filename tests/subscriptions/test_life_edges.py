"""The edges of a subscription's life: same instants, ends on ends, pauses of several subscriptions, older versions."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from tests.support.ledger import World, instant

SEATS: dict[str, Any] = {"key": "seats", "unit_amount": "9"}
CATALOG: dict[str, Any] = {
    "plans": [
        {"key": "pro", "version": 1, "fees": [SEATS]},
        {"key": "pro", "version": 2, "fees": [SEATS, {"key": "platform", "amount": "49"}]},
        {"key": "max", "trial": {"days": 14}},
    ],
}


@pytest.fixture
def world() -> World:
    return World(CATALOG)


def lives(world: World) -> list[tuple[str, int, str, str | None]]:
    day = pl.col("from", "to").dt.strftime("%F")
    return world.timeline().segments.select("subscription", "segment", day).rows()


def states(world: World) -> list[tuple[str, int, str]]:
    return world.timeline().segments.select("plan", "plan_version", pl.col("from").dt.strftime("%F")).rows()


def about(subscription: str, **more: Any) -> dict[str, Any]:
    return {"subscription": subscription} | more


def test_segments_are_numbered_from_zero_within_each_subscription(world: World) -> None:
    for name in ("a", "b"):
        world.start("2023-02-10", subscription=name)
        world.record("subscription.changed", "2023-03-01", about(name, plan_version=1))
    assert lives(world) == [
        ("a", 0, "2023-02-10", "2023-03-01"),
        ("a", 1, "2023-03-01", None),
        ("b", 0, "2023-02-10", "2023-03-01"),
        ("b", 1, "2023-03-01", None),
    ]


def test_pauses_of_one_subscription_leave_the_others_running(world: World) -> None:
    for name in ("a", "b"):
        world.start("2023-02-10", subscription=name)
    world.record("subscription.paused", "2023-03-01", about("a"))
    world.record("subscription.paused", "2023-03-02", about("b"))
    world.record("subscription.resumed", "2023-03-03", about("b"))
    world.record("subscription.paused", "2023-03-05", about("b"))
    assert lives(world) == [
        ("a", 0, "2023-02-10", "2023-03-01"),
        ("b", 0, "2023-02-10", "2023-03-02"),
        ("b", 1, "2023-03-03", "2023-03-05"),
    ]
    assert world.timeline().rejected.is_empty()


def test_the_earlier_of_a_stated_end_and_an_end_sent_later_counts(world: World) -> None:
    for name in ("a", "b"):
        world.start("2023-02-10", subscription=name, ends_at="2023-04-01")
    world.record("subscription.ended", "2023-05-01", about("a"))
    world.record("subscription.ended", "2023-03-01", about("b"))
    assert world.timeline().segments["subscription_end"].to_list() == [instant("2023-04-01"), instant("2023-03-01")]


def test_a_stated_end_that_is_an_instant_stays_that_instant_in_any_zone(world: World) -> None:
    world.start("2023-02-10", ends_at="2023-04-01T10:30:00Z", timezone="Asia/Tokyo")
    assert world.timeline().segments["planned_end"].item() == instant("2023-04-01T10:30:00+00:00")


def test_what_happens_at_the_very_start_is_about_a_subscription_that_has_started(world: World) -> None:
    world.start("2023-02-10")
    world.record("subscription.changed", "2023-02-10", about("s1", plan_version=1))
    assert states(world) == [("pro", 1, "2023-02-10")]
    assert world.timeline().rejected.is_empty()


def test_a_change_at_the_very_end_comes_too_late_and_one_before_it_does_not(world: World) -> None:
    world.start("2023-02-10", ends_at="2023-04-01")
    world.record("subscription.changed", "2023-03-31", about("s1", plan_version=1))
    world.record("subscription.changed", "2023-04-01", about("s1", plan="max"))
    assert states(world) == [("pro", 2, "2023-02-10"), ("pro", 1, "2023-03-31")]
    assert world.timeline().rejected.select("reason", "event_time").rows() == [("already_ended", instant("2023-04-01"))]


def test_of_changes_at_one_instant_the_one_received_last_counts_whatever_the_order_of_the_log(world: World) -> None:
    world.start("2023-02-10")
    later, sooner = instant("2023-03-03"), instant("2023-03-02")
    world.record("subscription.changed", "2023-03-01", about("s1", plan_version=2), received_at=later)
    world.record("subscription.changed", "2023-03-01", about("s1", plan_version=1), received_at=sooner)
    assert states(world) == [("pro", 2, "2023-02-10"), ("pro", 2, "2023-03-01")]


def test_of_changes_at_one_instant_received_at_once_source_and_id_decide(world: World) -> None:
    world.start("2023-02-10")
    world.record("subscription.changed", "2023-03-01", about("s1", plan_version=2), source="b", id="1")
    world.record("subscription.changed", "2023-03-01", about("s1", plan_version=1), source="a", id="9")
    assert states(world)[-1] == ("pro", 2, "2023-03-01")


def test_a_version_that_only_an_older_catalog_published_stays_valid(world: World) -> None:
    later = {"schema": "valueverse.catalog/v1", "plans": [{"key": "pro", "version": 3}]}
    world.record("catalog.published", "2023-03-01", later)
    world.start("2023-03-02", subscription="old", plan_version=1)
    world.start("2023-03-02", subscription="new")
    assert [(plan, version) for plan, version, _ in states(world)] == [("pro", 3), ("pro", 1)]
    assert world.timeline().segments["catalog_hash"].n_unique() == 2


def test_a_catalog_is_in_force_from_the_instant_at_which_it_takes_effect(world: World) -> None:
    later = {"schema": "valueverse.catalog/v1", "plans": [{"key": "pro", "version": 3}]}
    world.record("catalog.published", "2023-03-01", later)
    world.start("2023-03-01", subscription="a")
    world.start("2023-02-28T23:59:59.999999+00:00", subscription="b")
    assert [version for _, version, _ in states(world)] == [3, 2]


def test_only_a_plan_with_a_trial_has_one(world: World) -> None:
    world.start("2023-02-10", subscription="a")
    world.start("2023-02-10", subscription="b", plan="max")
    assert world.timeline().segments["trial_until"].to_list() == [None, instant("2023-02-24")]


def test_an_anchor_is_the_stated_date_else_the_local_day_of_the_start(world: World) -> None:
    world.start("2023-02-10T22:00:00+00:00", subscription="a", timezone="Asia/Tokyo")
    world.start("2023-02-10T22:00:00+00:00", subscription="b", timezone="Asia/Tokyo", anchor_date="2023-01-31")
    anchors = world.timeline().segments["anchor"].to_list()
    assert [day.isoformat() for day in anchors] == ["2023-02-11", "2023-01-31"]


def test_a_change_of_seats_alone_keeps_version_catalog_and_overrides(world: World) -> None:
    world.start("2023-02-10", plan_version=1, overrides={"commitment": None}, quantities={"seats": 3})
    later = {"schema": "valueverse.catalog/v1", "currency": "EUR", "plans": [{"key": "pro", "version": 3}]}
    world.record("catalog.published", "2023-02-20", later)
    world.record("subscription.changed", "2023-03-01", about("s1", quantities={"seats": 5}))
    before, after = world.timeline().segments.iter_rows(named=True)
    assert (before["quantities"], after["quantities"]) == ('{"seats":3}', '{"seats":5}')
    unchanged = ("plan", "plan_version", "catalog_hash", "currency", "every", "unit", "align", "overrides")
    assert [after[name] for name in unchanged] == [before[name] for name in unchanged]
    assert (after["plan_version"], after["overrides"]) == (1, '{"commitment":null}')


def test_a_change_of_overrides_alone_replaces_them_and_nothing_else(world: World) -> None:
    world.start("2023-02-10", plan_version=1, overrides={"commitment": None}, quantities={"seats": 3})
    world.record("subscription.changed", "2023-03-01", about("s1", overrides={"threshold": "50"}))
    after = world.timeline().segments.row(1, named=True)
    assert (after["plan_version"], after["overrides"], after["quantities"]) == (1, '{"threshold":"50"}', '{"seats":3}')


def test_another_plan_takes_the_seats_along_and_leaves_the_overrides_behind(world: World) -> None:
    world.start("2023-02-10", overrides={"commitment": None}, quantities={"seats": 3})
    world.record("subscription.changed", "2023-03-01", about("s1", plan="max"))
    after = world.timeline().segments.row(1, named=True)
    assert (after["plan"], after["overrides"], after["quantities"]) == ("max", None, '{"seats":3}')


def refusals(world: World) -> list[tuple[str, str]]:
    return world.timeline().rejected.select("reason", "message").rows()


def test_a_start_that_counts_what_is_no_fee_is_refused_and_the_one_that_mends_it_counts(world: World) -> None:
    world.start("2023-02-10", quantities={"seats": 3, "seat": 3})
    world.start("2023-02-11", quantities={"seats": 3})
    assert lives(world) == [("s1", 0, "2023-02-11", None)]
    message = "data.quantities.seat: the plan 'pro' has no fee of this key with a unit_amount"
    assert refusals(world) == [("unknown_fee", message)]


@pytest.mark.parametrize("name", ["platform", "Seats", 'se"ats', "seats:", ""])
def test_quantities_name_fees_with_a_unit_amount_and_nothing_else(world: World, name: str) -> None:
    world.start("2023-02-10", quantities={name: "1"})
    assert lives(world) == []
    assert [reason for reason, _ in refusals(world)] == ["unknown_fee"]


def test_a_change_that_counts_what_is_no_fee_of_the_new_plan_changes_nothing(world: World) -> None:
    world.start("2023-02-10", quantities={"seats": 3})
    world.record("subscription.changed", "2023-03-01", about("s1", plan="max", quantities={"seats": 5}))
    world.record("subscription.changed", "2023-04-01", about("s1", quantities={"seats": 7}))
    assert states(world) == [("pro", 2, "2023-02-10"), ("pro", 2, "2023-04-01")]
    assert world.timeline().segments["quantities"].to_list() == ['{"seats":3}', '{"seats":7}']
    message = "data.quantities.seats: the plan 'max' has no fee of this key with a unit_amount"
    assert refusals(world) == [("unknown_fee", message)]


def test_quantities_may_count_a_fee_that_the_overrides_add(world: World) -> None:
    overrides = {"fees": [{"key": "lines", "unit_amount": "2"}]}
    world.start("2023-02-10", overrides=overrides, quantities={"lines": 3, "seats": 1})
    world.record("subscription.changed", "2023-03-01", about("s1", quantities={"lines": 4}))
    assert world.timeline().segments["quantities"].to_list() == ['{"lines":3,"seats":1}', '{"lines":4}']


def test_another_version_of_the_plan_is_taken_from_the_catalog_in_force(world: World) -> None:
    world.start("2023-02-10", plan_version=1)
    world.record("subscription.changed", "2023-03-01", about("s1", plan="pro"))
    world.record("subscription.changed", "2023-04-01", about("s1", plan_version=1))
    assert [version for _, version, _ in states(world)] == [1, 2, 1]
