"""Frames of subscriptions: tenants, the tax of customers, and the stretches of time on one version of one plan."""

from __future__ import annotations

import polars as pl

from valueverse.schemas.contract import Contract
from valueverse.schemas.types import INSTANT, MINOR, TEXT

TENANT_PROFILES = Contract(
    {
        "tenant": TEXT, "name": TEXT, "timezone": TEXT, "currency": TEXT, "grace_seconds": pl.Int64(),
        "country": TEXT, "tax_id": TEXT, "address": TEXT, "invoicing": TEXT,
    },
    key=("tenant",),
    nullable=("name", "country", "tax_id", "address", "invoicing"),
)  # fmt: skip
"""What tenants state of themselves; ``address`` and ``invoicing`` are JSON texts."""

TAX_STATUSES = Contract(
    {
        "tenant": TEXT, "customer": TEXT, "since": INSTANT, "country": TEXT, "tax_rates": TEXT,
    },
    key=("tenant", "customer", "since"),
    nullable=("country", "tax_rates"),
)  # fmt: skip
"""A customer's country and tax rates (JSON text) from an instant on, until the next row of the customer."""

SEGMENTS = Contract(
    {
        "tenant": TEXT, "customer": TEXT, "subscription": TEXT, "segment": pl.Int32(), "plan": TEXT,
        "plan_version": pl.Int32(), "catalog_hash": TEXT, "currency": TEXT, "timezone": TEXT, "every": pl.Int32(),
        "unit": TEXT, "align": TEXT, "anchor": pl.Date(), "from": INSTANT, "to": INSTANT, "trial_until": INSTANT,
        "subscription_start": INSTANT, "subscription_end": INSTANT, "planned_end": INSTANT, "overrides": TEXT,
        "quantities": TEXT, "timezone_effective_from": INSTANT, "zone_day": pl.Date(),
    },
    key=("tenant", "subscription", "segment"),
    nullable=(
        "to", "trial_until", "subscription_end", "planned_end", "overrides", "quantities", "timezone_effective_from",
        "zone_day",
    ),
)  # fmt: skip
"""``to`` and ``subscription_end`` null = still running; ``planned_end`` is the end stated when it started.

``timezone_effective_from`` is the instant from which a new time zone holds, ``zone_day`` the date on which the period
before ended."""

ZONE_CHANGES = Contract(
    {"tenant": TEXT, "subscription": TEXT, "timezone": TEXT, "timezone_effective_from": INSTANT, "zone_day": pl.Date()},
    key=("tenant", "subscription", "timezone_effective_from"),
)
"""Where the periods of a subscription come to be drawn in another time zone."""

PERIOD_WINDOWS = Contract(
    {
        "every": pl.Int32(), "unit": TEXT, "align": TEXT, "timezone": TEXT, "anchor": pl.Date(),
        "window_from": INSTANT, "window_to": INSTANT, "start": INSTANT, "end": INSTANT,
    },
    nullable=("start", "end"),
)  # fmt: skip
"""Whose billing periods are asked for, and in which window; ``start`` and ``end``: of the subscription, null = open."""

PREVIEWED_AMOUNTS = Contract(
    {
        "tenant": TEXT, "subscription": TEXT, "invoice_type": TEXT, "period_from": INSTANT, "currency": TEXT,
        "revision": pl.Int32(), "period_to": INSTANT, "line": TEXT, "minor": MINOR,
    },
    key=("tenant", "subscription", "invoice_type", "period_from", "currency", "revision", "line"),
)  # fmt: skip
"""Totals (``line`` empty) and lines by key of the invoices of one customer that are not final, in minor units."""
