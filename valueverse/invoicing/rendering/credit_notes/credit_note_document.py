"""A credit note in the shape of an invoice document, so that it is typeset as one.

It is made when it is asked for, of the invoice's document and what the journal booked: it is in no chain and has no
hash to verify it by.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.invoicing.settlement.allocation import pro_rata
from valueverse.money import minor_text, minor_units

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class BookedCreditNote:
    """A credit note as the journal booked it.

    Attributes:
        key: source and id of its event.
        number: the id of its event, by which invoices that it pays name it.
        reason: why it was issued.
        issued_on: ISO date, the tenant's day.
        amount_minor: what it gives back, tax included; above 0.
        tax_minor: the tax in it.
    """

    key: str
    number: str
    reason: str
    issued_on: str
    amount_minor: int
    tax_minor: int


def credit_note_document(invoice: Mapping[str, Any], note: BookedCreditNote) -> dict[str, Any]:
    """The credit note of a finalised invoice: a line for each of its tax rates, and for what was not taxed.

    Net amount and tax are spread over them in the proportion of the invoice, so that they add up to what was booked.
    """
    places = minor_units(invoice["currency"])
    taxes = invoice["taxes"]
    untaxed = Decimal(invoice["total"]) - sum(
        (Decimal(tax["base"]) + Decimal(tax["amount"]) for tax in taxes), Decimal(0)
    )
    bases = [_minor(tax["base"], places) for tax in taxes] + [_minor(str(untaxed), places)]
    net = _spread(note.amount_minor - note.tax_minor, bases)
    tax_parts = _spread(note.tax_minor, [_minor(tax["amount"], places) for tax in taxes])
    shown = [place for place, part in enumerate(net) if part]

    def back(minor: int) -> str:
        return minor_text(-minor, places)

    return {
        **{name: invoice[name] for name in ("tenant", "customer", "subscription", "currency", "period", "basis")},
        "number": note.number,
        "status": "finalised",
        "issued_on": note.issued_on,
        "due_on": None,
        "lines": [_line(invoice, note, back(net[place])) for place in shown],
        "taxes": [
            {"key": tax["key"], "percent": tax["percent"], "base": back(net[place]), "amount": back(tax_parts[place])}
            | {"lines": [shown.index(place) + 1]}
            for place, tax in enumerate(taxes)
            if place in shown
        ],
        "discounts": [],
        "credits": [],
        "subtotal": back(note.amount_minor - note.tax_minor),
        "discount_total": minor_text(0, places),
        "tax_total": back(note.tax_minor),
        "total": back(note.amount_minor),
        "credit_total": minor_text(0, places),
        "amount_due": back(note.amount_minor),
        "content_hash": None,
    }


def _line(invoice: Mapping[str, Any], note: BookedCreditNote, amount: str) -> dict[str, Any]:
    return {
        "key": note.key, "kind": "one_off", "description": note.reason, "service_period": invoice["period"],
        "meter": None, "dimensions": None, "quantity": None, "tiers": [], "amount_precise": amount, "amount": amount,
        "event_count": None, "explains": None,
    }  # fmt: skip


def _minor(amount: str, places: int) -> int:
    return int(Decimal(amount).scaleb(places))


def _spread(total: int, weights: Sequence[int]) -> list[int]:
    positive = [max(weight, 0) for weight in weights]
    if sum(positive):
        return pro_rata(total, positive)
    return [total if place == 0 else 0 for place in range(len(weights))]
