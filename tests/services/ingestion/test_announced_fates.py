"""What is announced of a commit is bounded, and holds no line of a file that was not taken."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from valueverse.platform.live_events import SHOWN, read
from valueverse.services.ingestion.announced_fates import Fates

MOMENT = datetime(2024, 5, 1, tzinfo=UTC)


def lines(tenant: str, file: str, count: int, first: int = 1) -> pl.DataFrame:
    texts = ("source", "id", "type", "customer", "subscription", "replaces", "reason", "message", "path")
    frame = pl.DataFrame({"line": range(first, first + count)}, schema={"line": pl.Int64})
    named = {"tenant": pl.lit(tenant), "file": pl.lit(file), "time": pl.lit(MOMENT).cast(pl.Datetime("us", "UTC"))}
    return frame.with_columns(*(pl.lit(None, pl.String).alias(name) for name in texts), **named)


def files(**accepted: int) -> pl.DataFrame:
    counts = list(accepted.values())
    zeros = {"duplicate": [0] * len(counts), "quarantined": [0] * len(counts)}
    return pl.DataFrame({"tenant_id": list(accepted), "received": counts, "accepted": counts} | zeros)


def test_of_each_tenant_that_is_followed_the_first_lines_are_noted_however_many_parts_there_are() -> None:
    fates = Fates({"acme", "birch"})
    for part in range(4):
        judged = pl.concat(
            [lines("acme", "a", 150, 1 + 150 * part), lines("cedar", "c", 9), lines("birch", "b", 1, part)]
        )
        fates.add(judged, judged.clear(), judged.clear())
    entries = fates.entries(files(acme=600, birch=4, cedar=36), MOMENT)
    assert sorted(entries) == ["acme", "birch"]
    kind, events, more = read({name.encode(): value for name, value in entries["acme"].items()})
    assert (kind, [one["line"] for one in events]) == ("ingested", list(range(1, SHOWN + 1)))
    counted = {"events": 400, "accepted": 400, "duplicate": 0, "quarantined": 0}
    assert more == {"received_at": "2024-05-01T00:00:00Z"} | counted
    assert read({name.encode(): value for name, value in entries["birch"].items()})[2] is None


def test_a_file_that_breaks_off_is_taken_back() -> None:
    fates = Fates({"acme"})
    for file in ("whole", "broken"):
        judged = lines("acme", file, 2)
        fates.add(judged, judged.head(1), judged.clear())
    fates.forget("broken")
    whole = pl.DataFrame(
        {"tenant_id": ["acme"], "received": [2], "accepted": [1], "duplicate": [1], "quarantined": [0]}
    )
    _, events, more = read({name.encode(): value for name, value in fates.entries(whole, MOMENT)["acme"].items()})
    assert [(one["file"], one["status"]) for one in events] == [("whole", "duplicate"), ("whole", "accepted")]
    assert more is None
