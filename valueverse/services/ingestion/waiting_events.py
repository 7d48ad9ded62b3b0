"""An event that waits in the inbox: found by the hash of its key, and judged as ingestion will judge it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.events import key_hash, read_lines, same_payload
from valueverse.platform.dedup_index import halves
from valueverse.schemas.events import PARSED_LINES
from valueverse.services.ingestion.deduplication import with_repeats
from valueverse.services.ingestion.file_validation import judged_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from valueverse.platform.stores.event_store import EventStore

    SentTexts = Callable[[str, Sequence[int]], list[str]]
    """Texts of the messages of a partition, by its name in the lake's transactions and their offsets."""

_LINES = PARSED_LINES.part("line", "raw")
_HASH_BYTES = 16


def no_texts(_application: str, _offsets: Sequence[int]) -> list[str]:
    """Where there is no topic.

    Raises:
        RefusalError: ``kafka_unavailable``.
    """
    raise RefusalError("kafka_unavailable", "the event waits in Kafka: VALUEVERSE_KAFKA_BROKERS names none")


def key_bytes(keys: pl.DataFrame) -> bytes:
    """The hashes of keys (tenant, source, id), 16 bytes each."""
    return np.ascontiguousarray(halves(keys.select(key_hash()).to_series()).T.astype(">u8")).tobytes()


def waiting_batches(store: EventStore, tenant: str, source: str, event: str) -> list[dict[str, Any]]:
    """The requests in the inbox that may hold the event (``EventStore.waiting``). Whoever reads the lake as well reads
    them first: ingestion takes a request out of the inbox only once the lake has it."""
    return store.waiting(tenant, _hash_of(tenant, source, event))


def _hash_of(tenant: str, source: str, event: str) -> bytes:
    return key_bytes(pl.DataFrame({"tenant": [tenant], "source": [source], "id": [event]}))


def waiting_events(
    batches: Sequence[Mapping[str, Any]],
    tenant: str,
    source: str,
    event: str,
    accepted: Mapping[str, Any] | None,
    sent: SentTexts,
) -> list[dict[str, Any]]:
    """What waits with this key, in the order of receipt: batch, received_at, status; reason, message and path of what
    will not be accepted.

    Args:
        batches: of ``waiting_batches``.
        tenant: whose.
        source: of the event.
        event: its id.
        accepted: the row of EVENTS that has the key already; None: no event has.
        sent: reads what waits in a topic.

    Raises:
        RefusalError: ``kafka_unavailable``: it waits there, and cannot be read.
    """
    wanted = _hash_of(tenant, source, event)
    found: list[dict[str, Any]] = []
    first = accepted
    for batch in batches:
        lines = _lines_of(batch, wanted, sent)
        judged = with_repeats(judged_lines(read_lines(lines), tenant, pl.lit(batch["received_at"])), "event")
        for row in judged.filter(pl.col("source") == source, pl.col("id") == event).iter_rows(named=True):
            verdict = _verdict(row, first)
            first = first or (row if verdict["status"] == "accepted" else None)
            found.append({"batch": batch["receipt"], "received_at": utc_text(batch["received_at"]), **verdict})
    return found


def _lines_of(batch: Mapping[str, Any], wanted: bytes, sent: SentTexts) -> pl.DataFrame:
    """The lines of a request whose keys have the hash."""
    hashes = np.frombuffer(batch["key_hashes"], dtype=f"S{_HASH_BYTES}")
    # numpy takes zero bytes off the end of each: those of the hash that is looked for go as well.
    places = np.flatnonzero(hashes == np.frombuffer(wanted, dtype=f"S{_HASH_BYTES}")[0]).tolist()
    if batch["body"] is None:
        texts = sent(batch["application"], [batch["offsets"][place] for place in places])
    else:
        lines = pa.CompressedInputStream(pa.BufferReader(batch["body"]), "zstd").read().decode().split("\n")
        texts = [lines[place] for place in places]
    return pl.DataFrame({"line": [place + 1 for place in places], "raw": texts}, schema=_LINES)


def _verdict(row: Mapping[str, Any], first: Mapping[str, Any] | None) -> dict[str, Any]:
    if row["reason"] is not None and row["reason"] != "duplicate":
        return {"status": "refused"} | {name: row[name] for name in ("reason", "message", "path")}
    if first is None:
        return {"status": "accepted"}
    if row["payload_hash"] == first["payload_hash"] or same_payload(row, first):
        return {"status": "duplicate", "reason": "duplicate", "message": "it was received before: it counts once"}
    message = "an event with this id was received before, with other content: send it with an id of its own"
    return {"status": "refused", "reason": "conflict", "message": message, "path": "id"}
