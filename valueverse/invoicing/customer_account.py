"""One customer's coupons, wallets and credit notes as their invoices use them up, one after the other."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.invoicing.coupons import Coupon
from valueverse.invoicing.credits import CreditNote, Wallet, spent_first
from valueverse.invoicing.totals import Bill, Totals
from valueverse.money import minor_units
from valueverse.subscriptions.facts import REJECTED, rejection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from valueverse.invoicing.settle import Used
    from valueverse.invoicing.told import Told
    from valueverse.money import RoundingMode

Row = dict[str, Any]


@dataclass(frozen=True)
class Issue:
    """What an account has to know of an invoice.

    ``origin`` and ``key`` name the credit that it leaves if it comes out negative; ``number`` is the one by which
    credit notes know it.
    """

    subscription: str
    starts: bool
    period_from: datetime
    close: datetime
    issued_at: datetime
    currency: str
    decimals: int
    mode: RoundingMode
    skip_zero: bool
    origin: str
    key: str
    number: str | None


@dataclass
class Account:
    """A customer's prepaid money and discounts. Mutable: each invoice leaves less of them to the next."""

    tenant: str
    customer: str
    coupons: list[Row] = field(default_factory=list)
    wallets: list[Row] = field(default_factory=list)
    notes: list[Row] = field(default_factory=list)
    uses: defaultdict[tuple[str, str], set[datetime]] = field(default_factory=lambda: defaultdict(set))
    spent: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    totals: dict[str, int] = field(default_factory=dict)
    refused: list[tuple[Row, str, str]] = field(default_factory=list)

    @classmethod
    def open(cls, told: Told, used: Used, numbers: pl.DataFrame) -> tuple[dict[tuple[str, str], Account], pl.DataFrame]:
        """Accounts of every customer whom something of the kind concerns, and credit notes for no invoice known."""
        accounts: dict[tuple[str, str], Account] = {}

        def of(row: Row) -> Account:
            owner = (row["tenant"], row["customer"])
            return accounts.setdefault(owner, cls(*owner))

        for row in told.coupons.iter_rows(named=True):
            of(row).coupons.append(row)
        for row in told.wallets.iter_rows(named=True):
            of(row).wallets.append(row)
        placed = told.notes.join(numbers, on=["tenant", "number"], how="left", maintain_order="left")
        for row in placed.filter(pl.col("customer").is_not_null()).iter_rows(named=True):
            of(row).notes.append(row)
        for row in used.owed.iter_rows(named=True):
            of(row).owe(row["origin"], row["key"], row["currency"], row["amount_minor"], row["created_at"])
        uses, spent = used.coupons, used.credits.group_by("origin").agg(pl.col("amount_minor").sum())
        for account in accounts.values():
            account._recall(uses, spent)
        stray = placed.filter(pl.col("customer").is_null())
        message = pl.concat_str(pl.lit("no invoice '"), "number", pl.lit("' has been finalised"))
        return accounts, rejection(stray, "unknown_invoice", message)

    def _recall(self, uses: pl.DataFrame, spent: pl.DataFrame) -> None:
        own = [row["origin"] for row in (*self.coupons, *self.wallets, *self.notes)]
        for origin, subscription, period in uses.filter(pl.col("origin").is_in(own)).iter_rows():
            self.uses[origin, subscription].add(period)
        minor = dict(spent.filter(pl.col("origin").is_in(own)).iter_rows())
        for row in (*self.wallets, *self.notes):
            if row["origin"] in minor:
                self.spent[row["origin"]] = Decimal(minor[row["origin"]]).scaleb(-minor_units(row["currency"]))
        for row in self.notes:
            if row.get("total_minor") is not None:
                self.totals[row["number"]] = row["total_minor"]

    def owe(self, origin: str, key: str, currency: str, minor: int, created_at: datetime) -> None:
        """Money that an invoice left to the customer: paid out by the next ones, as a credit note would be."""
        amount = Decimal(minor).scaleb(-minor_units(currency))
        self.notes.append(
            {"origin": origin, "id": key, "currency": currency, "amount": amount, "created_at": created_at}
        )

    def settle(self, issue: Issue, lines: Sequence[Row], total: Callable[[Bill, Sequence[Row]], Totals]) -> Totals:
        """Total an invoice, and take from the account what it used."""
        bill = Bill(
            decimals=issue.decimals,
            lines=(),
            mode=issue.mode,
            coupons=self._coupons(issue),
            credit_notes=self._notes(issue),
            wallets=self._wallets(issue),
            issued_at=issue.issued_at,
        )
        found = total(bill, lines)
        if found.total == 0 and issue.skip_zero:
            return found
        for coupon, _ in found.discounts:
            self.uses[coupon.origin, issue.subscription].add(issue.period_from)
        for credit in found.credits:
            self.spent[credit.origin] += Decimal(credit.amount).scaleb(-issue.decimals)
        if found.amount_due < 0:
            self.owe(issue.origin, issue.key, issue.currency, -found.amount_due, issue.close)
        if issue.number is not None:
            self.totals[issue.number] = found.total
        return found

    def _coupons(self, issue: Issue) -> list[Coupon]:
        """Coupons applied before the period closed and not removed by then, for as many periods as they hold.

        At a start the instant itself counts: a coupon applied with the subscription covers its first invoice.
        """

        def applied(moment: datetime) -> bool:
            return moment <= issue.close if issue.starts else moment < issue.close

        return [
            Coupon(
                key=row["coupon"],
                amount=row["amount"],
                percent=row["percent"],
                charges=frozenset(row["charges"] or ()),
                plans=frozenset(row["plans"] or ()),
                applied_at=row["applied_at"],
                origin=row["origin"],
            )
            for row in self.coupons
            if row["subscription"] in {None, issue.subscription}
            and row["currency"] in {None, issue.currency}
            and applied(row["applied_at"])
            and (row["removed_at"] is None or not applied(row["removed_at"]))
            and self._lasts(row, issue)
        ]

    def _lasts(self, row: Row, issue: Issue) -> bool:
        """Whether a coupon still holds: several invoices of one period count once."""
        used = self.uses[row["origin"], issue.subscription]
        return row["periods"] is None or issue.period_from in used or len(used) < row["periods"]

    def _notes(self, issue: Issue) -> list[CreditNote]:
        notes, credited = [], defaultdict[str, Decimal](Decimal)
        for row in self.notes:
            number = row.get("number")
            if row["currency"] != issue.currency or row["created_at"] > issue.issued_at:
                continue
            if number is not None and not self._within(row, credited[number], issue):
                continue
            credited[number or ""] += row["amount"]
            left = row["amount"] - self.spent[row["origin"]]
            notes.append(CreditNote(row["id"], max(left, Decimal(0)), row["created_at"], row["origin"]))
        return notes

    def _within(self, row: Row, credited: Decimal, issue: Issue) -> bool:
        """Whether a credit note fits into what is left of its invoice: it never exceeds what was paid or due."""
        total = self.totals.get(row["number"])
        if total is None:
            return False
        if 0 < row["amount"] <= Decimal(total).scaleb(-issue.decimals) - credited:
            return True
        words = f"a credit note of {row['amount']:f} is more than is left of invoice {row['number']}"
        if (row, "exceeds_invoice", words) not in self.refused:
            self.refused.append((row, "exceeds_invoice", words))
        return False

    def _wallets(self, issue: Issue) -> list[Wallet]:
        """Every grant and purchase so far with what is left of it; a void takes what the wallet still holds."""
        blocks: list[tuple[Wallet, str]] = []
        for row in self.wallets:
            if row["created_at"] > issue.issued_at or row["currency"] != issue.currency:
                continue
            if row["kind"] == "voided":
                blocks = _voided(blocks, row)
                continue
            left = row["amount"] - self.spent[row["origin"]]
            blocks.append((_block(row, max(left, Decimal(0))), row["wallet"]))
        return [wallet for wallet, _ in blocks]

    @property
    def rejected(self) -> pl.DataFrame:
        """Credit notes that were refused (REJECTED)."""
        parts = [
            rejection(pl.DataFrame([row], schema_overrides={"tenant": pl.String}), reason, pl.lit(words))
            for row, reason, words in self.refused
        ]
        return pl.concat([REJECTED.to_frame(), *parts])


def _block(row: Mapping[str, Any], balance: Decimal) -> Wallet:
    return Wallet(
        key=row["wallet"],
        balance=balance,
        kind=row["kind"],
        priority=row["priority"],
        expires_at=row["expires_at"],
        created_at=row["created_at"],
        restrict_to=frozenset(row["restrict_to"] or ()),
        origin=row["origin"],
    )


def _voided(blocks: list[tuple[Wallet, str]], row: Mapping[str, Any]) -> list[tuple[Wallet, str]]:
    """Blocks after a void: what it names is taken in the order in which it would have been spent, and nothing of what
    had expired by then."""
    left = row["amount"]
    taken: dict[str, Decimal] = {}
    for wallet, name in sorted(blocks, key=lambda block: spent_first(block[0])):
        if name == row["wallet"] and wallet.open_at(row["created_at"]):
            taken[wallet.origin] = min(left, wallet.balance)
            left -= taken[wallet.origin]
    return [
        (wallet.lowered(taken[wallet.origin]), name) if wallet.origin in taken else (wallet, name)
        for wallet, name in blocks
    ]
