"""A customer moves to another time zone: the running period keeps its end, the next one starts there."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.invoicing.corrections.test_corrections import Books
from tests.support.laws import law
from tests.support.ledger import World, amounts, instant

PLAN: dict[str, Any] = {"key": "pro", "fees": [{"key": "base", "amount": "30", "timing": "in_arrears"}]}


def world(align: str = "calendar", unit: str = "month", *, stated: bool = True) -> World:
    acme = World({"plans": [PLAN | {"period": {"align": align, "unit": unit}}]})
    acme.record("customer.created", "2024-01-01", {"customer": "c1"} | ({"timezone": "UTC"} if stated else {}))
    return acme


def spans(acme: World, end: str) -> list[tuple[str, str]]:
    found = acme.documents("2024-01-01", end)
    return [(one["period"]["from"], one["period"]["to"]) for one in found]


@pytest.mark.parametrize(
    ("zone", "boundary"), [("America/New_York", "2024-03-01T05:00:00Z"), ("Europe/Berlin", "2024-02-29T23:00:00Z")]
)
def test_the_next_period_starts_where_the_last_one_ended_and_is_a_whole_one(zone: str, boundary: str) -> None:
    acme = world()
    acme.start("2024-01-01")
    acme.record("customer.updated", "2024-01-20", {"customer": "c1", "timezone": zone})
    assert spans(acme, "2024-03-02") == [
        ("2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z"),
        ("2024-02-01T00:00:00Z", boundary),
    ]
    assert [amounts(one) for one in acme.documents("2024-01-01", "2024-03-02")] == [[("base", "30.00")]] * 2


def test_a_plan_with_other_periods_brings_the_new_zone_in_as_it_takes_over() -> None:
    weekly = {"key": "weekly", "period": {"unit": "week", "align": "calendar"}, "fees": PLAN["fees"]}
    acme = World({"plans": [PLAN | {"period": {"align": "calendar"}}, weekly]})
    acme.record("customer.created", "2024-01-01", {"customer": "c1", "timezone": "UTC"})
    acme.start("2024-01-01")
    acme.record("customer.updated", "2024-01-10", {"customer": "c1", "timezone": "America/New_York"})
    acme.record("subscription.changed", "2024-01-17", {"subscription": "s1", "plan": "weekly"})
    assert spans(acme, "2024-01-30") == [
        ("2024-01-01T00:00:00Z", "2024-01-17T00:00:00Z"),
        ("2024-01-17T00:00:00Z", "2024-01-22T05:00:00Z"),
        ("2024-01-22T05:00:00Z", "2024-01-29T05:00:00Z"),
    ]


def test_a_zone_stated_during_a_pause_holds_from_the_end_of_the_period() -> None:
    acme = world()
    acme.start("2024-01-01")
    acme.record("subscription.paused", "2024-01-10", {"subscription": "s1"})
    acme.record("customer.updated", "2024-01-15", {"customer": "c1", "timezone": "Europe/Berlin"})
    acme.record("subscription.resumed", "2024-01-20", {"subscription": "s1"})
    assert spans(acme, "2024-03-01") == [
        ("2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z"),
        ("2024-02-01T00:00:00Z", "2024-02-29T23:00:00Z"),
    ]


def test_a_second_move_while_a_pause_hides_the_first_waits_for_the_end_that_the_first_draws() -> None:
    """São Paulo comes in on 1 April 0:00 UTC, within the pause; Berlin, received then, at São Paulo's end of April."""
    acme = world()
    acme.start("2024-01-01")
    acme.record("customer.updated", "2024-03-03", {"customer": "c1", "timezone": "America/Sao_Paulo"})
    acme.record("subscription.paused", "2024-03-09", {"subscription": "s1"})
    acme.record("customer.updated", "2024-04-01", {"customer": "c1", "timezone": "Europe/Berlin"})
    acme.record("subscription.resumed", "2024-04-20", {"subscription": "s1"})
    assert spans(acme, "2024-06-01")[-2:] == [
        ("2024-04-01T00:00:00Z", "2024-05-01T03:00:00Z"),
        ("2024-05-01T03:00:00Z", "2024-05-31T22:00:00Z"),
    ]


