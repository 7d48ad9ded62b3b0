"""Row ``upcoming invoice``: the next invoice of a customer with 100,000 events this month, against one scan of them."""

from __future__ import annotations

import statistics
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

from bench.log import month_start, servers, usage_rows, world
from bench.rating import seconds
from bench.steps import bill_month, meter_month
from valueverse.services.lake_tables import EVENTS_TABLE, USAGE_TABLE
from valueverse.services.subscriptions.upcoming_answers import Question, UpcomingAnswers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.log import World

SIZES = {"tiny": (20, 1_000), "small": (2_000, 100_000), "full": (20_000, 100_000)}
"""Customers in the lake, and events of one of them in the running month."""
MONTHS = 3
ROUNDS = 20
TENANT, CUSTOMER = "tenant-00", "customer-0"
_SCAN = "select meter, sum(value), count(*) from rows where tenant = ? and customer = ? group by meter"


def run(size: str) -> Iterator[dict[str, Any]]:
    """The row: asked again and again, where nothing is new, after usage of the customer, and as if after an event about
    its subscription."""
    customers, events = SIZES[size]
    with (
        tempfile.TemporaryDirectory(prefix="valueverse-bench-") as name,
        servers(Path(name)) as own,
        world(own, Path(name) / "upcoming", customers, MONTHS, 20) as made,
    ):
        _prepare(made, events)
        moment = datetime.combine(month_start(MONTHS - 1), datetime.min.time(), UTC) + timedelta(days=20)
        question, usual = Question(TENANT, CUSTOMER, None), UpcomingAnswers()
        usual.answer(made.settings, question, [], moment)
        again = [seconds(lambda: usual.answer(made.settings, question, [], moment)) for _ in range(ROUNDS)]
        ours, whole, peer = [], [], []
        for turn in range(ROUNDS):
            _use(made, turn)
            ours.append(seconds(lambda: usual.answer(made.settings, question, [], moment)))
            peer.append(seconds(lambda: _scan(made, events)))
            usual.forget()
            whole.append(seconds(lambda: usual.answer(made.settings, question, [], moment)))
        # The first round warms up.
        worked, scanned = statistics.median(ours[1:]), statistics.median(peer[1:])
        yield {
            "row": "upcoming invoice",
            "events": events,
            "ours_seconds": round(worked, 3),
            "peer_seconds": round(scanned, 3),
            "ratio": round(worked / scanned, 2),
            "goal": "<= 3x, p95 < 300 ms",
            "note": f"after new usage / one DuckDB scan of the month; p95 {_p95(ours)} ms after new usage, "
            f"{_p95(whole)} ms after a billing event, {_p95(again)} ms where nothing is new",
        }


def _prepare(made: World, events: int) -> None:
    """The customer's events; two months are final."""
    apart = 20 * 86_400_000 // events
    first = datetime.combine(month_start(MONTHS - 1), datetime.min.time(), UTC)
    rows = pl.DataFrame({"turn": range(events)}).with_columns(
        pl.lit(TENANT).alias("tenant"),
        pl.lit(CUSTOMER).alias("customer"),
        (pl.lit(first) + pl.duration(milliseconds=pl.col("turn") * apart)).alias("time"),
        pl.format('{{"n":{}}}', 1 + (pl.col("turn") * 37) % 5_000).alias("data"),
    )
    made.lake.append(EVENTS_TABLE, usage_rows(rows, pl.format("upcoming-{}", "turn")))
    for month in range(MONTHS):
        meter_month(made, month)
    for month in range(MONTHS - 1):
        bill_month(made, month)


def _use(made: World, turn: int) -> None:
    """One more row of the customer's usage in the running month."""
    one = made.lake.scan(USAGE_TABLE, made.days(MONTHS - 1)).filter(tenant=TENANT, customer=CUSTOMER).head(1).collect()
    made.lake.append(USAGE_TABLE, one.with_columns(pl.lit(f"upcoming-new-{turn}").alias("id")))


def _p95(times: list[float]) -> int:
    return round(statistics.quantiles(times, n=20)[-1] * 1000)


def _scan(made: World, events: int) -> None:
    with duckdb.connect() as connection:
        connection.register("rows", made.lake.open(USAGE_TABLE).arrow_dataset(made.days(MONTHS - 1)))
        found = connection.execute(_SCAN, [TENANT, CUSTOMER]).fetchall()
    if found[0][2] < events:
        raise SystemExit(f"upcoming bench: {found[0][2]} events found of {events}")
