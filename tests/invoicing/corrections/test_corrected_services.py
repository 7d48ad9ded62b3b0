"""A correction serves what it corrects: the fee of the period ahead, or the part of a period that changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tests.invoicing.corrections.test_corrections import Books, world
from tests.support.ledger import instant

if TYPE_CHECKING:
    from datetime import datetime

    from tests.support.ledger import World
    from valueverse.invoicing.engine import Billed

SEATS = [{"key": "seats", "unit_amount": "10", "quantity": 5}]


def served(billed: Billed) -> list[tuple[str, int, datetime, datetime]]:
    """Adjustments of a run: key, amount and service."""
    rows = billed.lines.filter(pl.col("kind") == "adjustment").sort("key", "service_from")
    return rows.select("key", "amount_minor", "service_from", "service_to").rows()


def seated() -> World:
    acme = world(fees=SEATS)
    acme.record("customer.created", "2024-01-01", {"customer": "c1", "name": "C", "tax_rates": ["7"]})
    acme.start("2024-01-01")
    return acme


def test_a_correction_of_a_fee_in_advance_serves_the_period_of_the_fee_and_has_its_tax() -> None:
    acme = seated()
    # The invoice that bills February's fee closes on 1 February, under the rate that begins then.
    acme.record("customer.updated", "2024-02-01", {"customer": "c1", "tax_rates": ["19"]})
    acme.record("customer.updated", "2024-02-20", {"customer": "c1", "tax_rates": ["21"]})
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-03")
    change = {"subscription": "s1", "quantities": {"seats": "7"}}
    acme.record("subscription.changed", "2024-02-01", change, received_at=instant("2024-02-25"))
    billed = books.bill("2024-02-01", "2024-03-01", "2024-03-03")
    assert served(billed) == [("seats", 2000, instant("2024-02-01"), instant("2024-03-01"))]
    line = billed.lines.filter(pl.col("kind") == "adjustment").row(0, named=True)
    assert line["tax_minor"] == 380
    assert "for 2024-02-01 to 2024-03-01: as known now" in line["description"]


def test_a_correction_of_the_first_fee_has_the_tax_of_its_invoice() -> None:
    acme = seated()
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-01-03")
    acme.record("customer.updated", "2024-01-15", {"customer": "c1", "tax_rates": ["19"]})
    change = {"subscription": "s1", "quantities": {"seats": "7"}}
    acme.record("subscription.changed", "2024-01-01", change, received_at=instant("2024-01-10"))
    billed = books.bill("2024-01-01", "2024-02-01", "2024-02-03")
    assert served(billed) == [("seats", 2000, instant("2024-01-01"), instant("2024-02-01"))]
    assert billed.lines.filter(pl.col("kind") == "adjustment")["tax_minor"].to_list() == [140]


def test_a_correction_of_usage_serves_the_segment_that_it_falls_into() -> None:
    acme = world(unit="1", fees=SEATS)
    acme.start("2024-01-01")
    change = {"subscription": "s1", "quantities": {"seats": "7"}}
    acme.record("subscription.changed", "2024-01-16", change)
    for used_on in ("2024-01-05", "2024-01-20"):
        acme.use(used_on, "tokens", "10")
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-03")
    acme.use("2024-01-06", "tokens", "4", received_at=instant("2024-02-20"))
    assert served(books.bill("2024-02-01", "2024-03-01", "2024-03-03")) == [
        ("tokens", 400, instant("2024-01-01"), instant("2024-01-16"))
    ]
    # What was booked since for that segment is none of what changes next.
    acme.use("2024-01-21", "tokens", "1", received_at=instant("2024-03-20"))
    assert served(books.bill("2024-03-01", "2024-04-01", "2024-04-03")) == [
        ("tokens", 100, instant("2024-01-16"), instant("2024-02-01"))
    ]


def test_a_correction_invoice_closes_with_the_invoice_that_it_corrects_whatever_its_lines_serve() -> None:
    acme = world(fees=[{"key": "base", "amount": "30"}])
    acme.start("2023-11-01")
    books = Books(acme)
    books.bill("2023-11-01", "2023-12-01", "2023-12-02")
    acme.record("subscription.ended", "2023-11-16", {"subscription": "s1"}, received_at=instant("2023-12-05"))
    closing = books.bill("2023-12-01", "2024-01-01", "2023-12-06")
    (invoice,) = closing.invoices.select("invoice_type", "period_from", "period_to", "issued_on").rows()
    assert invoice[:3] == ("correction", instant("2023-11-01"), instant("2023-12-01"))
    # The rest of November and all of December are given back.
    assert served(closing) == [("base", -4500, instant("2023-11-16"), instant("2024-01-01"))]
