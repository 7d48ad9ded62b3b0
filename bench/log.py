"""Seeded data of the whole-step benchmarks: the lake of a log of events, and servers to bill it with."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from valueverse.platform import warehouse
from valueverse.platform.lake import Lake
from valueverse.platform.servers import postgres_server, supervisor
from valueverse.platform.settings import Settings
from valueverse.schemas.events import EVENTS
from valueverse.services.lake_tables import EVENTS_TABLE
from valueverse.services.usage.derive_usage import derive_facts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TENANTS = 20
START = date(2023, 1, 1)
_CATALOG = {
    "schema": "valueverse.catalog/v1",
    "currency": "USD",
    "meters": [{"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}],
    "plans": [
        {
            "key": key,
            "period": {"every": 1, "unit": unit, "align": "calendar"},
            "fees": [{"key": "base", "amount": "10", "timing": "in_arrears"}],
            "charges": [{"key": "usage", "meter": "tokens", "price": {"model": "standard", "unit": "0.0021"}}],
        }
        for key, unit in (("monthly", "month"), ("yearly", "year"))
    ],
}


@dataclass(frozen=True)
class World:
    """A migrated database and a lake with ``subscriptions`` and ``months`` of usage from START."""

    settings: Settings
    lake: Lake
    subscriptions: int
    months: int

    def days(self, month: int) -> list[date]:
        """The days of a month (0 is START's)."""
        first, after = month_start(month), month_start(month + 1)
        return [first + timedelta(days=day) for day in range((after - first).days)]


def month_start(number: int) -> date:
    """First day of a month, counted from START."""
    return date(START.year + number // 12, number % 12 + 1, 1)


@contextmanager
def servers(folder: Path) -> Iterator[Settings]:
    """An embedded Postgres of the benchmark's own, with a migrated database to copy; stopped at the end."""
    settings = Settings(home=folder / "home", postgres_port=0)
    postgres_server.start(settings)
    try:
        warehouse.upgrade(settings)
        yield settings
    finally:
        list(supervisor.down(settings))


@contextmanager
def world(own: Settings, folder: Path, subscriptions: int, months: int, usage_per_month: int) -> Iterator[World]:
    """A database and a lake of their own, with events and billing facts; the database is dropped at the end.

    Args:
        own: the servers.
        folder: where the lake lies; new.
        subscriptions: spread evenly over TENANTS, one per customer; every tenth is billed by the year.
        months: of usage, from START.
        usage_per_month: events of each subscription in each month.
    """
    name = f"bench_{folder.name.replace('-', '_')}"
    warehouse.create_database(own, name, template=own.database_name)
    settings = Settings(
        home=folder, external_postgres_url=own.postgres_url("admin", name), external_secrets_dir=own.secrets_dir
    )
    made = World(settings, Lake(settings.lake_url), subscriptions, months)
    made.lake.append(EVENTS_TABLE, _billing_events(subscriptions))
    for month in range(months):
        made.lake.append(EVENTS_TABLE, _usage_events(made, month, usage_per_month))
    derive_facts(made.lake)
    _record_files(made)
    yield made
    warehouse.drop_database(own, name)


def _record_files(made: World) -> None:
    """Counts that ingestion would have recorded: a release that finds other numbers counts the whole lake again."""
    counted = made.lake.scan(EVENTS_TABLE).group_by(pl.col("tenant").alias("tenant_id"), "file").len("received")
    files = counted.with_columns(
        pl.lit("0" * 64).alias("file_hash"),
        pl.lit(START).alias("day"),
        pl.col("received").cast(pl.Int64),
        pl.col("received").cast(pl.Int64).alias("accepted"),
        pl.lit(0, pl.Int64).alias("duplicate"),
        pl.lit(0, pl.Int64).alias("quarantined"),
        pl.lit(datetime(START.year, START.month, 1, tzinfo=UTC)).alias("ingested_at"),
    )
    with warehouse.connect(made.settings, "builder") as connection:
        warehouse.copy_frame(connection, "billing.ingestion_file", files.collect())


def _whole(frame: pl.DataFrame, kind: str | pl.Expr, identity: pl.Expr) -> pl.DataFrame:
    """EVENTS rows from tenant, time, data and what else ``frame`` has."""
    filled = frame.with_columns(
        pl.lit("bench").alias("source"),
        identity.alias("id"),
        (pl.lit(kind) if isinstance(kind, str) else kind).alias("type"),
        pl.col("time").dt.date().alias("event_date"),
        pl.lit("0" * 64).alias("payload_hash"),
        pl.lit("bench.ndjson").alias("file"),
        pl.lit(1).alias("line"),
        pl.col("time").alias("received_at"),
    )
    missing = {name: pl.lit(None) for name in EVENTS if name not in filled.columns}
    return EVENTS.conform(filled.with_columns(**missing))


def usage_rows(frame: pl.DataFrame, identity: pl.Expr) -> pl.DataFrame:
    """EVENTS of usage from tenant, customer, time and data."""
    return _whole(frame, "used", identity)


def _people(subscriptions: int) -> pl.DataFrame:
    number = pl.int_range(subscriptions, eager=True).alias("number")
    return pl.DataFrame({"number": number}).with_columns(
        pl.format("tenant-{}", (pl.col("number") % TENANTS).cast(pl.String).str.zfill(2)).alias("tenant"),
        pl.format("customer-{}", "number").alias("customer"),
    )


def _billing_events(subscriptions: int) -> pl.DataFrame:
    """Tenants with a catalog, customers, and subscriptions from START."""
    before = datetime(START.year - 1, 12, 1, tzinfo=UTC)
    tenants = (
        _people(subscriptions).select("tenant").unique(maintain_order=True).with_columns(pl.lit(before).alias("time"))
    )
    people = _people(subscriptions).with_columns(pl.lit(datetime(START.year, 1, 1, tzinfo=UTC)).alias("time"))
    plan = pl.when(pl.col("number") % 10 == 9).then(pl.lit("yearly")).otherwise(pl.lit("monthly"))
    start = pl.format('{{"subscription":"{}","customer":"{}","plan":"{}"}}', "customer", "customer", plan)
    return pl.concat(
        [
            _whole(
                tenants.with_columns(pl.lit('{"timezone":"UTC","currency":"USD"}').alias("data")),
                "billing.tenant.created",
                pl.lit("tenant"),
            ),
            _whole(
                tenants.with_columns(pl.lit(json.dumps(_CATALOG)).alias("data")),
                "billing.catalog.published",
                pl.lit("catalog"),
            ),
            _whole(
                people.with_columns(pl.format('{{"customer":"{}"}}', "customer").alias("data")),
                "billing.customer.created",
                pl.format("customer-{}", "number"),
            ),
            _whole(
                people.with_columns(start.alias("data")),
                "billing.subscription.started",
                pl.format("start-{}", "number"),
            ),
        ]
    )


def _usage_events(made: World, month: int, per_month: int) -> pl.DataFrame:
    days = made.days(month)
    at = pl.lit(datetime(days[0].year, days[0].month, 1, tzinfo=UTC))
    place = pl.col("number") * per_month + pl.col("turn")
    rows = _people(made.subscriptions).join(pl.DataFrame({"turn": range(per_month)}), how="cross")
    return usage_rows(
        rows.with_columns(
            (at + pl.duration(days=(place * 7) % len(days), seconds=(place * 131) % 86_400)).alias("time"),
            pl.format('{{"n":{}}}', 1 + (place * 37) % 5_000).alias("data"),
        ),
        pl.format("u{}-{}-{}", pl.lit(month), "number", "turn"),
    )
