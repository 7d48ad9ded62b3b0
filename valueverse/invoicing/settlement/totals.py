"""From lines to an invoice: true-up -> coupons -> tax -> credit notes -> wallets.

The order is that of billing.md (From lines to an invoice). One invoice has few numbers, and each step depends on the
one before (a coupon on what the last one left, a wallet on what is still due), so this is plain exact arithmetic, not
frames: shown amounts are whole minor units, precise ones Decimals wide enough that nothing is rounded but where the
rule says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING

from valueverse.invoicing.settlement.allocation import largest_remainder
from valueverse.invoicing.settlement.coupons import apply_coupons
from valueverse.invoicing.settlement.credit_application import apply_credit_notes, apply_wallets
from valueverse.money import round_decimal
from valueverse.schemas.types import PLACES
from valueverse.subscriptions import prorated_amount

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from valueverse.invoicing.settlement.coupons import Coupon
    from valueverse.invoicing.settlement.credit_application import Credit, CreditNote, Wallet
    from valueverse.invoicing.settlement.threshold_totals import LineName, ThresholdTotals
    from valueverse.money import RoundingMode

LINE_KINDS = ("fee", "usage", "minimum", "adjustment", "one_off", "outcome")
NOT_COMMITTED = frozenset({"adjustment", "one_off"})
"""Kinds of lines that do not count towards the commitment."""
_DIGITS = 120
_TAX_PLACES = PLACES + 2
"""Decimals of whole minor units times a percentage."""


@dataclass(frozen=True)
class GrossLine:
    """A line before coupons: ``amount`` precise, in major units, either sign.

    ``tax_key`` names the rate or rates that ``tax_percent`` is of; ``discountable`` False: no coupon lowers it;
    ``name``: which line of its period it is the rest of.
    """

    key: str
    amount: Decimal
    kind: str = "usage"
    tax_percent: Decimal = Decimal(0)
    plan: str | None = None
    charge: str | None = None
    tax_key: str = ""
    discountable: bool = True
    name: LineName | None = None


@dataclass(frozen=True)
class Commitment:
    """The least that fees and charges come to in a full period, of which ``used`` of ``full`` days are billed."""

    minimum: Decimal
    used: int = 1
    full: int = 1
    tax_percent: Decimal = Decimal(0)


@dataclass(frozen=True)
class InvoiceParts:
    """All that an invoice is made from.

    Attributes:
        decimals: of the currency.
        mode, level: rounding policy; ``tier`` rounds each line here, for its tiers were rounded before.
        issued_at: when expiry is judged; None: nothing has expired.
        owed_again: credits below 0: what earlier invoices were paid with and should not have been.
        earlier: amounts of earlier invoices of the period; None: there are none.
    """

    decimals: int
    lines: Sequence[GrossLine]
    mode: RoundingMode = "half_up"
    level: str = "line"
    coupons: Sequence[Coupon] = ()
    commitment: Commitment | None = None
    credit_notes: Sequence[CreditNote] = ()
    wallets: Sequence[Wallet] = ()
    issued_at: datetime | None = None
    owed_again: Sequence[Credit] = ()
    earlier: ThresholdTotals | None = None


@dataclass(frozen=True)
class BilledLine:
    """A line as the invoice shows it, in minor units: net = amount - discount."""

    key: str
    amount: int
    discount: int
    net: int
    tax: int


@dataclass(frozen=True)
class TaxRate:
    """All lines of one rate: minor units taxed, and their tax."""

    percent: Decimal
    base: int
    amount: int
    key: str = ""


@dataclass(frozen=True)
class Totals:
    """An invoice's numbers in minor units; ``balances`` (major units) are those of the bill's wallets, in their order.

    ``true_up`` is the commitment's own line, None where the bill has no commitment. Lines and true-up add up to
    subtotal, discount_total and tax_total.
    """

    lines: tuple[BilledLine, ...]
    true_up: BilledLine | None
    subtotal: int
    discounts: tuple[tuple[Coupon, int], ...]
    discount_total: int
    taxes: tuple[TaxRate, ...]
    tax_total: int
    total: int
    credits: tuple[Credit, ...]
    credit_total: int
    amount_due: int
    balances: tuple[Decimal, ...]


def invoice_totals(bill: InvoiceParts) -> Totals:
    """The whole chain.

    total = subtotal - discount_total + tax_total; amount_due = total - credit_total, negative only where total is.
    """
    lines = list(bill.lines)
    amounts = shown_minor(bill)
    if bill.commitment is not None:
        lines.append(_true_up_line(bill.commitment, bill.lines))
        amounts.append(true_up_minor(bill, amounts))
    return totals_of(bill, lines, amounts)


def totals_of(bill: InvoiceParts, lines: Sequence[GrossLine], amounts: Sequence[int]) -> Totals:
    """Coupons, tax and credits over lines as shown (minor units); a true-up after ``bill.lines`` is separate."""
    nets = list(amounts)
    discounts = apply_coupons(bill.coupons, lines, nets, bill.decimals, bill.mode, bill.earlier)
    rates, taxes = _tax(lines, nets, bill.mode)
    billed = [
        BilledLine(line.key, amount, amount - net, net, tax)
        for line, amount, net, tax in zip(lines, amounts, nets, taxes, strict=True)
    ]
    total = sum(nets) + sum(taxes)
    due = total - sum(credit.amount for credit in bill.owed_again)
    notes = apply_credit_notes(bill.credit_notes, due, bill.decimals)
    due -= sum(credit.amount for credit in notes)
    owed = [(line.charge, shown.net + shown.tax) for line, shown in zip(lines, billed, strict=True)]
    spent, balances = apply_wallets(bill.wallets, owed, due, bill.decimals, bill.issued_at)
    paid = (*bill.owed_again, *notes, *spent)
    credit_total = sum(credit.amount for credit in paid)
    return Totals(
        lines=tuple(billed[: len(bill.lines)] if bill.commitment else billed),
        true_up=None if bill.commitment is None else billed[-1],
        subtotal=sum(amounts),
        discounts=tuple(discounts),
        discount_total=sum(amounts) - sum(nets),
        taxes=tuple(rates),
        tax_total=sum(taxes),
        total=total,
        credits=paid,
        credit_total=credit_total,
        amount_due=total - credit_total,
        balances=tuple(balances),
    )


def shown_minor(bill: InvoiceParts) -> list[int]:
    """Each line's shown amount in minor units.

    Level ``invoice`` rounds the sum of the precise lines and spreads it back by largest remainder; else each line
    rounds by itself.
    """
    if bill.level != "invoice":
        return [_minor(line.amount, bill) for line in bill.lines]
    with localcontext(prec=_DIGITS):
        total = sum((line.amount for line in bill.lines), Decimal(0))
        shares = [int(line.amount.scaleb(bill.decimals + PLACES)) for line in bill.lines]
    return largest_remainder(_minor(total, bill), shares, 10**PLACES)


def true_up_minor(bill: InvoiceParts, amounts: Sequence[int]) -> int:
    """What the bill's fees and charges, as shown and before coupons, lack of the commitment's rounded share."""
    if bill.commitment is None:
        return 0
    committed = prorated_amount(bill.commitment.minimum, bill.commitment.used, bill.commitment.full)
    counted = sum(amount for line, amount in zip(bill.lines, amounts, strict=True) if line.kind not in NOT_COMMITTED)
    return max(0, _minor(committed, bill) - counted)


def _true_up_line(commitment: Commitment, lines: Sequence[GrossLine]) -> GrossLine:
    # A commitment is its plan's, so a coupon for that plan covers it; two plans leave open whose it is.
    plans = {line.plan for line in lines if line.kind not in NOT_COMMITTED and line.plan is not None}
    plan = plans.pop() if len(plans) == 1 else None
    return GrossLine("commitment", Decimal(0), "minimum", commitment.tax_percent, plan)


def _minor(amount: Decimal, bill: InvoiceParts) -> int:
    with localcontext(prec=_DIGITS):
        return int(round_decimal(amount, bill.decimals, bill.mode).scaleb(bill.decimals))


def _tax(lines: Sequence[GrossLine], nets: Sequence[int], mode: RoundingMode) -> tuple[list[TaxRate], list[int]]:
    """Tax per rate, and per line: the unrounded taxes' sum is rounded once, then spread over rates and their lines."""
    places: dict[tuple[Decimal, str], list[int]] = {}
    for place, line in enumerate(lines):
        if line.tax_percent:
            places.setdefault((line.tax_percent, line.tax_key), []).append(place)
    scale = 10**_TAX_PLACES
    # 10 ** -20 minor units: net x percent / 100 is whole in them.
    units = {rate: int(rate[0].scaleb(PLACES)) for rate in places}
    bases = {rate: sum(nets[place] for place in found) for rate, found in places.items()}
    precise = [bases[rate] * units[rate] for rate in places]
    with localcontext(prec=_DIGITS):
        total = int(round_decimal(Decimal(sum(precise)).scaleb(-_TAX_PLACES), 0, mode))
    by_rate = largest_remainder(total, precise, scale)
    taxes = [0] * len(lines)
    rates: list[TaxRate] = []
    for (rate, found), amount in zip(places.items(), by_rate, strict=True):
        shares = [nets[place] * units[rate] for place in found]
        for place, part in zip(found, largest_remainder(amount, shares, scale), strict=True):
            taxes[place] = part
        percent, key = rate
        rates.append(TaxRate(percent, bases[rate], amount, key))
    return rates, taxes
