"""An invoice's lines in sentences: the price in words, what is included, what came late, what others billed."""

from __future__ import annotations

from datetime import date
from typing import Any, get_args

import pytest

from tests.support.ledger import World, instant
from valueverse.catalog import parse_catalog, parse_pricing
from valueverse.catalog.prices import PriceModel
from valueverse.invoicing import build_billing_context, plan_at
from valueverse.invoicing.rendering import ExplainedInvoice, ExplainedLine, LineFacts, LocaleFormats, OtherLine
from valueverse.invoicing.rendering.price_sentences import PriceSentences

TIERS = [{"up_to": "1000", "unit": "0.01"}, {"up_to": None, "unit": "0.005", "flat": "1"}]
IN_WORDS = {
    "standard": ({"unit": "0.002"}, "standard, 0.002 USD for each unit"),
    "graduated": ({"tiers": TIERS}, "graduated, each tier prices the units inside it"),
    "volume": ({"tiers": TIERS}, "volume, the tier that the whole quantity falls into prices all of it"),
    "package": (
        {"size": "1000", "amount": "10", "free": "50"},
        "package, 10.00 USD for each started package of 1,000; the first 50 units are free",
    ),
    "percentage": (
        {
            "rate": "1.3",
            "fixed": "0.25",
            "free_events": 3,
            "free_amount": "5",
            "min_per_event": "1",
            "max_per_event": "9",
        },
        (
            "percentage, 1.3 % of the value, plus 0.25 USD for each event, at least 1.00 USD an event, "
            "at most 9.00 USD an event, the first 3 events are free, the first 5 of the value are free"
        ),
    ),
    "graduated_percentage": (
        {"tiers": [{"up_to": None, "rate": "2"}]},
        "graduated percentage, each tier has a rate for the part of the amount inside it",
    ),
    "matrix": (
        {
            "dimensions": ["region", "size"],
            "cells": [{"region": region, "size": "s", "unit": "0.5"} for region in ("eu", "us")],
            "default_unit": "2",
        },
        "matrix, a unit price by region and size (region eu, size s: 0.50 USD; else 2.00 USD)",
    ),
    "dynamic": ({"amount": "cost"}, "dynamic, the amount that each event carries in 'cost'"),
    "capacity": (
        {"tiers": [{"limits": {"seats": "10"}, "amount": "100"}, {"amount": "500"}]},
        "capacity, the lowest tier all of whose limits hold (up to 10 seats: 100.00 USD; above: 500.00 USD)",
    ),
    "bucketed": (
        {
            "every": "hour",
            "price": {"model": "standard", "unit": "3"},
            "commitment": "7",
            "overage_factor": "1.5",
            "time_of_day": [{"from": "09:00", "to": "17:00"}],
        },
        (
            "bucketed, each hour priced by itself and summed; each: standard, 3.00 USD for each unit; "
            "a commitment of 7.00 USD for each; what is above it times 1.5; other terms from 09:00 to 17:00"
        ),
    ),
    "formula": ({"amount": "max(quantity - 5, 0) * 0.3"}, "formula, max(quantity - 5, 0) * 0.3"),
    "outcome": (
        {"value_model": "saved", "output": "benefit", "share": "0.2"},
        "outcome, 20 % of 'benefit' of the value model 'saved'",
    ),
}


def sentences() -> PriceSentences:
    return PriceSentences(LocaleFormats("en", "USD", ()))


def test_every_price_model_has_its_words() -> None:
    models = {get_args(one.model_fields["model"].annotation)[0] for one in get_args(get_args(PriceModel)[0])}
    assert models == set(IN_WORDS)


@pytest.mark.parametrize("model", IN_WORDS)
def test_a_price_is_put_in_words(model: str) -> None:
    fields, words = IN_WORDS[model]
    charge = parse_pricing({"price": {"model": model} | fields})
    assert sentences().price(charge.price, {"region": "eu"}) == words


def test_a_multiplier_and_a_long_matrix_are_put_in_words() -> None:
    dynamic = parse_pricing({"price": {"model": "dynamic", "multiplier": "1.2"}})
    assert sentences().price(dynamic.price, None) == "dynamic, the quantity times 1.2"
    cells = [{"region": f"r{place}", "unit": "1"} for place in range(11)]
    matrix = parse_pricing({"price": {"model": "matrix", "dimensions": ["region"], "cells": cells}})
    assert sentences().price(matrix.price, None).endswith("region r7: 1.00 USD; 3 more)")


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        ("250", "1,000 are included, 250 of them are used; nothing is left to price."),
        ("2500", "1,000 are included, all of them are used; 1,500 are priced."),
        ("-1", "1,000 are included, 0 of them are used; nothing is left to price."),
        (None, "1,000 are included in all lines of this charge together; only what is above them is priced."),
    ],
)
def test_an_allowance_says_what_of_it_was_used(quantity: str | None, words: str) -> None:
    charge = parse_pricing({"included": "1000", "price": {"model": "standard", "unit": "1"}})
    assert sentences().included(charge, quantity) == words


