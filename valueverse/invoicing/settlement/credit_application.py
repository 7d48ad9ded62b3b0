"""What is already paid for: credit notes, then wallets, against an invoice's total (docs/decisions/0014)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Literal

from valueverse.invoicing.settlement.allocation import deduct_pro_rata
from valueverse.invoicing.settlement.coupons import earliest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

WalletKind = Literal["granted", "purchased"]
WALLET_KINDS: tuple[WalletKind, ...] = ("granted", "purchased")
_DIGITS = 120


@dataclass(frozen=True)
class CreditNote:
    """Money owed to the customer, at least 0, in major units."""

    key: str
    amount: Decimal
    created_at: datetime | None = None
    origin: str = ""


@dataclass(frozen=True)
class Wallet:
    """Prepaid money, at least 0, in major units; spendable before ``expires_at``.

    ``restrict_to`` names the charges whose lines (tax included) it may pay; empty: any. Without a ``priority`` it
    comes after those with one.
    """

    key: str
    balance: Decimal
    kind: WalletKind = "purchased"
    priority: Decimal | None = None
    expires_at: datetime | None = None
    created_at: datetime | None = None
    restrict_to: frozenset[str] = frozenset()
    origin: str = ""

    def open_at(self, issued_at: datetime | None) -> bool:
        """Whether it may be spent on an invoice issued then."""
        return self.expires_at is None or issued_at is None or issued_at < self.expires_at

    def lowered(self, amount: Decimal) -> Wallet:
        """The same with ``amount`` less in it."""
        return replace(self, balance=self.balance - amount)


@dataclass(frozen=True)
class Credit:
    """Minor units that one credit note or wallet paid; below 0: that it paid before and that are owed again."""

    kind: Literal["credit_note", "wallet"]
    key: str
    amount: int
    origin: str = ""

    def taken_back(self) -> Credit:
        """Its reversal: owed again, on the invoice that bills it."""
        return replace(self, amount=-self.amount)


def _whole_minor(amount: Decimal, decimals: int) -> int:
    """Minor units in an amount; what is smaller cannot pay and stays where it is."""
    with localcontext(prec=_DIGITS):
        return int(amount.scaleb(decimals))


def apply_credit_notes(notes: Sequence[CreditNote], due: int, decimals: int) -> list[Credit]:
    """Pay up to ``due`` minor units, oldest first."""
    paid: list[Credit] = []
    for note in sorted(notes, key=lambda note: (earliest(note.created_at), note.key, note.amount, note.origin)):
        amount = min(max(due, 0), _whole_minor(note.amount, decimals))
        due -= amount
        if amount:
            paid.append(Credit("credit_note", note.key, amount, note.origin))
    return paid


def spent_first(wallet: Wallet) -> tuple[object, ...]:
    """Sort key: the wallet that pays first (billing.md, From lines to an invoice)."""
    return (
        (wallet.priority is None, wallet.priority or Decimal(0)),
        wallet.kind != "granted",
        earliest(wallet.expires_at),
        earliest(wallet.created_at),
        # Never by the place in the input.
        (wallet.key, wallet.balance, sorted(wallet.restrict_to), wallet.origin),
    )


def apply_wallets(
    wallets: Sequence[Wallet],
    owed: Sequence[tuple[str | None, int]],
    due: int,
    decimals: int,
    issued_at: datetime | None,
) -> tuple[list[Credit], list[Decimal]]:
    """Pay up to ``due`` minor units from wallets that have not expired.

    Order: lower priority number, granted before purchased, earlier expiry, earlier creation. A restricted wallet pays
    at most what other restricted wallets leave of its charges' lines; money without a restriction counts as paying for
    the rest first.

    Args:
        wallets: in any order.
        owed: charge of each line, and its minor units, tax included.
        due: minor units of the whole invoice that are still to be paid.
        decimals: of the currency.
        issued_at: when expiry is judged; None: nothing has expired.

    Returns:
        What each wallet paid, in the order they paid; and the balances left, in the order of ``wallets``.
    """
    paid: list[Credit] = []
    balances = [wallet.balance for wallet in wallets]
    left = [gross for _, gross in owed]
    for place in sorted(range(len(wallets)), key=lambda place: spent_first(wallets[place])):
        wallet = wallets[place]
        amount = min(max(due, 0), _whole_minor(wallet.balance, decimals)) if wallet.open_at(issued_at) else 0
        if wallet.restrict_to:
            eligible = [number for number, (charge, _) in enumerate(owed) if charge in wallet.restrict_to]
            amount = deduct_pro_rata(amount, left, eligible)
        if amount:
            due -= amount
            paid.append(Credit("wallet", wallet.key, amount, wallet.origin))
            with localcontext(prec=_DIGITS):
                balances[place] = wallet.balance - Decimal(amount).scaleb(-decimals)
    return paid, balances
