"""Row ``peers' way``: the aggregation that OpenMeter and Lago run for one customer and period, for all customers.

OpenMeter asks ClickHouse (here in process, through chDB) for the sum of a JSON value of one subject's events; Lago asks
Postgres for the sum of a property of one subscription's events. Both run once per customer. They are measured on a
sample of customers and extrapolated to all; ours is measured for all at once, from the same events to quantities.
Shapes of tables and queries follow the public sources of both.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from bench.rating import seconds
from bench.workload import AFTER, FIRST, SUBSCRIPTIONS, Workload, workload
from valueverse.metering.quantities import meter_quantities
from valueverse.platform.servers import postgres_server
from valueverse.platform.settings import Settings
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = {"tiny": 20_000, "small": 1_000_000, "full": 2_000_000}
SAMPLE = 100
_START, _END = (f"{day:%Y-%m-%d} 00:00:00" for day in (FIRST, AFTER))


def _windows(work: Workload) -> pl.DataFrame:
    instant = pl.Datetime("us", "UTC")
    start, end = (pl.lit(day).cast(instant) for day in (FIRST, AFTER))
    return work.timeline.segments.select(
        "tenant",
        "customer",
        "subscription",
        "timezone",
        pl.lit("tokens").alias("meter"),
        start.alias("from"),
        end.alias("to"),
        start.alias("full_from"),
        end.alias("full_to"),
    ).with_row_index("window")


def _ours(work: Workload) -> pl.DataFrame:
    usage = pl.scan_parquet(work.files / "*.parquet")
    return meter_quantities(usage, _windows(work), work.history.meters, None)


def _sample(work: Workload) -> list[tuple[str, str]]:
    return work.names.sample(SAMPLE, seed=7).select("tenant", "customer").rows()


def _clickhouse(work: Workload, folder: Path) -> Callable[[], object]:
    from chdb.session import Session

    session = Session(str(folder / "chdb"))
    session.query("create database om")
    session.query(
        "create table om.events (namespace String, type LowCardinality(String), subject String, time DateTime, "
        "data String) engine = MergeTree order by (namespace, type, subject, toStartOfHour(time))"
    )
    session.query(
        "insert into om.events select tenant, event_type, customer, toDateTime(time), "
        f"concat('{{\"tokens\":\"', toString(value), '\"}}') from file('{work.files}/*.parquet', Parquet)"
    )
    queries = [
        "select sum(toDecimal128OrNull(JSON_VALUE(data, '$.tokens'), 18)) from om.events "
        f"where namespace = '{tenant}' and type = 'request' and subject in ('{customer}') "
        f"and time >= toDateTime('{_START}') and time < toDateTime('{_END}')"
        for tenant, customer in _sample(work)
    ]
    return lambda: [session.query(query, "CSV") for query in queries]


def _postgres(work: Workload, folder: Path, settings: Settings) -> Callable[[], object]:
    connection = connect(settings, "admin")
    connection.autocommit = True
    connection.execute(
        "create table lago_events (organization_id text, external_subscription_id text, code text, "
        "timestamp timestamp, properties jsonb)"
    )
    rows = pl.scan_parquet(work.files / "*.parquet").select(
        "tenant",
        "customer",
        "event_type",
        pl.col("time").dt.strftime("%F %T%.f"),
        pl.concat_str(pl.lit('{"tokens": "'), pl.col("value").cast(pl.String), pl.lit('"}')),
    )
    file = folder / "events.csv"
    rows.sink_csv(file, include_header=False)
    with file.open("rb") as stream, connection.cursor().copy("copy lago_events from stdin (format csv)") as copy:
        while chunk := stream.read(1 << 20):
            copy.write(chunk)
    connection.execute("create index on lago_events (organization_id, external_subscription_id, code, timestamp)")
    connection.execute("analyze lago_events")
    asked = _sample(work)
    query = (
        "select sum((properties ->> 'tokens')::numeric) from lago_events where organization_id = %s "
        "and external_subscription_id = %s and code = 'request' and timestamp >= %s and timestamp < %s"
    )

    def ask() -> object:
        return [connection.execute(query, [tenant, customer, _START, _END]).fetchone() for tenant, customer in asked]

    return ask


def _row(name: str, work: Workload, ours: float, peer: Callable[[], object]) -> dict[str, Any]:
    seconds(peer)
    theirs = statistics.median(seconds(peer) for _ in range(3)) * SUBSCRIPTIONS / SAMPLE
    return {
        "row": f"peers' way ({name})",
        "events": work.events,
        "ours_seconds": round(ours, 3),
        "peer_seconds": round(theirs, 3),
        "ratio": round(ours / theirs, 4),
        "goal": "< 1x",
        "note": f"all {SUBSCRIPTIONS} customers at once / one query each, measured on {SAMPLE}",
    }


def run(size: str) -> list[dict[str, Any]]:
    """Measure both rows; data and servers live in a temporary folder and are removed."""
    with tempfile.TemporaryDirectory(prefix="valueverse-bench-") as name:
        folder = Path(name)
        work = workload(folder / "usage", SIZES[size], mixed=False)
        _ours(work)
        ours = statistics.median(seconds(lambda: _ours(work)) for _ in range(3))
        rows = [_row("OpenMeter", work, ours, _clickhouse(work, folder))]
        settings = Settings(home=folder / "home", postgres_port=0, database="postgres")
        postgres_server.start(settings, durable=False)
        try:
            rows.append(_row("Lago", work, ours, _postgres(work, folder, settings)))
        finally:
            postgres_server.stop(settings)
        return rows
