"""Laws that hold for any events, and the slow oracle that the vectorised engine must equal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.metering import oracle
from tests.metering.helpers import meters, usage, windows
from tests.support.laws import law
from valueverse.metering.quantities import meter_quantities

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
MINUTES = 40 * 24 * 60
_VALUE = st.decimals(min_value=-1000, max_value=1000, places=6, allow_nan=False)
_EVENTS = st.lists(
    st.builds(
        lambda minute, value, text, operation: (minute, value, text, operation),
        # Whole days are frequent, so that windows' edges, midnights and ties are met.
        st.one_of(st.integers(0, MINUTES), st.integers(0, 40).map(lambda day: day * 1440)),
        _VALUE,
        st.sampled_from("ab"),
        st.sampled_from(["add", "remove"]),
    ),
    max_size=12,
)
_SPAN = st.tuples(st.integers(0, 20 * 24), st.integers(1, 19 * 24))
_ZONE = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])


def events_of(drawn: list[Any]) -> list[oracle.Event]:
    return [
        oracle.Event(BEGIN + timedelta(minutes=minute), f"{number:06d}", value, text, operation)
        for number, (minute, value, text, operation) in enumerate(drawn)
    ]


def usage_of(events: list[oracle.Event]) -> pl.DataFrame:
    return usage(
        *(
            {
                "time": event.time,
                "id": event.id,
                "value": event.value,
                "text_value": event.text,
                "operation": event.operation,
            }
            for event in events
        )
    )


def window_of(span: tuple[int, int], zone: str, prorate: bool = False) -> tuple[oracle.Window, dict[str, Any]]:
    start = BEGIN + timedelta(hours=span[0])
    end = start + timedelta(hours=span[1])
    full_start, full_end = start - timedelta(days=1), end + timedelta(days=2)
    window = oracle.Window(start, end, full_start, full_end, zone)
    row = {
        "from": start,
        "to": end,
        "full_from": full_start,
        "full_to": full_end,
        "timezone": zone,
        "prorate": prorate,
    }
    return window, row


@law(30)
@given(_EVENTS, _SPAN, _ZONE, st.booleans())
def test_levels_equal_the_walk_over_single_events(
    drawn: list[Any], span: tuple[int, int], zone: str, carry_over: bool
) -> None:
    events = events_of(drawn)
    window, row = window_of(span, zone, prorate=True)
    some = bool(oracle.seen(events, window, carry_over))
    for kind, column, walk in (
        ("weighted_sum", "quantity", oracle.weighted_sum),
        ("unique_count", "quantity", oracle.unique_count),
        ("latest", "quantity", oracle.latest),
        ("unique_count", "prorated_quantity", oracle.prorated_unique_count),
        ("sum", "prorated_quantity", oracle.prorated_sum),
    ):
        found = meter_quantities(usage_of(events).lazy(), windows(row), meters(kind, carry_over=carry_over), None)
        assert found.height == some
        if some:
            expected = walk(events, window, carry_over)
            assert (found[column].item() or Decimal(0)) == expected, (kind, column)


@law(15)
@given(_EVENTS, _SPAN, st.randoms(use_true_random=False))
def test_the_order_and_batches_of_events_change_nothing(drawn: list[Any], span: tuple[int, int], random: Any) -> None:
    frame = usage_of(events_of(drawn))
    _, row = window_of(span, "UTC")
    shuffled = list(range(frame.height))
    random.shuffle(shuffled)
    cut = random.randint(0, frame.height)
    batches = pl.concat([frame[shuffled[:cut]].lazy(), frame[shuffled[cut:]].lazy()])
    for kind in ("sum", "count", "min", "max", "avg", "latest", "unique_count", "weighted_sum"):
        whole = meter_quantities(frame.lazy(), windows(row), meters(kind), None)
        assert meter_quantities(batches, windows(row), meters(kind), None).equals(whole), kind


@law(25)
@given(_EVENTS, _SPAN, st.integers(0, 19 * 24 * 60))
def test_the_parts_of_a_split_window_add_up(drawn: list[Any], span: tuple[int, int], minute: int) -> None:
    frame = usage_of(events_of(drawn))
    _, row = window_of(span, "UTC")
    cut = min(row["from"] + timedelta(minutes=minute), row["to"] - timedelta(minutes=1))
    parts = windows({**row, "to": max(cut, row["from"])}, {**row, "from": max(cut, row["from"])})
    whole = meter_quantities(frame.lazy(), windows(row), meters("sum"), None)
    halves = meter_quantities(frame.lazy(), parts, meters("sum"), None)
    assert halves["quantity"].sum() == whole["quantity"].sum()
    assert halves["event_count"].sum() == whole["event_count"].sum()


@law(25)
@given(_EVENTS, _SPAN)
def test_both_ways_to_group_equal_a_plain_filter(drawn: list[Any], span: tuple[int, int]) -> None:
    frame = usage_of(events_of(drawn))
    others = [{"customer": "d", "from": BEGIN, "to": BEGIN + timedelta(hours=hours)} for hours in range(1, 50)]
    _, row = window_of(span, "UTC")
    inside = frame.filter(pl.col("time") >= row["from"], pl.col("time") < row["to"])
    for kind in ("sum", "min", "max"):
        found = meter_quantities(frame.lazy(), windows(row), meters(kind), None)
        many = meter_quantities(frame.lazy(), windows(row, *others), meters(kind), None)
        assert many.equals(found)
        assert found.height == (inside.height > 0)
        if found.height:
            assert found["quantity"].item() == getattr(inside["value"], kind)()
            assert found["event_count"].item() == inside.height


@pytest.mark.parametrize("kind", ["sum", "latest"])
def test_tenants_never_mix(kind: str) -> None:
    events = events_of([(60, Decimal(number), "a", "add") for number in range(20)])
    mine = usage_of(events)
    both = pl.concat([mine, mine.with_columns(pl.lit("u").alias("tenant"), pl.col("value") * 3)])
    _, row = window_of((0, 24), "UTC")
    alone = meter_quantities(mine.lazy(), windows(row), meters(kind), None)
    assert meter_quantities(both.lazy(), windows(row), meters(kind), None).equals(alone)
