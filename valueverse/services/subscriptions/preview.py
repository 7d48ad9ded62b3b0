"""What a billing event would change on a customer's next invoices: they are billed with and without it.

Reads the warehouse (what is finalised already) and the lake; writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.catalog import CatalogHistory
from valueverse.dates import month_later
from valueverse.invoicing import bill
from valueverse.invoicing.rendering import billed_days
from valueverse.money import minor_text, minor_units
from valueverse.platform.stores import billing_store as store
from valueverse.platform.stores.proposal_store import approved
from valueverse.schemas.subscriptions import PREVIEWED_AMOUNTS
from valueverse.services.billing.billing_state import read_prior_state
from valueverse.services.lake_tables import USAGE_TABLE
from valueverse.subscriptions import SUBSCRIPTION_STARTED, build_timeline, event_field, local_midnight

if TYPE_CHECKING:
    from datetime import date, datetime

    import psycopg

    from valueverse.platform.lake import Lake
    from valueverse.services.subscriptions.account_events import PlannedEvent

_MONTHS = 2
"""Months ahead of the event, or of today, that are billed by default."""
_INVOICE = ("tenant", "subscription", "invoice_type", "period_from", "currency", "revision")
"""An invoice on both sides: an end or a change of periods moves where its period ends."""


@dataclass(frozen=True)
class Preview:
    """Invoices of the customer that are not final yet, billed with and without an event.

    Attributes:
        customer: whose invoices.
        until: invoices that close up to this date.
        rows: one per invoice, and below it one per line that differs (``line``, null for the invoice): period,
            first and last day of it in local time, before, after, difference as text in major units.
        held: sentences about lines that have no amount with the event, and so hold their invoices back.
    """

    customer: str
    until: date
    rows: list[dict[str, Any]]
    held: list[str]

    def document(self) -> dict[str, Any]:
        """The answer as JSON values."""
        return {"customer": self.customer, "until": self.until, "invoices": self.rows, "held": self.held}


def preview(
    connection: psycopg.Connection[Any], lake: Lake, planned: PlannedEvent, moment: datetime, until: date | None
) -> Preview:
    """Bill what is not finalised and closes by ``until`` (by default two months on) without and with the event."""
    begins = max(moment, *_event_time(planned))
    last = until or month_later(begins.date(), _MONTHS + 1) - timedelta(days=1)
    sides = {
        name: _billed(connection, lake, planned.customer, log.facts(), last, moment)
        for name, log in (("before", planned.before), ("after", planned.after))
    }
    rows = _compared(sides["before"].amounts, sides["after"].amounts, sides["after"].zones)
    return Preview(planned.customer, last, rows, sides["after"].held)


def _event_time(planned: PlannedEvent) -> list[datetime]:
    return planned.after.events.filter(pl.col("id") == planned.event["id"])["time"].to_list()


@dataclass(frozen=True)
class _Side:
    """PREVIEWED_AMOUNTS of the customer's invoices, what is held back, and the time zones of customer and tenant."""

    amounts: pl.DataFrame
    held: list[str]
    zones: list[str | None]


def _billed(
    connection: psycopg.Connection[Any], lake: Lake, customer: str, facts: pl.DataFrame, last: date, moment: datetime
) -> _Side:
    mine = _of_customer(facts, customer)
    history = CatalogHistory.from_facts(mine)
    timeline = build_timeline(mine, history.plans, None)
    tenant = timeline.tenants["tenant"].to_list()
    usage = lake.scan(USAGE_TABLE).filter(pl.col("tenant").is_in(tenant), pl.col("customer") == customer)
    known_at = dict.fromkeys(tenant, moment)
    scope = store.Scope(tenant)
    prior = read_prior_state(connection, scope, usage, history, mine, known_at, drafts=False)
    window = (min(mine["time"].min().date(), last) - timedelta(days=2), last)  # type: ignore[union-attr]  # an instant
    closing = local_midnight(timeline.tenants, pl.lit(last), "timezone", "closing")["closing"].max()
    billed = bill(
        timeline, history, usage, window, known_at=known_at, closed_by=closing, prior=prior,  # type: ignore[arg-type]
        outcomes=approved(connection, scope, moment),
    )  # fmt: skip
    problems = billed.problems.filter(pl.col("customer") == customer)
    held = [f"{row['subscription']}, line {row['key']}: {row['problem']}" for row in problems.iter_rows(named=True)]
    invoices = billed.invoices.filter(pl.col("customer") == customer)
    totals = invoices.select(*_INVOICE, "period_to", pl.lit("").alias("line"), pl.col("total_minor").alias("minor"))
    lines = (
        billed.lines.filter(pl.col("customer") == customer)
        .group_by(*_INVOICE, "period_to", pl.col("key").alias("line"), maintain_order=True)
        .agg(pl.col("amount_minor").sum().alias("minor"))
    )
    owners = (timeline.customers.filter(pl.col("customer") == customer), timeline.tenants)
    zones = [zone for owner in owners for zone in owner["timezone"]]
    return _Side(PREVIEWED_AMOUNTS.conform(pl.concat([totals, lines.select(totals.columns)])), held, zones)


def _of_customer(facts: pl.DataFrame, customer: str) -> pl.DataFrame:
    """The tenant's facts without those of other customers and their subscriptions: invoices are of one customer."""
    named = facts.with_columns(event_field("customer"), event_field("subscription"))
    started = named.filter(pl.col("type") == SUBSCRIPTION_STARTED, pl.col("customer") == customer)["subscription"]
    own = pl.col("customer").is_null() & (
        pl.col("subscription").is_null() | pl.col("subscription").is_in(started.to_list())
    )
    return named.filter((pl.col("customer") == customer) | own).select(facts.columns)


def _compared(before: pl.DataFrame, after: pl.DataFrame, zones: list[str | None]) -> list[dict[str, Any]]:
    """Both sides beside each other, the invoice first and then those of its lines that differ, by period."""
    key = [*_INVOICE, "line"]
    place = pl.int_range(pl.len()).alias("place")
    both = (
        after.with_columns(place)
        .rename({"minor": "after"})
        .join(before.with_columns(place).rename({"minor": "before"}), on=key, how="full", coalesce=True)
        .with_columns(
            pl.coalesce("period_to", "period_to_right").alias("period_to"),
            pl.coalesce("place", "place_right").alias("place"),
            pl.col("before", "after").fill_null(0),
        )
        .filter((pl.col("line") == "") | (pl.col("before") != pl.col("after")))
        .sort("period_from", "subscription", "invoice_type", "revision", "period_to", pl.col("line") != "", "place")
    )
    return [_row(row, zones) for row in both.iter_rows(named=True)]


def _row(row: dict[str, Any], zones: list[str | None]) -> dict[str, Any]:
    places = minor_units(row["currency"])
    first_day, last_day = billed_days(row["period_from"], row["period_to"], zones)
    return {
        "subscription": row["subscription"] or None,
        "invoice_type": row["invoice_type"],
        "period_from": row["period_from"],
        "period_to": row["period_to"],
        "first_day": first_day,
        "last_day": last_day,
        "line": row["line"] or None,
        "currency": row["currency"],
        "before": minor_text(row["before"], places),
        "after": minor_text(row["after"], places),
        "difference": minor_text(row["after"] - row["before"], places),
    }
