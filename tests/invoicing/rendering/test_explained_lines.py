"""An invoice's lines in sentences: the price in words, what is included, what came late, what others billed."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.support.ledger import World, instant
from valueverse.catalog import parse_catalog, parse_pricing
from valueverse.invoicing import build_billing_context, plan_at
from valueverse.invoicing.rendering import (
    ExplainedInvoice,
    ExplainedLine,
    LineFacts,
    LocaleFormats,
    OtherLine,
)
from valueverse.invoicing.rendering.explanation.charge_terms import ChargeTerms
from valueverse.invoicing.rendering.explanation.price_sentences import PriceSentences

TIERS = [{"up_to": "1000", "unit": "0.01"}, {"up_to": None, "unit": "0.005", "flat": "1"}]
CAPACITY = {"model": "capacity", "tiers": [{"limits": {"seats": "10"}, "amount": "100"}, {"amount": "500"}]}
OUTCOME = {"model": "outcome", "value_model": "saved", "output": "benefit", "share": "0.2"}
STANDARD = {"price": {"model": "standard", "unit": "1"}}
PRICES = PriceSentences(LocaleFormats("en", "USD", ()))
TERMS = ChargeTerms(PRICES)


def test_a_multiplier_and_a_long_matrix_are_put_in_words() -> None:
    cells = [{"region": f"r{place}", "unit": "1"} for place in range(11)]
    matrix = parse_pricing({"price": {"model": "matrix", "dimensions": ["region"], "cells": cells}})
    assert PRICES.price(matrix.price, None).endswith("region r7: 1.00 USD; 3 more)")
    assert PRICES.price(matrix.price, {"region": "r9"}).endswith("(region r9: 1.00 USD)")


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        ("250", "1,000 are included, 250 of them are used; nothing is left to price."),
        ("2500", "1,000 are included, all of them are used; 1,500 are priced."),
        ("-1", "1,000 are included, 0 of them are used; nothing is left to price."),
        ("1", "1,000 are included, 1 of them is used; nothing is left to price."),
        ("1001", "1,000 are included, all of them are used; 1 is priced."),
        (None, "1,000 are included in all lines of this charge together; only what is above them is priced."),
    ],
)
def test_an_allowance_says_what_of_it_was_used(quantity: str | None, words: str) -> None:
    charge = parse_pricing({"included": "1000"} | STANDARD)
    assert TERMS.included(charge, quantity, None) == words


@pytest.mark.parametrize(
    ("quantity", "taken", "words"),
    [
        ("250", "0", "250 of them went to this line; nothing is left to price."),
        ("2500", "0", "1,000 of them went to this line; 1,500 are priced."),
        ("2500", "600", "400 of them went to this line; 2,100 are priced."),
        ("2500", "1600", "0 of them went to this line; 2,500 are priced."),
    ],
)
def test_a_shared_allowance_says_what_of_it_went_to_the_line(quantity: str, taken: str, words: str) -> None:
    charge = parse_pricing({"included": "1000"} | STANDARD)
    found = TERMS.included(charge, quantity, Decimal(taken))
    assert found == f"1,000 are included in all lines of this charge together, {words}"


@pytest.mark.parametrize(
    ("convert", "words"),
    [
        ({"divide_by": "1000", "round": "up"}, "One priced unit is 1,000 metered units, rounded up to whole ones."),
        ({"divide_by": "1000", "round": "down"}, "One priced unit is 1,000 metered units, rounded down to whole ones."),
        ({"multiply_by": "2.5"}, "Metered units are multiplied by 2.5."),
        (
            {"multiply_by": "2.5", "round": "half_even"},
            "Metered units are multiplied by 2.5, rounded half to even, to whole ones.",
        ),
        ({"round": "half_up"}, "Metered units become priced ones as they are, rounded half up to whole ones."),
        ({"round": "none"}, None),
    ],
)
def test_conversions_are_put_in_words(convert: dict[str, str], words: str | None) -> None:
    assert TERMS.conversion(parse_pricing(STANDARD | {"convert": convert}), None) == words


def test_a_conversion_names_the_unit_of_its_meter() -> None:
    charge = parse_pricing(STANDARD | {"convert": {"divide_by": "1000"}})
    assert TERMS.conversion(charge, "tokens") == "One priced unit is 1,000 tokens."
    assert TERMS.conversion(parse_pricing(STANDARD), "tokens") is None


@pytest.mark.parametrize(
    ("quantity", "taken", "words"),
    [
        ("0", None, "1 is included, 0 of it is used; nothing is left to price."),
        ("1", None, "1 is included, 1 of it is used; nothing is left to price."),
        ("3", None, "1 is included, all of it is used; 2 are priced."),
        (None, None, "1 is included in all lines of this charge together; only what is above it is priced."),
        ("2", "0", "1 is included in all lines of this charge together, 1 of it went to this line; 1 is priced."),
    ],
)
def test_one_included_unit_is_stated_as_one(quantity: str | None, taken: str | None, words: str) -> None:
    charge = parse_pricing({"included": "1"} | STANDARD)
    assert TERMS.included(charge, quantity, None if taken is None else Decimal(taken)) == words


def test_one_of_a_thing_is_stated_as_one() -> None:
    package = {"model": "package", "amount": "1", "size": "10", "free": "1"}
    assert PRICES.price(parse_pricing({"price": package}).price, None).endswith("; the first unit is free")
    outcome = parse_pricing({"price": OUTCOME | {"dispute_days": 1}})
    assert "; 1 day to dispute it; " in PRICES.price(outcome.price, None)
    shown = ExplainedInvoice(DOCUMENT, {"meters": METERS}, ())
    for count, words in ((1, "It arrived"), (2, "All of them arrived")):
        line = shown.line(LINE | {"kind": "usage", "event_count": count}, LineFacts(late_events=count))
        assert line.sentences[1] == f"{words} after the period had closed, in time to count."


def test_what_follows_the_price_is_stated_in_its_order_and_by_the_days_of_a_part_of_a_period() -> None:
    terms = {"discount_percent": "10", "minimum": "5", "maximum": "100"} | STANDARD
    charge = parse_pricing(terms)
    whole = ["less 10 %", "at most 100.00 USD", "at least 5.00 USD"]
    assert TERMS.after_price(charge, LineFacts(), shared=False) == whole
    assert TERMS.after_price(charge, LineFacts(days=(31, 31)), shared=False) == whole
    later = TERMS.after_price(charge, LineFacts(ongoing=True), shared=False)
    assert later == [*whole[:2], "at least 5.00 USD, due only when the period ends"]
    assert TERMS.after_price(charge, LineFacts(days=(10, 30)), shared=False)[1:] == [
        "at most \u2248 33.333333 USD, for 10 of 30 days of 100.00 USD",
        "at least \u2248 1.666667 USD, for 10 of 30 days of 5.00 USD",
    ]
    assert TERMS.after_price(charge, LineFacts(), shared=True) == ["less 10 %"]


REST = "2024-01-22 to 2024-01-31"
METERS = [
    {"key": "calls", "event_type": "used", "aggregation": "sum", "value": "n", "dimensions": ["region"]},
    {"key": "seats", "event_type": "used", "aggregation": "max", "value": "n"},
]
CHARGE: dict[str, Any] = {
    "key": "calls", "meter": "calls", "included": "200", "discount_percent": "10", "minimum": "5",
    "when": {"region": "eu"}, "price": {"model": "graduated", "tiers": TIERS},
}  # fmt: skip
PLAN: dict[str, Any] = {
    "key": "pro",
    "period": {"align": "calendar"},
    "commitment": {"minimum": "1000"},
    "fees": [
        {"key": "base", "amount": "31", "timing": "in_arrears"},
        {"key": "desk", "unit_amount": "10", "quantity": "2", "timing": "in_arrears"},
        {"key": "early", "amount": "62"},
    ],
    "charges": [
        CHARGE,
        {"key": "seats", "price": CAPACITY},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def explained() -> dict[str, ExplainedLine]:
    """The lines of January's invoice of a subscription that began on January 22."""
    world = World({"currency": "USD", "meters": METERS, "plans": [PLAN]})
    world.start("2024-01-22")
    world.use("2024-01-25", "calls", "1500.5", dimensions='{"region":"eu"}')
    world.use("2024-01-26", "calls", "100", dimensions='{"region":"us"}')
    (document,) = (
        one for one in world.documents("2024-01-31", "2024-02-01") if one["period"]["from"][:10] == "2024-01-22"
    )
    context = build_billing_context(world.timeline(), world.history(), world.usage_frame().lazy(), None)
    plan = plan_at(context, "acme", "s1", instant("2024-01-22"))
    shown = ExplainedInvoice(document, {"meters": METERS, "plans": [PLAN]}, ("UTC",))
    assert shown.heading() == "draft: 364.58 USD for c1, 2024-01-22 to 2024-01-31, draft"
    assert shown.totals()[-1] == ("Amount due", f"{shown.money(document['amount_due'])}")
    assert "Rounding: half up, per line" in shown.basis()
    early, later = (
        OtherLine(name, "draft", date(2024, 3, 1), "7.50", 2, Decimal(30)) for name in ("acme-000001", None)
    )
    facts = LineFacts(plan, (10, 31), late_events=1, before=[early], in_parts=True, corrections=[later])
    return {one["key"]: shown.line(one, facts) for one in document["lines"]}


