"""Every price model through the engine: shared limits of split lines, carried amounts, buckets, capacities."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest

from tests.support.ledger import World, amounts, instant
from valueverse.invoicing import engine
from valueverse.invoicing.rendering.invoice_documents import build_invoice_documents
from valueverse.metering.usage import derive_usage
from valueverse.schemas.events import EVENTS
from valueverse.services.calculators.price import answer

TOKENS = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n", "dimensions": ["region"]}
SEATS = {"key": "seats", "event_type": "seat", "aggregation": "max", "value": "n"}
STANDARD = {"model": "standard", "unit": "1"}
GRADUATED = {"model": "graduated", "tiers": [{"up_to": "10", "unit": "2"}, {"up_to": None, "unit": "1"}]}


def world(*charges: dict[str, Any], **plan: Any) -> World:
    document = {"key": "pro", "period": {"align": "calendar"}, "charges": list(charges)} | plan
    return World({"meters": [TOKENS, SEATS], "plans": [document]})


def charge(**more: Any) -> dict[str, Any]:
    return {"key": "use", "meter": "tokens", "price": STANDARD} | more


def use(acme: World, value: str, region: str = "eu", time: str = "2024-01-05", **more: Any) -> None:
    acme.use(time, "tokens", value, dimensions=f'{{"region":"{region}"}}', **more)


def january(acme: World) -> dict[str, Any]:
    (document,) = acme.documents("2024-01-01", "2024-02-01")
    return document


def split(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [((line["dimensions"] or {}).get("region", line["kind"]), line["amount"]) for line in document["lines"]]


def test_included_units_of_a_split_charge_are_given_once_in_the_order_of_labels() -> None:
    acme = world(charge(split_by=["region"], included="10"))
    acme.start("2024-01-01")
    for region, value in (("us", "5"), ("eu", "7"), ("asia", "4")):
        use(acme, value, region)
    assert split(january(acme)) == [("asia", "0.00"), ("eu", "1.00"), ("us", "5.00")]


def test_a_maximum_of_a_split_charge_holds_over_its_lines_which_add_up_to_it() -> None:
    acme = world(charge(split_by=["region"], maximum="10"))
    acme.start("2024-01-01")
    for region in ("eu", "us", "asia"):
        use(acme, "50", region)
    found = january(acme)
    assert found["total"] == "10.00"
    assert sorted(amount for _, amount in split(found)) == ["3.33", "3.33", "3.34"]


def test_a_minimum_of_a_split_charge_is_made_up_by_a_line_of_its_own() -> None:
    acme = world(charge(split_by=["region"], minimum="31"))
    acme.start("2024-01-11")
    for region in ("eu", "us"):
        use(acme, "5.25", region, time="2024-01-12")
    found = january(acme)
    # 21 of 31 days: 21.00, less two times 5.25.
    assert split(found) == [("minimum", "10.50"), ("eu", "5.25"), ("us", "5.25")]
    assert found["lines"][0]["kind"] == "minimum"


def test_limits_that_do_not_bind_change_nothing() -> None:
    acme = world(charge(split_by=["region"], minimum="1", maximum="100"))
    acme.start("2024-01-01")
    use(acme, "5", "eu")
    assert split(january(acme)) == [("eu", "5.00")]


def test_each_value_of_a_split_walks_the_tiers_by_itself() -> None:
    acme = world(charge(split_by=["region"], price=GRADUATED))
    acme.start("2024-01-01")
    for region in ("eu", "us"):
        use(acme, "12", region)
    assert split(january(acme)) == [("eu", "22.00"), ("us", "22.00")]


def bucketed(**more: Any) -> dict[str, Any]:
    return charge(price={"model": "bucketed", "every": "hour", "price": GRADUATED} | more)


def test_each_hour_is_priced_by_itself_in_the_zone_of_the_subscription() -> None:
    acme = world(bucketed())
    acme.start("2024-01-01", timezone="Asia/Kolkata")
    # 10:25 and 10:35 UTC are 15:55 and 16:05 there: two hours, each in the first tier.
    for time in ("2024-01-05T10:25:00+00:00", "2024-01-05T10:35:00+00:00"):
        use(acme, "10", time=time)
    assert january(acme)["total"] == "40.00"


def test_every_bucket_of_the_period_owes_its_commitment() -> None:
    acme = world(bucketed(every="day", price=STANDARD, commitment="2", true_up=True))
    acme.start("2024-01-01")
    use(acme, "10")
    assert january(acme)["total"] == "70.00"


def test_buckets_by_time_of_day_know_short_days() -> None:
    night = {"from": "00:00", "to": "06:00", "price": {"model": "standard", "unit": "0.5"}}
    acme = world(bucketed(price=STANDARD, time_of_day=[night], commitment="1", true_up=True, overage_factor="2"))
    acme.start("2024-03-01T00:00:00+01:00", timezone="Europe/Berlin")
    use(acme, "10", time="2024-03-31T00:30:00+00:00")  # 01:30, at half the price: 1 + (5 - 1) x 2
    use(acme, "10", time="2024-03-31T05:30:00+00:00")  # 07:30 in summer time: 1 + (10 - 1) x 2
    (march,) = acme.documents("2024-03-02", "2024-04-01")
    hours = 31 * 24 - 1
    assert Decimal(march["total"]) == hours - 2 + 9 + 19


def test_buckets_of_a_meter_that_does_not_add_up_take_each_bucket_s_own_quantity() -> None:
    acme = world(charge(meter="seats", price={"model": "bucketed", "every": "day", "price": STANDARD}))
    acme.start("2024-01-01")
    for time, seats in (("2024-01-03T01:00:00+00:00", "3"), ("2024-01-03T05:00:00+00:00", "5"), ("2024-01-04", "2")):
        acme.use(time, "seats", seats)
    assert january(acme)["total"] == "7.00"


def capacity(**more: Any) -> dict[str, Any]:
    tiers = [
        {"limits": {"tokens": "100", "seats": "5"}, "amount": "10"},
        {"limits": {"tokens": "1000"}, "amount": "50"},
        {"amount": "200"},
    ]
    return {"key": "size", "price": {"model": "capacity", "tiers": tiers}} | more


@pytest.mark.parametrize(
    ("tokens", "seats", "amount"), [("100", "5", "10.00"), ("100", "6", "50.00"), ("1000.5", "1", "200.00")]
)
def test_a_capacity_is_the_lowest_tier_all_of_whose_limits_hold(tokens: str, seats: str, amount: str) -> None:
    acme = world(capacity())
    acme.start("2024-01-01")
    use(acme, tokens, "eu")
    acme.use("2024-01-06", "seats", seats)
    found = january(acme)
    assert amounts(found) == [("size", amount)]
    assert found["lines"][0]["event_count"] == 2


def test_a_capacity_without_usage_costs_its_lowest_tier() -> None:
    acme = world(capacity())
    acme.start("2024-01-01")
    assert january(acme)["total"] == "10.00"


def _across(first: dict[str, Any], second: dict[str, Any]) -> World:
    plans = [
        {"key": key, "period": {"align": "calendar"}, "charges": [one]}
        for key, one in (("pro", first), ("max", second))
    ]
    acme = World({"meters": [TOKENS, SEATS], "plans": plans})
    acme.start("2024-01-01")
    use(acme, "8", time="2024-01-05")
    acme.record("subscription.changed", "2024-01-11", {"subscription": "s1", "plan": "max"})
    use(acme, "8", time="2024-01-15")
    return acme


def test_tiers_restart_with_a_plan_change_unless_the_charge_runs_on() -> None:
    restarts, runs = charge(price=GRADUATED), charge(price=GRADUATED, across_segments=True)
    assert january(_across(restarts, restarts))["total"] == "32.00"
    # 2 units are left of the first tier, 6 lie in the second.
    assert amounts(january(_across(runs, runs))) == [("use", "16.00"), ("use", "10.00")]


def test_included_units_run_on_too_and_the_later_plan_s_price_holds() -> None:
    runs = charge(included="10", across_segments=True)
    dearer = runs | {"price": {"model": "standard", "unit": "3"}}
    assert amounts(january(_across(runs, dearer))) == [("use", "0.00"), ("use", "18.00")]


def test_usage_charged_in_advance_is_billed_with_the_period_that_it_fell_into() -> None:
    acme = world(charge(timing="in_advance"))
    acme.start("2024-01-01")
    use(acme, "5")
    assert january(acme)["total"] == "5.00"


def _carried(acme: World, events: list[tuple[str, str | None, str | None]]) -> dict[str, Any]:
    """The January invoice of raw events (region, n, cost), read from data by the catalog's own meters."""
    rows = [
        dict.fromkeys(EVENTS)
        | {
            "tenant": "acme", "source": "test", "id": str(number), "type": "used", "customer": "c1",
            "time": instant("2024-01-05"), "event_date": date(2024, 1, 5), "received_at": instant("2024-01-05"),
            "data": json.dumps({"region": region} | {k: v for k, v in {"n": n, "cost": cost}.items() if v is not None}),
        }
        for number, (region, n, cost) in enumerate(events)
    ]  # fmt: skip
    history = acme.history()
    usage = derive_usage(pl.DataFrame(rows, schema=EVENTS).lazy(), history).collect().lazy()
    window = (date(2024, 1, 1), date(2024, 2, 1))
    billed = engine.bill(acme.timeline(), history, usage, window, known_at=None)
    (document,) = build_invoice_documents(billed.invoices, billed.lines)
    return document


