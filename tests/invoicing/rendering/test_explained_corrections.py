"""A correction in sentences: what was billed, what is due as known now, and which events made the difference."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from tests.invoicing.rendering.test_explained_lines import CHARGE, DOCUMENT, LINE, METERS, PLAN
from valueverse.catalog import parse_catalog
from valueverse.invoicing.rendering import ChangedEvents, Correction, ExplainedInvoice, LineFacts

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