@pytest.mark.parametrize("who", ["customer", "tenant"])
def test_a_zone_that_a_customer_is_created_with_within_a_day_of_the_start_holds_from_it(who: str) -> None:
    """Midnight in Tokyo comes before the one of a clerk in London who records it."""
    acme = World({"plans": [PLAN | {"period": {"align": "calendar"}}]})
    acme.start("2023-12-31T15:00:00+00:00")
    whom = {"customer": "c1"} if who == "customer" else {"tenant": "acme"}
    acme.record(f"{who}.created", "2024-01-01", whom | {"timezone": "Asia/Tokyo"})
    assert acme.timeline().segments["timezone"].to_list() == ["Asia/Tokyo"]


@pytest.mark.parametrize("who", ["customer", "tenant"])
def test_a_zone_that_they_are_created_with_holds_from_a_start_that_is_sent_later(who: str) -> None:
    """The past is brought in today: who is created in June has had subscriptions since January."""
    acme = World({"plans": [PLAN | {"period": {"align": "calendar"}}]})
    whom = {"customer": "c1"} if who == "customer" else {"tenant": "acme"}
    acme.record(f"{who}.created", "2024-06-10", whom | {"timezone": "Asia/Tokyo"})
    acme.record(
        "subscription.started", "2024-01-01", {"subscription": "s1", "customer": "c1", "plan": "pro"},
        received_at=instant("2024-06-10T08:00:00+00:00"),
    )  # fmt: skip
    assert acme.timeline().segments["timezone"].to_list() == ["Asia/Tokyo"]


@pytest.mark.parametrize("kind", ["customer.created", "customer.updated", "tenant.updated", "catalog.published"])
def test_a_zone_first_stated_later_holds_from_the_end_of_the_running_period_and_bills_nothing_twice(kind: str) -> None:
    """1,000 units at 20:00 UTC on 31 January lie before one midnight and behind the other."""
    usage = {"key": "use", "meter": "tokens", "price": {"model": "standard", "unit": "0.01"}}
    meter = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": [usage]}
    acme = World({"meters": [meter], "plans": [plan]})
    acme.start("2024-01-01")
    acme.use("2024-01-31T20:00:00+00:00", "tokens", "1000")
    data: dict[str, Any] = {
        "customer": {"customer": "c1"},
        "tenant": {"tenant": "acme"},
        "catalog": {"schema": "valueverse.catalog/v1", "meters": [meter], "plans": [plan]},
    }[kind.partition(".")[0]]
    acme.record(kind, "2024-02-10", data | {"timezone": "Asia/Tokyo"})
    books = Books(acme)
    found = [
        books.bill("2023-12-31", "2024-04-01", at).invoices.select("period_from", "period_to", "total_minor").rows()
        for at in ("2024-02-03", "2024-03-03", "2024-04-03")
    ]
    assert found == [
        [(instant("2024-01-01"), instant("2024-02-01"), 1000)],
        [(instant("2024-02-01"), instant("2024-03-01"), 0)],
        [(instant("2024-03-01"), instant("2024-03-31T15:00:00+00:00"), 0)],
    ]


def test_a_subscription_s_own_zone_stays() -> None:
    acme = world()
    acme.start("2024-01-01", timezone="Europe/Paris")
    acme.record("customer.updated", "2024-01-20", {"customer": "c1", "timezone": "Asia/Tokyo"})
    assert acme.timeline().segments["timezone"].to_list() == ["Europe/Paris"]


def test_a_tenant_s_change_moves_customers_without_a_zone_of_their_own() -> None:
    acme = World({"plans": [PLAN | {"period": {"align": "calendar"}}]})
    acme.record("tenant.created", "2024-01-01", {"tenant": "acme", "timezone": "UTC"})
    acme.start("2024-01-01")
    acme.record("tenant.updated", "2024-01-20", {"tenant": "acme", "timezone": "Asia/Tokyo"})
    assert acme.timeline().segments.select("timezone", "from").rows() == [
        ("UTC", instant("2024-01-01")),
        ("Asia/Tokyo", instant("2024-02-01")),
    ]


ZONES = [
    "UTC",
    "America/New_York",
    "Asia/Tokyo",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Europe/Berlin",
    "Asia/Kolkata",
]


