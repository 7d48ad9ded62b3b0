"""Voids in runs in memory: what ``simulate --run-at`` repeats of a schedule of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.invoicing.corrections.test_corrections import Books, shown, world
from tests.support.ledger import instant

if TYPE_CHECKING:
    import polars as pl

LATE = instant("2024-02-10")
NOT_NUMBERED = (
    "no invoice 'acme-000009' had been finalised when this was received; if it is meant for a later one, send it under "
    "a new id"
)


def numbers(frame: pl.DataFrame) -> list[tuple[int, int]]:
    return frame.select("revision", "total_minor").rows()


def test_a_voided_invoice_is_billed_again_as_its_next_revision() -> None:
    acme = world(unit="1")
    acme.start("2024-01-01")
    acme.use("2024-01-05", "tokens", "30")
    books = Books(acme)
    assert numbers(books.bill("2024-01-01", "2024-02-01", "2024-02-02").invoices) == [(0, 3000)]
    acme.record("invoice.voided", "2024-02-10", {"invoice": "acme-000001", "reason": "wrong address"})
    assert numbers(books.bill("2024-01-01", "2024-02-01", "2024-02-11").invoices) == [(1, 3000)]
    assert books.bill("2024-01-01", "2024-02-01", "2024-02-12").invoices.is_empty()


def test_a_void_of_a_later_date_waits_for_it() -> None:
    acme = world(unit="1")
    acme.start("2024-01-01")
    acme.use("2024-01-05", "tokens", "30")
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    void = {"invoice": "acme-000001", "reason": "wrong address"}
    acme.record("invoice.voided", "2024-02-20", void, received_at=instant("2024-02-10"))
    assert books.bill("2024-01-01", "2024-02-01", "2024-02-19").invoices.is_empty()
    assert numbers(books.bill("2024-01-01", "2024-02-01", "2024-02-20").invoices) == [(1, 3000)]
    # Which number is meant is judged by when it was received.
    strange = {"invoice": "acme-000009", "reason": "wrong address"}
    acme.record("invoice.voided", "2024-09-01", strange, received_at=instant("2024-02-22"))
    assert books.bill("2024-01-01", "2024-02-01", "2024-02-23").rejected["reason"].to_list() == ["unknown_invoice"]


def test_what_corrected_a_voided_invoice_is_taken_back_and_its_money_is_free_again() -> None:
    """January: 30 of a wallet's 50; 4 of late usage on February's 10. After the void January's 34 are billed again and
    the 4 taken back, and the wallet has paid 44 in all."""
    acme = world(unit="1")
    acme.start("2024-01-01")
    wallet = {"customer": "c1", "wallet": "w", "amount": "50", "currency": "USD"}
    acme.record("wallet.purchased", "2024-01-01", wallet)
    acme.use("2024-01-05", "tokens", "30")
    acme.use("2024-02-05", "tokens", "10")
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    acme.use("2024-01-06", "tokens", "4", received_at=instant("2024-02-20"))
    second = books.bill("2024-02-01", "2024-03-01", "2024-03-02")
    assert shown(second) == [("tokens", "usage", 1000), ("tokens", "adjustment", 400)]
    assert second.invoices["credit_total_minor"].to_list() == [1400]
    acme.record("invoice.voided", "2024-03-10", {"invoice": "acme-000001", "reason": "wrong address"})
    again = books.bill("2024-01-01", "2024-02-01", "2024-03-11")
    assert shown(again) == [("tokens", "usage", 3400), ("tokens", "adjustment", -400)]
    assert again.invoices["credit_total_minor"].to_list() == [3000]
    march = books.bill("2024-03-01", "2024-04-01", "2024-04-02")
    assert shown(march) == [("tokens", "usage", 0)]


def test_a_void_of_a_number_that_no_invoice_has_is_rejected() -> None:
    acme = world(unit="1")
    acme.start("2024-01-01")
    acme.record("invoice.voided", "2024-01-10", {"invoice": "acme-000009", "reason": "typing"})
    rejected = Books(acme).bill("2024-01-01", "2024-02-01", "2024-02-02").rejected
    assert rejected.select("reason", "message").rows() == [
        (
            "unknown_invoice",
            NOT_NUMBERED,
        )
    ]


def test_a_void_received_before_its_invoice_was_numbered_never_takes_effect_and_one_sent_again_does() -> None:
    acme = world(unit="1")
    acme.start("2024-01-01")
    acme.use("2024-01-05", "tokens", "30")
    acme.record("invoice.voided", "2024-01-04", {"invoice": "acme-000001", "reason": "a guess"})
    books = Books(acme)
    first = books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    assert numbers(first.invoices) == [(0, 3000)]
    again = books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    assert again.invoices.is_empty()
    assert again.rejected.equals(first.rejected)
    assert again.rejected["reason"].to_list() == ["unknown_invoice"]
    acme.record("invoice.voided", "2024-01-03", {"invoice": "acme-000001", "reason": "wrong"}, received_at=LATE)
    assert numbers(books.bill("2024-01-01", "2024-02-01", "2024-02-11").invoices) == [(1, 3000)]
    assert books.bill("2024-01-01", "2024-02-01", "2024-02-12").invoices.is_empty()