def test_a_dynamic_charge_bills_the_amounts_that_its_events_carry() -> None:
    dynamic = {"model": "dynamic", "amount": "cost"}
    acme = world(
        charge(price=dynamic, when={"region": "eu"}, discount_percent="10"),
        charge(key="rest", price=dynamic, split_by=["region"]),
    )
    acme.start("2024-01-01")
    events = [("eu", "1", "0.125"), ("eu", "2", "3"), ("us", "1", "7.5"), ("asia", "1", "0.01")]
    found = _carried(acme, [*events, ("us", "9", None)])
    assert [(line["key"], line["amount"], line["quantity"], line["event_count"]) for line in found["lines"]] == [
        ("use", "2.81", "3", 2),
        ("rest", "0.01", "1", 1),
        ("rest", "7.50", "10", 2),
    ]


def test_a_dynamic_charge_bills_no_amount_of_an_event_that_its_meter_does_not_count() -> None:
    acme = world(charge(price={"model": "dynamic", "amount": "cost"}))
    acme.start("2024-01-01")
    found = _carried(acme, [("eu", "1", "2.00"), ("eu", None, "100.00"), ("eu", "no number", "50.00")])
    (line,) = found["lines"]
    assert (line["amount"], line["quantity"], line["event_count"]) == ("2.00", "1", 1)