@law(20)
@given(
    moves=st.lists(st.tuples(st.integers(1, 200), st.sampled_from(ZONES)), max_size=4),
    unit=st.sampled_from(["week", "month", "quarter"]),
    align=st.sampled_from(["calendar", "anniversary"]),
    day=st.integers(1, 31),
    stated=st.booleans(),
)
def test_periods_tile_time_whatever_zones_a_customer_moves_through(
    moves: list[tuple[int, str]], unit: str, align: str, day: int, *, stated: bool
) -> None:
    acme = world(align, unit, stated=stated)
    acme.start(f"2024-01-{day:02}")
    for offset, zone in sorted(moves):
        moment = datetime.fromordinal(instant("2024-01-15").toordinal() + offset).date().isoformat()
        acme.record("customer.updated", moment, {"customer": "c1", "timezone": zone})
    found = spans(acme, "2024-12-31")
    assert found[0][0] == f"2024-01-{day:02}T00:00:00Z"
    for (_, end), (start, _) in itertools.pairwise(found):
        assert start == end


def two_plans() -> World:
    """A customer who moves from UTC to New York on 1 February and may change the plan for another."""
    monthly = {"period": {"align": "calendar"}, "fees": PLAN["fees"]}
    acme = World({"plans": [{"key": key} | monthly for key in ("pro", "max")]})
    acme.record("customer.created", "2024-01-01", {"customer": "c1", "timezone": "UTC"})
    acme.start("2024-01-01")
    acme.record("customer.updated", "2024-01-20", {"customer": "c1", "timezone": "America/New_York"})
    return acme


def plans(acme: World) -> list[tuple[str, datetime]]:
    return acme.timeline().segments.select("plan", "from").rows()


def test_a_change_planned_after_a_move_waits_for_the_end_that_the_new_zone_draws() -> None:
    acme = two_plans()
    acme.record("subscription.changed", "2024-02-10", {"subscription": "s1", "plan": "max", "effective": "period_end"})
    february, march = instant("2024-02-01"), instant("2024-03-01T05:00:00+00:00")
    assert plans(acme) == [("pro", instant("2024-01-01")), ("pro", february), ("max", march)]
    assert spans(acme, "2024-04-02") == [
        ("2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z"),
        ("2024-02-01T00:00:00Z", "2024-03-01T05:00:00Z"),
        ("2024-03-01T05:00:00Z", "2024-04-01T04:00:00Z"),
    ]


def test_a_change_planned_before_the_move_takes_effect_waits_for_the_end_of_the_running_period() -> None:
    acme = two_plans()
    acme.record("subscription.changed", "2024-01-25", {"subscription": "s1", "plan": "max", "effective": "period_end"})
    assert plans(acme) == [("pro", instant("2024-01-01")), ("max", instant("2024-02-01"))]


def test_changes_planned_in_every_zone_of_a_customer_s_journey_each_wait_for_the_end_drawn_there() -> None:
    acme = two_plans()
    acme.record("subscription.changed", "2024-02-10", {"subscription": "s1", "plan": "max", "effective": "period_end"})
    acme.record("customer.updated", "2024-03-20", {"customer": "c1", "timezone": "Asia/Tokyo"})
    acme.record("subscription.changed", "2024-04-10", {"subscription": "s1", "plan": "pro", "effective": "period_end"})
    assert plans(acme)[2:] == [
        ("max", instant("2024-03-01T05:00:00+00:00")),
        ("max", instant("2024-04-01T04:00:00+00:00")),
        ("pro", instant("2024-04-30T15:00:00+00:00")),
    ]


@law(25)
@given(
    changes=st.lists(
        st.tuples(st.integers(1, 25), st.sampled_from(("pro", "max", "UTC", "America/New_York", "Asia/Tokyo"))),
        min_size=2,
        max_size=6,
    ),
    align=st.sampled_from(["calendar", "anniversary"]),
)
def test_changes_at_a_period_s_end_cut_no_period_whatever_zones_a_customer_moves_through(
    changes: list[tuple[int, str]], align: str
) -> None:
    monthly = {"period": {"align": align}, "fees": PLAN["fees"]}
    acme = World({"plans": [{"key": key} | monthly for key in ("pro", "max")]})
    acme.record("customer.created", "2024-01-01", {"customer": "c1", "timezone": "UTC"})
    acme.start("2024-01-01")
    moment = datetime(2024, 1, 2, 12, tzinfo=UTC)
    for days, word in changes:
        moment += timedelta(days=days)
        if word in {"pro", "max"}:
            change = {"subscription": "s1", "plan": word, "effective": "period_end"}
            acme.record("subscription.changed", moment.isoformat(), change)
        else:
            acme.record("customer.updated", moment.isoformat(), {"customer": "c1", "timezone": word})
    documents = acme.documents("2024-01-01", (moment + timedelta(days=70)).date().isoformat())
    assert all(amounts(document) == [("base", "30.00")] for document in documents)
