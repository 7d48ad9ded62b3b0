"""Frames of the invoicing room. Instants are UTC, amounts EXACT major units beside Int64 minor units."""

from __future__ import annotations

import polars as pl

from valueverse.events.schema import INSTANT
from valueverse.money import EXACT, minor_units

RULES_VERSION = "1"
"""Version of the billing rules in this engine; it stands on every invoice (basis.rules_version)."""

TIER = pl.Struct(
    {
        "from": pl.String,
        "to": pl.String,
        "quantity": pl.String,
        "unit": pl.String,
        "flat": pl.String,
        "amount": pl.String,
    }
)

LINES: dict[str, pl.DataType | type[pl.DataType]] = {
    "tenant": pl.String,
    "customer": pl.String,
    "subscription": pl.String,
    "invoice_type": pl.String,
    "period_from": INSTANT,
    "period_to": INSTANT,
    "revision": pl.Int32,
    "rank": pl.Int32,
    "key": pl.String,
    "kind": pl.String,
    "description": pl.String,
    "service_from": INSTANT,
    "service_to": INSTANT,
    "meter": pl.String,
    "dimensions": pl.String,
    "quantity": EXACT,
    "amount_precise": EXACT,
    "amount_minor": pl.Int64,
    "currency": pl.String,
    "event_count": pl.Int64,
    "tiers": pl.List(TIER),
    "explains": pl.String,
    "corrected_invoice_id": pl.String,
    "proposal": pl.String,
    "is_difference": pl.Boolean,
}
"""One row per invoice line. ``rank`` orders the lines of an invoice: fees, then charges, as the plan lists them.
``corrected_invoice_id`` is the invoice that an adjustment corrects, ``proposal`` the fee proposal that an outcome line
bills;
``is_difference`` marks a line that bears its period so far less what earlier invoices of the period bore.
``explains`` is a text for people: nothing reads it."""

OF_PERIOD = ("usage", "minimum")
"""Kinds of lines of which threshold invoices may bear a part."""

USES = pl.Schema(
    {
        "tenant": pl.String(),
        "origin": pl.String(),
        "subscription": pl.String(),
        "period_from": INSTANT,
        "amount_minor": pl.Int64(),
    }
)
"""The periods that a coupon lowered: one row per application (tenant, origin), subscription and period.
``amount_minor``: what it took on the threshold and closing invoices of the period."""
OF_CLOSE = ("threshold", "period")
"""Purposes of the invoices that share what a period comes to."""

TAKEN = pl.Schema({"tenant": pl.String(), "invoice_id": pl.String(), "origin": pl.String(), "amount_minor": pl.Int64()})
"""What each coupon application (tenant, origin) took of an invoice."""


def with_decimals(rows: pl.DataFrame) -> pl.DataFrame:
    """Add ``decimals`` (Int8): the minor unit of each row's ``currency``."""
    decimals = {currency: minor_units(currency) for currency in rows["currency"].unique()}
    # An empty mapping would leave the column as text.
    found = pl.col("currency").replace_strict(decimals or {"": 0}, return_dtype=pl.Int8)
    return rows.with_columns(found.alias("decimals"))
