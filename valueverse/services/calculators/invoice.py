"""``valueverse invoice``: from lines to an invoice's totals. The rules are those that bill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from valueverse.invoicing.settlement import BilledLine

Document = dict[str, Any]


def _shown(line: BilledLine, decimals: int) -> Document:
    from valueverse.money import minor_text

    return {name: minor_text(getattr(line, name), decimals) for name in ("amount", "discount", "net", "tax")}


def _balance(balance: Decimal, decimals: int) -> str:
    """The currency's decimals, or more where the balance has more: nothing of a wallet is rounded away."""
    from valueverse.money import plain, round_decimal

    rounded = round_decimal(balance, decimals)
    return format(rounded, "f") if rounded == balance else plain(balance)


def _answer(document: Document) -> Document:
    from valueverse.invoicing.settlement import invoice_totals
    from valueverse.money import minor_text, plain
    from valueverse.services.calculators.invoice_input import read_bill

    bill = read_bill(document)
    totals = invoice_totals(bill)

    def text(minor: int) -> str:
        return minor_text(minor, bill.decimals)

    return {
        "lines": [{"key": line.key, **_shown(line, bill.decimals)} for line in totals.lines],
        "commitment_true_up": text(0 if totals.true_up is None else totals.true_up.amount),
        "subtotal": text(totals.subtotal),
        "discounts": [{"key": coupon.key, "amount": text(amount)} for coupon, amount in totals.discounts],
        "discount_total": text(totals.discount_total),
        "taxes": [
            {"percent": plain(rate.percent), "base": text(rate.base), "amount": text(rate.amount)}
            for rate in totals.taxes
        ],
        "tax_total": text(totals.tax_total),
        "total": text(totals.total),
        "credits": [
            {"kind": credit.kind, "key": credit.key, "amount": text(credit.amount)} for credit in totals.credits
        ],
        "credit_total": text(totals.credit_total),
        "amount_due": text(totals.amount_due),
        "wallets": [
            {"wallet": wallet.key, "balance": _balance(balance, bill.decimals)}
            for wallet, balance in zip(bill.wallets, totals.balances, strict=True)
        ],
    }


def answer(documents: list[Document]) -> Iterable[Document | RefusalError]:
    """One answer or refusal per document, in order."""
    answers: list[Document | RefusalError] = []
    for document in documents:
        try:
            answers.append(_answer(document))
        except RefusalError as refusal:
            answers.append(refusal)
    return answers
