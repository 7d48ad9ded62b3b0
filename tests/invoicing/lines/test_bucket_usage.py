"""Buckets of ``bucketed`` prices tile time by local hours or days, whatever a zone's clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import law
from tests.support.ledger import World, amounts
from valueverse.invoicing.lines.usage.bucket_usage import _windows
from valueverse.schemas.types import INSTANT

ZONES = (
    "UTC", "America/New_York", "America/Sao_Paulo", "America/Havana", "Australia/Lord_Howe", "Pacific/Chatham",
    "Pacific/Apia", "Asia/Kathmandu", "Asia/Beirut", "Africa/Cairo", "Antarctica/Casey", "America/Asuncion",
)  # fmt: skip


def windows(zone: str, every: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
    line = {"line": 0, "from": start, "to": end, "timezone": zone, "every": every}
    return _windows(pl.DataFrame([line], schema_overrides={"from": INSTANT, "to": INSTANT})).to_dicts()


def place(moment: datetime, zone: str, every: str) -> tuple[object, ...]:
    local = moment.astimezone(ZoneInfo(zone))
    return (local.date(),) if every == "day" else (local.date(), local.hour, local.utcoffset())


@law(60)
@given(
    zone=st.sampled_from(ZONES),
    every=st.sampled_from(["hour", "day"]),
    start=st.timedeltas(timedelta(0), datetime(2027, 1, 1, tzinfo=UTC) - datetime(2011, 12, 1, tzinfo=UTC)),
    minutes=st.integers(1, 5_000),
)
def test_every_instant_lies_in_the_one_bucket_of_its_local_hour_or_day(
    zone: str, every: str, start: timedelta, minutes: int
) -> None:
    first = datetime(2011, 12, 1, tzinfo=UTC) + start
    last = first + timedelta(minutes=minutes)
    found = windows(zone, every, first, last)
    assert (found[0]["from"], found[-1]["to"]) == (first, last)
    assert all(one["to"] == next_one["from"] for one, next_one in pairwise(found))
    for one in found:
        assert place(one["from"], zone, every) == place(one["to"] - timedelta(microseconds=1), zone, every)
    places = [place(one["from"], zone, every) for one in found]
    assert all(one != next_one for one, next_one in pairwise(places))


@pytest.mark.parametrize(
    ("zone", "start", "end", "days", "hours"),
    [
        ("America/Sao_Paulo", "2018-11-03T03:00:00", "2018-11-05T02:00:00", 2, 47),
        ("Pacific/Apia", "2011-12-29T10:00:00", "2011-12-31T10:00:00", 2, 48),
        ("Pacific/Chatham", "2026-09-26T11:15:00", "2026-09-27T10:15:00", 1, 24),
        ("Australia/Lord_Howe", "2026-04-04T13:00:00", "2026-04-05T13:30:00", 1, 25),
        ("America/Havana", "2026-11-01T04:00:00", "2026-11-02T05:00:00", 1, 25),
    ],
)
def test_days_and_hours_are_those_of_the_local_clock(zone: str, start: str, end: str, days: int, hours: int) -> None:
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    assert len(windows(zone, "day", first, last)) == days
    assert len(windows(zone, "hour", first, last)) == hours


def test_a_day_whose_midnight_is_skipped_is_one_bucket_and_so_is_the_day_before() -> None:
    price = {"model": "bucketed", "every": "day", "price": {"model": "standard", "unit": "1"}}
    charge = {"key": "calls", "meter": "calls", "price": price | {"commitment": "3", "true_up": True}}
    meter = {"key": "calls", "event_type": "used", "aggregation": "sum", "value": "n"}
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": [charge]}
    acme = World({"meters": [meter], "plans": [plan]}, published="2018-01-01")
    acme.start("2018-11-01T03:00:00+00:00", timezone="America/Sao_Paulo")
    (november,) = acme.documents("2018-11-01", "2018-12-02")
    assert amounts(november) == [("calls", "90.00")]
