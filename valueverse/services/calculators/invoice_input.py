"""A line of ``valueverse invoice`` as the ingredients of an invoice (contracts.md, 5)."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from valueverse.documents import wrong
from valueverse.errors import did_you_mean
from valueverse.invoicing.settlement import (
    LINE_KINDS,
    WALLET_KINDS,
    Commitment,
    Coupon,
    CreditNote,
    GrossLine,
    InvoiceParts,
    Wallet,
)
from valueverse.money import minor_units
from valueverse.services.calculators.line_fields import (
    AMOUNT_LIMIT,
    Amount,
    Currency,
    Instant,
    Key,
    LinePart,
    ProrationField,
    Rounding,
    RoundingField,
    Signed,
    TaxPercent,
    TimeZone,
    read_line,
)

MOST_LINES, MOST_OTHERS = 50_000, 200
"""Entries of each list; every coupon and restricted wallet walks all lines."""
_DIGITS = 60
WhatItIsCalled = Annotated[Key, Field(description="what this is called")]


def _kind_of(*kinds: str) -> BeforeValidator:
    def judge(value: Any) -> Any:
        if value is not None and value not in kinds:
            hint = did_you_mean(str(value), kinds)
            raise wrong(f"unknown kind {str(value)[:40]!r}{hint.ending}", code="bad_kind", suggestion=hint.name)
        return value

    return BeforeValidator(judge)


class LineInput(LinePart):
    """A line before coupons."""

    key: WhatItIsCalled
    amount: Signed
    kind: Annotated[str | None, _kind_of(*LINE_KINDS)] = None
    tax_percent: TaxPercent = Decimal(0)
    plan: Key | None = None
    charge: Key | None = None

    def line(self) -> GrossLine:
        """A line is named after its charge, as in the invoices of the engine."""
        charge = self.charge or self.key
        return GrossLine(self.key, self.amount, self.kind or "usage", self.tax_percent, self.plan, charge)


class Scope(LinePart):
    """What a coupon may take off: nothing named means everything."""

    charges: tuple[Key, ...] | None = None
    plans: tuple[Key, ...] | None = None


class CouponInput(LinePart):
    """A discount: ``amount`` or ``percent``."""

    key: WhatItIsCalled
    amount: Amount | None = None
    percent: Amount | None = None
    applies_to: Scope | None = None
    applied_at: Instant | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.amount is None) == (self.percent is None):
            found = "neither is here" if self.amount is None else "both are here"
            raise wrong(f"a coupon has either 'amount' or 'percent': {found}", code="bad_coupon")
        if self.percent is not None and self.percent > 100:
            message = f"{self.percent} % is more than the whole: at most 100"
            raise wrong(message, "percent", code="out_of_range")
        return self

    def coupon(self) -> Coupon:
        """As the engine takes it."""
        scope = self.applies_to or Scope()
        charges, plans = frozenset(scope.charges or ()), frozenset(scope.plans or ())
        return Coupon(self.key, self.amount, self.percent, charges, plans, self.applied_at)


class CommitmentInput(LinePart):
    """The least that fees and charges come to."""

    minimum: Amount
    proration: ProrationField | None = None
    tax_percent: TaxPercent = Decimal(0)

    def commitment(self) -> Commitment:
        """As the engine takes it; no proration: the whole period."""
        used, full = (1, 1) if self.proration is None else (int(self.proration.days), int(self.proration.of))
        return Commitment(self.minimum, used, full, self.tax_percent)


class CreditNoteInput(LinePart):
    """Money owed to the customer."""

    key: WhatItIsCalled
    amount: Amount
    created_at: Instant | None = None


class Restriction(LinePart):
    """Charges: a list, or an object with ``charges`` as a coupon's ``applies_to`` has it."""

    charges: tuple[Key, ...] | None = None


class WalletInput(LinePart):
    """Prepaid money."""

    wallet: WhatItIsCalled
    balance: Amount
    kind: Annotated[Literal["granted", "purchased"] | None, _kind_of(*WALLET_KINDS)] = None
    priority: Signed | None = None
    expires_at: Instant | None = None
    created_at: Instant | None = None
    restrict_to: Annotated[
        Restriction | None, BeforeValidator(lambda value: value if isinstance(value, dict) else {"charges": value})
    ] = None

    def as_wallet(self) -> Wallet:
        """As the engine takes it."""
        charges = frozenset(self.restrict_to.charges or ()) if self.restrict_to else frozenset[str]()
        kind = self.kind or "purchased"
        return Wallet(self.wallet, self.balance, kind, self.priority, self.expires_at, self.created_at, charges)


class InvoiceInput(LinePart):
    """A line of ``valueverse invoice``."""

    id: Any = None
    currency: Currency = "USD"
    rounding: RoundingField | None = None
    timezone: TimeZone = "UTC"
    lines: Annotated[
        tuple[LineInput, ...], Field(max_length=MOST_LINES, description="a list of {key, amount}, which may be empty")
    ]
    wallets: Annotated[tuple[WalletInput, ...], Field(max_length=MOST_OTHERS)] | None = None
    coupons: Annotated[tuple[CouponInput, ...], Field(max_length=MOST_OTHERS)] | None = None
    commitment: CommitmentInput | None = None
    credit_notes: Annotated[tuple[CreditNoteInput, ...], Field(max_length=MOST_OTHERS)] | None = None
    issued_on: Instant | None = None

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        with localcontext(prec=_DIGITS):
            size = sum((abs(line.amount) for line in self.lines), Decimal(0))
        if size >= AMOUNT_LIMIT:
            raise wrong("the lines' amounts add up to 10^19 or more", "lines", code="out_of_range")
        if self.issued_on is None and any(wallet.expires_at is not None for wallet in self.wallets or ()):
            message = "issued_on is missing: a wallet's expiry is judged at it"
            raise wrong(message, "issued_on", code="missing_field")
        return self


def read_bill(document: dict[str, Any]) -> InvoiceParts:
    """The invoice's ingredients.

    Raises:
        DocumentError: everything that is wrong with the line.
    """
    stated = read_line(InvoiceInput, document)
    rounding = stated.rounding or Rounding()
    return InvoiceParts(
        decimals=minor_units(stated.currency),
        lines=tuple(line.line() for line in stated.lines),
        mode=rounding.mode,
        level=rounding.level,
        coupons=tuple(one.coupon() for one in stated.coupons or ()),
        commitment=None if stated.commitment is None else stated.commitment.commitment(),
        credit_notes=tuple(CreditNote(one.key, one.amount, one.created_at) for one in stated.credit_notes or ()),
        wallets=tuple(one.as_wallet() for one in stated.wallets or ()),
        issued_at=stated.issued_on,
    )
