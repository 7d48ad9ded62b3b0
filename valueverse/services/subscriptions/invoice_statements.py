"""Statements about finalised invoices, judged as the next billing run and the journal will judge them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import polars as pl

from valueverse.errors import RefusalError
from valueverse.invoicing import BilledRows, corrected_amounts
from valueverse.invoicing.settlement import invoice_voids, rejected_credit_notes, with_voids
from valueverse.ledger import rejected_payments
from valueverse.platform.stores.customer_invoices import CustomerInvoices
from valueverse.platform.stores.functions import call
from valueverse.subscriptions import known_events

if TYPE_CHECKING:
    import psycopg

    from valueverse.services.subscriptions.account_events import PlannedEvent

VOID = "billing.invoice.voided"
_PLACES = {"wrong_currency": "data.currency", "bad_amount": "data.amount", "exceeds_invoice": "data.amount"}
"""What a reason is about; the invoice in all other cases."""


def refuse_unbillable(connection: psycopg.Connection[Any], planned: PlannedEvent) -> None:
    """Refuse a payment, a credit note or a void that would be listed as rejected, or that changes nothing.

    Args:
        connection: of the API's login.
        planned: an event with the number of an invoice.

    Raises:
        RefusalError: ``unknown_invoice``, ``already_voided``, ``invoice_voided``, ``wrong_currency``, ``bad_amount``,
            ``exceeds_invoice``.
    """
    event, tenant = planned.event, planned.event["tenant"]
    number = event["data"]["invoice"]
    found = call(connection, "invoice", tenant, number)
    if not found:
        raise RefusalError("unknown_invoice", f"there is no invoice {number[:60]!r}", "data.invoice")
    if planned.known:
        return
    store = CustomerInvoices(connection, "api", tenant, (orjson.loads(found[0]["document"])["customer"],))
    rows = BilledRows(store.invoices(), store.lines())
    facts = known_events(planned.after.facts(), None)
    others = facts.filter((pl.col("source") != event["source"]) | (pl.col("id") != event["id"]))
    bills = with_voids(rows.invoices.filter("is_final"), invoice_voids(others))
    if event["type"] == VOID:
        if not bills.filter(pl.col("number") == number, pl.col("voided_at").is_not_null()).is_empty():
            raise RefusalError("already_voided", f"the invoice {number[:60]!r} was voided before", "data.invoice")
        return
    if event["type"].startswith("billing.payment."):
        rejected = rejected_payments(facts, bills)
    else:
        rejected = rejected_credit_notes(facts, bills, corrected_amounts(rows))
    mine = rejected.filter(pl.col("source") == event["source"], pl.col("event_id") == event["id"])
    for row in mine.head(1).iter_rows(named=True):
        raise RefusalError(row["reason"], row["message"], _PLACES.get(row["reason"], "data.invoice"))
