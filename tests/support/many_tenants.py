"""Sixteen small tenants in one lake, and ways to poison some of them past ingestion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tests.support.ledger import World
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, EVENTS_TABLE, USAGE_TABLE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from valueverse.platform.lake import Lake

NAMES = [f"t{number:02d}" for number in range(16)]


def company(price: str = "0.01", **catalog: Any) -> World:
    """Two customers with usage on two days of November 2023."""
    meter = {
        "key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n", "dimensions": ["model"],
    }  # fmt: skip
    charge = {"key": "usage", "meter": "tokens", "price": {"model": "standard", "unit": price}}
    fee = {"key": "base", "amount": "10", "timing": "in_arrears"}
    plan = {"key": "pro", "period": {"align": "calendar"}, "fees": [fee], "charges": [charge]}
    world = World({"currency": "USD", "meters": [meter], "plans": [plan]} | catalog)
    for customer in ("c0", "c1"):
        world.start("2023-11-01", subscription=f"s-{customer}", customer=customer)
        world.use("2023-11-05", "tokens", "100", customer=customer)
        world.use("2023-11-28", "tokens", "50", customer=customer)
    return world


def events_of(world: World) -> pl.DataFrame:
    """The world's billing events and usage events in the columns of the lake's ``events``."""
    facts, usage = world.lake_facts(), world.usage_frame()
    stated = facts.with_columns(pl.col("time").dt.date().alias("event_date"), pl.lit("").alias("customer"))
    used = usage.with_columns(
        pl.col("event_type").alias("type"),
        pl.concat_str(pl.lit('{"n":"'), pl.col("value").cast(pl.Int64), pl.lit('","model":"m"}')).alias("data"),
    )
    return pl.concat([_events(stated), _events(used)])


def _events(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None).alias(name)).cast(dtype)
        for name, dtype in EVENTS_TABLE.schema.items()
    )


def fill(lake: Lake, worlds: Mapping[str, World]) -> None:
    """Write each tenant's world to events, billing_facts and usage as if ingestion had let it in."""

    def renamed(frames: Sequence[tuple[str, pl.DataFrame]]) -> pl.DataFrame:
        return pl.concat([frame.with_columns(pl.lit(name).alias("tenant")) for name, frame in frames])

    lake.overwrite(BILLING_FACTS_TABLE, renamed([(name, world.lake_facts()) for name, world in worlds.items()]))
    lake.overwrite(USAGE_TABLE, renamed([(name, world.usage_frame()) for name, world in worlds.items()]))
    lake.overwrite(EVENTS_TABLE, renamed([(name, events_of(world)) for name, world in worlds.items()]))


def tenants(poisoned: Mapping[str, World] | None = None, *, without: Collection[str] = ()) -> dict[str, World]:
    """One company per name, some replaced by poisoned ones, some left out."""
    found = {name: company() for name in NAMES if name not in without}
    return found | dict(poisoned or {})