def test_a_subscription_is_on_no_plan_before_it_starts() -> None:
    world = World({"currency": "USD", "meters": METERS, "plans": [PLAN]})
    world.start("2024-01-22")
    context = build_billing_context(world.timeline(), world.history(), world.usage_frame().lazy(), None)
    assert plan_at(context, "acme", "s1", instant("2024-01-21")) is None
    assert plan_at(context, "other", "s1", instant("2024-01-23")) is None


def test_a_usage_line_says_what_was_counted_priced_and_billed_elsewhere(explained: dict[str, ExplainedLine]) -> None:
    line = explained["calls"]
    assert line.sentences == [
        "1,530.5: the sum of 'n' of 3 used events, 2024-01-22 to 2024-01-31.",
        "1 of them arrived after the period had closed, in time to count.",
        "It takes events with region eu.",
        "200 are included, all of them are used; 1,330.5 are priced.",
        (
            "Price of plan pro: graduated, each tier prices the units inside it; the fixed amount of a tier is due "
            "once it is entered."
        ),
    ]
    assert line.tiers == [
        ("0 to 1,000 at 0.01 each", "10.0000 USD"),
        ("1,000 to 1,300.5 at 0.005 each, plus 1.00", "2.5025 USD"),
    ]
    assert line.result == [
        "After the price, in this order: less 10 %; at least \u2248 1.612903 USD, for 10 of 31 days of 5.00 USD.",
        "Less 7.50 USD that acme-000001 billed before at a threshold, for 30 of 2 events.",
        "11.25225 USD before rounding: half up, per line.",
        "Changed since, by 7.50 USD: on a draft (draft, issued 2024-03-01).",
    ]