def test_a_meter_that_reads_the_amount_itself_leaves_events_without_it_out() -> None:
    acme = world(charge(price={"model": "dynamic", "amount": "cost"}))
    catalog = json.loads(acme.facts[0]["data"])
    catalog["meters"][0]["value"] = "cost"
    acme.facts[0]["data"] = json.dumps(catalog)
    acme.start("2024-01-01")
    (line,) = _carried(acme, [("eu", "1", "2.00"), ("eu", "9", None)])["lines"]
    assert (line["amount"], line["quantity"], line["event_count"]) == ("2.00", "2", 1)


def test_an_override_cannot_make_a_price_read_another_amount() -> None:
    acme = world(charge(price={"model": "dynamic", "amount": "cost"}))
    acme.start("2024-01-01", overrides={"charges": [{"key": "use", "price": {"model": "dynamic", "amount": "other"}}]})
    assert acme.bill("2024-01-01", "2024-02-01").problems["problem"].to_list() == ["bad_overrides"]


def test_an_outcome_charge_bills_nothing_without_an_approved_proposal() -> None:
    outcome = {"key": "won", "price": {"model": "outcome", "value_model": "m", "output": "x", "share": "0.25"}}
    acme = world(charge(), outcome)
    acme.start("2024-01-01")
    assert amounts(january(acme)) == [("use", "0.00")]


