"""The lines of an invoice: fees, usage, commitments, one-offs, outcomes and thresholds."""

from valueverse.invoicing.lines.plan_terms import TERMS_KEY, Terms, resolve_plan

__all__ = ["TERMS_KEY", "Terms", "resolve_plan"]