def test_conversions_and_what_follows_the_price_are_stated_in_their_order() -> None:
    terms = {"discount_percent": "10", "minimum": "5", "maximum": "100", "price": {"model": "standard", "unit": "1"}}
    assert sentences().after_price(parse_pricing(terms)) == ["less 10 %", "at most 100.00 USD", "at least 5.00 USD"]
    for convert, words in (
        ({"divide_by": "1000", "round": "up"}, "One priced unit is 1,000 metered units, rounded up."),
        ({"multiply_by": "2.5"}, "Metered units are multiplied by 2.5."),
    ):
        assert sentences().conversion(parse_pricing(terms | {"convert": convert})) == words


REST = "2024-01-22 to 2024-01-31"
METERS = [
    {"key": "calls", "event_type": "used", "aggregation": "sum", "value": "n", "dimensions": ["region"]},
    {"key": "seats", "event_type": "used", "aggregation": "max", "value": "n"},
]
PLAN = {
    "key": "pro",
    "period": {"align": "calendar"},
    "commitment": {"minimum": "1000"},
    "fees": [
        {"key": "base", "amount": "31", "timing": "in_arrears"},
        {"key": "desk", "unit_amount": "10", "quantity": "2", "timing": "in_arrears"},
        {"key": "early", "amount": "62"},
    ],
    "charges": [
        {
            "key": "calls", "meter": "calls", "included": "200", "discount_percent": "10", "minimum": "5",
            "when": {"region": "eu"}, "price": {"model": "graduated", "tiers": TIERS},
        },
        {"key": "seats", "price": IN_WORDS["capacity"][0] | {"model": "capacity"}},
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
    early, later = (OtherLine(name, "draft", date(2024, 3, 1), "7.50") for name in ("acme-000001", None))
    facts = LineFacts(plan, late_events=1, before=[early], corrections=[later])
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
        "1,500.5: the sum of 'n' of 1 used event, 2024-01-22 to 2024-01-31.",
        "All of them arrived after the period had closed, in time to count.",
        "It takes events with region eu.",
        "200 are included in all lines of this charge together; only what is above them is priced.",
        "Price of plan pro: graduated, each tier prices the units inside it.",
    ]
    assert line.tiers == [
        ("0 to 1,000 at 0.01 each", "10.00 USD"),
        ("1,000 to 1,300.5 at 0.005 each, plus 1.00", "2.5025 USD"),
    ]
    assert line.result == [
        "After the price, in this order: less 10 %; at least 5.00 USD.",
        "Less 7.50 USD that acme-000001 billed before at a threshold.",
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
        f"Plan pro commits to at least 1,000.00 USD a period: what fees and charges lack of it, {REST}."
    ]
    assert explained["seats"].sentences[0] == "From 0 events of several meters, 2024-01-22 to 2024-01-31."


LINE = {
    "key": "calls", "kind": "adjustment", "description": "calls", "meter": "calls", "dimensions": {"region": "eu"},
    "service_period": {"from": "2024-01-31T00:00:00Z", "to": "2024-02-01T00:00:00Z"}, "quantity": "2", "tiers": [],
    "amount_precise": "-2", "amount": "-2.00", "event_count": 1, "explains": "1 events more than booked",
}  # fmt: skip
DOCUMENT = {"number": "acme-000002", "currency": "USD", "basis": {}}


def test_a_correction_names_the_invoice_that_it_changes() -> None:
    shown = ExplainedInvoice(DOCUMENT, None, ())
    corrected = OtherLine("acme-000001", "finalised", date(2024, 2, 2), "9.00")
    line = shown.line(LINE, LineFacts(corrected=corrected))
    assert (line.title, line.amount) == (
        "Correction of calls (region: eu): usage received, amended or voided since", "\u22122.00 USD",
    )  # fmt: skip
    assert line.sentences == [
        "Changes invoice acme-000001, issued 2024-02-02, for 2024-01-31.",
        "1 events more than booked.",
    ]
    alone = shown.line(LINE | {"explains": None}, LineFacts())
    assert alone.sentences == ["Changes what was billed for 2024-01-31."]


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
        {"key": "value", "price": IN_WORDS["outcome"][0] | {"model": "outcome"}},
    ]
    fee = {"key": "base", "amount": "31"}
    document: dict[str, Any] = {"schema": "valueverse.catalog/v1", "meters": METERS}
    catalog = parse_catalog(document | {"plans": [{"key": "pro", "fees": [fee], "charges": charges}]})
    shown, facts = ExplainedInvoice(DOCUMENT, None, ()), LineFacts(catalog.plans[0])
    given = shown.line(LINE | {"kind": "fee", "key": "base"}, facts)
    assert given.sentences[1] == "Billed before for days that the subscription did not use: given back."
    least = shown.line(LINE | {"kind": "minimum"}, facts)
    assert least.sentences == [
        "All lines of calls come to at least 5.00 USD a period: what they lack of it, 2024-01-31."
    ]
    value = shown.line(LINE | {"kind": "outcome", "key": "value", "explains": "a share"}, facts)
    assert value.sentences == [
        "For 2024-01-31.",
        "Price of plan pro: outcome, 20 % of 'benefit' of the value model 'saved'.",
        "A share.",
    ]
