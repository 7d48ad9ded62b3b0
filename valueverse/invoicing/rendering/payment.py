"""How an invoice is paid: terms, the seller's account, and the code that banking apps read."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.invoicing.rendering.swiss import bill_of, slip_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valueverse.invoicing.rendering.history import InvoiceHistory
    from valueverse.invoicing.rendering.locale_formats import LocaleFormats
    from valueverse.invoicing.rendering.parties import Parties

_EPC_COUNTRIES = frozenset(["AT", "BE", "DE", "FI", "LU", "NL"])
"""Whose banking apps read the code for SEPA credit transfers (EPC069-12)."""
_LONGEST_NAME = 70
_LARGEST = Decimal("999999999.99")


def since_issued(
    document: Mapping[str, Any], formats: LocaleFormats, history: InvoiceHistory, day: Callable[[str], str]
) -> dict[str, Any] | None:
    """heading, rows [[label, amount, whether it is emphasised]] and notes; None: nothing was paid or credited since.

    ``day`` writes an ISO date.
    """
    if document["status"] != "finalised" or not (history.payments or history.credit_notes):
        return None
    rows: list[list[Any]] = [
        [
            formats.text(one.kind, date=day(one.on)),
            formats.amount(str(Decimal(one.amount).copy_negate())),
            False,
        ]
        for one in history.payments
    ]
    notes = [
        formats.text(
            "credited",
            amount=formats.money(one.amount),
            date=day(formats.day_of(one.on)),
            reason=one.reason,
        )
        for one in history.credit_notes
    ]
    if history.payments:
        left = history.remaining(document["amount_due"])
        label = formats.text("remains_due" if left >= 0 else "paid_too_much")
        rows.append([f"{label} {document['currency']}", formats.amount(str(abs(left))), True])
        booked = max(one.booked_at for one in history.payments)
        notes.append(formats.text("booked_until", time=formats.instant(f"{booked}+00:00")))
    return {"heading": formats.text("since_issued"), "rows": rows, "notes": notes}


def payment_shown(
    document: Mapping[str, Any], parties: Parties, formats: LocaleFormats, history: InvoiceHistory
) -> dict[str, Any]:
    """heading, texts, rows [[label, value]], link (label, address), code (SVG), its caption, slip (``slip_shown``)."""
    shown: dict[str, Any] = {"heading": formats.text("payment"), "texts": [], "rows": [], "link": None, "code": None}
    shown["slip"] = None
    if document["status"] == "voided":
        return shown | {"texts": [_voided(formats, history)]}
    due = Decimal(document["amount_due"])
    if due <= 0:
        return shown | {"texts": [formats.text("credit_terms" if due < 0 else "nothing_due")]}
    left = history.remaining(document["amount_due"])
    if left <= 0:
        return shown | {"texts": [formats.text("is_paid")]}
    if document["status"] == "draft" or not document["due_on"]:
        return shown
    invoicing, number = parties.invoicing, str(document["number"])
    terms = formats.text("pay_by", amount=formats.money(str(left)), date=formats.day(document["due_on"]), number=number)
    stated = {"bank": invoicing.get("bank"), "iban": _grouped(invoicing.get("iban")), "bic": invoicing.get("bic")}
    link = invoicing.get("payment_link")
    return shown | {
        "texts": [terms, formats.text("credit_apart")] if history.credit_notes else [terms],
        "rows": [[formats.text(name), value] for name, value in stated.items() if value],
        "link": [formats.text("pay_online"), link] if link else None,
        "code": epc_code(document, parties, left),
        "slip": slip_shown(bill, formats.language) if (bill := bill_of(document, parties, left)) else None,
        "caption": formats.text("qr_caption"),
    }


def _voided(formats: LocaleFormats, history: InvoiceHistory) -> str:
    if history.voided_on is None:
        return formats.text("voided_note")
    return formats.text(
        "voided_why", date=formats.day(formats.day_of(history.voided_on)), reason=str(history.void_reason)
    )


def epc_code(document: Mapping[str, Any], parties: Parties, amount: Decimal) -> str | None:
    """The code for a SEPA credit transfer of this amount as SVG; None where the account's country or the currency has
    none."""
    iban = str(parties.invoicing.get("iban") or "")
    if document["currency"] != "EUR" or iban[:2] not in _EPC_COUNTRIES or not 0 < amount <= _LARGEST:
        return None
    import segno.helpers  # only invoices with a code need it

    code = segno.helpers.make_epc_qr(
        name=" ".join(parties.seller.split())[:_LONGEST_NAME],
        iban=iban,
        amount=amount,
        text=str(document["number"]),
        bic=parties.invoicing.get("bic"),
        encoding="utf-8",
    )
    return str(code.svg_inline(border=0))


def _grouped(iban: str | None) -> str | None:
    """An IBAN in groups of four, as it is printed."""
    return None if iban is None else " ".join(iban[start : start + 4] for start in range(0, len(iban), 4))
