"""New, duplicate or conflict: a batch of valid events against everything ever accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.dates import utc_texts
from valueverse.events import COMPARED_FIELDS, EVENT_KEY, key_hash, same_payload
from valueverse.services.lake_tables import EVENTS_TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from valueverse.platform.dedup_index import DedupIndex
    from valueverse.platform.lake import Lake

_FIRST = [*EVENT_KEY, *COMPARED_FIELDS, "payload_hash", "event_date"]


def settle(
    good: pl.DataFrame, lake: Lake, index: DedupIndex, earlier: Callable[[], Iterable[pl.LazyFrame]] = tuple
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Split valid events, in order of file and line, into new ones, duplicates and conflicts (with their reason).

    The first received wins: what the lake has, else the first of the batch. What is new is expected by the index from
    then on.

    Args:
        earlier: events taken before in the same batch, which the lake does not have yet.
    """
    keyed = good.with_columns(key_hash().alias("key_hash"))
    first = keyed["key_hash"].is_first_distinct()
    hits = pl.Series(index.hits(keyed["key_hash"]), dtype=pl.Boolean)
    unheard = first & ~hits
    index.expect(keyed["key_hash"].filter(unheard))
    fresh = keyed.filter(unheard).drop("key_hash")
    if fresh.height == keyed.height:
        return fresh, keyed.clear(), keyed.clear()
    suspects = keyed.filter(~first | hits).drop("key_hash")
    keys = suspects.select(*EVENT_KEY, "event_date").unique()
    stored = pl.concat([_stored(keys, lake), *(_of_keys(frame, keys) for frame in earlier())])
    unknown = suspects.join(stored, on=EVENT_KEY, how="anti", maintain_order="left")
    # A hash in the index without its key in the lake is a collision: the first such event of the batch is new.
    newcomers = unknown.join(fresh, on=EVENT_KEY, how="anti", maintain_order="left").unique(
        EVENT_KEY, keep="first", maintain_order=True
    )
    fresh = pl.concat([fresh, newcomers])
    rest = suspects.join(newcomers.select("file", "line"), on=["file", "line"], how="anti", maintain_order="left")
    firsts = pl.concat([stored.select(_FIRST), fresh.select(_FIRST)]).unique(
        EVENT_KEY, keep="first", maintain_order=True
    )
    return fresh, *_compared(rest, firsts)


def _stored(keys: pl.DataFrame, lake: Lake) -> pl.DataFrame:
    """The lake's events with these keys: looked for on their own dates first, then everywhere."""
    dates = keys["event_date"].unique().to_list()
    near = _of_keys(lake.scan(EVENTS_TABLE, dates), keys)
    missing = keys.join(near, on=EVENT_KEY, how="anti")
    if missing.is_empty():
        return near
    return pl.concat([near, _of_keys(lake.scan(EVENTS_TABLE), missing)])


def _of_keys(events: pl.LazyFrame, keys: pl.DataFrame) -> pl.DataFrame:
    return events.select(_FIRST).join(keys.lazy(), on=EVENT_KEY, how="semi").collect(engine="streaming")


def with_repeats(judged: pl.DataFrame, noun: str) -> pl.DataFrame:
    """Judged lines of one delivery; a valid one whose key an earlier one has is given ``duplicate`` or ``conflict``.

    Args:
        judged: of ``file_validation``, each with a ``line`` of its own.
        noun: what a line is called in the message.
    """
    valid = judged.lazy().filter(pl.col("reason").is_null()).select("line", *_FIRST, "reason", "message", "path")
    good = valid.with_columns(pl.struct(EVENT_KEY).is_first_distinct().alias("first")).collect()
    first = good.drop_in_place("first")
    if first.all():
        return judged
    firsts = good.filter(first)
    twice, conflicts = _compared(good.filter(~first), firsts)
    place = pl.format("{} {} has the same source and id", pl.lit(noun), "first_line")
    other = ", and other content: the first one counts; send this one with an id of its own, or with 'replaces'"
    ends = {"duplicate": ": the event counts once", "conflict": other}
    verdicts = pl.concat(
        frame.join(firsts.select(*EVENT_KEY, pl.col("line").alias("first_line")), on=EVENT_KEY).select(
            "line", pl.lit(reason).alias("repeated"), (place + pl.lit(ends[reason])).alias("sentence")
        )
        for reason, frame in (("duplicate", twice), ("conflict", conflicts))
    )
    joined = judged.join(verdicts, on="line", how="left", maintain_order="left")
    verdict = {"reason": pl.coalesce("repeated", "reason"), "message": pl.coalesce("sentence", "message")}
    return joined.with_columns(**verdict).drop("repeated", "sentence")


def _compared(rest: pl.DataFrame, firsts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Duplicates and conflicts among events whose key is taken."""
    beside = firsts.select(
        *EVENT_KEY, pl.col("payload_hash").alias("first_hash"), pl.struct(COMPARED_FIELDS).alias("first_event")
    )
    pairs = rest.join(beside, on=EVENT_KEY, how="left", maintain_order="left")
    alike = pl.col("payload_hash") == pl.col("first_hash")
    twice, odd = pairs.filter(alike), pairs.filter(~alike)
    # Other texts, perhaps the same values: rare enough to be looked at one by one.
    verdicts = [same_payload(row, row["first_event"]) for row in odd.iter_rows(named=True)]
    same = pl.Series(verdicts, dtype=pl.Boolean)
    conflicts = odd.filter(~same).with_columns(
        pl.lit("conflict").alias("reason"),
        pl.format(
            "an event with id '{}' of source '{}' was received before with other content (type {}, time {}); "
            "to change it send a new id with 'replaces'",
            "id",
            "source",
            pl.col("first_event").struct.field("type"),
            utc_texts(pl.col("first_event").struct.field("time")),
        ).alias("message"),
        pl.lit("id").alias("path"),
    )
    return pl.concat([twice, odd.filter(same)]).select(rest.columns), conflicts.select(rest.columns)
