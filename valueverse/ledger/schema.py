"""Frames of the journal. Amounts are Int64 minor units: a debit is positive, a credit negative."""

from __future__ import annotations

import polars as pl
import polars_hash  # noqa: F401 - registers .chash

from valueverse.schemas.types import INSTANT

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

MOVEMENTS = pl.Schema(
    {
        "tenant": pl.String(),
        "kind": pl.String(),
        "reference": pl.String(),
        "date": pl.Date(),
        "currency": pl.String(),
        "account": pl.String(),
        "customer": pl.String(),
        "invoice": pl.String(),
        "wallet": pl.String(),
        "amount_minor": pl.Int64(),
    }
)
"""What a cause moves, before it is compared with what is booked for it. ``invoice`` on a receivable: the invoice that
is open by it; null: the customer's balance that no invoice has used yet."""
POSITION = ("account", "customer", "invoice", "wallet")
"""What distinguishes two postings of one entry."""

ENTRIES = pl.Schema(
    {
        "tenant": pl.String(),
        "entry_id": pl.String(),
        "kind": pl.String(),
        "reference": pl.String(),
        "date": pl.Date(),
        "currency": pl.String(),
        "revision": pl.Int32(),
    }
)
"""One row per entry: 0 is the first booking of its cause on that date, later revisions are differences to it."""
POSTINGS = pl.Schema(
    {
        "tenant": pl.String(),
        "entry_id": pl.String(),
        "position": pl.Int32(),
        "account": pl.String(),
        "customer": pl.String(),
        "invoice": pl.String(),
        "wallet": pl.String(),
        "amount_minor": pl.Int64(),
        "currency": pl.String(),
    }
)

INVOICES = pl.Schema(
    {
        "tenant": pl.String(),
        "number": pl.String(),
        "customer": pl.String(),
        "currency": pl.String(),
        "timezone": pl.String(),
        "issued_on": pl.Date(),
        "discount_minor": pl.Int64(),
        "tax_minor": pl.Int64(),
        "total_minor": pl.Int64(),
        "credit_minor": pl.Int64(),
    }
)
INVOICE_LINES = pl.Schema(
    {
        "tenant": pl.String(),
        "number": pl.String(),
        "line_no": pl.Int32(),
        "service_from": INSTANT,
        "service_to": INSTANT,
        "amount_minor": pl.Int64(),
        "discount_minor": pl.Int64(),
    }
)
"""``discount_minor`` null: the document alone is known, which states discounts for the invoice only."""
INVOICE_CREDITS = pl.Schema(
    {
        "tenant": pl.String(),
        "number": pl.String(),
        "position": pl.Int32(),
        "kind": pl.String(),
        "key": pl.String(),
        "origin": pl.String(),
        "amount_minor": pl.Int64(),
    }
)
"""``origin``: the grant, purchase or credit note that paid; null where the document alone is known."""
BILLS = pl.Schema(
    {
        "tenant": pl.String(),
        "number": pl.String(),
        "customer": pl.String(),
        "currency": pl.String(),
        "tax_minor": pl.Int64(),
        "total_minor": pl.Int64(),
        "voided_at": INSTANT,
    }
)
"""Finalised invoices as payments and credit notes need to know them."""
USED = pl.Schema({"tenant": pl.String(), "origin": pl.String(), "amount_minor": pl.Int64()})
"""What invoices that are not voided used of each grant and purchase."""
BOOKED = pl.Schema({**MOVEMENTS, "revision": pl.Int32()})
"""What stands in the journal for a set of causes: sums per cause, date and place; ``revision`` of the newest entry."""


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
    chosen = [found.get(name, pl.col(name)).cast(dtype).alias(name) for name, dtype in MOVEMENTS.items()]
    return rows.select(chosen).filter(pl.col("amount_minor") != 0)
