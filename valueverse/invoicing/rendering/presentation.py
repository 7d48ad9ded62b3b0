"""An invoice document as its PDF shows it: every text in the customer's language, names and numbers as people read
them. Amounts are those of the document, never worked out again."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.invoicing.rendering.display_names import DisplayNames
from valueverse.invoicing.rendering.history import InvoiceHistory
from valueverse.invoicing.rendering.line_texts import LineTexts
from valueverse.invoicing.rendering.locale_formats import LocaleFormats
from valueverse.invoicing.rendering.payment import payment_shown, since_issued
from valueverse.invoicing.rendering.usage_summary import usage_summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from valueverse.invoicing.rendering.history import OtherInvoice
    from valueverse.invoicing.rendering.parties import Parties

ACCENT = "#1f4e79"
_REFERENCES = ("corrects", "corrected_by", "replaces", "replaced_by")
LOGO = "data:image/png;base64,"
"""How the logo of a tenant begins: a PNG as a data URL."""


def presentation(
    document: Mapping[str, Any],
    parties: Parties,
    catalog: Mapping[str, Any] | None,
    history: InvoiceHistory | None = None,
) -> dict[str, Any]:
    """What ``invoice.typ`` sets.

    Args:
        document: contracts.md, section 4.
        parties: seller and buyer.
        catalog: the one that the invoice was billed by, for names; None: keys are shown.
        history: what became of it since; None: nothing is known.

    Raises:
        KeyError, TypeError, ValueError, ArithmeticError: for what is no invoice document.
    """
    formats = LocaleFormats(parties.locale, document["currency"], parties.zones)
    names = DisplayNames(catalog, formats.language)
    history = history or InvoiceHistory()
    credit = Decimal(document["total"]) < 0
    logo = parties.invoicing.get("logo")
    lines = LineTexts(formats, names, document["lines"], document["basis"].get("rounding"))
    number = document["number"]
    return {
        "language": formats.language,
        "title": _title(document, formats),
        "number": formats.text("draft") if number is None else number,
        "stamp": None if document["status"] == "finalised" else formats.text(document["status"]),
        "page": formats.message("page"),
        "accent": parties.invoicing.get("accent", ACCENT),
        "logo": list(base64.b64decode(logo.removeprefix(LOGO))) if logo else None,
        "seller": _party(formats, parties, "seller"),
        "buyer": _party(formats, parties, "buyer") | {"heading": formats.text("billed_to")},
        "facts": _facts(document, parties, formats, history, credit=credit),
        "headings": [formats.text(key) for key in ("description", "service_period", "quantity", "amount")],
        "lines": [lines.shown(line) for line in document["lines"]],
        "no_lines": formats.text("no_lines"),
        "totals": total_rows(document, formats, names),
        "since": since_issued(document, formats, history, formats.short_day),
        "taxes": _tax_summary(document, formats, names),
        "legal": [formats.text("reverse_charge")] if _reverse_charge(document, parties) else [],
        "payment": payment_shown(document, parties, formats, history),
        "usage": usage_summary(document, lines, formats, names, history),
        "note": parties.invoicing.get("note"),
        "verify": _verify(document, formats),
    }


def _party(formats: LocaleFormats, parties: Parties, side: str) -> dict[str, Any]:
    address = getattr(parties, f"{side}_address") or {}
    tax_id = getattr(parties, f"{side}_tax_id")
    town = " ".join(str(address[name]) for name in ("postal_code", "city") if address.get(name))
    lines = (
        str(address.get("street") or ""),
        town,
        formats.country(getattr(parties, f"{side}_country")),
        formats.text("vat_id", id=str(tax_id)) if tax_id else None,
        parties.invoicing.get("email") if side == "seller" else None,
    )
    return {"name": getattr(parties, side), "lines": [line for line in lines if line]}


def _title(document: Mapping[str, Any], formats: LocaleFormats) -> str:
    """A document below zero is a credit note; one that does nothing but correct others says so."""
    if Decimal(document["total"]) < 0:
        return formats.text("credit_note")
    corrects = document["lines"] and all(line["kind"] == "adjustment" for line in document["lines"])
    return formats.text("correction" if corrects else "invoice")


def _facts(
    document: Mapping[str, Any], parties: Parties, formats: LocaleFormats, history: InvoiceHistory, *, credit: bool
) -> list[list[str]]:
    payable = not credit and document["status"] != "voided" and Decimal(document["amount_due"]) > 0
    due = document["due_on"] if payable else None
    facts = {
        "number": document["number"],
        "issued": formats.day(document["issued_on"]),
        "due": formats.day(due) if due else None,
        **{name: _others(getattr(history, name), formats) for name in _REFERENCES},
        "period": formats.days(document["period"]),
        "purchase_order": parties.purchase_order,
        "customer_reference": document["customer"] if document["customer"] != parties.buyer else None,
        "subscription": document["subscription"],
        "currency": document["currency"],
    }
    return [[formats.text(key), str(value)] for key, value in facts.items() if value]


def _others(invoices: Iterable[OtherInvoice], formats: LocaleFormats) -> str:
    return ", ".join(f"{one.number} ({formats.short_day(one.issued_on)})" for one in invoices)


def total_rows(document: Mapping[str, Any], formats: LocaleFormats, names: DisplayNames) -> list[list[Any]]:
    """[label, amount, whether it is emphasised] per row from the subtotal to what is due."""
    currency = document["currency"]
    left = Decimal(document["amount_due"])
    due = "amount_due" if left >= 0 else "credit_balance"
    rows = [[formats.text("subtotal"), formats.amount(document["subtotal"]), False]]
    for one in document["discounts"]:
        label = formats.text("discount", name=names.of("coupons", one["key"]))
        rows.append([label, _taken(formats, one["amount"]), False])
    for tax in document["taxes"]:
        label = formats.text("tax_line", name=names.of("taxes", tax["key"]), percent=formats.percent(tax["percent"]))
        rows.append([label, formats.amount(tax["amount"]), False])
    rows.append([f"{formats.text('total')} {currency}", formats.amount(document["total"]), True])
    for credit in document["credits"]:
        kind = "credit_note" if credit["kind"] == "credit_note" else "wallet"
        how = "owed_again" if Decimal(credit["amount"]) < 0 else "paid_by"
        rows.append([formats.text(f"{how}_{kind}", name=credit["key"]), _taken(formats, credit["amount"]), False])
    rows.append([f"{formats.text(due)} {currency}", formats.amount(str(abs(left))), True])
    return rows


def _taken(formats: LocaleFormats, amount: str) -> str:
    return formats.amount(str(Decimal(amount).copy_negate()))


def _tax_summary(document: Mapping[str, Any], formats: LocaleFormats, names: DisplayNames) -> dict[str, Any] | None:
    """Headings and rows per rate; lines that are in no rate are the rest of what the invoice comes to before tax."""
    taxes = document["taxes"]
    if not taxes:
        return None
    rows = [
        [
            names.of("taxes", tax["key"]),
            f"{formats.percent(tax['percent'])} %",
            formats.amount(tax["base"]),
            formats.amount(tax["amount"]),
        ]
        for tax in taxes
    ]
    taxed = [place for tax in taxes for place in tax["lines"]]
    rest = Decimal(document["total"]) - Decimal(document["tax_total"]) - sum(Decimal(tax["base"]) for tax in taxes)
    # Where rates add up on one line its net amount is in both bases: there is no rest to state then.
    if len(set(taxed)) == len(taxed) < len(document["lines"]) and rest:
        rows.append([formats.text("untaxed"), "", formats.amount(str(rest)), formats.amount("0")])
    headings = [formats.text(key) for key in ("tax", "rate", "net", "tax_amount")]
    return {"heading": formats.text("tax_summary"), "headings": headings, "rows": rows}


def _reverse_charge(document: Mapping[str, Any], parties: Parties) -> bool:
    untaxed = all(Decimal(tax["percent"]) == 0 for tax in document["taxes"])
    return untaxed and bool(document["lines"]) and parties.recipient_owes_vat()


def _verify(document: Mapping[str, Any], formats: LocaleFormats) -> list[str]:
    """Nothing for what is in no chain, as a credit note that an event issued."""
    if document["content_hash"] is None:
        return []
    return [basis_text(document, formats, formats.instant), formats.text("verify", hash=str(document["content_hash"]))]


def basis_text(document: Mapping[str, Any], formats: LocaleFormats, instant: Callable[[str], str]) -> str:
    """What was known when the invoice was made, with the time as ``instant`` writes it, and how it was rounded."""
    basis = document["basis"]
    rounding = basis.get("rounding")
    mode = formats.text(f"rounding_{rounding['mode']}") if rounding else "-"
    how = formats.text(f"rounding_level_{rounding['level']}", mode=mode) if rounding else mode
    known = basis.get("events_known_at")
    return formats.text(
        "known_at",
        time=instant(known) if known else "-",
        rounding=how,
        rules=str(basis.get("rules_version") or "-"),
    )
