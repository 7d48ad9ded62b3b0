"""Of the events that an installation has received, how many are used on invoices, and why the others are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.events import IS_BILLING
from valueverse.platform.queries import rows_of
from valueverse.services.event_tally import Tally
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, EVENTS_TABLE

if TYPE_CHECKING:
    import psycopg

    from valueverse.platform.lake import Lake

_RECEIVED = """
    select tenant_id as tenant, sum(received)::bigint as received, sum(duplicate)::bigint as duplicate
      from billing.ingestion_file group by tenant_id order by tenant_id"""

_NOT_USED = """
    select tenant_id as tenant, reason, sum(events)::bigint as events,
           min(concat(file, ': ', example)) as example
      from billing.quarantine_summary group by tenant_id, reason
     union all
    select tenant_id::text, reason, sum(events)::bigint,
           min(format('customer %L on %s', customer, day)) as example
      from billing.unbilled_usage group by tenant_id, reason
     union all
    select tenant_id::text, reason, count(*), min(format('%s %L of source %L: %s', type, event_id, source, message))
      from billing.rejected_event group by tenant_id, reason
     order by tenant, reason"""

_ACCOUNTED = (
    "select tenant_id::text as tenant, sum(accepted)::bigint as events from billing.event_day group by tenant_id"
)


def used_events(connection: psycopg.Connection[Any], lake: Lake) -> dict[str, Tally]:
    """Tenant -> the outcomes of all events of its files, as they are now.

    A usage event is used once an invoice has billed it, a billing event once it is applied.
    """
    tallies = {row["tenant"]: _received(row) for row in rows_of(connection, _RECEIVED)}
    for row in rows_of(connection, _NOT_USED):
        if row["tenant"] in tallies:
            tallies[row["tenant"]].leave_out(row["reason"], row["events"], " ".join(row["example"].split()))
    accounted = {row["tenant"]: row["events"] for row in rows_of(connection, _ACCOUNTED)}
    for tenant, usage, voided in _in_lake(lake):
        if tenant in tallies:
            tallies[tenant].leave_out("not_derived", usage - accounted.get(tenant, 0), "")
            tallies[tenant].leave_out("void", voided, "")
    return tallies


def _received(row: dict[str, Any]) -> Tally:
    tally = Tally(row["received"])
    tally.leave_out("duplicate", row["duplicate"], "")
    return tally


def _in_lake(lake: Lake) -> list[tuple[str, int, int]]:
    """Tenant, its usage events, and its billing events that are void, amended, or amend what was not received."""
    events = lake.scan(EVENTS_TABLE).group_by("tenant").agg((~IS_BILLING).sum().alias("usage"), IS_BILLING.sum())
    in_force = lake.scan(BILLING_FACTS_TABLE).filter(pl.col("known_until").is_null())
    facts = in_force.group_by("tenant").agg(pl.len().alias("facts"))
    both = events.rename({"type": "billing"}).join(facts, on="tenant", how="left").sort("tenant")
    voided = pl.col("billing").cast(pl.Int64) - pl.col("facts").fill_null(0).cast(pl.Int64)
    return both.select("tenant", pl.col("usage").cast(pl.Int64), voided.alias("voided")).collect().rows()
