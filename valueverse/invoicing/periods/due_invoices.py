"""Which invoices are due, and what each bills of a period that several closing invoices stand for.

A period closes early where an end (or a change to other periods) is known; if that is withdrawn or moved later, the
period goes on and closes once more. The first closing invoice of the period then bills what the period itself made,
corrected as any other; the last one bills the advance of what follows. Each of these is billed once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.periods.billing_periods import CLOSE, closing_invoices, starting_invoices
from valueverse.schemas.invoicing import INVOICE
from valueverse.schemas.types import INSTANT

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.invoicing.prior_state import IssuedInvoices
    from valueverse.subscriptions import DateOrExpr

BEGUN = ("tenant", "subscription", "invoice_type", "period_from")
"""What closing invoices of one period have in common, wherever the period ended when they closed."""
SHARE = ("bills_period", "bills_advance")
"""Whether an invoice bills what its period made (arrears, charges, settlement, commitment), and whether it bills the
in-advance fees of what follows."""
_REACH = "reaches_to"


def invoices_due(
    segments: pl.DataFrame,
    tenants: pl.DataFrame,
    window: tuple[DateOrExpr, DateOrExpr],
    closed_by: datetime | None,
    issued: IssuedInvoices,
) -> pl.DataFrame:
    """The invoices of the window that do not stand yet: INVOICE, full_from, full_to and SHARE.

    Args:
        segments: ``billable()`` segments.
        tenants: tenant, timezone.
        window: from, to (tenant-local days).
        closed_by: leave out what closes later; None: nothing.
        issued: the finalised invoices.
    """
    due = pl.concat(
        [closing_invoices(segments, tenants, *window), starting_invoices(segments, tenants, *window)]
    ).with_columns(pl.lit(value=True).alias(name) for name in SHARE)
    if closed_by is not None:
        due = due.filter(pl.lit(closed_by).cast(INSTANT) >= CLOSE)
    # By where the period begins: an end that became known later must not bill a finalised period again.
    reached = issued.not_voided.group_by(BEGUN).agg(pl.col("period_to").max().alias(_REACH))
    goes_on = (pl.col("invoice_type") == "period") & (pl.col("period_to") > pl.col(_REACH))
    left = (
        due.join(reached, on=BEGUN, how="left", maintain_order="left")
        .filter(pl.col(_REACH).is_null() | goes_on)
        .with_columns(pl.col(_REACH).is_null().alias("bills_period"))
        .drop("revision")
    )
    before = issued.voided.group_by(BEGUN).agg(pl.len().cast(pl.Int32).alias("revision"))
    again = left.join(before, on=BEGUN, how="left", maintain_order="left").with_columns(pl.col("revision").fill_null(0))
    return again.select(due.columns)


def shares(not_voided: pl.DataFrame) -> pl.DataFrame:
    """tenant, invoice_id and SHARE of the closing invoices, not voided, of periods that closed more than once.

    Args:
        not_voided: INVOICE and invoice_id of finalised invoices that were not voided.
    """
    closing = not_voided.filter(pl.col("invoice_type") == "period")
    return closing.filter(pl.len().over(BEGUN) > 1).select(
        "tenant",
        "invoice_id",
        (pl.col("period_to") == pl.col("period_to").min().over(BEGUN)).alias("bills_period"),
        (pl.col("period_to") == pl.col("period_to").max().over(BEGUN)).alias("bills_advance"),
    )


def closed_periods(not_voided: pl.DataFrame) -> set[tuple[str, str, datetime]]:
    """tenant, subscription, period_from of periods with a closing invoice (INVOICE of ``not_voided``)."""
    closing = not_voided.filter(pl.col("invoice_type") == "period")
    return set(closing.select("tenant", "subscription", "period_from").iter_rows())


def closed_again(not_voided: pl.DataFrame) -> dict[tuple[str, str], tuple[datetime, tuple[str, str, datetime]]]:
    """Where each closing invoice closes, and its period (tenant, subscription, period_from), of those that stand behind
    an earlier one of their period; by tenant and invoice_id.

    Args:
        not_voided: INVOICE and invoice_id of finalised invoices that were not voided.
    """
    later = shares(not_voided).filter(~pl.col("bills_period")).select("tenant", "invoice_id")
    rows = not_voided.join(later, on=["tenant", "invoice_id"], how="semi")
    return {
        (tenant, invoice): (close, (tenant, subscription, begun))
        for tenant, invoice, close, subscription, begun in rows.select(
            "tenant", "invoice_id", "period_to", "subscription", "period_from"
        ).iter_rows()
    }


def periods_without_closing_invoice(booked: pl.DataFrame, voided: pl.DataFrame) -> pl.DataFrame:
    """Closing invoices of a period, not voided, where another closing invoice was voided: its amounts are due again.

    Args:
        booked: INVOICE of finalised invoices that were not voided.
        voided: INVOICE of voided ones.
    """
    lost = voided.filter(pl.col("invoice_type") == "period").select(*BEGUN, pl.col("period_to").alias("closed_at"))
    if lost.is_empty():
        return booked.clear()
    other = booked.join(lost, on=BEGUN).filter(pl.col("closed_at") != pl.col("period_to"))
    return booked.join(other, on=INVOICE, how="semi", maintain_order="left")
