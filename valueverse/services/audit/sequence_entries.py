"""Gives submitted entries their place in their tenant's log."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.audit import genesis, leaf_hash, link
from valueverse.platform.stores import audit_store as store
from valueverse.platform.warehouse import connect
from valueverse.schemas.operations import AUDIT_ENTRIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.platform.settings import Settings

_AT_ONCE = 100_000
"""Entries of one transaction."""


def newest_waiting(settings: Settings) -> int | None:
    """Number of the newest submission that has no place in a log yet; None: all have."""
    with connect(settings, "builder") as connection:
        return store.newest_waiting(connection)


def sequence_entries(settings: Settings) -> dict[str, int]:
    """Move what transactions submitted into the logs of their tenants: tenant -> entries.

    Entries of one transaction keep their order. Beside another call it waits; killed, it has done nothing or all of a
    part.
    """
    done: Counter[str] = Counter()
    with connect(settings, "builder") as connection:
        while True:
            store.lock(connection)
            waiting = store.submitted(connection, _AT_ONCE)
            if waiting:
                tenants = sorted({row["tenant"] for row in waiting})
                heads = store.newest(connection, tenants)
                lengths = dict.fromkeys(tenants, 0) | {row["tenant"]: row["sequence"] for row in heads}
                taken = [(row["tenant"], row["submission"]) for row in waiting]
                store.append(connection, _entries(waiting, heads), lengths, taken)
            connection.commit()
            done.update(row["tenant"] for row in waiting)
            if len(waiting) < _AT_ONCE:
                return done


def _entries(waiting: Sequence[dict[str, Any]], heads: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """AUDIT_ENTRIES. A chain is sequential by its nature: its hash is the one computation here that goes row by row."""
    places = {row["tenant"]: (row["sequence"], row["chain_hash"]) for row in heads}
    rows = []
    for row in waiting:
        tenant, entry = row["tenant"], row["entry"]
        sequence, before = places.get(tenant) or (0, genesis(tenant))
        places[tenant] = (sequence + 1, link(before, leaf_hash(entry.encode())))
        rows.append((tenant, sequence + 1, entry, "\\x" + places[tenant][1].hex()))
    return pl.DataFrame(rows, AUDIT_ENTRIES, orient="row")
