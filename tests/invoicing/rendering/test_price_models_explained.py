"""Every price model and option of the catalog as ``valueverse explain`` words it, on lines that the engine billed."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, get_args

import polars as pl
import pytest

from tests.support.ledger import World, instant
from valueverse.catalog import amount_meter_key, parse_pricing
from valueverse.catalog.prices import PriceModel
from valueverse.invoicing import build_billing_context, line_buckets, line_quantities, plan_at
from valueverse.invoicing.rendering import (
    ExplainedInvoice,
    ExplainedLine,
    LineFacts,
    LocaleFormats,
    QuantityPart,
    build_invoice_documents,
)
from valueverse.invoicing.rendering.explanation.price_sentences import PriceSentences
from valueverse.schemas.invoicing import INVOICE

TIERS = [{"up_to": "1000", "unit": "0.01"}, {"up_to": None, "unit": "0.005", "flat": "1"}]
ENTERED = "the fixed amount of a tier is due once it is entered"
GRADUATED = "graduated, each tier prices the units inside it"
RATED = "graduated percentage, each tier has a rate for the part of the amount inside it"
WHOLE = "volume, the tier that the whole quantity falls into prices all of it"

CASES: dict[str, tuple[str, dict[str, Any], list[str], str, list[tuple[str, str]]]] = {
    "standard": (
        "standard", {"unit": "0.002"}, ["1500"],
        "standard, 0.002 USD for each unit",
        [("1,500 at 0.002 each", "3.00 USD")],
    ),
    "graduated": (
        "graduated", {"tiers": TIERS}, ["1500"],
        f"{GRADUATED}; {ENTERED}",
        [("0 to 1,000 at 0.01 each", "10.00 USD"), ("1,000 to 1,500 at 0.005 each, plus 1.00", "3.50 USD")],
    ),
    "graduated with a first flat": (
        "graduated", {"tiers": [{"up_to": None, "unit": "0.0125", "flat": "2"}], "bill_flat_at_zero": False}, ["1"],
        f"{GRADUATED}; {ENTERED}; that of the first one not without usage",
        [("0 to 1 at 0.0125 each, plus 2.00", "2.0125 USD")],
    ),
    "graduated by blocks": (
        "graduated",
        {"tiers": [{"up_to": "1000", "unit": "5", "per": "400"}, {"up_to": None, "unit": "2", "per": "1000"}]},
        ["1500"],
        GRADUATED,
        [
            ("0 to 1,000: 3 started blocks of 400 at 5.00 each", "15.00 USD"),
            ("1,000 to 1,500: 1 started block of 1,000 at 2.00 each", "2.00 USD"),
        ],
    ),
    "graduated with caps": (
        "graduated",
        {
            "tiers": [
                {"up_to": "1000", "unit": "0.1", "cap": "40"},
                {"up_to": None, "unit": "2", "per": "100", "cap": "9"},
            ]
        },
        ["1500"],
        GRADUATED,
        [
            ("0 to 1,000 at 0.10 each, cut to 40.00", "40.00 USD"),
            ("1,000 to 1,500: started blocks of 100 at 2.00 each, cut to 9.00", "9.00 USD"),
        ],
    ),
    "graduated below a cap": (
        "graduated", {"tiers": [{"up_to": None, "unit": "0.1", "cap": "400"}]}, ["1500"],
        GRADUATED,
        [("0 to 1,500 at 0.10 each, at most 400.00", "150.00 USD")],
    ),
    "volume": (
        "volume",
        {
            "tiers": [{"up_to": "1000", "unit": "0.01", "flat": "3"}, {"up_to": None, "unit": "0.005"}],
            "bill_flat_at_zero": True,
        },
        ["1500"],
        f"{WHOLE}; {ENTERED}; that of the first one also without usage",
        [("all 1,500 at 0.005 each", "7.50 USD")],
    ),
    "volume by blocks": (
        "volume", {"tiers": [{"up_to": "10", "unit": "1"}, {"up_to": None, "unit": "2", "per": "1000"}]}, ["1500"],
        WHOLE,
        [("all 1,500: 2 started blocks of 1,000 at 2.00 each", "4.00 USD")],
    ),
    "package": (
        "package", {"size": "1000", "amount": "10", "free": "50"}, ["2500"],
        "package, 10.00 USD for each started package of 1,000; the first 50 units are free",
        [("3 packages of 1,000 at 10.00 each", "30.00 USD")],
    ),
    "package of full ones": (
        "package", {"size": "1000", "amount": "10.5", "round": "down"}, ["1500"],
        "package, 10.50 USD for each full package of 1,000",
        [("1 package of 1,000 at 10.50 each", "10.50 USD")],
    ),
    "percentage": (
        "percentage", {"rate": "1.3"}, ["100", "150.75"],
        "percentage, 1.3 % of the value",
        [("2 events: 1.3 % of 250.75", "3.25975 USD")],
    ),
    "percentage by event": (
        "percentage",
        {
            "rate": "1.3", "fixed": "0.25", "free_events": 3, "free_amount": "5", "min_per_event": "1",
            "max_per_event": "9",
        },
        ["2", "2", "3", "100", "1000"],
        (
            "percentage, 1.3 % of each event's value, plus 0.25 USD for each event, at least 1.00 USD an event, "
            "at most 9.00 USD an event; the first 3 events cost nothing while their values come to at most 5 in "
            "all, the event that takes them past 5 pays the rate of the part above it, and whichever ends first "
            "ends both"
        ),
        [
            ("2 events free, of 4", "0.000 USD"),
            ("3 events: 1.3 % of 1,102", "14.326 USD"),
            ("3 events: 0.25 each", "0.750 USD"),
            ("1 event raised to 1.00 each", "0.724 USD"),
            ("1 event cut to 9.00 each", "\u22124.250 USD"),
        ],
    ),
    "percentage with free events": (
        "percentage", {"rate": "10", "free_events": 1}, ["7", "9"],
        "percentage, 10 % of each event's value; the first event costs nothing",
        [("1 event free, of 7", "0.00 USD"), ("1 event: 10 % of 9", "0.90 USD")],
    ),
    "percentage with a free amount": (
        "percentage", {"rate": "10", "free_amount": "1000"}, ["700", "900"],
        (
            "percentage, 10 % of each event's value; events cost nothing while their values come to at most 1,000 in "
            "all, the event that takes them past 1,000 pays the rate of the part above it"
        ),
        [("1 event free, of 700", "0.00 USD"), ("1 event: 10 % of 600", "60.00 USD")],
    ),
    "graduated percentage": (
        "graduated_percentage",
        {"tiers": [{"up_to": "1000", "rate": "10"}, {"up_to": None, "rate": "2.5", "flat": "1"}]},
        ["1500"],
        f"{RATED}; {ENTERED}",
        [("0 to 1,000 at 10 %", "100.00 USD"), ("1,000 to 1,500 at 2.5 %, plus 1.00", "13.50 USD")],
    ),
    "matrix": (
        "matrix",
        {
            "dimensions": ["region", "size"],
            "cells": [{"region": region, "size": "s", "unit": "0.5"} for region in ("eu", "us")],
            "default_unit": "2",
        },
        ["3"],
        (
            "matrix, a unit price by region and size (region eu, size s: 0.50 USD; region us, size s: 0.50 USD; "
            "else 2.00 USD)"
        ),
        [
            ("2 of region asia, size s at 2.00 each", "4.00 USD"),
            ("3 of region eu, size s at 0.50 each", "1.50 USD"),
            ("\N{MINUS SIGN}1 of region us, size s: 0 at 0.50 each", "0.00 USD"),
        ],
    ),
    "dynamic": (
        "dynamic", {"multiplier": "1.2"}, ["3"], "dynamic, the quantity times 1.2",
        [("3 times 1.2", "3.60 USD")],
    ),
    "dynamic by event": (
        "dynamic", {"amount": "cost"}, ["3"], "dynamic, the amount that each event carries in 'cost'",
        [("'cost' of 1 event", "7.25 USD")],
    ),
    "capacity": (
        "capacity", {"tiers": [{"limits": {"seats": "10"}, "amount": "100"}, {"amount": "500"}]}, [],
        "capacity, the lowest tier all of whose limits hold (up to 10 Desks: 100.00 USD; above: 500.00 USD)",
        [("above", "500.00 USD")],
    ),
    "bucketed": (
        "bucketed", {"every": "hour", "price": {"model": "standard", "unit": "3"}}, ["3"],
        "bucketed, each hour priced by itself and summed: standard, 3.00 USD for each unit",
        [("744 hours, 1 with usage", "9.00 USD")],
    ),
    "bucketed with commitments": (
        "bucketed",
        {
            "every": "day", "price": {"model": "graduated", "tiers": TIERS}, "commitment": "7",
            "overage_factor": "1.5", "true_up": True,
            "time_of_day": [
                {"from": "09:00", "to": "17:00", "price": {"model": "standard", "unit": "3"}},
                {"from": "17:00", "to": "18:00"},
                {"from": "18:00", "to": "20:00", "commitment": "8", "true_up": False},
                {"from": "20:00", "to": "24:00", "commitment": None},
            ],
        },
        ["2000"],
        (
            f"bucketed, each day priced by itself and summed: {GRADUATED}; {ENTERED} (up to 1,000: 0.01 USD each; "
            "above: 0.005 USD each, plus 1.00 USD); a commitment of 7.00 USD for each day, what is above it counts "
            "times 1.5, a day below it is raised to it; from 09:00 to 17:00 standard, 3.00 USD for each unit; from "
            "18:00 to 20:00 a commitment of 8.00 USD for each day, what is above it counts times 1.5, a day below it "
            "stays as it is; from 20:00 to 24:00 no commitment"
        ),
        [
            ("31 days, 1 with usage", "16.00 USD"),
            ("1 day above the commitment", "4.50 USD"),
            ("30 days raised to the commitment", "210.00 USD"),
        ],
    ),
    "formula": (
        "formula", {"amount": "max(quantity - 5, 0) * 0.3"}, ["15"],
        "formula, max(quantity - 5, 0) * 0.3 of the priced quantity",
        [("max(quantity - 5, 0) * 0.3 with quantity 15", "3.00 USD")],
    ),
}  # fmt: skip
OUTCOMES = {
    "cumulative": (
        {"share": "0.2"},
        (
            "outcome, 20 % of 'benefit' of the value model 'saved', by the month; worked out from the beginning on, "
            "less what was billed before; 30 days to dispute it; nothing is given back"
        ),
    ),
    "by itself": (
        {
            "share": "0.125", "floor": "10 USD", "cap": "1000 USD", "period": "quarter", "true_up": "none",
            "dispute_days": 10, "refund": True,
        },
        (
            "outcome, 12.5 % of 'benefit' of the value model 'saved', by the quarter; at least 10 USD; at most 1000 "
            "USD; each quarter by itself; 10 days to dispute it; given back"
        ),
    ),
}  # fmt: skip


def key(case: str) -> str:
    return case.replace(" ", "_")


@pytest.fixture(scope="module")
def explained() -> dict[str, ExplainedLine]:
    """A line of each case, on one invoice."""
    meter: dict[str, Any] = {"aggregation": "sum", "value": "n", "dimensions": ["region", "size"]}
    meters = [{"key": key(case), "event_type": key(case)} | meter for case in CASES]
    meters.append({"key": "seats", "event_type": "seat", "aggregation": "max", "value": "n", "name": "Desks"})
    charges = [
        {"key": key(case), "price": {"model": model} | fields} | ({"meter": key(case)} if usage else {})
        for case, (model, fields, usage, *_) in CASES.items()
    ]
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": charges}
    world = World({"currency": "USD", "meters": meters, "plans": [plan]})
    world.start("2024-01-01")
    for region, value in (("asia", "2"), ("us", "-1")):
        world.use("2024-01-05", "matrix", value, dimensions=f'{{"region":"{region}","size":"s"}}')
    world.use("2024-01-05", amount_meter_key("dynamic_by_event", "cost"), "7.25")
    world.use("2024-01-05", "seats", "12")
    for case, (_, _, usage, *_) in CASES.items():
        for hour, value in enumerate(usage):
            world.use(f"2024-01-05T{hour:02}:00:00+00:00", key(case), value, dimensions='{"region":"eu","size":"s"}')
    billed = world.bill("2024-01-31", "2024-02-01")
    january = billed.invoices.filter(pl.col("period_from") == instant("2024-01-01"))
    (document,) = build_invoice_documents(january, billed.lines)
    context = build_billing_context(world.timeline(), world.history(), world.usage_frame().lazy(), None)
    priced = plan_at(context, "acme", "s1", instant("2024-01-05"))
    shown = ExplainedInvoice(document, {"meters": meters, "plans": [plan]}, ("UTC",))
    named = january.select(*INVOICE, pl.lit("i1").alias("invoice_id"))
    quantities = line_quantities(named, context)
    buckets: dict[str, list[tuple[Decimal, int | None]]] = {}
    for one, quantity, minute in line_buckets(named, context).select("key", "quantity", "minute").iter_rows():
        buckets.setdefault(one, []).append((quantity, minute))
    parts: dict[str, list[QuantityPart]] = {}
    for row in quantities.iter_rows(named=True):
        part = QuantityPart(row["meter"], json.loads(row["dimensions"] or "{}"), row["quantity"])
        parts.setdefault(row["key"], []).append(part)
    values = {key(case): [Decimal(one) for one in usage] for case, (_, _, usage, *_) in CASES.items()}
    facts = {one: LineFacts(priced, (31, 31), values[one], parts.get(one, ()), buckets.get(one, ())) for one in values}
    return {line["key"]: shown.line(line, facts[line["key"]]) for line in document["lines"]}


def test_a_price_of_several_meters_says_what_each_came_to(explained: dict[str, ExplainedLine]) -> None:
    assert explained["capacity"].sentences[0] == "12 Desks, from 1 event, 2024-01-01 to 2024-01-31."


def test_every_price_model_and_each_of_its_options_has_a_case() -> None:
    models = {get_args(one.model_fields["model"].annotation)[0]: one for one in get_args(get_args(PriceModel)[0])}
    cases = [(model, fields) for model, fields, *_ in CASES.values()]
    cases += [("outcome", {"value_model": "saved", "output": "benefit"} | fields) for fields, _ in OUTCOMES.values()]
    assert {model for model, _ in cases} == set(models)
    for name, model in models.items():
        stated = {field for one, fields in cases if one == name for field in fields}
        # ``meters`` of a capacity is what its limits name.
        assert set(model.model_fields) - {"model", "meters"} == stated, name
    tiers = [tier for _, fields in cases for tier in fields.get("tiers", ())]
    assert {"up_to", "unit", "flat", "per", "cap", "rate", "limits", "amount"} == {
        name for tier in tiers for name in tier
    }


@pytest.mark.parametrize("case", CASES)
def test_a_price_and_how_the_amount_adds_up_are_put_in_words(case: str, explained: dict[str, ExplainedLine]) -> None:
    *_, words, rows = CASES[case]
    line = explained[key(case)]
    assert line.sentences[-1] == f"Price of plan pro: {words}."
    assert line.tiers == rows
    if line.amount != "0.00 USD":
        amounts = [Decimal(amount.removesuffix(" USD").replace("\u2212", "-")) for _, amount in rows]
        assert round(sum(amounts), 2) == Decimal(line.amount.removesuffix(" USD"))
        assert len({amount.as_tuple().exponent for amount in amounts}) == 1, "one number of decimals per column"


@pytest.mark.parametrize("case", OUTCOMES)
def test_a_share_of_an_outcome_is_put_in_words(case: str) -> None:
    fields, words = OUTCOMES[case]
    price = parse_pricing({"price": {"model": "outcome", "value_model": "saved", "output": "benefit"} | fields}).price
    assert PriceSentences(LocaleFormats("en", "USD", ())).price(price, None) == words
