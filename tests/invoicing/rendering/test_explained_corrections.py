"""A correction in sentences: what was billed, what is due as known now, and which events made the difference."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.invoicing.rendering.test_explained_lines import CHARGE, DOCUMENT, LINE, METERS, PLAN
from valueverse.catalog import parse_catalog
from valueverse.invoicing.rendering import (
    ChangedEvents,
    Correction,
    ExplainedInvoice,
    LineFacts,
    OtherLine,
    QuantityPart,
)

DECEMBER = datetime(2024, 12, 22, tzinfo=UTC)
CORRECTION = Correction(
    invoice="acme-000001", issued_on=date(2024, 2, 2), is_void=False, billed_on=["acme-000001"], billed="1234.50",
    due="1232.50", events=(1, 2), quantity=("1000", "1002"), tiers=(),
    changed=ChangedEvents({"late": 1}, DECEMBER, DECEMBER),
)  # fmt: skip
CHANGED = "Changes invoice acme-000001, issued 2024-02-02, for 2024-01-31."
AMOUNTS = (
    "Billed before: 1,234.50 USD (1,000 of 1 event). Due as known now: 1,232.50 USD (1,002 of 2 events). "
    "The difference is 2.00 USD less."
)


@pytest.mark.parametrize(
    ("facts", "line", "sentences"),
    [
        ({}, {}, [CHANGED, AMOUNTS, "1 event came late, received 2024-12-22T00:00:00Z."]),
        (
            {
                "changed": ChangedEvents(
                    {"late": 1200, "amended": 1, "voided": 2, "joined": 1, "left": 2},
                    DECEMBER,
                    DECEMBER.replace(day=24),
                ),
                "billed_on": ["acme-000001", "acme-000003"],
            },
            {"amount": "2.00"},
            [
                CHANGED,
                AMOUNTS.replace("before:", "before on acme-000001 and acme-000003:").replace("less", "more"),
                (
                    "1,200 events came late, 1 was amended, 2 were voided, 1 was counted elsewhere before, 2 are "
                    "counted elsewhere now, received 2024-12-22T00:00:00Z to 2024-12-24T00:00:00Z."
                ),
            ],
        ),
        (
            {
                "changed": ChangedEvents({}),
                "catalog": "0123456789abcdef",
                "causes": [("billing.subscription.changed", f"b{place}", DECEMBER) for place in range(5)],
            },
            {},
            [
                CHANGED,
                AMOUNTS,
                "None of its events came late, was amended or voided: what holds for it changed.",
                "It was re-rated under the catalog 01234567.",
                (
                    "Billing events received since: billing.subscription.changed 'b0' (2024-12-22T00:00:00Z), "
                    "billing.subscription.changed 'b1' (2024-12-22T00:00:00Z), "
                    "billing.subscription.changed 'b2' (2024-12-22T00:00:00Z), 2 more."
                ),
            ],
        ),
        (
            {"is_void": True},
            {},
            [CHANGED, "That invoice is void: what other invoices had billed of it is taken back.", AMOUNTS],
        ),
        (
            {"events": None, "quantity": None},
            {"meter": None, "quantity": None, "dimensions": None},
            [
                CHANGED,
                "Billed before: 1,234.50 USD. Due as known now: 1,232.50 USD. The difference is 2.00 USD less.",
                "It follows from what the other lines of that invoice come to.",
            ],
        ),
    ],
)  # fmt: skip
def test_a_correction_says_what_was_billed_what_is_due_and_why(
    facts: dict[str, Any], line: dict[str, Any], sentences: list[str]
) -> None:
    shown = ExplainedInvoice(DOCUMENT, None, ())
    found = shown.line(LINE | line, LineFacts(correction=replace(CORRECTION, **facts)))
    assert found.sentences == sentences
    assert found.tiers == []


MATRIX = {"model": "matrix", "dimensions": ["region"], "cells": [{"region": "eu", "unit": "0.5"}], "default_unit": "1"}
TEN_UP = {"divide_by": "10", "round": "up"}


def priced_by(price: dict[str, Any], **charge: Any) -> tuple[ExplainedInvoice, LineFacts]:
    """What explains lines of the charge ``calls`` with this price."""
    plan = {"key": "pro", "charges": [{"key": "calls", "meter": "calls", "price": price} | charge]}
    catalog = {"meters": [METERS[0] | {"unit": "calls"}, METERS[1]], "plans": [plan]}
    parsed = parse_catalog({"schema": "valueverse.catalog/v1"} | catalog)
    return ExplainedInvoice(DOCUMENT, catalog, ()), LineFacts(parsed.plans[0])


def parts_of(meter: str = "calls", **values: int) -> list[QuantityPart]:
    return [QuantityPart(meter, {"region": key}, Decimal(value)) for key, value in values.items()]


def test_units_of_several_meters_are_not_added_up() -> None:
    tiers = [{"limits": {"calls": "10", "seats": "5"}, "amount": "20"}, {"amount": "50"}]
    shown, facts = priced_by({"model": "capacity", "meters": ["calls", "seats"], "tiers": tiers})
    before, now = ([*parts_of(eu=one), *parts_of("seats", eu=6)] for one in (8, 10))
    correction = replace(CORRECTION, quantity=("14", "16"), events=(2, 3), parts=(before, now))
    found = shown.line(LINE, replace(facts, correction=correction)).sentences[1]
    assert "(8 calls and 6 seats of 2 events). Due as known now: 1,232.50 USD (10 calls and 6 seats of 3 ev" in found
    unknown = replace(facts, correction=replace(correction, parts=None))
    assert "Billed before: 1,234.50 USD (2 events). Due" in shown.line(LINE, unknown).sentences[1]
    usage = LINE | {"kind": "usage", "amount_precise": "50", "amount": "50.00", "quantity": "14"}
    earlier = OtherLine("acme-000001", "finalised", date(2024, 1, 2), "20.00", 3, Decimal(7))
    line = shown.line(usage, replace(facts, parts=before, before=[earlier]))
    assert line.sentences[0] == "8 calls and 6 seats, from 4 events, 2024-01-31."
    assert line.result[0] == "Less 20.00 USD that acme-000001 billed before at a threshold, for 3 events."


def test_combinations_that_are_rounded_by_themselves_are_shown_before_and_now() -> None:
    shown, facts = priced_by(MATRIX, convert=TEN_UP)
    parts = parts_of(eu=11, us=5), parts_of(eu=1, us=16)
    correction = replace(CORRECTION, billed="2.00", due="2.50", quantity=("2", "2"), parts=parts)
    line = shown.line(LINE, replace(facts, correction=correction))
    assert "2.00 USD (16 calls of 1 event). Due as known now: 2.50 USD (17 calls of 2 events)" in line.sentences[1]
    assert line.tiers == [
        ("before: 11 of region eu: 2 at 0.50 per 10 calls", "1.00 USD"),
        ("before: 5 of region us: 1 at 1.00 per 10 calls", "1.00 USD"),
        ("now: 1 of region eu: 1 at 0.50 per 10 calls", "0.50 USD"),
        ("now: 16 of region us: 2 at 1.00 per 10 calls", "2.00 USD"),
    ]
    dearer = replace(facts, correction=replace(correction, billed="3.00"))
    assert shown.line(LINE, dearer).tiers == [], "what was billed before was priced otherwise"


def test_a_correction_names_its_charge_counts_in_units_and_shows_tiers_before_and_now() -> None:
    catalog = {
        "meters": [METERS[0] | {"unit": "calls"}],
        "plans": [PLAN | {"charges": [CHARGE | {"name": "API calls"}]}],
    }
    shown = ExplainedInvoice(DOCUMENT, catalog, ())
    tier = {"from": "0", "to": "1000", "quantity": "1000", "unit": "0.01", "flat": "0", "amount": "10"}
    more = {"from": "1000", "to": None, "quantity": "2", "unit": "0.005", "flat": "1", "amount": "1.01"}
    other = {"from": "0", "to": "1000", "quantity": "1000", "unit": "0.0125", "flat": "0", "amount": "12.5"}
    plan = parse_catalog({"schema": "valueverse.catalog/v1", "meters": METERS, "plans": [PLAN]}).plans[0]
    facts = LineFacts(plan, correction=replace(CORRECTION, tiers=[other]))
    line = shown.line(LINE | {"tiers": [tier, more], "dimensions": None}, facts)
    assert line.title == "Correction of API calls: usage received, amended or voided since"
    assert "(1,000 calls of 1 event)" in line.sentences[1]
    assert line.tiers == [
        ("before: 0 to 1,000 at 0.0125 each", "12.50 USD"),
        ("now: 0 to 1,000 at 0.01 each", "10.00 USD"),
        ("now: 1,000 to 1,002 at 0.005 each, plus 1.00", "1.01 USD"),
    ]
    assert shown.line(LINE, LineFacts()).sentences == ["Changes what was billed for 2024-01-31."]
