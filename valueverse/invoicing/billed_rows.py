"""From recorded rows of invoices to what a run must not bill again: one derivation, whoever keeps the rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog import parse_catalog
from valueverse.invoicing.corrections.differences import (
    LASTING,
    OWN,
    PERIOD_TYPES,
    invoices_to_recompute,
    periods_with_voided_threshold,
)
from valueverse.invoicing.lines.thresholds import INVOICE_TYPE as THRESHOLD
from valueverse.invoicing.periods.billing_periods import CLOSE
from valueverse.invoicing.periods.due_invoices import BEGUN, periods_without_closing_invoice
from valueverse.invoicing.prior_state import (
    ConsumedCredits,
    InvoicesToRecompute,
    IssuedInvoices,
    PriorState,
    ThresholdAmounts,
)
from valueverse.invoicing.rules import OF_CLOSE
from valueverse.invoicing.settlement.credit_notes import reopened
from valueverse.schemas.invoicing import (
    BILLED_CREDITS,
    BILLED_DISCOUNTS,
    BILLED_INVOICES,
    BILLED_LINES,
    BOOKED_LINES,
    CORRECTED,
    CORRECTED_IN_VAIN,
    COUPON_USES,
    CREDITS_USED,
    INVOICE_DISCOUNTS,
    INVOICE_NUMBERS,
    ISSUED_INVOICES,
    NEGATIVE_BALANCES,
    ONE_OFFS_BILLED,
    RECOMPUTED_INVOICES,
    RERATINGS,
    THRESHOLD_COUPONS,
    THRESHOLD_LINES,
    UNCHANGED_INVOICES,
    VOIDED_INVOICES,
)

if TYPE_CHECKING:
    from datetime import datetime

_ID = ["tenant", "invoice_id"]
_LINE = [*_ID, "line_no"]
_KNOWN = [name for name in RECOMPUTED_INVOICES if name != "rerate_catalog_hash"]


@dataclass(frozen=True)
class BilledRows:
    """Recorded rows of some tenants' invoices: those that a run finds.

    Attributes:
        invoices: BILLED_INVOICES.
        lines: BILLED_LINES: one-off lines, corrections and lines of threshold invoices at least.
        credits: BILLED_CREDITS.
        discounts: BILLED_DISCOUNTS.
        unchanged: UNCHANGED_INVOICES.
        in_vain: CORRECTED_IN_VAIN.
    """

    invoices: pl.DataFrame = field(default_factory=BILLED_INVOICES.to_frame)
    lines: pl.DataFrame = field(default_factory=BILLED_LINES.to_frame)
    credits: pl.DataFrame = field(default_factory=BILLED_CREDITS.to_frame)
    discounts: pl.DataFrame = field(default_factory=BILLED_DISCOUNTS.to_frame)
    unchanged: pl.DataFrame = field(default_factory=UNCHANGED_INVOICES.to_frame)
    in_vain: pl.DataFrame = field(default_factory=CORRECTED_IN_VAIN.to_frame)

    @property
    def not_voided(self) -> pl.DataFrame:
        """Invoices that were not voided, drafts among them."""
        return self.invoices.filter(pl.col("voided_at").is_null())

    def with_invoice(self, rows: pl.DataFrame, *columns: str) -> pl.DataFrame:
        """Rows of invoices that were not voided, with these columns of their invoices."""
        return rows.join(self.not_voided.select(*_ID, *columns), on=_ID, maintain_order="left")

    def with_lines(self, lines: pl.DataFrame) -> BilledRows:
        """With these lines (BILLED_LINES), which take the place of those that are the same."""
        every = pl.concat([lines, self.lines]).unique(_LINE, keep="first", maintain_order=True)
        return replace(self, lines=every)


@dataclass(frozen=True)
class ReceivedChanges:
    """What was received that may change finalised invoices.

    Attributes:
        usage: the usage table.
        meters: ``CatalogHistory.meters``.
        facts: billing facts.
        known_at: the state of knowledge; None: nothing was received.
        reratings: RERATINGS.
        among: tenant, invoice_id of the invoices that may be recomputed; None: any.
    """

    usage: pl.LazyFrame
    meters: pl.DataFrame
    facts: pl.DataFrame
    known_at: datetime | None
    reratings: pl.DataFrame = field(default_factory=RERATINGS.to_frame)
    among: pl.DataFrame | None = None


def recorded_periods(rows: BilledRows) -> pl.DataFrame:
    """Standing invoices (BILLED_INVOICES), ``events_known_at`` the newest state of knowledge that is booked for each:
    on itself, or on an invoice that corrects it; also one that changed nothing of it."""
    corrections = rows.with_invoice(rows.lines.drop_nulls("corrected_invoice_id"), "events_known_at")
    since = [corrections.select("tenant", "events_known_at", invoice_id="corrected_invoice_id"), rows.unchanged]
    newest = (
        pl.concat(UNCHANGED_INVOICES.conform(part) for part in since)
        .group_by(_ID)
        .agg(pl.col("events_known_at").max().alias("corrected_at"))
    )
    known = pl.max_horizontal("events_known_at", "corrected_at").alias("events_known_at")
    marked = rows.not_voided.join(newest, on=_ID, how="left", maintain_order="left").with_columns(known)
    return BILLED_INVOICES.conform(marked)


def issued_invoices(rows: BilledRows) -> IssuedInvoices:
    """The finalised invoices."""
    return IssuedInvoices(
        ISSUED_INVOICES.conform(recorded_periods(rows).filter("is_final")),
        VOIDED_INVOICES.conform(rows.invoices.filter(pl.col("voided_at").is_not_null())),
        rows.in_vain,
    )


def recomputed_invoices(issued: IssuedInvoices, changes: ReceivedChanges) -> pl.DataFrame:
    """RECOMPUTED_INVOICES: the finalised invoices that what was received since may change; a superset."""
    not_voided = issued.not_voided.filter(pl.col("invoice_type").is_in(PERIOD_TYPES))
    if changes.among is not None:
        not_voided = _with_siblings(not_voided, changes.among)
    periods = not_voided.select(_KNOWN)
    voided = issued.voided.filter(pl.col("invoice_type").is_in(PERIOD_TYPES))
    # What corrected a voided invoice is on others: it is taken back, for its usage is billed again.
    unknown = voided.with_columns(pl.lit(None, ISSUED_INVOICES["events_known_at"]).alias("events_known_at"))
    found = [
        invoices_to_recompute(periods, changes.usage, changes.meters, changes.facts, changes.known_at),
        reopened(not_voided, changes.facts, changes.known_at).select(_KNOWN),
        periods.join(changes.reratings, on=_ID, how="semi"),
        # What a voided correction booked is due again, whatever later corrections know.
        periods.join(issued.in_vain, on=_ID, how="semi"),
        unknown.select(_KNOWN),
        periods_with_voided_threshold(periods, issued.voided),
        periods_without_closing_invoice(periods, issued.voided),
    ]
    rerated = changes.reratings.select(*_ID, "rerate_catalog_hash")
    again = pl.concat(found).unique(_ID, keep="first", maintain_order=True)
    if changes.among is not None:
        again = again.join(changes.among, on=_ID, how="semi", maintain_order="left")
    return RECOMPUTED_INVOICES.conform(again.join(rerated, on=_ID, how="left", maintain_order="left"))


def _with_siblings(periods: pl.DataFrame, among: pl.DataFrame) -> pl.DataFrame:
    """These invoices and all others of their periods: a period that closed early and went on is one."""
    mine = periods.join(among, on=_ID, how="semi")
    return periods.join(mine.select(BEGUN).unique(), on=BEGUN, how="semi", maintain_order="left")


def derive_prior_state(
    rows: BilledRows, issued: IssuedInvoices, recompute: pl.DataFrame, reratings: pl.DataFrame
) -> PriorState:
    """What a run must not bill again.

    Args:
        rows: with all lines of the invoices that are recomputed, and of those that correct them.
        issued: ``issued_invoices`` of the rows.
        recompute: ``recomputed_invoices``.
        reratings: RERATINGS, for the catalogs of those that were re-rated.
    """
    one_offs = rows.with_invoice(rows.lines.filter(pl.col("kind") == "one_off"))
    return PriorState(
        issued=issued,
        one_offs=ONE_OFFS_BILLED.conform(one_offs),
        thresholds=_threshold_amounts(rows),
        consumed=_consumed_credits(rows),
        recompute=booked_for(rows, recompute, reratings),
    )


def booked_for(rows: BilledRows, recompute: pl.DataFrame, reratings: pl.DataFrame) -> InvoicesToRecompute:
    """These invoices (RECOMPUTED_INVOICES) with what is booked for them, on themselves and on others."""
    corrects = pl.col("corrected_invoice_id").is_not_null()
    lasting = pl.when(pl.col("kind").is_in(LASTING)).then(pl.lit("lasting")).otherwise(pl.lit(OWN))
    lines = (
        rows.with_invoice(rows.lines, "sequence")
        .sort("tenant", "sequence", "invoice_id", "line_no", nulls_last=True)
        .with_columns(
            pl.coalesce("corrected_invoice_id", "invoice_id").alias("invoice_id"),
            (pl.col("amount_minor") - pl.col("discount_minor")).alias("net_minor"),
            lasting.alias("line_origin"),
            pl.when(~corrects).then("line_no").alias("line_no"),
            pl.col("tax_percent").fill_null(0).alias("booked_tax_percent"),
            pl.col("tax_key").fill_null("").alias("booked_tax_key"),
        )
        .join(recompute.select(_ID), on=_ID, how="semi", maintain_order="left")
    )
    taken = rows.with_invoice(rows.discounts).sort("tenant", "invoice_id", "position")
    discounts = taken.join(recompute.select(_ID), on=_ID, how="semi", maintain_order="left")
    catalogs = {
        str(key): parse_catalog(str(text))
        for key, text in reratings.select("rerate_catalog_hash", "document").unique().iter_rows()
        if key is not None
    }
    return InvoicesToRecompute(recompute, BOOKED_LINES.conform(lines), INVOICE_DISCOUNTS.conform(discounts), catalogs)


def _threshold_amounts(rows: BilledRows) -> ThresholdAmounts:
    of = ("customer", "subscription", "period_from", "period_to", "invoice_type")
    order = ("tenant", "subscription", "period_from", "period_to", "invoice_id")
    on_threshold = pl.col("invoice_type") == THRESHOLD
    lines = rows.with_invoice(rows.lines.filter(pl.col("corrected_invoice_id").is_null()), *of).filter(on_threshold)
    coupons = rows.with_invoice(rows.discounts, *of).filter(on_threshold)
    return ThresholdAmounts(
        THRESHOLD_LINES.conform(lines.sort(*order, "line_no").with_columns(threshold_at="period_to")),
        THRESHOLD_COUPONS.conform(coupons.sort(*order, "position")),
    )


def _consumed_credits(rows: BilledRows) -> ConsumedCredits:
    paid = rows.with_invoice(rows.credits, "customer", "currency", "is_final")
    uses = rows.with_invoice(rows.discounts, "subscription", "period_from", "invoice_type")
    of_close = pl.col("invoice_type").is_in(OF_CLOSE)
    coupons = (
        uses.sort("tenant", "origin", "subscription", "period_from")
        .group_by("tenant", "origin", "subscription", "period_from", maintain_order=True)
        .agg(pl.col("amount_minor").filter(of_close).sum())
    )
    numbered = rows.invoices.filter(pl.col("number").is_not_null())
    return ConsumedCredits(
        CREDITS_USED.conform(paid),
        COUPON_USES.conform(coupons),
        INVOICE_NUMBERS.conform(numbered, unset=("issued_at",)),
        corrected_amounts(rows),
        _negative_balances(rows),
    )


def corrected_amounts(rows: BilledRows) -> pl.DataFrame:
    """CORRECTED: what finalised, not voided invoices correct of others; ``lines`` holds their corrections at least."""
    shown = (pl.col("amount_minor") - pl.col("discount_minor") + pl.col("tax_minor")).alias("amount_minor")
    of = rows.invoices.select("tenant", corrected_invoice_id="invoice_id", corrected_number="number")
    lines = (
        rows.with_invoice(rows.lines, "number", "is_final", "events_known_at")
        .filter("is_final")
        .join(of, on=["tenant", "corrected_invoice_id"], maintain_order="left")
        .with_columns(shown, pl.col("events_known_at").alias("known_at"))
    )
    return CORRECTED.conform(lines)


def _negative_balances(rows: BilledRows) -> pl.DataFrame:
    days = (pl.col(name).dt.strftime("%F") for name in ("period_from", "period_to"))
    owed = rows.not_voided.filter(pl.col("amount_due_minor") < 0).with_columns(
        pl.col("invoice_id").alias("origin"),
        pl.format("balance:{}/{}", *days).alias("key"),
        (-pl.col("amount_due_minor")).alias("amount_minor"),
        CLOSE.alias("created_at"),
    )
    return NEGATIVE_BALANCES.conform(owed)
