"""``valueverse invoices list | show | pdf | xml``: what was billed, as people ask for it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pypdfium2
import pytest
from typer.testing import CliRunner

from tests.support.warehouse_billing import LATER, acme, run, store
from valueverse.cli import app
from valueverse.errors import RefusalError
from valueverse.platform.warehouse import connect
from valueverse.services.billing.book_journal import book_journal
from valueverse.services.billing.invoices import find_invoice, list_invoices

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def settings(module_settings: Settings) -> Settings:
    """Three customers of acme; the second one's invoice of November is voided, the first one's paid in part."""
    company = acme(3)
    company.record("customer.created", "2023-10-30", {"customer": "c0", "name": "Müller [bold] GmbH", "country": "DE"})
    for customer in ("c1", "c2"):
        company.record("customer.created", "2023-10-30", {"customer": customer})
    run(company, module_settings)
    company.record("invoice.voided", "2024-06-01", {"invoice": "acme-000002", "reason": "wrong address"})
    company.record("payment.received", "2024-06-02", {"invoice": "acme-000001", "amount": "4", "currency": "USD"})
    company.record("credit_note.issued", "2024-06-03", {"invoice": "acme-000001", "amount": "2", "reason": "slow"})
    run(company, module_settings)
    book_journal(module_settings, store(company, module_settings), as_of=LATER, run_id="test")
    return module_settings


@pytest.fixture
def connection(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    with connect(settings, "builder") as connection:
        yield connection


def call(settings: Settings, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["invoices", *arguments], env={**settings.environment(), "COLUMNS": "160"})


def test_invoices_are_listed_by_tenant_customer_and_status(connection: psycopg.Connection[Any]) -> None:
    found = list_invoices(connection, None, None, None, 100)
    assert {one["tenant"] for one in found} == {"acme"}
    assert {one["status"] for one in found} == {"finalised", "voided"}
    assert [one["number"] for one in list_invoices(connection, "acme", None, "voided", 9)] == ["acme-000002"]
    mine = list_invoices(connection, "acme", "c0", None, 100)
    assert {one["customer"] for one in mine} == {"c0"}
    assert {(one["total"], one["amount_due"]) for one in mine} == {("11.00", "11.00"), ("10.00", "10.00")}
    assert [one["issued_on"] for one in mine] == sorted((one["issued_on"] for one in mine), reverse=True)
    assert list_invoices(connection, "birch", None, None, 9) == []


def test_an_invoice_is_found_with_its_parties_and_its_status_of_now(connection: psycopg.Connection[Any]) -> None:
    found = find_invoice(connection, "acme-000001")
    assert (found.document["status"], found.parties.buyer, found.parties.buyer_country) == (
        "finalised", "Müller [bold] GmbH", "DE",
    )  # fmt: skip
    assert found.pdf().startswith(b"%PDF-")
    assert find_invoice(connection, "acme-000002").document["status"] == "voided"


def test_an_invoice_knows_what_became_of_it(connection: psycopg.Connection[Any]) -> None:
    history = find_invoice(connection, "acme-000001").history
    assert [(one.kind, one.on, one.amount) for one in history.payments] == [("payment_received", "2024-06-02", "4.00")]
    assert [(one.reason, one.on[:10]) for one in history.credit_notes] == [("slow", "2024-06-03")]
    assert (history.plan, history.has_overrides, history.corrects, history.replaces) == ("pro", False, (), ())
    voided = find_invoice(connection, "acme-000002").history
    assert ((voided.voided_on or "")[:10], voided.void_reason) == ("2024-06-01", "wrong address")
    (other,) = voided.replaced_by
    assert [one.number for one in find_invoice(connection, other.number).history.replaces] == ["acme-000002"]


def test_what_remains_due_on_a_copy_is_what_the_journal_has_open(connection: psycopg.Connection[Any]) -> None:
    """A credit note lowers what the customer owes in all, and an invoice only when it pays it."""
    found = find_invoice(connection, "acme-000001")
    receivable = (
        "select sum(amount_minor) from billing.journal_posting where account = 'receivable' and customer = 'c0'"
    )
    booked = connection.execute(f"{receivable} and invoice = 'acme-000001'").fetchone()
    assert booked == (found.history.remaining(found.document["amount_due"]) * 100,) == (700,)
    assert connection.execute(f"{receivable} and invoice is null").fetchone() == (-200,)
    text = "".join(page.get_textpage().get_text_bounded() for page in pypdfium2.PdfDocument(found.pdf()))
    assert "Please pay 7.00\xa0USD" in text
    assert "Credit notes do not lower this amount" in text.replace("\r\n", " ")


def test_what_is_not_there_is_refused_with_its_cure(connection: psycopg.Connection[Any]) -> None:
    with pytest.raises(RefusalError, match="`valueverse invoices list` shows them"):
        find_invoice(connection, "acme-999999")
    with pytest.raises(RefusalError, match="'paid' is none of draft, finalised, voided"):
        list_invoices(connection, None, None, "paid", 1)
    with pytest.raises(RefusalError, match="has no country"):
        find_invoice(connection, "acme-000001").xml("ubl")


def test_a_credit_note_is_typeset_by_the_key_that_its_invoice_shows(settings: Settings, tmp_path: Path) -> None:
    page = call(settings, "show", "acme-000001").stdout
    key = page.partition("Credit note ")[2].partition(",")[0]
    written = call(settings, "pdf", "acme-000001", "--credit-note", key, "--out", str(tmp_path / "note.pdf"))
    assert written.exit_code == 0
    text = pypdfium2.PdfDocument(tmp_path / "note.pdf")[0].get_textpage().get_text_bounded()
    for part in ("Credit note", key.removeprefix("test#"), "acme-000001 (Dec 2, 2023)", "June 3, 2024", "slow", "2.00"):
        assert part in text
    refused = call(settings, "pdf", "acme-000001", "--credit-note", "crm#1")
    assert f"no credit note 'crm#1' is booked for acme-000001; booked are: {key}" in str(refused.exception)
    refused = call(settings, "pdf", "acme-000003", "--credit-note", "crm#1")
    assert "booked are: none" in str(refused.exception)


def test_the_commands_show_tables_json_and_files(settings: Settings, tmp_path: Path) -> None:
    shown = call(settings, "list", "--customer", "c0").stdout
    assert "acme-000001" in shown
    assert "11.00 USD" in shown
    assert "and more: --limit" in call(settings, "list", "--limit", "1").stdout
    [one] = map(json.loads, call(settings, "list", "--status", "voided", "--json").stdout.splitlines())
    assert (one["first_day"], one["last_day"]) == ("2023-11-01", "2023-11-30")
    assert (one["number"], one["issued_on"]) == ("acme-000002", "2023-12-02")
    page = call(settings, "show", "acme-000001").stdout
    assert "Müller [bold] GmbH" in page
    assert "2023-11-01 to 2023-11-30" in page
    assert re.search(r"Amount due +11\.00 USD", page)
    assert re.search("Payment received 2024-06-02 +\N{MINUS SIGN}4.00 USD", page)
    assert re.search(r"Remains due +7\.00 USD\n.*Credit note test#\S+, issued 2024-06-03: slow +2\.00 USD", page)
    assert json.loads(call(settings, "show", "acme-000001", "--json").stdout)["number"] == "acme-000001"
    written = call(settings, "pdf", "acme-000001", "--out", str(tmp_path / "one.pdf"))
    assert (written.exit_code, "warning" in written.stderr) == (0, False)
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF-")