def test_fees_of_a_part_of_a_period_say_so(explained: dict[str, ExplainedLine]) -> None:
    assert explained["base"].title == "base fee (10 of 31 days)"
    assert explained["base"].sentences == [
        "Fee of plan pro: 31.00 USD a month, billed at the end of the period, for 2024-01-22 to 2024-01-31.",
        "The period is not whole: 10.00 USD of 31.00 USD, by the day.",
    ]
    assert explained["desk"].sentences[0].startswith("Fee of plan pro: 2 at 10.00 USD a month, billed at the end")
    assert explained["desk"].result[1] == "\u2248 6.451613 USD before rounding: half up, per line."
    assert explained["early"].sentences == [
        "Fee of plan pro: 62.00 USD a month, billed at the start of the period, for 2024-02-01 to 2024-02-29."
    ]


def test_a_commitment_and_a_price_by_several_meters_say_what_they_are(explained: dict[str, ExplainedLine]) -> None:
    assert explained["commitment"].sentences == [
        (
            "Plan pro commits to at least 1,000.00 USD a period, \u2248 322.580645 USD for 10 of 31 days. Its fees and "
            "charges come to 147.70 USD: this is what they lack of it."
        ),
        f"For {REST}.",
    ]
    assert explained["seats"].sentences[0] == "From 2 events of seats, 2024-01-22 to 2024-01-31."


LINE = {
    "key": "calls", "kind": "adjustment", "description": "calls", "meter": "calls", "dimensions": {"region": "eu"},
    "service_period": {"from": "2024-01-31T00:00:00Z", "to": "2024-02-01T00:00:00Z"}, "quantity": "2", "tiers": [],
    "amount_precise": "-2", "amount": "-2.00", "event_count": 1, "explains": "1 events more than booked",
}  # fmt: skip
DOCUMENT: dict[str, Any] = {"number": "acme-000002", "currency": "USD", "basis": {}, "lines": []}


def test_what_no_plan_prices_any_more_is_explained_without_a_price() -> None:
    shown = ExplainedInvoice(DOCUMENT, {"meters": METERS}, ())
    usage = LINE | {"kind": "usage", "amount_precise": "-2.001", "quantity": None, "meter": "seats"}
    found = shown.line(usage, LineFacts())
    assert found.sentences == ["The highest 'n' of 1 used event, 2024-01-31."]
    assert found.result == ["\u22122.001 USD before rounding: -, per line."]
    for kind in ("fee", "minimum", "one_off"):
        assert shown.line(LINE | {"kind": kind, "explains": None}, LineFacts()).sentences == ["For 2024-01-31."]


