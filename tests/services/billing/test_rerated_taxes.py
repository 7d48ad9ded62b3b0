"""Taxes of what a re-rating books: of a changed line, of a new one, and as billed where a line is gone."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.ledger import World, instant
from valueverse.catalog.document import parse_catalog
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.billing import rerate as rerating
from valueverse.services.billing.rerate import RerateRequest
from valueverse.services.billing.run_billing import bill
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, USAGE_TABLE

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
TAXES = [{"key": "vat", "percent": "19"}, {"key": "low", "percent": "7"}, {"key": "state", "percent": "4.5"}]


def catalog(**fees: str) -> dict[str, Any]:
    """Usage taxed at the plan's 19 %, fees in arrears: ``book`` at its own 7 %, others at the plan's."""
    listed = [
        {"key": key, "amount": amount, "timing": "in_arrears"} | ({"taxes": ["low"]} if key == "book" else {})
        for key, amount in fees.items()
    ]
    charge = {"key": "usage", "meter": "tokens", "price": {"model": "standard", "unit": "0.01"}}
    plan = {
        "key": "pro", "period": {"align": "calendar"}, "taxes": ["vat"], "fees": listed, "charges": [charge],
    }  # fmt: skip
    meter = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
    return {"currency": "USD", "meters": [meter], "plans": [plan], "taxes": TAXES}


def test_a_rerating_books_each_difference_with_the_tax_of_its_line(settings: Settings) -> None:
    world = World(catalog(base="10", book="20", gone="30"))
    world.record("customer.created", "2023-10-30", {"customer": "c1"})
    world.start("2023-11-01", ends_at="2023-12-01")
    world.use("2023-11-05", "tokens", "100")
    lake = Lake(settings.lake_url)
    lake.overwrite(BILLING_FACTS_TABLE, world.lake_facts())
    lake.overwrite(USAGE_TABLE, world.usage_frame())
    window, moment = (date(2023, 11, 1), date(2024, 1, 1)), instant("2023-12-20")
    bill(settings, lake, *window, as_of=moment, run_id="test")
    dearer = {"schema": "valueverse.catalog/v1"} | catalog(base="11", book="23", new="5")
    asked = RerateRequest(("acme",), *window, (), parse_catalog(json.dumps(dearer)))
    (shown, _) = rerating.plan(settings, lake, asked, as_of=moment)
    rerating.apply(settings, lake, shown, asked, as_of=moment)
    bill(settings, lake, *window, as_of=moment, run_id="test")
    with connect(settings, "builder") as connection:
        lines = connection.execute(
            "select l.key, l.amount_minor, l.tax_minor from billing.invoice_line l "
            "where l.corrected_invoice_id is not null "
            "order by l.key"
        ).fetchall()
        totals = connection.execute(
            "select subtotal_minor, tax_total_minor, total_minor from billing.invoice order by sequence nulls last"
        ).fetchall()
    assert lines == [("base", 100, 19), ("book", 300, 21), ("gone", -3000, -570), ("new", 500, 95)]
    assert totals == [(6100, 919, 7019), (-2100, -435, -2535)]
