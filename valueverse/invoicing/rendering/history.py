"""What became of an invoice since it was issued, and what it corrects: shown beside the document, which stays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.money import minor_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCES = ("corrects", "corrected_by", "replaces", "replaced_by")


@dataclass(frozen=True)
class OtherInvoice:
    """Another invoice by its number, and its day of issue (ISO)."""

    number: str
    issued_on: str


@dataclass(frozen=True)
class Payment:
    """What was paid, taken back or paid back: ``amount`` in major units lowers what is due where it is above zero.

    ``kind`` is payment_received, payment_failed or payment_refunded; ``on`` is a day, ``booked_at`` an instant in UTC.
    """

    kind: str
    on: str
    amount: str
    booked_at: str


@dataclass(frozen=True)
class IssuedCredit:
    """A credit note for this invoice, in major units, issued ``on`` (an instant in UTC): it lowers what later invoices
    ask for."""

    amount: str
    reason: str
    on: str


@dataclass(frozen=True)
class InvoiceHistory:
    """As the warehouse knows it when a copy is made.

    Attributes:
        plan, plan_version: of the subscription now; None: the invoice has none.
        has_overrides: whether the subscription ever had other terms than its plan; None: not known.
        voided_on, void_reason: of a voided invoice; when is an instant in UTC.
        payments: by day.
        credit_notes: by day.
        corrects, corrected_by: invoices whose lines this one's correct, and the other way round.
        replaces, replaced_by: the voided invoice of the same period, and the one that was made in its place.
    """

    plan: str | None = None
    plan_version: int | None = None
    has_overrides: bool | None = None
    voided_on: str | None = None
    void_reason: str | None = None
    payments: tuple[Payment, ...] = ()
    credit_notes: tuple[IssuedCredit, ...] = ()
    corrects: tuple[OtherInvoice, ...] = ()
    corrected_by: tuple[OtherInvoice, ...] = ()
    replaces: tuple[OtherInvoice, ...] = ()
    replaced_by: tuple[OtherInvoice, ...] = ()

    @classmethod
    def of(cls, text: str | None, places: int) -> InvoiceHistory:
        """What ``billing.invoice_history`` answers, as JSON text; ``places``: decimals of the currency."""
        if text is None:
            return cls()
        found: Mapping[str, Any] = json.loads(text)
        others = {
            name: tuple(OtherInvoice(one["number"], one["issued_on"]) for one in found[name]) for name in _REFERENCES
        }
        return cls(
            found["plan"],
            found["plan_version"],
            found["has_overrides"],
            found["voided_on"],
            found["void_reason"],
            tuple(
                Payment(one["kind"], one["date"], minor_text(-int(one["amount_minor"]), places), one["booked_at"])
                for one in found["payments"]
            ),
            tuple(IssuedCredit(one["amount"], one["reason"], one["created_at"]) for one in found["credit_notes"]),
            **others,
        )

    def remaining(self, amount_due: str) -> Decimal:
        """What is left of an amount due after what was paid; below zero: what was paid too much."""
        return Decimal(amount_due) - sum((Decimal(one.amount) for one in self.payments), Decimal(0))
