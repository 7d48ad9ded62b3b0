"""A customer's tax rate changes: each supply bears the one of its own time, also when it is corrected later."""

from __future__ import annotations

from tests.invoicing.test_corrections import Books, world
from tests.support.ledger import World, instant


def taxed() -> World:
    acme = world(unit="1")
    acme.tell("customer.created", "2024-01-01", {"customer": "c1", "name": "C", "tax_rates": ["7"]})
    acme.start("2024-01-01")
    acme.use("2024-01-05", "tokens", "100")
    return acme


def test_an_invoice_bears_the_rate_that_held_when_its_service_ended() -> None:
    acme = taxed()
    acme.tell("customer.updated", "2024-02-01", {"customer": "c1", "tax_rates": ["19"]})
    acme.use("2024-02-05", "tokens", "100")
    january, february = acme.documents("2024-01-01", "2024-03-01")
    assert (january["tax_total"], february["tax_total"]) == ("7.00", "19.00")


def test_a_fee_in_advance_bears_the_rate_that_holds_as_its_invoice_closes() -> None:
    acme = world(fees=[{"key": "platform", "amount": "100"}])
    acme.tell("customer.created", "2024-01-01", {"customer": "c1", "name": "C", "tax_rates": ["7"]})
    acme.start("2024-01-01")
    acme.tell("customer.updated", "2024-02-01", {"customer": "c1", "tax_rates": ["19"]})
    acme.tell("customer.updated", "2024-02-15", {"customer": "c1", "tax_rates": ["21"]})
    found = acme.documents("2024-01-01", "2024-03-01")
    assert [(one["issued_on"][:7], one["tax_total"]) for one in found] == [
        ("2024-01", "7.00"),
        ("2024-02", "19.00"),
        ("2024-03", "21.00"),
    ]


def test_a_correction_bears_the_tax_of_the_period_that_it_corrects() -> None:
    acme = taxed()
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-03")
    acme.tell("customer.updated", "2024-02-10", {"customer": "c1", "tax_rates": ["19"]})
    acme.use("2024-01-06", "tokens", "100", received_at=instant("2024-02-20"))
    acme.use("2024-02-21", "tokens", "100")
    billed = books.bill("2024-02-01", "2024-03-01", "2024-03-03")
    rows = billed.lines.sort("kind").select("kind", "amount_minor", "tax_minor").rows()
    assert rows == [("adjustment", 10000, 700), ("usage", 10000, 1900)]


def test_what_was_said_first_holds_before_anything_was_said() -> None:
    acme = world(unit="1")
    acme.start("2024-01-01")
    acme.use("2024-01-05", "tokens", "100")
    acme.tell("customer.created", "2024-03-01", {"customer": "c1", "name": "C", "tax_rates": ["7"]})
    (january,) = acme.documents("2024-01-01", "2024-02-01")
    assert january["tax_total"] == "7.00"
