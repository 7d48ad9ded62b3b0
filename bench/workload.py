"""Seeded data of the rating benchmarks: a month of typed usage, and the subscriptions it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from valueverse.catalog.document import parse_catalog
from valueverse.catalog.history import CatalogHistory
from valueverse.schemas.events import BILLING_FACTS, REJECTED_EVENTS
from valueverse.schemas.metering import USAGE
from valueverse.schemas.subscriptions import SEGMENTS, TENANT_PROFILES
from valueverse.schemas.types import EXACT
from valueverse.subscriptions.event_fields import CUSTOMER_FIELDS
from valueverse.subscriptions.timeline import Timeline

if TYPE_CHECKING:
    from pathlib import Path

TENANTS, SUBSCRIPTIONS = 1_000, 20_000
FIRST, AFTER = date(2026, 3, 1), date(2026, 4, 1)
_DAYS = (AFTER - FIRST).days
YEAR = date(2025, 3, 1)
"""Where the twelve months of ``simulate`` begin."""
_TIERS = [{"up_to": "1000", "unit": "0.0030"}, {"up_to": "100000", "unit": "0.0020"}, {"up_to": None, "unit": "0.0010"}]
GRADUATED = {"model": "graduated", "tiers": _TIERS}
MODELS: tuple[dict[str, Any], ...] = (
    {"model": "standard", "unit": "0.0021"},
    GRADUATED,
    {"model": "volume", "tiers": _TIERS},
    {"model": "package", "size": "1000", "amount": "0.50", "free": "1000"},
    {"model": "percentage", "rate": "1.3", "fixed": "0.05", "free_events": 3, "max_per_event": "20"},
    {"model": "graduated_percentage", "tiers": [{"up_to": "5000", "rate": "2"}, {"up_to": None, "rate": "1"}]},
    {
        "model": "matrix",
        "dimensions": ["region"],
        "cells": [{"region": "eu", "unit": "0.0025"}, {"region": "us", "unit": "0.0020"}],
        "default_unit": "0.0030",
    },
    {"model": "dynamic", "multiplier": "0.0015"},
    {"model": "capacity", "tiers": [{"limits": {"*": "100000"}, "amount": "50"}, {"amount": "400"}]},
    {
        "model": "bucketed",
        "every": "day",
        "price": GRADUATED,
        "commitment": "0.50",
        "overage_factor": "1.5",
        "true_up": True,
    },
    {"model": "formula", "amount": "max(quantity - 500, 0) * 0.003"},
)
"""Every price model that makes lines of usage; ``*`` stands for the meter that is charged."""
REGIONS = ("eu", "us", "ap")
METERS = {"tokens": ("sum", 0.70), "requests": ("count", 0.15), "peak": ("max", 0.10), "users": ("unique_count", 0.05)}


@dataclass(frozen=True)
class Workload:
    """A month to bill: parquet files of usage, one per day as in the lake, and who is billed for it.

    ``grain``: the columns by which prices need the usage summed, and so what the peer groups by.
    """

    files: Path
    events: int
    timeline: Timeline
    history: CatalogHistory
    names: pl.DataFrame
    grain: str = "tenant, customer, meter"


def _catalog(mixed: bool, dearer: bool = False) -> dict[str, Any]:
    meters = [
        {"key": key, "event_type": "request", "aggregation": how} | ({} if how == "count" else {"value": "value"})
        for key, (how, _) in METERS.items()
    ]
    if mixed:
        meters = [meter | {"dimensions": ["region"]} for meter in meters]
    if not mixed:
        price = {"model": "standard", "unit": "0.0022"} if dearer else GRADUATED
        plans = [{"key": "plan-0", "charges": [{"key": "tokens", "meter": "tokens", "price": price}]}]
    else:
        plans = [
            {
                "key": f"plan-{place}",
                "charges": [
                    {"key": meter, "meter": meter, "price": _price(MODELS[(place + shift) % len(MODELS)], meter)}
                    for shift, meter in enumerate(METERS)
                ],
            }
            for place in range(len(MODELS))
        ]
    period = {"every": 1, "unit": "month", "align": "calendar"}
    return {
        "schema": "valueverse.catalog/v1",
        "meters": meters,
        "plans": [plan | {"period": period} for plan in plans],
    }


def _price(model: dict[str, Any], meter: str) -> dict[str, Any]:
    if model["model"] != "capacity":
        return model
    first, *rest = model["tiers"]
    return model | {"tiers": [first | {"limits": {meter: first["limits"]["*"]}}, *rest]}


def _names(tenants: int) -> pl.DataFrame:
    number = pl.int_range(SUBSCRIPTIONS, dtype=pl.UInt32, eager=True)
    return pl.DataFrame({"number": number}).with_columns(
        pl.format("tenant-{}", (pl.col("number") % tenants).cast(pl.String).str.zfill(5)).alias("tenant"),
        pl.format("customer-{}", pl.col("number").cast(pl.String).str.zfill(5)).alias("customer"),
    )


def _timeline(history: CatalogHistory, names: pl.DataFrame, plans: int, catalog_hash: str) -> Timeline:
    start = pl.lit(datetime(2025, 1, 1, tzinfo=UTC)).cast(SEGMENTS["from"])
    segments = names.select(
        "tenant", "customer",
        pl.col("customer").alias("subscription"),
        pl.format("plan-{}", pl.col("number") % plans).alias("plan"),
        pl.lit(1).alias("plan_version"), pl.lit(catalog_hash).alias("catalog_hash"), pl.lit("USD").alias("currency"),
        pl.lit("UTC").alias("timezone"), pl.lit(1).alias("every"), pl.lit("month").alias("unit"),
        pl.lit("calendar").alias("align"), pl.lit(date(2025, 1, 1)).alias("anchor"),
        start.alias("from"), start.alias("subscription_start"), pl.lit(0).alias("segment"),
    )  # fmt: skip
    whole = segments.with_columns(
        pl.lit(None, dtype).alias(name) for name, dtype in SEGMENTS.items() if name not in segments.columns
    ).select(pl.col(name).cast(dtype) for name, dtype in SEGMENTS.items())
    stated = history.plans.select("tenant", "timezone", "currency", "grace_seconds").unique(["tenant"])
    named = stated.with_columns(pl.col("tenant").alias("name"))
    unstated = [pl.lit(None, dtype).alias(name) for name, dtype in TENANT_PROFILES.items() if name not in named.columns]
    tenants = named.with_columns(unstated).select(TENANT_PROFILES.names())
    unsaid = [pl.lit(None, pl.String).alias(name) for name in CUSTOMER_FIELDS]
    customers = segments.select("tenant", "customer", *unsaid)
    return Timeline(
        tenants,
        customers,
        whole,
        REJECTED_EVENTS.to_frame(),
        BILLING_FACTS.to_frame(),
    )


def _day(rng: np.random.Generator, rows: int, day: date, names: pl.DataFrame, mixed: bool) -> pl.DataFrame:
    keys = list(METERS) if mixed else ["tokens"]
    weights = np.array([METERS[key][1] for key in keys])
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
    drawn = pl.DataFrame(
        {
            "number": rng.integers(0, SUBSCRIPTIONS, rows).astype(np.uint32),
            "micros": np.sort(rng.integers(0, 86_400_000_000, rows)) + midnight,
            "units": rng.integers(1, 4_000_000, rows),
            "choice": rng.choice(len(keys), rows, p=weights / weights.sum()).astype(np.uint8),
        }
    )
    meter = pl.col("choice").replace_strict(dict(enumerate(keys)), return_dtype=pl.String)
    row = pl.int_range(pl.len())
    units = pl.col("units").cast(EXACT)
    texts = {place: f'{{"region":"{name}"}}' for place, name in enumerate(REGIONS)}
    region = (pl.col("units") % len(REGIONS)).replace_strict(texts) if mixed else pl.lit("")
    time = pl.col("micros").cast(USAGE["time"])
    filled = drawn.join(names, on="number", maintain_order="left").select(
        "tenant", "customer",
        pl.lit(day).alias("event_date"), time.alias("time"), time.alias("received_at"),
        pl.lit("request").alias("event_type"), pl.lit("bench").alias("source"),
        pl.format("{}-{}", pl.lit(day.isoformat()), row).alias("id"),
        meter.alias("meter"),
        pl.when(meter == "requests").then(pl.lit(1).cast(EXACT)).otherwise(units / 1000).alias("value"),
        pl.format("user-{}", pl.col("units") % 500).alias("text_value"),
        pl.lit("add").alias("operation"), region.alias("dimensions"), pl.lit("ok").alias("status"),
    )  # fmt: skip
    return filled.with_columns(
        pl.col("id").alias("root_id"),
        pl.lit(None, USAGE["known_until"]).alias("known_until"),
        pl.lit(None, pl.String).alias("subscription"),
    ).select(pl.col(name).cast(dtype) for name, dtype in USAGE.items())


def workload(
    folder: Path, events: int, *, mixed: bool, tenants: int = TENANTS, days: int = _DAYS, first: date = FIRST
) -> Workload:
    """Write ``events`` usage rows of one month (or of ``days`` from ``first``), the same for the same arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20260301)
    names = _names(tenants)
    for place in range(days):
        rows = events // days + (place < events % days)
        _day(rng, rows, first + timedelta(days=place), names, mixed).write_parquet(folder / f"day-{place:03d}.parquet")
    bare = Workload(folder, events, None, None, names)
    return under(replace(bare, grain=f"{bare.grain}, dimensions") if mixed else bare, _catalog(mixed))


def under(work: Workload, document: dict[str, Any]) -> Workload:
    """The same usage under a catalog."""
    catalog = parse_catalog(document)
    history = CatalogHistory.everywhere(catalog, work.names["tenant"].unique().to_list())
    (catalog_hash,) = history.catalogs
    timeline = _timeline(history, work.names, len(catalog.plans), catalog_hash)
    return replace(work, timeline=timeline, history=history)


def dearer(work: Workload) -> Workload:
    """The same usage under a second catalog."""
    return under(work, _catalog(mixed=False, dearer=True))
