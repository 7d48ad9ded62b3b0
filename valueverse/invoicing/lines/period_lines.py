"""What invoices bill of their own periods: fees, usage and commitments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.draft_invoices import DraftInvoices
from valueverse.invoicing.lines.amount_limits import in_range
from valueverse.invoicing.lines.commitments import true_ups
from valueverse.invoicing.lines.fees import advance, arrears, settlement
from valueverse.invoicing.lines.line_amounts import shown_amounts
from valueverse.invoicing.lines.usage.usage_lines import usage_lines
from valueverse.invoicing.periods.billing_periods import CLOSE, advance_stretches, stretches
from valueverse.schemas.invoicing import INVOICE, INVOICE_HEADERS, WORKING_LINES

if TYPE_CHECKING:
    from valueverse.invoicing.billing_context import BillingContext
    from valueverse.invoicing.lines.plan_terms import Terms


def period_lines(due: pl.DataFrame, context: BillingContext) -> tuple[DraftInvoices, pl.DataFrame]:
    """Fees, charges and commitments of these invoices, shown amounts included.

    Args:
        due: as ``invoices_due`` gives them.
        context: of the run.

    Returns:
        the invoices, also those without lines; and the problems (INVOICE, key, problem) that hold invoices back, which
        are left out.
    """
    terms = context.terms
    every = stretches(context.segments, due)
    closed = every.join(due.filter("bills_period"), on=INVOICE, how="semi", maintain_order="left")
    starting = advance_stretches(context.segments, due.filter("bills_advance"))
    lines = pl.concat(
        [
            arrears(closed, terms),
            advance(starting, terms),
            settlement(closed, terms),
            usage_lines(closed, context.consumption, terms),
        ]
    )
    good, problems = _priced(lines, terms)
    shown = shown_amounts(good, terms)
    committed = true_ups(shown, closed.join(problems, on=INVOICE, how="anti"), context.segments, terms)
    headers = _headers(pl.concat([every, starting]), terms).join(
        problems, on=INVOICE, how="anti", maintain_order="left"
    )
    return DraftInvoices(headers, pl.concat([shown, committed])), problems


def _priced(lines: pl.DataFrame, terms: Terms) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines of invoices that can be billed whole, and what keeps the others back."""
    mixed = pl.col("currency").n_unique().over(*INVOICE) > 1
    held = terms.policies.select("terms", "hold_reason")
    marked = (
        in_range(lines)
        .join(held, on="terms", how="left", maintain_order="left")
        .with_columns(
            pl.coalesce("problem", "hold_reason", pl.when(mixed).then(pl.lit("mixed_currencies"))).alias("problem")
        )
    )
    problems = marked.filter(pl.col("problem").is_not_null()).select(*INVOICE, "key", "problem")
    good = marked.join(problems.select(INVOICE).unique(), on=INVOICE, how="anti", maintain_order="left")
    return WORKING_LINES.conform(good), problems


def _headers(stretches: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """INVOICE_HEADERS of the invoices that bill these stretches."""
    policies = terms.policies.select("terms", "rounding_mode", "rounding_level", "zero_invoices")
    headers = (
        stretches.drop("catalog_hash")
        .unique(INVOICE, keep="first", maintain_order=True)
        .join(terms.sets.select("terms", "catalog_hash"), on="terms", how="left", maintain_order="left")
        .join(policies, on="terms", how="left", maintain_order="left")
    )
    return INVOICE_HEADERS.conform(headers.with_columns(CLOSE.alias("close")))
