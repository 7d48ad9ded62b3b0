"""Statements about finalised invoices, judged as the next billing run and the journal will judge them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.errors import RefusalError
from valueverse.invoicing import BilledRows, corrected_amounts
from valueverse.invoicing.settlement import invoice_voids, rejected_credit_notes, voids_in_effect, with_voids
from valueverse.ledger import rejected_payments
from valueverse.platform.stores.billing_store import canonical_dimensions
from valueverse.schemas.invoicing import BILLED_INVOICES, BILLED_LINES
from valueverse.subscriptions import known_events

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valueverse.services.subscriptions.account_events import PlannedEvent

VOID = "billing.invoice.voided"
_PLACES = {"wrong_currency": "data.currency", "bad_amount": "data.amount", "exceeds_invoice": "data.amount"}
"""What a reason is about; the invoice in all other cases."""


@dataclass(frozen=True)
class Recorded:
    """Rows of ``prior_invoices`` and of ``prior_lines`` of an invoice's customer; no invoices: there is none of that
    number."""

    invoices: Sequence[Mapping[str, Any]] = ()
    lines: Sequence[Mapping[str, Any]] = ()

    def billed(self) -> BilledRows:
        """The same as frames."""
        invoices, lines = map(_frame, (self.invoices, self.lines), (BILLED_INVOICES, BILLED_LINES))
        return BilledRows(invoices, canonical_dimensions(lines))


def refuse_unbillable(recorded: Recorded, planned: PlannedEvent) -> None:
    """Refuse a payment, a credit note or a void that would be listed as rejected, or that changes nothing.

    Args:
        recorded: what is recorded of the invoice's customer.
        planned: an event with the number of an invoice.

    Raises:
        RefusalError: ``unknown_invoice``, ``already_voided``, ``invoice_voided``, ``wrong_currency``, ``bad_amount``,
            ``exceeds_invoice``.
    """
    event = planned.event
    number = event["data"]["invoice"]
    if not recorded.invoices:
        raise RefusalError("unknown_invoice", f"there is no invoice {number[:60]!r}", "data.invoice")
    if planned.known:
        return
    rows = recorded.billed()
    facts = known_events(planned.after.facts(), None)
    is_this = (pl.col("source") == event["source"]) & (pl.col("id") == event["id"])
    now, takes_effect = facts.filter(is_this).select("received_at", "time").row(0)
    voids = invoice_voids(facts.filter(~is_this))
    is_void = event["type"] == VOID
    # A void that waits for a later date keeps neither a credit note back nor a void of an earlier date.
    by = max(now, takes_effect) if is_void else now
    bills = with_voids(rows.invoices.filter("is_final"), voids_in_effect(voids, by))
    if is_void:
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


def _frame(rows: Sequence[Mapping[str, Any]], schema: pl.Schema) -> pl.DataFrame:
    return pl.DataFrame([dict(row) for row in rows], schema=schema)
