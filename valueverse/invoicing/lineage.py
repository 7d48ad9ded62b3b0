"""From an invoice line to the events that made it, and from an event to the charge that takes it.

Both ways go through the very frames that billing goes through, so an explanation cannot differ from the invoice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog import AMOUNT_MARK, as_known
from valueverse.invoicing.lines import resolve_plan
from valueverse.invoicing.lines.usage.bucket_usage import buckets_of
from valueverse.invoicing.lines.usage.charge_assignment import assign
from valueverse.invoicing.lines.usage.consumption import LINE
from valueverse.invoicing.lines.usage.usage_lines import assigned_usage, lines_to_price, metering_windows
from valueverse.invoicing.periods.billing_periods import present_periods, stretches
from valueverse.metering import OK
from valueverse.schemas.invoicing import INVOICE

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.catalog import Plan
    from valueverse.invoicing.billing_context import BillingContext
    from valueverse.invoicing.lines.usage.consumption import Consumption

_METER = ["tenant", "customer", "meter"]
EVENTS = (
    "tenant",
    "key",
    "label",
    "source",
    "id",
    "root_id",
    "time",
    "received_at",
    "known_until",
    "meter",
    "value",
    "text_value",
    "dimensions",
)
"""Columns of ``line_events``: ``label`` is the dimensions of the line, '' without split_by."""


def line_events(invoices: pl.DataFrame, context: BillingContext) -> pl.DataFrame:
    """The events that the usage lines of these invoices count, in the order of time (EVENTS).

    Args:
        invoices: INVOICE and invoice_id of invoice_type ``period``.
        context: as known when the invoice was made.
    """
    due = present_periods(context.segments, invoices).drop("invoice_id")
    closed = stretches(context.segments, due)
    windows = metering_windows(closed, context.terms)
    taken = assigned_usage(windows, context.consumption, context.terms).decided
    placed = (
        taken.select(*LINE, "window", "dimensions")
        .unique()
        .join(windows.select("window", *_METER, "subscription", "from", "to"), on="window")
        .join(context.terms.charges.select("charge", "key"), on="charge")
    )
    inside = (pl.col("time") >= pl.col("from")) & (pl.col("time") < pl.col("to"))
    met = (
        context.consumption.usage.filter(pl.col("status") == OK, as_known(context.consumption.known_at))
        .join(placed.lazy(), on=[*_METER, "dimensions"], how="inner")
        .filter(inside)
        .collect()
    )
    named = met.filter(pl.col("subscription") == pl.col("subscription_right"))
    rows = pl.concat([named, _unnamed(met, context.consumption)])
    return rows.sort("key", "label", "time", "received_at", "source", "id").select(EVENTS)


def _unnamed(met: pl.DataFrame, consumption: Consumption) -> pl.DataFrame:
    """The rows that name no subscription and are of the one whose window they lie in: of a customer with several
    subscriptions that charge for a meter, such usage is of none of them."""
    rows = met.filter(pl.col("subscription").is_null())
    if consumption.unnamed is None:
        return rows
    held = consumption.unnamed.select(*_METER, subscription_right="subscription", held_from="from", held_to="to")
    return (
        rows.join(held, on=[*_METER, "subscription_right"])
        .filter(pl.col("time") >= pl.col("held_from"), pl.col("time") < pl.col("held_to"))
        .select(rows.columns)
    )


def line_quantities(invoices: pl.DataFrame, context: BillingContext) -> pl.DataFrame:
    """What the usage lines of these invoices are made of, in metered units: tenant, key, label, from, to (of the part
    of a period), meter, dimensions and quantity.

    Args:
        invoices, context: as of ``line_events``.
    """
    closed = stretches(context.segments, present_periods(context.segments, invoices).drop("invoice_id"))
    windows = metering_windows(closed, context.terms)
    return (
        assigned_usage(windows, context.consumption, context.terms)
        .quantities.join(windows.select("window", "tenant", "meter", "from", "to"), on="window")
        .join(context.terms.charges.select("charge", "key"), on="charge")
        .select("tenant", "key", "label", "from", "to", "meter", "dimensions", "quantity")
        .sort("key", "label", "from", "meter", "dimensions")
    )


def line_buckets(invoices: pl.DataFrame, context: BillingContext) -> pl.DataFrame:
    """The hours or days of the bucketed lines of these invoices, in the order of time: tenant, key, label, from, to (of
    the part of a period), quantity (metered units) and minute (local, of the day).

    Args:
        invoices, context: as of ``line_events``.
    """
    closed = stretches(context.segments, present_periods(context.segments, invoices).drop("invoice_id"))
    windows = metering_windows(closed, context.terms)
    taken = assigned_usage(windows, context.consumption, context.terms)
    lines = lines_to_price(taken.quantities, closed, context.terms)
    found = buckets_of(lines, taken.decided, context.consumption, context.terms)
    named = lines.select("tenant", "line", "key", "label", "from", "to")
    return found.join(named, on="line", maintain_order="left").drop("line")


def changed_events(
    before: pl.DataFrame, now: pl.DataFrame, known_before: datetime, known_now: datetime
) -> pl.DataFrame:
    """What the events of one invoice's lines became between two states of knowledge: EVENTS, ``change`` and
    ``changed_at``, in the order of time.

    ``change``: ``late`` (received since), ``amended`` (received since in the place of another one), ``voided``, or
    without anything received of it ``joined`` and ``left``: another line counted it before, or counts it now.

    Args:
        before, now: ``line_events`` of the invoice in both states.
        known_before, known_now: the states.
    """
    line = ["tenant", "key", "label", "source"]
    added = now.join(before, on=[*line, "id"], how="anti")
    removed = before.join(now, on=[*line, "id"], how="anti")
    replaced = removed.select(*line, "root_id").unique().with_columns(pl.lit(value=True).alias("replaced"))
    since = pl.col("received_at") > known_before
    amended = pl.col("replaced").fill_null(value=False)
    came = added.join(replaced, on=[*line, "root_id"], how="left").with_columns(
        pl.when(~since)
        .then(pl.lit("joined"))
        .when(amended)
        .then(pl.lit("amended"))
        .otherwise(pl.lit("late"))
        .alias("change"),
        pl.col("received_at").alias("changed_at"),
    )
    gone = removed.join(added, on=[*line, "root_id"], how="anti").with_columns(
        pl.when(pl.col("known_until") <= known_now).then(pl.lit("voided")).otherwise(pl.lit("left")).alias("change"),
        pl.col("known_until").alias("changed_at"),
    )
    columns = [*EVENTS, "change", "changed_at"]
    return pl.concat([came.select(columns), gone.select(columns)]).sort("key", "label", "time", "source", "id")


def used_days(invoices: pl.DataFrame, context: BillingContext) -> pl.DataFrame:
    """The parts of plan that the periods of these invoices consist of: invoice_id, from, to (instants), used_days and
    full_days.

    Args:
        invoices, context: as of ``line_events``.
    """
    due = present_periods(context.segments, invoices)
    parts = stretches(context.segments, due.drop("invoice_id"))
    named = parts.join(due.select(*INVOICE, "invoice_id"), on=INVOICE)
    return named.select("invoice_id", "from", "to", "used_days", "full_days")


def usage_by_charge(usage: pl.DataFrame, context: BillingContext) -> pl.DataFrame:
    """Which subscription's charge takes each usage row: its columns and held_by, key, from, to of the segment."""
    rows = usage.filter(pl.col("status") == OK, ~pl.col("meter").str.contains(AMOUNT_MARK, literal=True))
    held = context.segments.select("tenant", "customer", pl.col("subscription").alias("held_by"), "terms", "from", "to")
    named = pl.col("subscription").is_null() | (pl.col("subscription") == pl.col("held_by"))
    inside = (pl.col("time") >= pl.col("from")) & (pl.col("to").is_null() | (pl.col("time") < pl.col("to")))
    active = rows.join(held, on=["tenant", "customer"]).filter(named, inside)
    return (
        assign(active, context.terms)
        .drop_nulls("charge")
        .join(context.terms.charges.select("charge", "key"), on="charge")
        .drop("charge", "terms")
    )


def plan_at(context: BillingContext, tenant: str, subscription: str, at: datetime) -> Plan | None:
    """The plan that a subscription is billed on at an instant, its overrides applied; None: it is billed on none."""
    mine = context.segments.filter(
        pl.col("tenant") == tenant,
        pl.col("subscription") == subscription,
        pl.col("from") <= at,
        pl.col("to").is_null() | (pl.col("to") > at),
    )
    for row in mine.tail(1).iter_rows(named=True):
        catalog = context.history.catalogs[row["catalog_hash"]]
        return resolve_plan(catalog, row["plan"], row["plan_version"], row["overrides"])[0]
    return None
