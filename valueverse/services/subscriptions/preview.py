"""What a customer would be invoiced next, and what billing events would change of it.

Reads the warehouse (what is finalised already) and the lake; writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.dates import month_later, utc_text
from valueverse.errors import RefusalError
from valueverse.invoicing.rendering import billed_days, build_invoice_documents
from valueverse.money import minor_text, minor_units
from valueverse.schemas.subscriptions import PREVIEWED_AMOUNTS
from valueverse.services.billing.next_invoices import CustomerTerms, held_lines, next_invoices

if TYPE_CHECKING:
    from datetime import date, datetime

    from valueverse.invoicing import Billed
    from valueverse.platform.stores.customer_invoices import CustomerInvoices
    from valueverse.services.subscriptions.account_events import PlannedEvent

_MONTHS = 2
"""Months ahead of the event, or of today, that are billed by default."""
_INVOICE = ("tenant", "subscription", "invoice_type", "period_from", "currency", "revision")
"""An invoice on both sides: an end or a change of periods moves where its period ends."""
_ORDER = ("period_to", "subscription", pl.col("invoice_type") != "period", "period_from", "currency", "revision")


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


@dataclass(frozen=True)
class UpcomingInvoices:
    """A customer's invoices that are not final and close up to a date, as if they were billed now.

    Attributes:
        customer: whose.
        until: the date.
        invoices: their documents, the first that closes first.
        held: sentences about lines that have no amount, and so hold their invoices back.
        changes: of a hypothetical event: rows as ``Preview`` has them; None: none was stated.
        good_until: when the answer is another one, were nothing received until then; None: never.
    """

    customer: str
    until: date
    invoices: list[dict[str, Any]]
    held: list[str]
    changes: list[dict[str, Any]] | None = None
    good_until: datetime | None = None

    def document(self) -> dict[str, Any]:
        """The answer as JSON values."""
        changes = {} if self.changes is None else {"changes": plain_rows(self.changes)}
        until = self.until.isoformat()
        return {"customer": self.customer, "until": until, "invoices": self.invoices, "held": self.held, **changes}


def preview(
    store: CustomerInvoices, usage: pl.DataFrame, planned: PlannedEvent, moment: datetime, until: date | None
) -> Preview:
    """Bill what is not finalised and closes by ``until`` (by default two months on) without and with the event.

    Args:
        store: what is finalised of the event's customer.
        usage: the customer's.
        planned: the event.
        moment: now.
        until: see above.
    """
    begins = max(moment, *_event_time(planned))
    last = until or month_later(begins.date(), _MONTHS + 1) - timedelta(days=1)
    before, after = (CustomerTerms.of(log.facts(), [planned.customer]) for log in (planned.before, planned.after))
    billed = [next_invoices(store, usage, terms, last, moment) for terms in (before, after)]
    rows = _compared(_amounts(billed[0]), _amounts(billed[1]), after.zones)
    return Preview(planned.customer, last, rows, _held(billed[1], planned.customer))


def upcoming_invoices(
    store: CustomerInvoices,
    usage: pl.DataFrame,
    terms: CustomerTerms,
    moment: datetime,
    until: date | None,
    before: CustomerTerms | None = None,
) -> UpcomingInvoices:
    """What the customer of the ``store`` would be invoiced if it were billed now.

    Args:
        store: what is finalised, as known when.
        usage: the customer's.
        terms: the customer's.
        moment: now, or the instant as of which is asked.
        until: the tenant's day by which invoices close; by default the one by which the next of the customer's periods
            has closed.
        before: those without hypothetical events, whose effect is wanted.

    Raises:
        RefusalError: ``unknown_customer``.
    """
    if not terms.is_known:
        raise RefusalError("unknown_customer", f"no event has created a customer {store.customer[:60]!r}", "CUSTOMER")
    close = None if until else terms.next_close(moment)
    last = until or terms.next_day(close or moment)
    billed = next_invoices(store, usage, terms, last, moment)
    changes = None
    if before is not None:
        former = next_invoices(store, usage, before, last, moment)
        changes = _compared(_amounts(former), _amounts(billed), terms.zones)
    ordered = billed.invoices.sort(_ORDER)
    documents = list(build_invoice_documents(ordered, billed.lines))
    return UpcomingInvoices(
        store.customer, last, documents, held_lines(billed.problems).get(store.customer, []), changes, close
    )


def plain_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a ``Preview`` with instants and dates as text."""
    instants, days = ("period_from", "period_to"), ("first_day", "last_day")
    return [
        row | {name: utc_text(row[name]) for name in instants} | {name: row[name].isoformat() for name in days}
        for row in rows
    ]


def _event_time(planned: PlannedEvent) -> list[datetime]:
    return planned.after.events.filter(pl.col("id") == planned.event["id"])["time"].to_list()


def _amounts(billed: Billed) -> pl.DataFrame:
    """PREVIEWED_AMOUNTS of a customer's invoices."""
    invoices = billed.invoices
    totals = invoices.select(*_INVOICE, "period_to", pl.lit("").alias("line"), pl.col("total_minor").alias("minor"))
    lines = billed.lines.group_by(*_INVOICE, "period_to", pl.col("key").alias("line"), maintain_order=True).agg(
        pl.col("amount_minor").sum().alias("minor")
    )
    return PREVIEWED_AMOUNTS.conform(pl.concat([totals, lines.select(totals.columns)]))


def _held(billed: Billed, customer: str) -> list[str]:
    return held_lines(billed.problems).get(customer, [])


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
