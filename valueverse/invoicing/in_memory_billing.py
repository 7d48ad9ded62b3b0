"""Runs one after the other, in memory: the rows that the warehouse stores between billing runs, as frames.

``valueverse simulate --run-at`` bills with it what a schedule of runs would have billed, corrections included.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.billed_rows import (
    BilledRows,
    ReceivedChanges,
    derive_prior_state,
    issued_invoices,
    recomputed_invoices,
)
from valueverse.invoicing.engine import Billed, bill
from valueverse.invoicing.knowledge import known_at_of_tenant, newest_known_at
from valueverse.invoicing.rendering.document_hash import invoice_id, invoice_number
from valueverse.invoicing.settlement.adjustment_events import (
    read_adjustment_events,
    voids_in_effect,
    voids_of_unknown_invoices,
    voids_that_count,
    with_voids,
)
from valueverse.invoicing.settlement.settlement import NUMBERING_ORDER
from valueverse.schemas.invoicing import (
    BILLED_CREDITS,
    BILLED_DISCOUNTS,
    BILLED_INVOICES,
    BILLED_LINES,
    CORRECTED_IN_VAIN,
    INVOICE,
    RERATINGS,
    UNCHANGED_INVOICES,
)
from valueverse.schemas.types import INSTANT

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.catalog import CatalogHistory
    from valueverse.invoicing.knowledge import KnownAt
    from valueverse.invoicing.prior_state import PriorState
    from valueverse.subscriptions import DateOrExpr, Timeline

_NUMBER = ["tenant", "number"]


class RecordedInvoices:
    """Finalised invoices of earlier runs; mutable, one run after the other."""

    def __init__(self) -> None:
        self.rows = BilledRows()

    def run(
        self,
        timeline: Timeline,
        history: CatalogHistory,
        usage: pl.LazyFrame,
        facts: pl.DataFrame,
        window: tuple[DateOrExpr, DateOrExpr],
        *,
        known_at: KnownAt,
        as_of: datetime,
    ) -> Billed:
        """Bill as a run at ``as_of`` would that knows what was received by ``known_at``; finalise what is past its
        grace.

        Returns:
            the invoices finalised by this run, and their lines.
        """
        strays = self._void(timeline, history, as_of)
        prior = self._prior(ReceivedChanges(usage, history.meters, facts, newest_known_at(known_at)))
        billed = bill(timeline, history, usage, window, known_at=known_at, closed_by=as_of, prior=prior)
        done = billed.invoices.filter(pl.col("finalise_after") <= pl.lit(as_of, INSTANT))
        named = self._named(done)
        lines = billed.lines.join(named.select(*INVOICE, "invoice_id"), on=INVOICE, how="inner", maintain_order="left")
        self._record(named, lines)
        self._know(billed.unchanged, known_at)
        rejected = pl.concat([billed.rejected, strays])
        return Billed(done, lines.drop("invoice_id"), billed.problems, rejected, billed.unchanged)

    def _know(self, unchanged: pl.DataFrame, known_at: KnownAt) -> None:
        """Record what was known when these invoices were recomputed, of which nothing changed."""
        new = UNCHANGED_INVOICES.conform(
            unchanged.with_columns(known_at_of_tenant(known_at).cast(INSTANT).alias("events_known_at"))
        )
        every = pl.concat([self.rows.unchanged, new])
        newest = every.group_by("tenant", "invoice_id", maintain_order=True).agg(pl.col("events_known_at").max())
        self.rows = replace(self.rows, unchanged=newest)

    def _prior(self, changes: ReceivedChanges) -> PriorState:
        issued = issued_invoices(self.rows)
        return derive_prior_state(self.rows, issued, recomputed_invoices(issued, changes), RERATINGS.to_frame())

    def _void(self, timeline: Timeline, history: CatalogHistory, as_of: datetime) -> pl.DataFrame:
        """Void what billing events say by ``as_of``; those of no invoice finalised by then come back as
        REJECTED_EVENTS."""
        voids = read_adjustment_events(timeline, history).voids
        bills = self.rows.invoices
        voided = with_voids(bills, voids_in_effect(voids, as_of))
        self.rows = replace(self.rows, invoices=BILLED_INVOICES.conform(voided))
        there = self.rows.invoices.filter(pl.col("voided_at").is_not_null())
        gone = self.rows.lines.drop_nulls("corrected_invoice_id").join(there, on=["tenant", "invoice_id"], how="semi")
        corrected = gone.select("tenant", invoice_id="corrected_invoice_id").unique(maintain_order=True)
        self.rows = replace(self.rows, in_vain=CORRECTED_IN_VAIN.conform(corrected))
        unknown = voids.join(voids_that_count(voids, bills), on=[*_NUMBER, "received_at"], how="anti")
        return voids_of_unknown_invoices(timeline, unknown.join(there, on=_NUMBER, how="anti"))

    def _named(self, done: pl.DataFrame) -> pl.DataFrame:
        """Add invoice_id, sequence and number: the next ones of each tenant."""
        before = self.rows.invoices.group_by("tenant").agg(pl.len().alias("last"))
        ordered = done.sort(NUMBERING_ORDER).join(before, on="tenant", how="left", maintain_order="left")
        sequence = (pl.int_range(1, pl.len() + 1).over("tenant") + pl.col("last").fill_null(0)).alias("sequence")
        sequenced = ordered.with_columns(sequence)
        numbers = [invoice_number(*row) for row in sequenced.select("tenant", "sequence").iter_rows()]
        return sequenced.with_columns(
            pl.Series("invoice_id", [invoice_id(row) for row in ordered.iter_rows(named=True)], pl.String),
            pl.Series("number", numbers, pl.String),
        )

    def _record(self, invoices: pl.DataFrame, lines: pl.DataFrame) -> None:
        final, there = pl.lit(value=True).alias("is_final"), pl.lit(None, INSTANT).alias("voided_at")
        position = pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("tenant", "invoice_id")
        numbered = lines.sort("place").with_columns(position.alias("line_no"))
        paid, discounts = (
            invoices.select("tenant", "invoice_id", part).filter(pl.col(part).list.len() > 0).explode(part).unnest(part)
            for part in ("credits", "discounts")
        )
        new = BilledRows(
            BILLED_INVOICES.conform(invoices.with_columns(final, there)),
            BILLED_LINES.conform(numbered),
            BILLED_CREDITS.conform(paid),
            BILLED_DISCOUNTS.conform(discounts.with_columns(position.alias("position"))),
        )
        self.rows = replace(
            self.rows,
            invoices=pl.concat([self.rows.invoices, new.invoices]),
            lines=pl.concat([self.rows.lines, new.lines]),
            credits=pl.concat([self.rows.credits, new.credits]),
            discounts=pl.concat([self.rows.discounts, new.discounts]),
        )
