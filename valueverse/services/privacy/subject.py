"""A customer as the lake knows them: the rows that are about them, and what of it is personal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.events import IS_BILLING, personal_texts
from valueverse.services.lake_tables import EVENTS_TABLE, QUARANTINE_TABLE
from valueverse.subscriptions import CUSTOMER_TYPES, event_field

if TYPE_CHECKING:
    from collections.abc import Collection

    from valueverse.platform.lake import Lake


def customer_events(lake: Lake, tenant: str, customer: str) -> pl.DataFrame:
    """EVENTS by which a tenant stated who a customer is, amendments of them included.

    An amendment may name another customer, or none: it belongs to whom its original is about.
    """
    stated = lake.scan(EVENTS_TABLE).filter(pl.col("tenant") == tenant, pl.col("type").is_in(CUSTOMER_TYPES)).collect()
    mine = stated.filter(event_field("customer") == customer)
    originals = mine.select("tenant", "source", pl.col("id").alias("replaces"))
    amending = stated.join(originals, on=["tenant", "source", "replaces"], how="semi")
    whole = pl.concat([mine, amending]).unique(["tenant", "source", "id"], maintain_order=True)
    return whole.sort("time", "source", "id")


def events_about(
    lake: Lake, tenant: str, customer: str, subscriptions: Collection[str], invoices: Collection[str]
) -> pl.DataFrame:
    """EVENTS about a customer, by time: usage, and billing events that name them, a subscription or an invoice."""
    named = pl.any_horizontal(
        event_field("customer") == customer,
        event_field("subscription").is_in(list(subscriptions)),
        event_field("invoice").is_in(list(invoices)),
    ).fill_null(value=False)
    about = pl.when(IS_BILLING).then(named).otherwise(pl.col("customer") == customer)
    found = lake.scan(EVENTS_TABLE).filter(pl.col("tenant") == tenant, about)
    return found.sort("time", "source", "id").collect(engine="streaming")


def quarantined_about(lake: Lake, tenant: str, texts: Collection[str]) -> pl.DataFrame:
    """QUARANTINE rows of a tenant whose line or message holds one of these texts."""
    lines = lake.scan(QUARANTINE_TABLE).filter(pl.col("tenant") == tenant)
    if not texts:
        return lines.collect().clear()
    wanted = sorted(texts)
    holds = pl.any_horizontal(pl.col(name).str.contains_any(wanted) for name in ("raw", "message"))
    return lines.filter(holds).collect()


def quoted(customer: str, events: pl.DataFrame) -> set[str]:
    """Texts that name a customer wherever they stand: the personal ones of their events, and the key in quotes."""
    personal = [personal_texts(data) for data in events["data"].drop_nulls()]
    return {f'"{customer}"'}.union(*personal)
