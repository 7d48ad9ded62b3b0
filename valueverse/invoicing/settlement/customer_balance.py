"""One customer's coupons, wallets and credit notes as their invoices use them up, one after the other."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.invoicing.lines.thresholds import INVOICE_TYPE as THRESHOLD
from valueverse.invoicing.rules import OF_CLOSE
from valueverse.invoicing.settlement.coupons import Billing, Coupon, coupon_of, holds, most_of_period
from valueverse.invoicing.settlement.credit_application import Credit, CreditNote, Wallet, spent_first
from valueverse.invoicing.settlement.credit_notes import whole_minor_units
from valueverse.invoicing.settlement.threshold_totals import ThresholdTotals
from valueverse.invoicing.settlement.totals import InvoiceParts, Totals
from valueverse.money import minor_units
from valueverse.schemas.invoicing import COUPON_USES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from valueverse.invoicing.prior_state import ConsumedCredits
    from valueverse.invoicing.settlement.adjustment_events import AdjustmentEvents
    from valueverse.money import RoundingMode

Row = dict[str, Any]
_PAID_BY = ["tenant", "customer", "currency", "kind", "key", "origin"]
_Event = tuple[str, str]
"""Tenant and origin."""
Period = tuple[str, str, datetime]
"""Tenant, subscription and begin of a period."""


@dataclass(frozen=True)
class Issue:
    """What an account has to know of an invoice.

    ``origin`` and ``key`` name the credit that it leaves if it comes out negative.
    """

    subscription: str
    invoice_type: str
    period_from: datetime
    close: datetime
    issued_at: datetime
    currency: str
    decimals: int
    mode: RoundingMode
    skip_zero: bool
    origin: str
    key: str


@dataclass
class CustomerBalance:
    """A customer's prepaid money and discounts. Mutable: each invoice leaves less of them to the next.

    ``closed``: the periods of which a closing invoice stands; ``taken``: by origin, subscription and begin of a period,
    what a coupon took of it (minor units).
    """

    tenant: str
    customer: str
    coupons: list[Row] = field(default_factory=list)
    wallets: list[Row] = field(default_factory=list)
    notes: list[Row] = field(default_factory=list)
    uses: defaultdict[tuple[str, str], set[datetime]] = field(default_factory=lambda: defaultdict(set))
    earlier: defaultdict[tuple[str, datetime], ThresholdTotals] = field(
        default_factory=lambda: defaultdict(ThresholdTotals)
    )
    spent: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    owed_again: list[Row] = field(default_factory=list)
    closed: Collection[Period] = ()
    taken: dict[tuple[str, str, datetime], int] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        adjustments: AdjustmentEvents,
        notes: pl.DataFrame,
        used: ConsumedCredits,
        earlier: Mapping[tuple[str, str, str, datetime], ThresholdTotals],
        closed: Collection[Period] = (),
    ) -> dict[tuple[str, str], CustomerBalance]:
        """Accounts of every customer whom something of the kind concerns; ``notes``: those that count."""
        accounts: dict[tuple[str, str], CustomerBalance] = {}

        def of(row: Row) -> CustomerBalance:
            owner = (row["tenant"], row["customer"])
            return accounts.setdefault(owner, cls(*owner, closed=closed))

        for row in adjustments.coupons.iter_rows(named=True):
            of(row).coupons.append(row)
        for row in adjustments.wallets.iter_rows(named=True):
            of(row).wallets.append(row)
        for row in notes.iter_rows(named=True):
            of(row).notes.append(row)
        for row in _overdrawn(adjustments.wallets, notes, used).iter_rows(named=True):
            of(row).owed_again.append(row)
        for row in used.balances.iter_rows(named=True):
            of(row).owe(row["origin"], row["key"], row["currency"], row["amount_minor"], row["created_at"])
        for (tenant, customer, subscription, period), threshold_totals_of in earlier.items():
            if threshold_totals_of.taken or (tenant, customer) in accounts:
                of({"tenant": tenant, "customer": customer}).earlier[subscription, period] = threshold_totals_of
        uses, spent = _used_by_event(used)
        for account in accounts.values():
            account._recall(uses, spent)
        return accounts

    def _recall(self, uses: Mapping[_Event, Sequence[tuple[str, datetime, int]]], spent: Mapping[_Event, int]) -> None:
        """What earlier invoices used of this account, both by the tenant and origin of the event: two tenants may send
        equal ones."""
        for coupon in self.coupons:
            for subscription, period, taken in uses.get((self.tenant, coupon["origin"]), ()):
                self.uses[coupon["origin"], subscription].add(period)
                self.taken[coupon["origin"], subscription, period] = taken
        for row in (*self.wallets, *self.notes):
            minor = spent.get((self.tenant, row["origin"]))
            if minor is not None:
                self.spent[row["origin"]] = Decimal(minor).scaleb(-minor_units(row["currency"]))

    def owe(self, origin: str, key: str, currency: str, minor: int, created_at: datetime) -> None:
        """Money that an invoice left to the customer: paid out by the next ones, as a credit note would be."""
        amount = Decimal(minor).scaleb(-minor_units(currency))
        self.notes.append(
            {"origin": origin, "id": key, "currency": currency, "amount": amount, "created_at": created_at}
        )

    def settle(
        self, issue: Issue, lines: Sequence[Row], total: Callable[[InvoiceParts, Sequence[Row]], Totals]
    ) -> Totals:
        """Total an invoice, and take from the account what it used."""
        bill = InvoiceParts(
            decimals=issue.decimals,
            lines=(),
            mode=issue.mode,
            coupons=self._coupons(issue),
            credit_notes=self._notes(issue),
            wallets=self._wallets(issue),
            issued_at=issue.issued_at,
            owed_again=[
                Credit(row["kind"], row["key"], row["amount_minor"], row["origin"]).taken_back()
                for row in self.owed_again
                if row["currency"] == issue.currency
            ],
            earlier=self._of_period(issue),
        )
        found = total(bill, lines)
        if found.total == 0 and issue.skip_zero:
            return found
        for coupon, _ in found.discounts:
            self.uses[coupon.origin, issue.subscription].add(issue.period_from)
        if issue.invoice_type == THRESHOLD:
            self._remember(issue, lines, found)
        self.owed_again = [row for row in self.owed_again if row["currency"] != issue.currency]
        for credit in found.credits:
            self.spent[credit.origin] += Decimal(credit.amount).scaleb(-issue.decimals)
        if found.amount_due < 0:
            self.owe(issue.origin, issue.key, issue.currency, -found.amount_due, issue.close)
        return found

    def _remember(self, issue: Issue, lines: Sequence[Row], found: Totals) -> None:
        """A later invoice of the period bills what this one leaves."""
        threshold_totals_of = self.earlier[issue.subscription, issue.period_from]
        for row, line in zip(lines, found.lines, strict=True):
            if row["kind"] == "usage":
                threshold_totals_of.add_line((row["key"], row["dimensions"]), line.amount, line.discount)
        for coupon, amount in found.discounts:
            threshold_totals_of.took(coupon.origin, coupon.key, amount)

    def _closes_again(self, issue: Issue) -> bool:
        """Whether a closing invoice of the period exists already: it bills what the period itself made."""
        return issue.invoice_type == "period" and (self.tenant, issue.subscription, issue.period_from) in self.closed

    def _of_period(self, issue: Issue) -> ThresholdTotals | None:
        """Amounts of threshold invoices of which an invoice bills the rest."""
        if issue.invoice_type not in OF_CLOSE or self._closes_again(issue):
            return None
        return self.earlier[issue.subscription, issue.period_from]

    def _left_of(self, row: Row, issue: Issue) -> Row:
        """A coupon with what is left of its amount where the period closed before: an amount is taken once."""
        if row["amount"] is None or not self._closes_again(issue):
            return row
        minor = self.taken.get((row["origin"], issue.subscription, issue.period_from), 0)
        return row | {"amount": max(row["amount"] - Decimal(minor).scaleb(-issue.decimals), Decimal(0))}

    def _coupons(self, issue: Issue) -> list[Coupon]:
        """Coupons that hold and were not removed before the period closed. One that was removed after it lowered a
        threshold invoice of the period keeps what it took."""
        earlier = self._of_period(issue)
        taken = {} if earlier is None else {origin: minor for origin, (_, minor) in earlier.taken.items()}
        billing = Billing(issue.subscription, issue.currency, issue.invoice_type, issue.period_from, issue.close)
        return [
            coupon_of(self._left_of(row, issue), most_of_period(billing, row["removed_at"], taken.get(row["origin"])))
            for row in self.coupons
            if holds(row, billing, self.uses[row["origin"], issue.subscription])
            and (not billing.sees(row["removed_at"]) or row["origin"] in taken)
        ]

    def _notes(self, issue: Issue) -> list[CreditNote]:
        """Credit notes received by then on earlier invoices, with their unused amounts."""

        def there(row: Row) -> bool:
            issued_at = row.get("issued_at")
            return row["created_at"] <= issue.issued_at and (issued_at is None or issued_at < issue.issued_at)

        return [
            CreditNote(
                row["id"], max(row["amount"] - self.spent[row["origin"]], Decimal(0)), row["created_at"], row["origin"]
            )
            for row in self.notes
            if row["currency"] == issue.currency and there(row)
        ]

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


def _used_by_event(used: ConsumedCredits) -> tuple[dict[_Event, list[tuple[str, datetime, int]]], dict[_Event, int]]:
    """Subscription, period and minor units of each that a coupon lowered, and minor units taken of each credit."""
    uses: defaultdict[_Event, list[tuple[str, datetime, int]]] = defaultdict(list)
    for tenant, origin, subscription, period, minor in used.coupons.select(COUPON_USES.names()).iter_rows():
        uses[tenant, origin].append((subscription, period, minor))
    sums = used.credits.group_by("tenant", "origin").agg(pl.col("amount_minor").sum())
    return uses, {(tenant, origin): minor for tenant, origin, minor in sums.iter_rows()}


def _overdrawn(wallets: pl.DataFrame, notes: pl.DataFrame, used: ConsumedCredits) -> pl.DataFrame:
    """What finalised invoices were paid with beyond what stands of it (settle.PAID): from a credit note or a balance
    whose invoice was voided since, or an event that was withdrawn. The documents stay; the customer owes it again."""
    blocks = whole_minor_units("amount", "currency", wallets.filter(pl.col("kind") != "voided"))
    of = ["tenant", "origin"]
    held = [frame.select(*of, pl.col("amount_minor").alias("there")) for frame in (blocks, notes, used.balances)]
    paid = used.credits.filter("is_final").group_by(_PAID_BY, maintain_order=True).agg(pl.col("amount_minor").sum())
    rows = paid.join(pl.concat(held), on=of, how="left", maintain_order="left")
    beyond = (pl.col("amount_minor") - pl.col("there").fill_null(0)).alias("amount_minor")
    return rows.with_columns(beyond).filter(pl.col("amount_minor") > 0).sort(pl.all())


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
