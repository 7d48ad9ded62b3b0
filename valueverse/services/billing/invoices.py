"""Invoices as people ask for them: listed, shown, typeset, and as electronic invoices."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.invoicing.rendering import (
    BookedCreditNote,
    ExplainedInvoice,
    InvoiceHistory,
    OtherInvoice,
    Parties,
    Syntax,
    billed_days,
    credit_note_document,
    invoice_pdf,
    invoice_xml,
)
from valueverse.money import minor_text, minor_units
from valueverse.platform.stores import invoice_store

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import psycopg

STATUSES = ("draft", "finalised", "voided")


@dataclass(frozen=True)
class StoredInvoice:
    """A finalised invoice's document, with ``status`` as it is, who its parties are, the text of the catalog that
    it was billed by, what became of it since, and its credit notes as they are booked."""

    document: dict[str, Any]
    parties: Parties
    catalog: str | None
    history: InvoiceHistory
    credit_notes: tuple[BookedCreditNote, ...]

    def pdf(self, fonts: Path | None = None) -> bytes:
        """The invoice as a PDF; ``fonts``: a folder with further fonts."""
        return invoice_pdf(self.document, self.parties, json.loads(self.catalog or "null"), self.history, fonts)

    def credit_note_pdf(self, key: str, fonts: Path | None = None) -> bytes:
        """One of its credit notes as a PDF.

        Raises:
            RefusalError: ``unknown_credit_note``.
        """
        number = self.document["number"]
        note = next((one for one in self.credit_notes if one.key == key), None)
        if note is None:
            known = ", ".join(one.key for one in self.credit_notes) or "none"
            message = f"no credit note {key!r} is booked for {number}; booked are: {known}"
            raise RefusalError("unknown_credit_note", message, "--credit-note")
        corrects = (OtherInvoice(number, self.document["issued_on"]),)
        names = json.loads(self.catalog or "null")
        document = credit_note_document(self.document, note)
        return invoice_pdf(document, self.parties, names, InvoiceHistory(corrects=corrects), fonts)

    def xml(self, syntax: Syntax) -> bytes:
        """The electronic invoice (EN 16931) in UBL 2.1 or CII D22B.

        Raises:
            RefusalError: ``no_country``, and what ``invoice_xml`` refuses.
        """
        catalog = json.loads(self.catalog or "null")
        return invoice_xml(self.document, *self.parties.for_xml(self.history), catalog, syntax=syntax)

    def in_english(self) -> ExplainedInvoice:
        """The invoice for a terminal: names, days and totals."""
        return ExplainedInvoice(self.document, json.loads(self.catalog or "null"), self.parties.zones)


def list_invoices(
    connection: psycopg.Connection[Any], tenant: str | None, customer: str | None, status: str | None, most: int
) -> list[dict[str, Any]]:
    """Invoices with local days and with amounts as text in major units, the latest issued of a tenant first.

    Raises:
        RefusalError: ``unknown_status``.
    """
    if status not in {None, *STATUSES}:
        raise RefusalError("unknown_status", f"{status!r} is none of {', '.join(STATUSES)}", "--status")
    return [_listed(row) for row in invoice_store.listed(connection, tenant, customer, status, most=most)]


def invoices_of_runs(connection: psycopg.Connection[Any], runs: list[str], most: int) -> list[dict[str, Any]]:
    """As ``list_invoices``: those that were drafted or finalised by these runs of Dagster."""
    return [_listed(row) for row in invoice_store.listed(connection, runs=runs, most=most)]


def unknown_invoice(number: str) -> RefusalError:
    """What is refused where no finalised invoice has a number."""
    message = f"no finalised invoice {number!r}; `valueverse invoices list` shows them"
    return RefusalError("unknown_invoice", message, "NUMBER")


def find_invoice(connection: psycopg.Connection[Any], number: str, known_at: datetime | None = None) -> StoredInvoice:
    """A finalised invoice by its number, with all that its copies show as known at an instant; None: now.

    Raises:
        RefusalError: ``unknown_invoice``.
    """
    row = invoice_store.by_number(connection, number, known_at)
    if row is None:
        raise unknown_invoice(number)
    document = json.loads(row["document"])
    if row["voided"]:
        document |= {"status": "voided"}
    return StoredInvoice(
        document,
        Parties.of(row, row["tenant"], document["customer"]),
        row["catalog"],
        InvoiceHistory.of(row["history"], minor_units(document["currency"])),
        tuple(_booked(one) for one in invoice_store.credit_notes(connection, row["tenant"], number, known_at)),
    )


def _booked(row: dict[str, Any]) -> BookedCreditNote:
    number = row["key"].partition("#")[2]
    amount, tax = int(row["amount_minor"]), int(row["tax_minor"])
    return BookedCreditNote(row["key"], number, row["reason"], row["issued_on"], amount, tax)


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    places = minor_units(row["currency"])
    amounts = {name: minor_text(row.pop(f"{name}_minor"), places) for name in ("total", "amount_due")}
    zones = [row.pop(f"{party}_timezone") for party in ("buyer", "seller")]
    first_day, last_day = billed_days(row["period_from"], row["period_to"], zones)
    return row | {"first_day": first_day, "last_day": last_day} | amounts
