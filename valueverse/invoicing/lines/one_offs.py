"""One-off charges: on the customer's next invoice in their currency, or on one of their own where none will come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.periods.billing_periods import CLOSE
from valueverse.money import with_decimals
from valueverse.rating import round_amounts
from valueverse.schemas.invoicing import INVOICE, INVOICE_HEADERS, LINES, LINKED, POLICY, SETTLED, WORKING_LINES
from valueverse.schemas.types import EXACT

if TYPE_CHECKING:
    from valueverse.catalog import CatalogHistory
    from valueverse.invoicing.billing_context import BillingContext
    from valueverse.invoicing.prior_state import IssuedInvoices
    from valueverse.subscriptions import Timeline

INVOICE_TYPE = "one_off"
RANK = 2_000_000
"""Behind fees, charges and the commitment."""
NO_TERMS = pl.lit(None, pl.UInt32).alias("terms")
"""A one-off is its customer's: neither the taxes of the plan whose invoice bills it nor coupons restricted to that plan
hold for it."""
_CUSTOMER = ["tenant", "customer", "currency"]
_EVENT = ["tenant", "origin"]
_ONE_OFF = (
    *INVOICE, *POLICY, "timezone", "currency", "key", "description", "amount", "service_from", "service_to",
)  # fmt: skip


def one_off_lines(
    one_offs: pl.DataFrame, due: pl.DataFrame, to_come: pl.DataFrame, issued: IssuedInvoices, context: BillingContext
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines of one-offs that no invoice bills yet (WORKING_LINES), and the invoices that bill them (INVOICE_HEADERS).

    Args:
        one_offs: ONE_OFFS, without those that are booked.
        due: invoices of this run: INVOICE, close, currency, timezone and the policy of their terms.
        issued: the finalised invoices.
        to_come: ``invoices_to_come`` after this run.
        context: for the customers, and the catalog that an invoice of its own quotes.
    """
    timeline = context.timeline
    known = one_offs.join(timeline.customers.select("tenant", "customer"), on=["tenant", "customer"], how="semi")
    if known.is_empty():
        return WORKING_LINES.to_frame(), INVOICE_HEADERS.to_frame()
    starts = pl.col("invoice_type") == "start"
    reached = pl.when(starts).then(pl.col("close") >= pl.col("time")).otherwise(pl.col("close") > pl.col("time"))
    placed = (
        known.join(due, on=_CUSTOMER)
        .filter(reached)
        .sort("close", *INVOICE)
        .unique(_EVENT, keep="first", maintain_order=True)
    )
    reaching = pl.col("last_close").is_null() | (pl.col("last_close") > pl.col("time"))
    expected = known.join(to_come.select(*_CUSTOMER, "last_close"), on=_CUSTOMER).filter(reaching).select(_EVENT)
    alone = known.join(placed, on=_EVENT, how="anti").join(expected, on=_EVENT, how="anti")
    own = issued.with_revisions(_own(alone, timeline, context.history), INVOICE[1:-1])
    billed = pl.concat(part.select(_ONE_OFF) for part in (placed, own))
    headers = billed.unique(INVOICE, keep="first", maintain_order=True).with_columns(NO_TERMS, CLOSE.alias("close"))
    return _lines(billed), INVOICE_HEADERS.conform(headers)


def _own(alone: pl.DataFrame, timeline: Timeline, history: CatalogHistory) -> pl.DataFrame:
    """One-offs of customers without a subscription that will be invoiced: one invoice per instant and currency."""
    zones = timeline.customers.select("tenant", "customer", pl.col("timezone").alias("own_zone"))
    versions = history.versions.select("tenant", "effective_at", "catalog_hash").sort("effective_at")
    policies = pl.DataFrame(
        [(key, one.rounding.mode, one.rounding.level, one.zero_invoices) for key, one in history.catalogs.items()],
        schema=dict.fromkeys(POLICY, pl.String()),
        orient="row",
    )
    return (
        alone.sort("time")
        .join_asof(versions, left_on="time", right_on="effective_at", by="tenant", check_sortedness=False)
        .join(policies, on="catalog_hash", how="left", maintain_order="left")
        .join(zones, on=["tenant", "customer"], how="left", maintain_order="left")
        .join(timeline.tenants.select("tenant", "timezone"), on="tenant", how="left", maintain_order="left")
        .with_columns(
            pl.coalesce("own_zone", "timezone").alias("timezone"),
            pl.lit("").alias("subscription"),
            pl.lit(INVOICE_TYPE).alias("invoice_type"),
            pl.col("time").alias("period_from"),
            pl.col("time").alias("period_to"),
            pl.col("rounding_mode").fill_null("half_up"),
            pl.col("rounding_level").fill_null("line"),
            pl.col("zero_invoices").fill_null("issue"),
        )
    )


def _lines(placed: pl.DataFrame) -> pl.DataFrame:
    rows = with_decimals(placed.with_columns(pl.col("amount").alias("amount_precise")))
    scale = pl.lit(10).cast(pl.Int64).pow(pl.col("decimals")).cast(pl.Int64).cast(EXACT)
    shown = rows.with_columns(round_amounts(rows, "amount_precise").alias("amount_rounded"))
    lines = shown.with_columns(
        NO_TERMS,
        pl.lit(RANK, pl.Int32).alias("rank"),
        pl.lit("one_off").alias("kind"),
        pl.lit("").alias("dimensions"),
        (pl.col("amount_rounded") * scale).cast(pl.Int64).alias("amount_minor"),
        pl.lit([], LINES["tiers"]).alias("tiers"),
    )
    return WORKING_LINES.conform(
        lines, unset=("meter", "quantity", "event_count", "problem", "place", *LINKED, *SETTLED)
    )