def test_a_given_back_fee_a_shared_minimum_and_an_outcome_name_their_plan() -> None:
    charges: list[dict[str, Any]] = [
        {
            "key": "calls",
            "meter": "calls",
            "split_by": ["region"],
            "minimum": "5",
            "price": {"model": "standard", "unit": "1"},
        },
        {"key": "value", "price": OUTCOME},
    ]
    fee = {"key": "base", "amount": "31"}
    document: dict[str, Any] = {"schema": "valueverse.catalog/v1", "meters": METERS}
    catalog = parse_catalog(document | {"plans": [{"key": "pro", "fees": [fee], "charges": charges}]})
    shown, facts = ExplainedInvoice(DOCUMENT, None, ()), LineFacts(catalog.plans[0])
    given = shown.line(LINE | {"kind": "fee", "key": "base"}, facts)
    assert given.sentences[1] == "It was billed before; the days on which the plan did not hold are given back."
    least = shown.line(LINE | {"kind": "minimum"}, facts)
    assert least.sentences == [
        "One minimum (5.00 USD) for all lines of calls together: this is what they lack of it.",
        "For 2024-01-31.",
    ]
    value = shown.line(LINE | {"kind": "outcome", "key": "value", "explains": "a share"}, facts)
    assert value.sentences == [
        "For 2024-01-31.",
        (
            "Price of plan pro: outcome, 20 % of 'benefit' of the value model 'saved', by the month; worked out from "
            "the beginning on, less what was billed before; 30 days to dispute it; nothing is given back."
        ),
        "A share.",
    ]


def test_limits_of_a_charge_with_several_lines_are_stated_once_with_what_the_lines_come_to() -> None:
    meter = {"key": "toks", "event_type": "used", "aggregation": "sum", "value": "n", "dimensions": ["region"]}
    shared = {"meter": "toks", "split_by": ["region"], "price": {"model": "standard", "unit": "0.01"}}
    charges = [
        {"key": "least", "name": "Tokens", "minimum": "50", "included": "200"} | shared | {"meter": "low"},
        {"key": "most", "maximum": "20", "minimum": "1"} | shared | {"meter": "high"},
        {"key": "both", "maximum": "20", "discount_percent": "50"} | shared | {"meter": "fits"},
    ]
    meters = [meter | {"key": one, "event_type": one} for one in ("low", "high", "fits")]
    plan = {"key": "pro", "name": "Pro", "period": {"align": "calendar"}, "charges": charges}
    world = World({"currency": "USD", "meters": meters, "plans": [plan]})
    world.start("2024-01-01")
    used = [("low", "eu", "150"), ("low", "us", "450"), ("high", "eu", "1000"), ("high", "us", "3000")]
    for one, region, value in [*used, ("fits", "eu", "100")]:
        world.use("2024-01-05", one, value, dimensions=f'{{"region":"{region}"}}')
    (document,) = (one for one in world.documents("2024-01-31", "2024-02-01") if one["period"]["from"][:7] == "2024-01")
    context = build_billing_context(world.timeline(), world.history(), world.usage_frame().lazy(), None)
    facts = LineFacts(plan_at(context, "acme", "s1", instant("2024-01-05")), (31, 31))
    shown = ExplainedInvoice(document, {"meters": meters, "plans": [plan]}, ("UTC",))
    found = [(one["key"], one["kind"], shown.line(one, facts)) for one in document["lines"]]
    of = {
        key: [line for one, kind, line in found if (one, kind) == (key, "usage")] for key in ("least", "most", "both")
    }
    included = "200 are included in all lines of this charge together"
    assert [line.sentences[2] for line in of["least"]] == [
        f"{included}, 150 of them went to this line; nothing is left to price.",
        f"{included}, 50 of them went to this line; 400 are priced.",
    ]
    least = "One minimum (50.00 USD) for all 2 lines of Tokens together, which come to 4.00 USD"
    assert [line.result for line in of["least"]] == [
        [f"{least}: a line of its own adds the 46.00 USD that they lack."]
    ] * 2
    (minimum,) = (line for _, kind, line in found if kind == "minimum")
    assert minimum.title == "Minimum of Tokens"
    assert minimum.sentences == [f"{least}: this is the 46.00 USD that they lack.", "For 2024-01-01 to 2024-01-31."]
    assert [line.amount for line in of["most"]] == ["5.00 USD", "15.00 USD"]
    most = "One maximum (20.00 USD) and one minimum (1.00 USD) for all 2 lines of most together, which come to"
    assert of["most"][0].result == [f"{most} 20.00 USD: what is above it was cut from each in proportion."]
    assert of["both"][0].result == [
        "After the price, in this order: less 50 %.",
        "One maximum (20.00 USD) for all lines of both together, which come to 0.50 USD.",
    ]
    assert of["both"][0].sentences[-1] == "Price of plan Pro: standard, 0.01 USD for each unit."
