"""What a subscription goes through in its life, and that every day of it is paid once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import law
from tests.support.ledger import World, amounts

MONTH = {"unit": "month", "align": "calendar"}
PERIODS = (
    MONTH,
    {"unit": "month", "align": "anniversary"},
    {"unit": "week", "align": "calendar"},
    {"unit": "quarter", "align": "calendar"},
    {"unit": "year", "align": "anniversary"},
    {"every": 10, "unit": "day", "align": "anniversary"},
)
ZONES = ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")


def plan(key: str, amount: str, period: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"key": key, "period": period, "fees": [{"key": "base", "amount": amount}]} | more


def world(*plans: dict[str, Any]) -> World:
    return World({"currency": "USD", "plans": list(plans)})


def billed(acme: World) -> list[tuple[str, list[str]]]:
    """Each invoice of the year: the day on which it is issued, one after its close, and its amounts in order."""
    documents = acme.documents("2023-01-01", "2024-01-02")
    return [(document["issued_on"], [amount for _, amount in amounts(document)]) for document in documents]


def test_a_pause_that_outlasts_the_trial_is_paid_from_its_end_and_once() -> None:
    acme = world(plan("pro", "28", MONTH, trial={"days": 7}))
    acme.start("2023-02-01")
    acme.record("subscription.paused", "2023-02-05", {"subscription": "s1"})
    acme.record("subscription.resumed", "2023-02-15", {"subscription": "s1"})
    acme.record("subscription.ended", "2023-03-01", {"subscription": "s1"})
    assert billed(acme) == [("2023-02-16", ["14.00"]), ("2023-03-02", [])]


def test_a_pause_over_whole_periods_is_not_paid_and_the_period_in_which_it_ends_is() -> None:
    acme = world(plan("pro", "31", MONTH))
    acme.start("2023-01-01")
    acme.record("subscription.paused", "2023-01-11", {"subscription": "s1"})
    acme.record("subscription.resumed", "2023-03-01", {"subscription": "s1"})
    acme.record("subscription.ended", "2023-04-01", {"subscription": "s1"})
    assert billed(acme) == [
        ("2023-01-02", ["31.00"]),
        ("2023-02-02", ["-21.00"]),
        ("2023-04-02", ["31.00"]),
    ]


def test_a_commitment_counts_the_fees_of_a_period_that_began_with_the_end_of_a_pause_once() -> None:
    acme = world(plan("pro", "31", MONTH, commitment={"minimum": "50"}))
    acme.start("2023-01-01")
    acme.record("subscription.paused", "2023-02-01", {"subscription": "s1"})
    acme.record("subscription.resumed", "2023-03-01", {"subscription": "s1"})
    acme.record("subscription.ended", "2023-04-01", {"subscription": "s1"})
    assert billed(acme) == [
        ("2023-01-02", ["31.00"]),
        ("2023-02-02", ["19.00"]),
        ("2023-04-02", ["31.00", "19.00"]),
    ]


def test_a_commitment_counts_a_fee_in_advance_less_what_the_end_gives_back_of_it() -> None:
    acme = world(plan("pro", "31", MONTH, commitment={"minimum": "62"}))
    acme.start("2023-01-01")
    acme.record("subscription.ended", "2023-01-11", {"subscription": "s1"})
    # 10 of 31 days: 20 are committed, and 10 of the fee stay.
    assert billed(acme) == [("2023-01-02", ["31.00"]), ("2023-01-12", ["-21.00", "10.00"])]


def test_a_change_to_a_plan_with_other_periods_closes_the_running_one() -> None:
    acme = world(plan("pro", "31", MONTH), plan("annual", "365", {"unit": "year", "align": "calendar"}))
    acme.start("2023-01-01")
    acme.record("subscription.changed", "2023-01-11", {"subscription": "s1", "plan": "annual"})
    assert billed(acme) == [
        ("2023-01-02", ["31.00"]),
        ("2023-01-12", ["355.00", "-21.00"]),
        ("2024-01-02", ["365.00"]),
    ]


def test_a_change_to_a_plan_with_shorter_periods_gives_the_rest_of_the_long_one_back_once() -> None:
    acme = world(plan("pro", "365", {"unit": "year", "align": "calendar"}), plan("monthly", "31", MONTH))
    acme.start("2023-01-01")
    acme.record("subscription.changed", "2023-01-11", {"subscription": "s1", "plan": "monthly"})
    acme.record("subscription.ended", "2023-02-01", {"subscription": "s1"})
    assert billed(acme) == [("2023-01-02", ["365.00"]), ("2023-01-12", ["21.00", "-355.00"]), ("2023-02-02", [])]


def test_a_fee_in_advance_of_the_first_period_in_another_zone_is_a_whole_one() -> None:
    acme = world(plan("pro", "31", MONTH))
    acme.record("customer.created", "2023-01-01", {"customer": "c1", "timezone": "Australia/Lord_Howe"})
    acme.start("2023-09-30T13:30:00+00:00")
    acme.record("customer.updated", "2023-10-10", {"customer": "c1", "timezone": "Asia/Kolkata"})
    acme.record("subscription.ended", "2023-11-30T18:30:00+00:00", {"subscription": "s1"})
    assert [amounts for _, amounts in billed(acme)] == [["31.00"], ["31.00"], []]


def test_seats_that_are_added_now_are_paid_on_the_plan_that_stays_planned() -> None:
    fee = {"key": "seats", "unit_amount": "10", "quantity": 4}
    acme = world(*({"key": key, "period": MONTH, "fees": [fee | {"unit_amount": price}]}
                   for key, price in (("pro", "28"), ("max", "31"))))  # fmt: skip
    acme.start("2023-02-01")
    acme.record("subscription.changed", "2023-02-05", {"subscription": "s1", "plan": "max", "effective": "period_end"})
    acme.record("subscription.changed", "2023-02-15", {"subscription": "s1", "quantities": {"seats": 6}})
    assert billed(acme)[:3] == [
        ("2023-02-02", ["112.00"]),
        ("2023-03-02", ["84.00", "-56.00", "186.00"]),
        ("2023-04-02", ["186.00"]),
    ]


TIMINGS = ("in_advance", "in_arrears")
CHANGES = st.tuples(
    st.fixed_dictionaries({"effective": st.sampled_from(["now", "period_end"])}),
    st.sampled_from([{"plan": "pro"}, {"plan": "max"}, {}]),
    st.sampled_from([{}, *({"quantities": dict.fromkeys(TIMINGS, number)} for number in (0, 2, 7))]),
).map(lambda parts: parts[0] | parts[1] | parts[2])


@st.composite
def lives(draw: Any) -> World:
    """A subscription on two plans, whose fees in advance and in arrears are the same, through changes and pauses."""
    plans = []
    for key in ("pro", "max"):
        amount = f"{draw(st.integers(1, 90_000)) / 100:.2f}"
        fees = [{"key": timing, "unit_amount": amount, "timing": timing} for timing in TIMINGS]
        trial = {"trial": {"days": draw(st.sampled_from([7, 40]))}} if draw(st.booleans()) else {}
        plans.append({"key": key, "period": draw(st.sampled_from(PERIODS)), "fees": fees} | trial)
    acme = world(*plans)
    moment, paused = datetime(2023, 1, draw(st.integers(1, 31)), tzinfo=UTC), False
    acme.start(moment.isoformat())
    for day in ("2023-01-01", *draw(st.sets(st.dates(date(2023, 2, 1), date(2023, 9, 1)).map(str), max_size=2))):
        acme.record("customer.updated", day, {"customer": "c1", "timezone": draw(st.sampled_from(ZONES))})
    for _ in range(draw(st.integers(0, 5))):
        moment += timedelta(hours=draw(st.integers(1, 1_200)) if draw(st.booleans()) else 24 * draw(st.integers(1, 50)))
        kind = draw(st.sampled_from(["changed", "resumed" if paused else "paused"]))
        paused = paused != (kind != "changed")
        data = draw(CHANGES) if kind == "changed" else {}
        acme.record(f"subscription.{kind}", moment.isoformat(), {"subscription": "s1"} | data)
    moment += timedelta(days=draw(st.integers(1, 60)))
    acme.record("subscription.ended", moment.isoformat(), {"subscription": "s1"})
    return acme


@law(40)
@given(lives())
def test_what_is_paid_in_advance_comes_to_what_would_be_paid_in_arrears(acme: World) -> None:
    lines = [line for document in acme.documents("2023-01-01", "2026-01-01") for line in document["lines"]]
    sums = {timing: sum(Decimal(line["amount"]) for line in lines if line["key"] == timing) for timing in TIMINGS}
    # Each line is rounded by itself, by half a cent at most.
    assert abs(sums["in_advance"] - sums["in_arrears"]) <= Decimal("0.005") * len(lines)
