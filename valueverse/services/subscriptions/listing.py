"""Customers and subscriptions as people list them: those recorded, and those that wait for ingestion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.platform.stores import customer_store
from valueverse.services.subscriptions.account_events import CREATED, STARTED
from valueverse.subscriptions import event_field

if TYPE_CHECKING:
    import psycopg

    from valueverse.services.subscriptions.billing_log import BillingLog

WAITING = "waiting"
"""Status of what a delivered event states that no billing run has recorded yet."""
_CUSTOMER = ("name", "email", "country", "currency", "timezone")
_SUBSCRIPTION = ("customer", "plan", "plan_version", "timezone")


def list_customers(
    connection: psycopg.Connection[Any], tenant: str | None, log: BillingLog | None, most: int
) -> list[dict[str, Any]]:
    """Customers with ``status`` recorded, restricted or waiting; with a tenant's log also those only delivered."""
    rows = customer_store.customers(connection, tenant, most)
    known = {row["customer"] for row in rows}
    for found in _waiting(log, CREATED, "customer", _CUSTOMER):
        if found["customer"] not in known and len(rows) < most:
            rows.append(found | {"subscriptions": 0, "status": WAITING})
    return rows


def list_subscriptions(
    connection: psycopg.Connection[Any], tenant: str | None, customer: str | None, log: BillingLog | None, most: int
) -> list[dict[str, Any]]:
    """Subscriptions with ``status`` active, ended or waiting; with a tenant's log also those only delivered."""
    rows = customer_store.subscriptions(connection, tenant, customer, most)
    known = {row["subscription"] for row in rows}
    for found in _waiting(log, STARTED, "subscription", _SUBSCRIPTION):
        if found["subscription"] not in known and customer in {None, found["customer"]} and len(rows) < most:
            rows.append(found | {"currency": None, "ended_at": None, "status": WAITING})
    return rows


def _waiting(log: BillingLog | None, kind: str, key: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """What events of one type state that no billing run can have recorded, by key."""
    if log is None:
        return []
    facts = log.facts().filter(pl.col("type") == kind).sort("received_at")
    fields = [event_field(name) for name in (key, *names)]
    since = pl.col("time").alias("started_at")
    stated = facts.select("tenant", *fields, since).unique(["tenant", key], maintain_order=True)
    return stated.drop(*() if kind == STARTED else ("started_at",)).to_dicts()
