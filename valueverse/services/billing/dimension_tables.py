"""What the warehouse knows of tenants beside invoices: customers, subscriptions, catalogs, plans, rejections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import polars as pl

from valueverse.catalog import catalog_document
from valueverse.invoicing.settlement import read_adjustment_events
from valueverse.platform.stores import billing_store as store
from valueverse.schemas.catalog import PLAN_DOCUMENTS

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from valueverse.catalog import CatalogHistory
    from valueverse.subscriptions import Timeline


def write_dimensions(
    connection: psycopg.Connection[Any],
    timeline: Timeline,
    history: CatalogHistory,
    rejected: pl.DataFrame,
    notes: pl.DataFrame,
    *,
    run_at: datetime,
) -> None:
    """Replace what the warehouse knows of these tenants: settings, customers, catalogs, plans, subscriptions,
    rejections."""
    tenants = timeline.tenants["tenant"].to_list()
    documents_by_hash = {
        key: orjson.dumps(catalog_document(catalog)).decode() for key, catalog in history.catalogs.items()
    }
    tables = _dimension_tables(timeline, history, rejected, documents_by_hash, run_at)
    store.replace_tenant_rows(connection, tenants, tables | {"billing.credit_note": notes})


def credit_notes(
    timeline: Timeline, history: CatalogHistory, numbers: pl.DataFrame, rejected: pl.DataFrame
) -> pl.DataFrame:
    """Credit notes that count, in the columns of billing.credit_note: of a finalised invoice, and not beyond it."""
    return (
        read_adjustment_events(timeline, history)
        .notes.drop_nulls("amount")
        .join(numbers.select("tenant", "number", "customer", "currency"), on=["tenant", "number"])
        .join(rejected, left_on=["tenant", "source", "id"], right_on=["tenant", "source", "event_id"], how="anti")
        .select(
            pl.col("tenant").alias("tenant_id"),
            pl.col("origin").alias("credit_note"),
            "number",
            "customer",
            "currency",
            "amount",
            "reason",
            "created_at",
        )
    )


def _dimension_tables(
    timeline: Timeline, history: CatalogHistory, rejected: pl.DataFrame, texts: dict[str, str], run_at: datetime
) -> dict[str, pl.DataFrame]:
    document = pl.col("catalog_hash").replace_strict(texts, return_dtype=pl.String).alias("document")
    segments = timeline.segments.with_columns(
        pl.col("overrides").is_not_null().any().over("tenant", "subscription").alias("has_overrides")
    )
    # A planned change is not in force yet. Before a subscription begins, it is what it begins with.
    first = pl.col("from").min().over("tenant", "subscription")
    begun = segments.filter(pl.col("from") <= pl.max_horizontal(first, pl.lit(run_at)))
    in_force = begun.sort("from").group_by("tenant", "subscription", maintain_order=True).last()
    over = pl.col("subscription_end").is_not_null() & (pl.col("subscription_end") <= pl.lit(run_at))
    tables = {
        "billing.customer": timeline.customers.select(
            "tenant", "customer", "name", "email", "currency", "timezone", "country", "metadata"
        ),
        "billing.subscription": in_force.select(
            "tenant", "subscription", "customer", "plan", "plan_version", "timezone", "currency",
            pl.col("anchor").alias("anchor_date"),
            pl.col("subscription_start").alias("started_at"),
            pl.col("subscription_end").alias("ended_at"),
            pl.when(over).then(pl.lit("ended")).otherwise(pl.lit("active")).alias("status"),
            "has_overrides",
        ),
        "billing.catalog": history.versions.select("tenant", "catalog_hash", "effective_at", document),
        "billing.plan": _plan_table(history),
        "billing.rejected_event": rejected
        .unique(["tenant", "source", "event_id"], keep="first", maintain_order=True)
        .with_columns(pl.lit(run_at).alias("decided_at")),
    }  # fmt: skip
    return {name: frame.rename({"tenant": "tenant_id"}) for name, frame in tables.items()}


def _plan_table(history: CatalogHistory) -> pl.DataFrame:
    texts = {
        (key, plan["key"], int(plan.get("version", 1))): orjson.dumps(plan).decode()
        for key, catalog in history.catalogs.items()
        for plan in catalog_document(catalog).get("plans", [])
    }
    described = pl.DataFrame(
        [(*key, text) for key, text in texts.items()],
        schema=PLAN_DOCUMENTS,
        orient="row",
    )
    return (
        history.plans.sort("effective_at")
        .unique(["tenant", "plan", "version"], keep="last", maintain_order=True)
        .join(described, on=["catalog_hash", "plan", "version"], how="left")
        .select(
            "tenant", "plan", "version", "catalog_hash", "currency",
            pl.col("every").alias("period_every"),
            pl.col("unit").alias("period_unit"),
            pl.col("align").alias("period_align"),
            "document",
        )
    )  # fmt: skip
