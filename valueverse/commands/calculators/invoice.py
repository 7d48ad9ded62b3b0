"""``valueverse invoice``: from lines to an invoice's totals. The rules are those that bill."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from valueverse.invoicing.settlement.totals import BilledLine

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
    from valueverse.commands.calculators.invoice_input import read_bill
    from valueverse.invoicing.settlement.totals import invoice_totals
    from valueverse.money import minor_text, plain

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


def register(app: typer.Typer) -> None:
    """Add ``invoice`` to the command line."""

    @app.command("invoice")
    def invoice(
        file: Annotated[
            Path | None, typer.Option("--file", help="Read lines from this file instead of standard input.")
        ] = None,
    ) -> None:
        r"""Total an invoice: one JSON object per line in, one per line out.

        [bold]In[/bold]: currency, issued_on, lines \[{key, kind, amount, tax_percent, plan, charge}]; optional
        coupons \[{key, amount or percent, applies_to {charges, plans}, applied_at}], commitment {minimum, proration
        {days, of}, tax_percent}, credit_notes \[{key, amount, created_at}], wallets \[{wallet, kind, priority, balance,
        expires_at, created_at, restrict_to}], rounding {mode, level}, timezone.
        [bold]Out[/bold]: lines \[{key, amount, discount, net, tax}], commitment_true_up, subtotal, discounts,
        discount_total, taxes, tax_total, total, credits, credit_total, amount_due, wallets \[{wallet, balance}]. What
        the lines lack of discount_total and tax_total is the true-up's.

        [dim]printf '{"lines":\[{"key":"a","amount":"10","tax_percent":"19"}],
        "coupons":\[{"key":"c","percent":"20"}]}\n' | valueverse invoice[/dim]
        """
        from valueverse.commands.calculators.ndjson import run_calculator

        raise typer.Exit(run_calculator(answer, file))
