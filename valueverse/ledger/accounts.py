"""Accounts of the journal, and what a cause moves on them."""

from __future__ import annotations

import polars as pl

from valueverse.schemas.ledger import JOURNAL_MOVEMENTS

CASH = "cash"
RECEIVABLE = "receivable"
GRANTED_CREDIT = "granted_credit"
CUSTOMER_CREDIT = "customer_credit"
DEFERRED_REVENUE = "deferred_revenue"
TAX_PAYABLE = "tax_payable"
REVENUE = "revenue"
PROMOTIONAL_CREDIT = "promotional_credit"
EXPIRED_CREDIT = "expired_credit"

ACCOUNTS = (
    CASH, RECEIVABLE, GRANTED_CREDIT, CUSTOMER_CREDIT, DEFERRED_REVENUE, TAX_PAYABLE, REVENUE, PROMOTIONAL_CREDIT,
    EXPIRED_CREDIT,
)  # fmt: skip
"""``granted_credit`` stands against what ``customer_credit`` owes for nothing received; ``promotional_credit`` is what
granted credit took from revenue when it was used; ``expired_credit`` is prepaid money that lapsed."""

CAUSE = ("tenant", "kind", "reference")
"""What made an entry: an invoice (by number), or a billing event (``source#id``)."""
KINDS = (
    "invoice", "revenue_recognition", "void", "credit_note", "payment_received", "payment_failed", "payment_refunded",
    "wallet_granted", "wallet_purchased", "wallet_voided", "wallet_expired",
)  # fmt: skip

POSITION = ("account", "customer", "invoice", "wallet")
"""What distinguishes two postings of one entry."""


def move(rows: pl.DataFrame, account: str, amount: pl.Expr | str, *dimensions: str) -> pl.DataFrame:
    """One movement per row, those of nothing left out.

    Args:
        rows: the cause, date and currency; customer, invoice and wallet as far as ``dimensions`` asks for them.
        account: one of ACCOUNTS.
        amount: minor units, a debit positive.
        dimensions: which of customer, invoice and wallet the posting has; the others are null.
    """
    own = {name: pl.col(name) if name in dimensions else pl.lit(None) for name in POSITION[1:]}
    found = own | {"account": pl.lit(account), "amount_minor": pl.col(amount) if isinstance(amount, str) else amount}
    chosen = [found.get(name, pl.col(name)).cast(dtype).alias(name) for name, dtype in JOURNAL_MOVEMENTS.items()]
    return rows.select(chosen).filter(pl.col("amount_minor") != 0)
