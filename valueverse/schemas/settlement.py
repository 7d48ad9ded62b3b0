"""Frames of settlement: coupons, wallets, one-off lines, credit notes, voids, outcome proposals, and totals."""

from __future__ import annotations

import polars as pl

from valueverse.schemas.contract import Contract
from valueverse.schemas.types import EXACT, INSTANT, MINOR, TEXT

COUPONS = Contract(
    {
        "tenant": TEXT, "customer": TEXT, "subscription": TEXT, "coupon": TEXT, "origin": TEXT, "applied_at": INSTANT,
        "removed_at": INSTANT, "percent": EXACT, "amount": EXACT, "currency": TEXT, "plans": pl.List(pl.String),
        "charges": pl.List(pl.String), "periods": pl.Int32(), "received_at": INSTANT,
    },
    nullable=("subscription", "removed_at", "percent", "amount", "currency", "plans", "charges", "periods"),
)  # fmt: skip
"""``subscription`` null: the coupon holds for every subscription of the customer."""

WALLETS = Contract(
    {
        "tenant": TEXT, "customer": TEXT, "wallet": TEXT, "origin": TEXT, "kind": TEXT, "amount": EXACT,
        "currency": TEXT, "priority": EXACT, "expires_at": INSTANT, "created_at": INSTANT,
        "restrict_to": pl.List(pl.String),
    },
    nullable=("amount", "currency", "priority", "expires_at", "restrict_to"),
)  # fmt: skip
"""One row per grant, purchase or void (``kind``), in the order in which they count."""

ONE_OFFS = Contract(
    {
        "tenant": TEXT, "customer": TEXT, "key": TEXT, "origin": TEXT, "description": TEXT, "amount": EXACT,
        "currency": TEXT, "time": INSTANT, "service_from": INSTANT, "service_to": INSTANT,
    },
    key=("tenant", "origin"),
)  # fmt: skip
"""Amounts to bill once; ``time``: when they were asked for."""

CREDIT_NOTES = Contract(
    {
        "tenant": TEXT, "number": TEXT, "origin": TEXT, "amount": EXACT, "reason": TEXT, "created_at": INSTANT,
        "received_at": INSTANT, "source": TEXT, "id": TEXT, "type": TEXT, "time": INSTANT,
    },
    key=("tenant", "origin"),
    nullable=("reason", "type", "time"),
)  # fmt: skip
"""``created_at``: the note's own time; ``received_at``: when it was received."""

INVOICE_VOIDS = Contract(
    {"tenant": TEXT, "number": TEXT, "reason": TEXT, "voided_at": INSTANT, "received_at": INSTANT},
    key=("tenant", "number", "received_at"),
    nullable=("reason",),
)
"""Invoices that events void, in the order in which they count; ``received_at``: when the event was received."""

APPROVED_PROPOSALS = Contract(
    {
        "tenant": TEXT, "proposal": TEXT, "customer": TEXT, "subscription": TEXT, "charge": TEXT,
        "period_from": INSTANT, "period_to": INSTANT, "amount": EXACT, "currency": TEXT, "approved_at": INSTANT,
        "model": TEXT, "commit_id": TEXT, "run_hash": TEXT, "invoice_id": TEXT,
    },
    key=("tenant", "proposal"),
    nullable=("invoice_id",),
)  # fmt: skip
"""Approved proposals. ``proposal`` is unique per tenant; ``charge`` is the charge's key; the period is the one whose
value was realised; ``amount`` (major units, either sign) is what is to be billed for it beyond earlier proposals;
``invoice_id`` is the finalised, unvoided invoice that bills the proposal already, null while none does."""

LINE_TAXES = Contract(
    {
        "stated": TEXT, "catalog_hash": TEXT, "country": TEXT, "tax_rates": TEXT, "tax_percent": EXACT,
        "tax_key": TEXT, "tax_problem": TEXT,
    },
    nullable=("stated", "country", "tax_rates", "tax_problem"),
)  # fmt: skip
"""The tax of lines by what fees, charges or plans state, the catalog and the customer: percent and keys, or a
problem."""

APPLIED_CREDIT = pl.Struct({"kind": pl.String, "key": pl.String, "origin": pl.String, "amount_minor": MINOR})

APPLIED_DISCOUNT = pl.Struct({"key": pl.String, "origin": pl.String, "amount_minor": MINOR})

APPLIED_TAX = pl.Struct(
    {
        "key": pl.String, "percent": pl.String, "base_minor": MINOR, "amount_minor": MINOR,
        "lines": pl.List(pl.Int32),
    }
)  # fmt: skip
"""``lines``: the places (from 1) of the invoice's lines with the rate."""

INVOICE_TOTALS = Contract(
    {
        "discount_total_minor": MINOR, "tax_total_minor": MINOR, "total_minor": MINOR, "credit_total_minor": MINOR,
        "amount_due_minor": MINOR, "discounts": pl.List(APPLIED_DISCOUNT), "taxes": pl.List(APPLIED_TAX),
        "credits": pl.List(APPLIED_CREDIT),
    }
)  # fmt: skip
"""What an invoice comes to."""
