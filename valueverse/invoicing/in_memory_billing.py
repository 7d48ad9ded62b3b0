"""Runs one after the other, in memory: what the warehouse keeps between billing runs, kept in frames.

``valueverse simulate --run-at`` bills with it what a schedule of runs would have billed, corrections included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.events.schema import INSTANT
from valueverse.invoicing.corrections.differences import (
    LASTING,
    OWN,
    PERIOD_TYPES,
    invoices_to_recompute,
    periods_with_voided_threshold,
)
from valueverse.invoicing.engine import Billed, bill
from valueverse.invoicing.knowledge import newest
from valueverse.invoicing.lines.thresholds import INVOICE_TYPE as THRESHOLD
from valueverse.invoicing.periods.due_invoices import periods_without_closing_invoice
from valueverse.invoicing.prior_state import (
    ConsumedCredits,
    InvoicesToRecompute,
    IssuedInvoices,
    PriorState,
    ThresholdAmounts,
)
from valueverse.invoicing.rendering.document_hash import invoice_id, invoice_number
from valueverse.invoicing.schema import OF_CLOSE
from valueverse.invoicing.settlement.adjustment_events import read_adjustment_events, stray_voids
from valueverse.invoicing.settlement.credit_notes import reopened
from valueverse.invoicing.settlement.settlement import NUMBERED
from valueverse.money import EXACT
from valueverse.schemas.invoicing import (
    BOOKED_LINES,
    CORRECTED,
    COUPON_USES,
    CREDITS_USED,
    INVOICE,
    INVOICE_DISCOUNTS,
    INVOICE_NUMBERS,
    ISSUED_INVOICES,
    RECOMPUTED_INVOICES,
    THRESHOLD_COUPONS,
    THRESHOLD_LINES,
    VOIDED_INVOICES,
)

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.catalog.history import CatalogHistory
    from valueverse.invoicing.knowledge import KnownAt
    from valueverse.subscriptions.timeline import Timeline
    from valueverse.subscriptions.zones import Day

_INVOICES: dict[str, Any] = {
    "tenant": pl.String,
    "customer": pl.String,
    "subscription": pl.String,
    "invoice_type": pl.String,
    "period_from": INSTANT,
    "period_to": INSTANT,
    "revision": pl.Int32,
    "invoice_id": pl.String,
    "number": pl.String,
    "currency": pl.String,
    "total_minor": pl.Int64,
    "amount_due_minor": pl.Int64,
    "close": INSTANT,
    "events_known_at": INSTANT,
}
_LINES: dict[str, Any] = BOOKED_LINES | {
    "discount_minor": pl.Int64,
    "tax_minor": pl.Int64,
    "corrected_invoice_id": pl.String,
    "amount_precise": EXACT,
}
_PARTS: dict[str, Any] = {
    "tenant": pl.String,
    "invoice_id": pl.String,
    "subscription": pl.String,
    "origin": pl.String,
    "key": pl.String,
    "amount_minor": pl.Int64,
}
_ID = ["tenant", "invoice_id"]
_CREDITS: dict[str, Any] = _PARTS | {"kind": pl.String}


def _recomputed(invoices: pl.DataFrame) -> pl.DataFrame:
    """RECOMPUTED_INVOICES under their own terms; those of ``voided`` have no state of knowledge any more."""
    unset = (
        {"rerate_catalog_hash"} if "events_known_at" in invoices.columns else {"rerate_catalog_hash", "events_known_at"}
    )
    return RECOMPUTED_INVOICES.conform(invoices, unset=unset)


class Books:
    """Finalised invoices of earlier runs; mutable, one run after the other."""

    def __init__(self) -> None:
        self._invoices = pl.DataFrame(schema=_INVOICES)
        self._lines = pl.DataFrame(schema=_LINES)
        self._credits = pl.DataFrame(schema=_CREDITS)
        self._discounts = pl.DataFrame(schema=_PARTS)
        self._voids = pl.DataFrame(schema={"tenant": pl.String, "invoice_id": pl.String, "voided_at": INSTANT})

    def run(
        self,
        timeline: Timeline,
        history: CatalogHistory,
        usage: pl.LazyFrame,
        facts: pl.DataFrame,
        window: tuple[Day, Day],
        *,
        known_at: KnownAt,
        as_of: datetime,
    ) -> Billed:
        """Bill as a run at ``as_of`` would that knows what was received by ``known_at``; finalise what is past its
        grace.

        Returns:
            the invoices finalised by this run, and their lines.
        """
        strays = self._void(timeline, history)
        booked = self._booked(usage, history, facts, known_at)
        billed = bill(timeline, history, usage, window, known_at=known_at, closed_by=as_of, prior=booked)
        done = billed.invoices.filter(pl.col("finalise_after") <= pl.lit(as_of, INSTANT))
        named = self._named(done)
        lines = billed.lines.join(named.select(*INVOICE, "invoice_id"), on=INVOICE, how="inner", maintain_order="left")
        self._keep(named, lines)
        rejected = pl.concat([billed.rejected, strays])
        return Billed(done, lines.drop("invoice_id"), billed.problems, rejected)

    def _void(self, timeline: Timeline, history: CatalogHistory) -> pl.DataFrame:
        """Void what billing events say; those of no finalised invoice come back as REJECTED."""
        adjustments = read_adjustment_events(timeline, history).voids
        named = self._invoices.select("tenant", "number", "invoice_id")
        fresh = adjustments.join(named, on=["tenant", "number"]).join(self._voids, on=_ID, how="anti")
        self._voids = pl.concat([self._voids, fresh.select(self._voids.columns)])
        return stray_voids(timeline, adjustments.join(named, on=["tenant", "number"], how="anti"))

    def _standing(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows of invoices that were not voided."""
        return frame.join(self._voids, on=_ID, how="anti", maintain_order="left")

    def _named(self, done: pl.DataFrame) -> pl.DataFrame:
        """Add invoice_id and number: the next ones of each tenant."""
        before = self._invoices.group_by("tenant").agg(pl.len().alias("last"))
        ordered = done.sort(NUMBERED).join(before, on="tenant", how="left", maintain_order="left")
        sequence = pl.int_range(1, pl.len() + 1).over("tenant") + pl.col("last").fill_null(0)
        places = ordered.select("tenant", sequence.alias("sequence")).iter_rows()
        return ordered.drop("last").with_columns(
            pl.Series("invoice_id", [invoice_id(row) for row in ordered.iter_rows(named=True)], pl.String),
            pl.Series("number", [invoice_number(*place) for place in places], pl.String),
        )

    def _keep(self, invoices: pl.DataFrame, lines: pl.DataFrame) -> None:
        net = lines.with_columns((pl.col("amount_minor") - pl.col("discount_minor")).alias("net_minor"))
        role = (
            pl.when(pl.col("kind").is_in(LASTING)).then(pl.lit("lasting")).otherwise(pl.lit(OWN)).alias("line_origin")
        )
        place = pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(INVOICE)
        line_no = pl.when(pl.col("corrected_invoice_id").is_null()).then(place).alias("line_no")
        kept = (
            net.sort("place")
            .with_columns(role, line_no, booked_tax_percent="tax_percent", booked_tax_key="tax_key")
            .select(pl.col(name).cast(dtype) for name, dtype in _LINES.items())
        )
        self._lines = pl.concat([self._lines, kept])
        self._invoices = pl.concat(
            [self._invoices, invoices.select(pl.col(name).cast(dtype) for name, dtype in _INVOICES.items())]
        )
        for column, name, schema in (("credits", "_credits", _CREDITS), ("discounts", "_discounts", _PARTS)):
            listed = invoices.select("tenant", "invoice_id", "subscription", column).filter(
                pl.col(column).list.len() > 0
            )
            parts = listed.explode(column).unnest(column).select(list(schema)).cast(pl.Schema(schema))
            setattr(self, name, pl.concat([getattr(self, name), parts]))

    def _booked(
        self, usage: pl.LazyFrame, history: CatalogHistory, facts: pl.DataFrame, known_at: KnownAt
    ) -> PriorState:
        standing, lines = self._standing(self._invoices), self._standing(self._lines)
        voided = self._invoices.drop("events_known_at").join(self._voids, on=_ID, maintain_order="left")
        latest = (
            lines.filter(pl.col("corrected_invoice_id").is_not_null())
            .join(self._invoices.select(*_ID, "events_known_at"), on=_ID)
            .group_by("tenant", "corrected_invoice_id")
            .agg(pl.col("events_known_at").max().alias("since"))
        )
        known = (
            standing.join(
                latest, left_on=_ID, right_on=["tenant", "corrected_invoice_id"], how="left", maintain_order="left"
            )
            .with_columns(pl.max_horizontal("events_known_at", "since").alias("events_known_at"))
            .drop("since")
        )
        periods = known.filter(pl.col("invoice_type").is_in(PERIOD_TYPES))
        moved = [
            invoices_to_recompute(periods, usage, history.meters, facts, newest(known_at)),
            reopened(periods, facts, newest(known_at)),
            voided.filter(pl.col("invoice_type").is_in(PERIOD_TYPES)),
            periods_with_voided_threshold(periods, voided),
            periods_without_closing_invoice(periods, voided),
        ]
        again = pl.concat(_recomputed(part) for part in moved).unique(_ID, keep="first", maintain_order=True)
        early_parts = self._standing(self._discounts).drop("subscription")
        concerned = lines.with_columns(pl.coalesce("corrected_invoice_id", "invoice_id").alias("invoice_id"))
        return PriorState(
            issued=IssuedInvoices(ISSUED_INVOICES.conform(standing), VOIDED_INVOICES.conform(voided)),
            one_offs=lines.filter(pl.col("kind") == "one_off").select("tenant", "key"),
            thresholds=ThresholdAmounts(
                self._early(THRESHOLD_LINES, lines), self._early(THRESHOLD_COUPONS, early_parts)
            ),
            consumed=self._used(),
            recompute=InvoicesToRecompute(
                again,
                concerned.select(BOOKED_LINES.names()).join(again, on=_ID, how="semi", maintain_order="left"),
                self._discounts.select(INVOICE_DISCOUNTS.names()),
            ),
        )

    def _early(self, schema: pl.Schema, parts: pl.DataFrame) -> pl.DataFrame:
        """What threshold invoices bore, or what coupons took of it."""
        cuts = self._invoices.filter(pl.col("invoice_type") == THRESHOLD).select(
            "invoice_id", "tenant", "customer", "subscription", "period_from", pl.col("period_to").alias("threshold_at")
        )
        bore = parts.join(cuts, on=_ID, maintain_order="left")
        return bore.select(pl.col(name).cast(dtype) for name, dtype in schema.items())

    def _paid(self) -> pl.DataFrame:
        owners = self._invoices.select(*_ID, "customer", "currency")
        paid = self._standing(self._credits).join(owners, on=_ID, maintain_order="left")
        return paid.with_columns(pl.lit(value=True).alias("is_final")).select(CREDITS_USED.names())

    def _used(self) -> ConsumedCredits:
        owed = (
            self._standing(self._invoices)
            .filter(pl.col("amount_due_minor") < 0)
            .select(
                "tenant",
                "customer",
                "currency",
                pl.col("invoice_id").alias("origin"),
                pl.format(
                    "balance:{}/{}", pl.col("period_from").dt.strftime("%F"), pl.col("period_to").dt.strftime("%F")
                ).alias("key"),
                (-pl.col("amount_due_minor")).alias("amount_minor"),
                pl.col("close").alias("created_at"),
            )
        )
        coupons = (
            self._standing(self._discounts)
            .join(self._invoices.select(*_ID, "period_from", "invoice_type"), on=_ID)
            .group_by("tenant", "origin", "subscription", "period_from", maintain_order=True)
            .agg(pl.col("amount_minor").filter(pl.col("invoice_type").is_in(OF_CLOSE)).sum())
            .select(COUPON_USES.names())
        )
        return ConsumedCredits(self._paid(), coupons, self._numbers(), self._corrected(), owed)

    def _numbers(self) -> pl.DataFrame:
        found = self._invoices.join(self._voids, on=_ID, how="left", maintain_order="left")
        before = found.with_columns(pl.lit(None).alias("issued_at"))
        return before.select(pl.col(name).cast(dtype) for name, dtype in INVOICE_NUMBERS.items())

    def _corrected(self) -> pl.DataFrame:
        names = self._invoices.select(*_ID, "number", pl.col("events_known_at").alias("known_at"))
        of = names.select("tenant", pl.col("invoice_id").alias("corrected_invoice_id"), pl.col("number").alias("of"))
        shown = self._standing(self._lines).with_columns(
            (pl.col("net_minor") + pl.col("tax_minor")).alias("amount_minor")
        )
        rows = shown.join(names, on=_ID, maintain_order="left").join(
            of, on=["tenant", "corrected_invoice_id"], maintain_order="left"
        )
        return rows.with_columns(pl.col("of").alias("corrected_number")).select(CORRECTED.names())
