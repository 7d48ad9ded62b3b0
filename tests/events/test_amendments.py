"""Amendments say the same as the recomputation's view of versions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from quality.recompute.events import AMENDMENTS, VERSIONS
from tests.support.laws import law
from valueverse.events.amendments import resolve_amendments
from valueverse.schemas.events import EVENTS

START = datetime(2024, 1, 1, tzinfo=UTC)


def _event(key: str, hour: int, replaces: str | None = None, data: str | None = "{}", time: int = 0) -> dict[str, Any]:
    moment = START + timedelta(hours=time)
    return {
        "tenant": "acme", "source": "s", "id": key, "type": "call", "time": moment, "event_date": moment.date(),
        "data": data, "replaces": replaces, "received_at": START + timedelta(hours=hour),
    }  # fmt: skip


def _resolved(*events: dict[str, Any]) -> dict[str, dict[str, Any]]:
    frame = pl.DataFrame(list(events), schema=EVENTS)
    return {row["id"]: row for row in resolve_amendments(frame.lazy()).collect().to_dicts()}


def _hour(value: datetime | None) -> float | None:
    return None if value is None else (value - START) / timedelta(hours=1)


def test_an_amendment_takes_the_place_of_its_original_when_it_is_received() -> None:
    rows = _resolved(_event("a", 1), _event("b", 5, "a"))
    assert (_hour(rows["a"]["known_until"]), rows["b"]["known_until"]) == (5, None)
    assert (rows["a"]["root_id"], rows["b"]["root_id"]) == ("a", "a")


def test_a_chain_of_amendments_has_one_root_and_one_truth() -> None:
    rows = _resolved(_event("a", 1), _event("b", 2, "a"), _event("c", 3, "b"), _event("d", 4, "c", None))
    assert [_hour(rows[key]["known_until"]) for key in "abcd"] == [2, 3, 4, None]
    assert {row["root_id"] for row in rows.values()} == {"a"}
    assert [rows[key]["is_void"] for key in "abcd"] == [False, False, False, True]


def test_voiding_a_void_leaves_nothing_and_amending_it_brings_the_event_back() -> None:
    rows = _resolved(_event("a", 1), _event("v", 2, "a", None), _event("w", 3, "v", None), _event("x", 4, "w"))
    current = [key for key, row in rows.items() if row["known_until"] is None and not row["is_void"]]
    assert current == ["x"]


def test_an_amendment_whose_original_is_unknown_waits() -> None:
    rows = _resolved(_event("b", 1, "missing"))
    assert (rows["b"]["awaiting_original"], rows["b"]["root_id"]) == (True, "missing")


def test_an_amendment_before_its_original_counts_from_the_originals_receipt() -> None:
    rows = _resolved(_event("b", 1, "a"), _event("a", 4))
    assert not rows["b"]["awaiting_original"]
    assert (_hour(rows["b"]["known_from"]), rows["b"]["known_until"]) == (4, None)
    assert rows["a"]["known_until"] == rows["a"]["received_at"]


def test_of_two_amendments_the_later_received_wins_then_the_later_time_then_the_greater_id() -> None:
    for winner, loser in [
        (_event("b", 3, "a"), _event("c", 2, "a")),
        (_event("b", 2, "a", time=1), _event("c", 2, "a")),
        (_event("c", 2, "a"), _event("b", 2, "a")),
    ]:
        rows = _resolved(_event("a", 1), winner, loser)
        assert [key for key, row in rows.items() if row["known_until"] is None] == [winner["id"]]


def test_sources_do_not_amend_each_other() -> None:
    rows = _resolved(_event("a", 1), _event("b", 2, "a") | {"source": "other"})
    assert (rows["a"]["known_until"], rows["b"]["awaiting_original"]) == (None, True)


KEYS = ["a", "b", "c", "d", "e"]


@law(60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(KEYS),
            st.integers(1, 4),
            st.none() | st.sampled_from([*KEYS, "missing"]),
            st.sampled_from(["{}", None]),
            st.integers(0, 1),
        ),
        unique_by=lambda event: event[0],
        max_size=5,
    )
)
def test_every_version_is_known_exactly_when_the_oracle_says(drawn: list[tuple[Any, ...]]) -> None:
    events = [
        _event(key, hour, replaces, data if replaces else "{}", time)
        for key, hour, replaces, data, time in drawn
        if replaces != key
    ]
    frame = pl.DataFrame(events, schema=EVENTS)
    ours = (
        resolve_amendments(frame.lazy())
        .filter(~pl.col("is_void"), ~pl.col("awaiting_original"))
        .select("id", "known_from", "known_until")
        .collect()
    )
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.register("lake_events", frame.to_arrow())
        connection.register("lake_amendments", frame.to_arrow())
        connection.register("chosen", frame.select("tenant").unique().to_arrow())
        connection.execute(AMENDMENTS)
        connection.execute(VERSIONS)
        theirs = connection.execute(
            "select id, epoch_us(known_from), case when isinf(known_until) then null else epoch_us(known_until) end "
            "from versions"
        ).fetchall()

    def seen(rows: list[tuple[Any, ...]], at: int) -> set[str]:
        return {key for key, since, until in rows if since <= at and (until is None or at < until)}

    versions = ours.with_columns(pl.col("known_from", "known_until").dt.epoch("us")).rows()
    for hour in range(6):
        at = int((START + timedelta(hours=hour)).timestamp()) * 1_000_000
        assert seen(versions, at) == seen(theirs, at)
