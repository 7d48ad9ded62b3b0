"""Runs one after the other, in memory: what the warehouse keeps between billing runs, kept in frames.

``valueverse simulate --run-at`` bills with it what a schedule of runs would have billed, corrections included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.events.schema import INSTANT
from valueverse.invoicing.closing import INVOICE
from valueverse.invoicing.corrections import BESIDE, BOOKED_LINES, LASTING, OWN, PERIOD_PURPOSES, touched
from valueverse.invoicing.document import invoice_id
from valueverse.invoicing.engine import Billed, Booked, bill
from valueverse.invoicing.settle import NUMBERS, Used
from valueverse.invoicing.thresholds import EARLY
from valueverse.invoicing.thresholds import PURPOSE as THRESHOLD
from valueverse.money import EXACT

if TYPE_CHECKING:
    from datetime import date, datetime

    from valueverse.catalog.history import CatalogHistory
    from valueverse.subscriptions.timeline import Timeline

_INVOICES: dict[str, Any] = {
    "tenant": pl.String,
    "customer": pl.String,
    "subscription": pl.String,
    "purpose": pl.String,
    "period_from": INSTANT,
    "period_to": INSTANT,
    "revision": pl.Int32,
    "invoice_id": pl.String,
    "currency": pl.String,
    "amount_due_minor": pl.Int64,
    "close": INSTANT,
    "events_known_at": INSTANT,
}
_LINES: dict[str, Any] = BOOKED_LINES | {
    "kind": pl.String,
    "corrects": pl.String,
    "amount_precise": EXACT,
}
_PARTS: dict[str, Any] = {
    "invoice_id": pl.String,
    "subscription": pl.String,
    "origin": pl.String,
    "amount_minor": pl.Int64,
}


class Books:
    """Finalised invoices of earlier runs; mutable, one run after the other."""

    def __init__(self) -> None:
        self._invoices = pl.DataFrame(schema=_INVOICES)
        self._lines = pl.DataFrame(schema=_LINES)
        self._credits = pl.DataFrame(schema=_PARTS)
        self._discounts = pl.DataFrame(schema=_PARTS)

    def run(
        self,
        timeline: Timeline,
        history: CatalogHistory,
        usage: pl.LazyFrame,
        facts: pl.DataFrame,
        window: tuple[date, date],
        *,
        known_at: datetime,
        as_of: datetime,
    ) -> Billed:
        """Bill as a run at ``as_of`` would that knows what was received by ``known_at``; finalise what is past its
        grace.

        Returns:
            the invoices finalised by this run, and their lines.
        """
        booked = self._booked(usage, history, facts, known_at)
        billed = bill(timeline, history, usage, window, known_at=known_at, closed_by=as_of, booked=booked)
        done = billed.invoices.filter(pl.col("finalise_after") <= pl.lit(as_of, INSTANT))
        ids = [invoice_id(row) for row in done.select(INVOICE).iter_rows(named=True)]
        named = done.with_columns(pl.Series("invoice_id", ids, pl.String))
        lines = billed.lines.join(named.select(*INVOICE, "invoice_id"), on=INVOICE, how="inner", maintain_order="left")
        self._keep(named, lines)
        return Billed(done, lines.drop("invoice_id"), billed.problems, billed.rejected)

    def _keep(self, invoices: pl.DataFrame, lines: pl.DataFrame) -> None:
        net = lines.with_columns((pl.col("amount_minor") - pl.col("discount_minor")).alias("net_minor"))
        role = pl.when(pl.col("kind").is_in(LASTING)).then(pl.lit("lasting")).otherwise(pl.lit(OWN)).alias("role")
        kept = net.with_columns(role).select(pl.col(name).cast(dtype) for name, dtype in _LINES.items())
        self._lines = pl.concat([self._lines, kept])
        self._invoices = pl.concat(
            [self._invoices, invoices.select(pl.col(name).cast(dtype) for name, dtype in _INVOICES.items())]
        )
        for column, name in (("credits", "_credits"), ("discounts", "_discounts")):
            listed = invoices.select("invoice_id", "subscription", column).filter(pl.col(column).list.len() > 0)
            parts = listed.explode(column).unnest(column).select(list(_PARTS)).cast(pl.Schema(_PARTS))
            setattr(self, name, pl.concat([getattr(self, name), parts]))

    def _booked(self, usage: pl.LazyFrame, history: CatalogHistory, facts: pl.DataFrame, known_at: datetime) -> Booked:
        newest = (
            self._lines.filter(pl.col("corrects").is_not_null())
            .join(self._invoices.select("invoice_id", "events_known_at"), on="invoice_id")
            .group_by("corrects")
            .agg(pl.col("events_known_at").max().alias("since"))
        )
        known = (
            self._invoices.join(newest, left_on="invoice_id", right_on="corrects", how="left", maintain_order="left")
            .with_columns(pl.max_horizontal("events_known_at", "since").alias("events_known_at"))
            .drop("since")
        )
        periods = known.filter(pl.col("purpose").is_in(PERIOD_PURPOSES))
        again = touched(periods, usage, history.meters, facts, known_at).select(
            *INVOICE, "invoice_id", "currency", pl.lit(None, pl.String).alias("under")
        )
        booked = self._lines.with_columns(pl.coalesce("corrects", "invoice_id").alias("invoice_id"))
        others = self._lines.filter(pl.col("corrects").is_not_null()).with_columns(pl.lit(BESIDE).alias("role"))
        lines = pl.concat([booked, others])
        return Booked(
            invoices=self._invoices,
            voided=self._invoices.clear(),
            one_offs=self._lines.filter(pl.col("kind") == "one_off").select("tenant", "key"),
            used=self._used(),
            again=again,
            lines=lines.select(BOOKED_LINES.names()).join(again, on="invoice_id", how="semi", maintain_order="left"),
            discounts=self._discounts.select("invoice_id", "origin"),
            early=self._early(),
            catalogs={},
        )

    def _early(self) -> pl.DataFrame:
        """What threshold invoices bore, by line."""
        cuts = self._invoices.filter(pl.col("purpose") == THRESHOLD).select(
            "invoice_id", "subscription", "period_from", pl.col("period_to").alias("cut")
        )
        own = self._lines.filter(pl.col("kind") == "usage")
        return own.join(cuts, on="invoice_id").select(pl.col(name).cast(dtype) for name, dtype in EARLY.items())

    def _used(self) -> Used:
        owed = self._invoices.filter(pl.col("amount_due_minor") < 0).select(
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
        coupons = (
            self._discounts.join(self._invoices.select("invoice_id", "period_from"), on="invoice_id")
            .select("origin", "subscription", "period_from")
            .unique(maintain_order=True)
        )
        return Used(self._credits.select("origin", "amount_minor"), coupons, NUMBERS.to_frame(), owed)
