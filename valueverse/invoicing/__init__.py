"""From lines to invoices: which periods close, what they owe, and the document that says so (billing.md)."""

from valueverse.invoicing.billed_rows import (
    BilledRows,
    ReceivedChanges,
    corrected_amounts,
    derive_prior_state,
    issued_invoices,
    recomputed_invoices,
    recorded_periods,
)
from valueverse.invoicing.billing_context import BillingContext, build_billing_context, with_terms
from valueverse.invoicing.engine import Billed, bill
from valueverse.invoicing.in_memory_billing import RecordedInvoices
from valueverse.invoicing.knowledge import KnownAt, known_at_of_tenant, newest_known_at, rows_as_recorded
from valueverse.invoicing.lineage import (
    changed_events,
    line_buckets,
    line_events,
    line_quantities,
    plan_at,
    usage_by_charge,
    used_days,
)
from valueverse.invoicing.lines.fees import full_fees
from valueverse.invoicing.periods.billing_periods import closing_within, last_close, next_close, running_period
from valueverse.invoicing.prior_state import PriorState
from valueverse.invoicing.rules import OF_CLOSE, RULES_VERSION
from valueverse.invoicing.usage_accounting import BILLED, account_usage, accounting_totals

__all__ = [
    "BILLED",
    "OF_CLOSE",
    "RULES_VERSION",
    "Billed",
    "BilledRows",
    "BillingContext",
    "KnownAt",
    "PriorState",
    "ReceivedChanges",
    "RecordedInvoices",
    "account_usage",
    "accounting_totals",
    "bill",
    "build_billing_context",
    "changed_events",
    "closing_within",
    "corrected_amounts",
    "derive_prior_state",
    "full_fees",
    "issued_invoices",
    "known_at_of_tenant",
    "last_close",
    "line_buckets",
    "line_events",
    "line_quantities",
    "newest_known_at",
    "next_close",
    "plan_at",
    "recomputed_invoices",
    "recorded_periods",
    "rows_as_recorded",
    "running_period",
    "usage_by_charge",
    "used_days",
    "with_terms",
]
