"""Billing events to a timeline of segments; billing periods; proration (billing.md, Time)."""

from valueverse.subscriptions.event_fields import (
    EVENT_ORDER,
    event_field,
    exact_text,
    known_events,
    number_field,
    rejected_events,
)
from valueverse.subscriptions.periods import (
    DAYS,
    FIRST_YEAR,
    LAST_YEAR,
    MONTHS,
    overlapping_periods,
    with_used_days,
)
from valueverse.subscriptions.proration import days_30_360, prorated_amount, prorated_expr, proration_factor
from valueverse.subscriptions.timeline import (
    CUSTOMER_TYPES,
    SUBSCRIPTION_STARTED,
    Timeline,
    build_timeline,
    starts_of_unknown_customers,
)
from valueverse.subscriptions.zones import DateOrExpr, local_date, local_later, local_midnight

__all__ = [
    "CUSTOMER_TYPES",
    "DAYS",
    "EVENT_ORDER",
    "FIRST_YEAR",
    "LAST_YEAR",
    "MONTHS",
    "SUBSCRIPTION_STARTED",
    "DateOrExpr",
    "Timeline",
    "build_timeline",
    "days_30_360",
    "event_field",
    "exact_text",
    "known_events",
    "local_date",
    "local_later",
    "local_midnight",
    "number_field",
    "overlapping_periods",
    "prorated_amount",
    "prorated_expr",
    "proration_factor",
    "rejected_events",
    "starts_of_unknown_customers",
    "with_used_days",
]