def test_an_outcome_charge_takes_no_usage_even_if_it_names_a_meter() -> None:
    outcome = {"key": "won", "price": {"model": "outcome", "value_model": "m", "output": "x", "share": "0.25"}}
    acme = world(charge(), outcome | {"meter": "tokens", "when": {"region": "eu"}})
    acme.start("2024-01-01")
    use(acme, "5")
    assert amounts(january(acme)) == [("use", "5.00")]


def test_charges_on_one_meter_prorate_each_by_its_own_rule() -> None:
    by_days = charge(key="days", when={"region": "eu"}, prorate="day", round_prorated=1)
    acme = world(by_days, charge())
    acme.start("2024-01-01")
    for region in ("eu", "us"):
        use(acme, "10", region, time="2024-01-17")
    # 15 of 31 days, both ends counted: 4.8387, rounded up at one place.
    assert amounts(january(acme)) == [("days", "4.90"), ("use", "10.00")]


def test_a_carried_over_level_prorates_only_what_was_added_in_the_period() -> None:
    acme = World(
        {
            "meters": [TOKENS | {"carry_over": True}],
            "plans": [{"key": "pro", "period": {"align": "calendar"}, "charges": [charge(prorate="day")]}],
        }
    )
    acme.start("2024-01-01")
    use(acme, "31", time="2024-01-31")
    use(acme, "29", time="2024-02-16")
    january, february = acme.documents("2024-01-02", "2024-03-01")
    # One of 31 days; then 31 whole and 14 of 29 days.
    assert (january["total"], february["total"]) == ("1.00", "45.00")


def test_conversion_included_and_negative_places_work_in_the_order_of_the_contract() -> None:
    acme = World(
        {
            "meters": [TOKENS | {"rounding": {"mode": "up", "places": -2}}],
            "plans": [
                {
                    "key": "pro",
                    "period": {"align": "calendar"},
                    "charges": [charge(convert={"divide_by": "1000", "round": "up"}, included="2")],
                }
            ],
        }
    )
    acme.start("2024-01-01")
    for value in ("3950", "51"):
        use(acme, value, value)
    found = january(acme)
    # 4001 -> 4100 at the meter -> 5 thousands started -> 3 beyond those included.
    assert (found["lines"][0]["quantity"], found["total"]) == ("5", "3.00")


def test_events_priced_one_by_one_belong_to_one_subscription_while_it_is_alone() -> None:
    acme = world(charge(price={"model": "percentage", "rate": "0", "fixed": "1"}))
    acme.start("2024-01-01")
    acme.start("2024-01-10", subscription="s2")
    use(acme, "5", time="2024-01-05")
    use(acme, "5", time="2024-01-15")
    use(acme, "5", time="2024-01-16", subscription="s1")
    found = acme.documents("2024-01-01", "2024-02-01")
    assert [document["total"] for document in found] == ["2.00", "0.00"]


def test_days_are_priced_by_the_tiers_that_their_units_fill_as_the_calculator_does() -> None:
    by_days = charge(price=GRADUATED, prorate="day")
    acme = world(by_days)
    acme.start("2024-01-01")
    events = [("8", "2024-01-01"), ("6", "2024-01-17"), ("-3", "2024-01-22")]
    for value, time in events:
        use(acme, value, time=time)
    # 8 and 2 of the 6 units lie in the first tier; the removal takes 3 of the 4 units above.
    exact = 2 * 8 + 2 * Fraction(2 * 15, 31) + Fraction(4 * 15, 31) - Fraction(3 * 10, 31)
    found = january(acme)
    assert Decimal(found["total"]) == round(Decimal(exact.numerator) / exact.denominator, 2)
    parts = ("8", "2.903225806451612903", "-0.967741935483870968")
    asked = [{"value": value, "prorated": part} for (value, _), part in zip(events, parts, strict=True)]
    (answered,) = answer([{"price": GRADUATED, "events": asked}])
    assert isinstance(answered, dict)
    assert answered["amount_rounded"] == found["total"]
