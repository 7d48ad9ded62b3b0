"""Amendments: an event with ``replaces`` takes the place of the event with that id, ``data: null`` voids it.

An amendment whose original is not known yet waits (``awaiting_original``). Of several amendments of one event the one
received last counts. Nothing is rewritten: every version stays, with the stretch of knowledge time in which it was the
truth.
"""

from __future__ import annotations

import polars as pl

from valueverse.schemas.types import INSTANT

_ROOT_ROUNDS = 64
"""Longest chain of amendments of amendments that is followed; a longer one keeps its last known root."""


def resolve_amendments(events: pl.LazyFrame) -> pl.LazyFrame:
    """Add root_id, known_from, known_until, awaiting_original, is_void to events.

    Args:
        events: rows of the events table; what amends or is amended by them must be among them.

    A version is valid for those who ask at T with known_from <= T < known_until (null: still). ``known_from`` is
    the receipt, for an amendment that came before its original the receipt of that. ``known_until`` is that of what
    replaced it, never before its own receipt.
    """
    keyed = events.with_columns(pl.lit(value=True).alias("has_original"))
    originals = keyed.select(
        "tenant", "source", pl.col("id").alias("replaces"), pl.col("received_at").alias("original_received"),
        "has_original",
    )  # fmt: skip
    first, followed = _replacements(events)
    resolved = (
        events.join(first, on=["tenant", "source", "id"], how="left")
        .join(followed, on=["tenant", "source", "id"], how="left")
        .join(originals, on=["tenant", "source", "replaces"], how="left")
        .with_columns(
            # Replaced by its own amendments, or by the next amendment of what it amends: whichever came first. An
            # amendment received before its original takes effect when the original is there.
            pl.max_horizontal(pl.min_horizontal("replaced_at", "next_received"), "received_at").alias("until"),
            pl.max_horizontal("received_at", "original_received").alias("known_from"),
            (pl.col("replaces").is_not_null() & pl.col("has_original").is_null()).alias("awaiting_original"),
        )
        .with_columns(
            pl.when(pl.min_horizontal("replaced_at", "next_received").is_not_null())
            .then("until")
            .cast(INSTANT)
            .alias("known_until"),
            pl.col("data").is_null().alias("is_void"),
        )
        .drop("replaced_at", "next_received", "original_received", "has_original", "until")
    )
    return _with_roots(resolved, events)


def _replacements(events: pl.LazyFrame) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """When versions were replaced: by what amends them (replaced_at), and by the next of their siblings, which amend
    the same version (next_received)."""
    replaced = (
        events.filter(pl.col("replaces").is_not_null())
        .select(
            "tenant",
            "source",
            pl.col("replaces").alias("id"),
            pl.col("id").alias("by"),
            pl.col("received_at").alias("by_received"),
            pl.col("time").alias("by_time"),
        )
        .filter(pl.col("id") != pl.col("by"))
    )
    # Amendments of one original replace each other in order of receipt, so each is valid until the next.
    order = pl.struct("by_received", "by_time", "by")
    siblings = replaced.sort("tenant", "source", "id", order).with_columns(
        pl.col("by_received").shift(-1).over("tenant", "source", "id").alias("next_received")
    )
    first = siblings.group_by("tenant", "source", "id").agg(pl.col("by_received").min().alias("replaced_at"))
    followed = siblings.select("tenant", "source", pl.col("by").alias("id"), "next_received")
    return first, followed


def _with_roots(resolved: pl.LazyFrame, events: pl.LazyFrame) -> pl.LazyFrame:
    links = (
        events.filter(pl.col("replaces").is_not_null())
        .select("tenant", "source", "id", "replaces")
        .unique(["tenant", "source", "id"])
        .collect()
    )
    if links.is_empty():
        return resolved.with_columns(pl.col("id").alias("root_id"))
    roots = links.rename({"replaces": "root_id"})
    step = links.select("tenant", "source", pl.col("id").alias("root_id"), pl.col("replaces").alias("further"))
    for _ in range(_ROOT_ROUNDS):
        moved = roots.join(step, on=["tenant", "source", "root_id"], how="left")
        if moved["further"].null_count() == moved.height:
            break
        roots = moved.with_columns(pl.coalesce("further", "root_id").alias("root_id")).drop("further")
    known = resolved.join(roots.lazy(), on=["tenant", "source", "id"], how="left")
    return known.with_columns(pl.coalesce("root_id", "id").alias("root_id"))
