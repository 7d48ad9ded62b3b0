"""Laws of an invoice's totals, whatever its lines, coupons, taxes, credits and rounding."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.laws import law
from valueverse.invoicing.settlement import allocation
from valueverse.invoicing.settlement.coupons import Coupon
from valueverse.invoicing.settlement.credit_application import CreditNote, Wallet
from valueverse.invoicing.settlement.totals import (
    LINE_KINDS,
    Commitment,
    GrossLine,
    InvoiceParts,
    Totals,
    invoice_totals,
)
from valueverse.money import RoundingMode, largest_remainder, round_decimal
from valueverse.schemas.types import EXACT

if TYPE_CHECKING:
    from random import Random

ISSUED = datetime(2026, 3, 1, tzinfo=UTC)
MODES: tuple[RoundingMode, ...] = ("half_up", "half_even", "up", "down")
laws = law(100)

names = st.sampled_from(["x", "y", "z"])
maybe_names = st.none() | names
scopes = st.frozensets(names, max_size=2)
moments = st.none() | st.sampled_from([datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 7)])
money = st.decimals(-200, 200, places=3)
owed = st.decimals(0, 200, places=3)
percents = st.decimals(0, 100, places=2)

lines = st.builds(
    GrossLine,
    key=names,
    amount=money,
    kind=st.sampled_from(LINE_KINDS),
    tax_percent=st.just(Decimal(0)) | st.sampled_from([Decimal(7), Decimal("19.25")]),
    plan=maybe_names,
    charge=maybe_names,
)
coupons = st.builds(Coupon, key=names, amount=owed, charges=scopes, plans=scopes, applied_at=moments) | st.builds(
    Coupon, key=names, percent=percents, charges=scopes, plans=scopes, applied_at=moments
)
commitments = st.none() | st.builds(
    Commitment, minimum=owed, used=st.integers(0, 31), full=st.just(31), tax_percent=st.just(Decimal(19))
)
wallets = st.builds(
    Wallet,
    key=names,
    balance=owed,
    kind=st.sampled_from(["granted", "purchased"]),
    priority=st.none() | st.integers(0, 3).map(Decimal),
    expires_at=moments,
    created_at=moments,
    restrict_to=scopes,
)
bills = st.builds(
    InvoiceParts,
    decimals=st.sampled_from([0, 2, 3]),
    lines=st.lists(lines, max_size=6),
    mode=st.sampled_from(MODES),
    level=st.sampled_from(["line", "tier", "invoice"]),
    coupons=st.lists(coupons, max_size=4),
    commitment=commitments,
    credit_notes=st.lists(st.builds(CreditNote, key=names, amount=owed, created_at=moments), max_size=3),
    wallets=st.lists(wallets, max_size=4),
    issued_at=st.just(ISSUED),
)


def changed(bill: InvoiceParts, **parts: Any) -> InvoiceParts:
    return dataclasses.replace(bill, **parts)


def everything(totals: Totals) -> list[tuple[int, int, int, int]]:
    shown = [*totals.lines, *([] if totals.true_up is None else [totals.true_up])]
    return [(line.amount, line.discount, line.net, line.tax) for line in shown]


@laws
@given(bills)
def test_total_is_subtotal_less_discount_plus_tax_and_so_is_every_line(bill: InvoiceParts) -> None:
    totals = invoice_totals(bill)
    assert totals.total == totals.subtotal - totals.discount_total + totals.tax_total
    assert totals.amount_due == totals.total - totals.credit_total
    sums = [sum(column) for column in zip(*everything(totals), strict=True)] or [0, 0, 0, 0]
    assert sums == [
        totals.subtotal,
        totals.discount_total,
        totals.subtotal - totals.discount_total,
        totals.tax_total,
    ]
    assert all(amount - discount == net for amount, discount, net, _ in everything(totals))


@laws
@given(bills)
def test_breakdowns_add_up_to_their_totals(bill: InvoiceParts) -> None:
    totals = invoice_totals(bill)
    assert sum(amount for _, amount in totals.discounts) == totals.discount_total
    assert sum(rate.amount for rate in totals.taxes) == totals.tax_total
    assert sum(credit.amount for credit in totals.credits) == totals.credit_total
    assert all(amount > 0 for _, amount in totals.discounts)


@laws
@given(bills)
def test_nothing_is_due_back_unless_the_total_is_negative(bill: InvoiceParts) -> None:
    totals = invoice_totals(bill)
    assert totals.credit_total >= 0
    assert (totals.amount_due < 0) == (totals.total < 0)
    assert totals.total >= 0 or totals.credit_total == 0


@laws
@given(bills)
def test_a_discount_lowers_no_line_and_no_invoice_below_zero(bill: InvoiceParts) -> None:
    totals = invoice_totals(bill)
    for amount, discount, net, _ in everything(totals):
        assert discount >= 0
        assert net >= min(amount, 0)
    assert totals.subtotal - totals.discount_total >= min(totals.subtotal, 0)


@laws
@given(bills)
def test_wallets_are_never_negative_and_lose_what_they_paid(bill: InvoiceParts) -> None:
    totals = invoice_totals(bill)
    spent = sum((wallet.balance for wallet in bill.wallets), Decimal(0)) - sum(totals.balances, Decimal(0))
    paid = sum(credit.amount for credit in totals.credits if credit.kind == "wallet")
    assert spent == Decimal(paid).scaleb(-bill.decimals)
    for wallet, balance in zip(bill.wallets, totals.balances, strict=True):
        assert 0 <= balance <= wallet.balance
        if wallet.expires_at is not None and wallet.expires_at <= ISSUED:
            assert balance == wallet.balance


@laws
@given(bills, names)
def test_restricted_wallets_pay_no_more_than_their_charges_cost(bill: InvoiceParts, charge: str) -> None:
    only = [Wallet(f"{place}", Decimal(70), restrict_to=frozenset({charge})) for place in range(2)]
    totals = invoice_totals(changed(bill, wallets=only))
    gross = sum(
        shown.net + shown.tax for line, shown in zip(bill.lines, totals.lines, strict=True) if line.charge == charge
    )
    paid = sum(credit.amount for credit in totals.credits if credit.kind == "wallet")
    assert paid <= max(0, gross)


@laws
@given(bills, st.randoms(use_true_random=False))
def test_the_order_of_coupons_notes_and_wallets_is_irrelevant(bill: InvoiceParts, chance: Random) -> None:
    mixed = changed(
        bill,
        coupons=chance.sample(bill.coupons, len(bill.coupons)),
        credit_notes=chance.sample(bill.credit_notes, len(bill.credit_notes)),
        wallets=chance.sample(bill.wallets, len(bill.wallets)),
    )
    one, other = invoice_totals(bill), invoice_totals(mixed)
    assert (one.lines, one.discounts, one.taxes, one.credits) == (
        other.lines,
        other.discounts,
        other.taxes,
        other.credits,
    )
    assert sorted(one.balances) == sorted(other.balances)


@laws
@given(bills)
def test_tax_is_the_rounded_sum_of_the_precise_line_taxes(bill: InvoiceParts) -> None:
    totals = invoice_totals(bill)
    rates = [line.tax_percent for line in bill.lines] + [Decimal(19)]
    precise = [net * rate / 100 for (_, _, net, _), rate in zip(everything(totals), rates, strict=False)]
    assert totals.tax_total == round_decimal(sum(precise, Decimal(0)), 0, bill.mode)
    assert all(abs(tax - share) < 2 for (*_, tax), share in zip(everything(totals), precise, strict=True))


@laws
@given(bills)
def test_level_invoice_rounds_once_and_moves_no_line_by_a_whole_minor_unit(bill: InvoiceParts) -> None:
    totals = invoice_totals(changed(bill, level="invoice", commitment=None))
    exact = [line.amount.scaleb(bill.decimals) for line in bill.lines]
    assert totals.subtotal == round_decimal(sum(exact, Decimal(0)), 0, bill.mode)
    assert all(abs(line.amount - share) < 1 for line, share in zip(totals.lines, exact, strict=True))


@laws
@given(bills, owed)
def test_fees_and_charges_come_to_the_commitment(bill: InvoiceParts, minimum: Decimal) -> None:
    totals = invoice_totals(changed(bill, commitment=Commitment(minimum)))
    counted = sum(
        shown.amount
        for line, shown in zip(bill.lines, totals.lines, strict=True)
        if line.kind not in {"adjustment", "one_off"}
    )
    assert totals.true_up is not None
    least = int(round_decimal(minimum, bill.decimals, bill.mode).scaleb(bill.decimals))
    assert counted + totals.true_up.amount == max(counted, least)


@laws
@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**4), min_size=1, max_size=8))
def test_parts_add_up_and_stay_next_to_their_share(total: int, weights: list[int]) -> None:
    assume(sum(weights))
    parts = allocation.pro_rata(total, weights)
    assert sum(parts) == total
    assert all(
        abs(part * sum(weights) - total * weight) < sum(weights) for part, weight in zip(parts, weights, strict=True)
    )


@laws
@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=8), st.sampled_from([1, 2, 5, 1000]))
def test_frames_and_whole_numbers_split_alike(shares: list[int], denominator: int) -> None:
    total = int(round_decimal(Decimal(sum(shares)) / denominator, 0))
    frame = pl.DataFrame(
        {"share": [Decimal(share) / denominator for share in shares], "order": range(len(shares))},
        schema={"share": EXACT, "order": pl.Int64},
    ).with_columns(group=pl.lit(0), total=pl.lit(total, pl.Int64))
    split = frame.select(largest_remainder(pl.col("share"), pl.col("total"), ["group"], "order")).to_series()
    assert split.to_list() == allocation.largest_remainder(total, shares, denominator)
