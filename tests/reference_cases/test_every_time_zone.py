"""Periods tile time in every zone of the tz database."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import available_timezones

import polars as pl

from valueverse.events.validation import is_time_zone
from valueverse.subscriptions.periods import overlapping_periods

INSTANT = pl.Datetime("us", "UTC")
WINDOW = ("window_from", "window_to", "start", "end")


def test_periods_tile_time_in_every_zone_for_any_unit_and_anchor() -> None:
    chance = random.Random(29)
    rows: list[dict[str, object]] = []
    for zone in filter(is_time_zone, sorted(available_timezones())):
        begin = datetime(chance.randint(1905, 2035), chance.randint(1, 12), chance.randint(1, 28), 13, tzinfo=UTC)
        for unit in ("day", "week", "month", "quarter", "year"):
            row: dict[str, object] = {
                "key": len(rows), "every": chance.randint(1, 3), "unit": unit,
                "align": chance.choice(["anniversary", "calendar"]), "anchor": date(2024, 1, chance.randint(1, 31)),
                "timezone": zone, "window_from": begin, "window_to": begin + timedelta(days=chance.randint(1, 100)),
                "start": None, "end": None,
            }  # fmt: skip
            rows.append(row)
    asked = pl.DataFrame(rows, schema_overrides=dict.fromkeys(WINDOW, INSTANT))
    found = overlapping_periods(asked)
    follows = found.with_columns(pl.col("from").shift(-1).over("key").alias("next")).drop_nulls("next")
    assert follows.filter(pl.col("next") != pl.col("to")).is_empty()
    spans = asked.join(found.group_by("key").agg(pl.col("from").min(), pl.col("to").max()), on="key", how="left")
    holds = (pl.col("from") <= pl.col("window_from")) & (pl.col("to") >= pl.col("window_to"))
    assert spans.filter(~holds.fill_null(value=False)).is_empty()
    assert len(rows) > 2_000
