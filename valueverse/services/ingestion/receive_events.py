"""Events of a request, judged as ingestion will judge them, and made into what the inbox stores."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
import polars as pl
import pyarrow as pa

from valueverse.audit import leaf_hash, root_hash
from valueverse.errors import RefusalError
from valueverse.events import IS_BILLING, read_lines
from valueverse.landing import event_texts, expand, guarded
from valueverse.platform.live_events import SHOWN
from valueverse.schemas.events import FOUND_EVENTS, PARSED_LINES
from valueverse.services.ingestion.deduplication import with_repeats
from valueverse.services.ingestion.file_validation import judged_lines
from valueverse.services.ingestion.waiting_events import key_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from valueverse.landing import Form

_LINES = PARSED_LINES.part("line", "raw")
_OUTCOME = pl.when(pl.col("reason") == "duplicate").then(pl.lit("duplicate")).otherwise(pl.lit("refused"))
_STATUS = pl.when(pl.col("reason").is_null()).then(pl.lit("accepted")).otherwise(_OUTCOME).alias("status")
_WHY = ("reason", "message", "path")


@dataclass(frozen=True)
class JudgedEvents:
    """The events of one request.

    Attributes:
        body: all of them as they came, one on each line, compressed by Zstandard; also those that are refused, which
            ingestion quarantines.
        events: how many.
        expanded: bytes of ``body`` before it was compressed.
        key_hashes: 16 bytes of each event's key, in the order of ``body``.
        billing_types: types of those that are billing events.
        counts: events that are accepted, duplicate (of an earlier one of the request) and refused.
        first: FOUND_EVENTS of the first of them.
        results: a JSON list: source, id, status and leaf of each; reason, message and path of what is not accepted.
        root: root of the Merkle tree over the events as they came; an event's ``leaf`` is its hash there.
    """

    body: bytes
    events: int
    expanded: int
    key_hashes: bytes
    billing_types: list[str]
    counts: dict[str, int]
    first: pl.DataFrame
    results: bytes
    root: bytes


def judge_body(body: bytes, encoding: str, form: Form, tenant: str, moment: datetime) -> JudgedEvents:
    """Judge the events of a body that was received at ``moment``.

    Raises:
        RefusalError: ``unsupported_encoding``, ``damaged_body``, ``body_too_large``, ``malformed_body``,
            ``too_many_events``, ``payment_instrument``.
    """
    return judge_texts(event_texts(expand(body, encoding), form), tenant, moment)


def judge_texts(texts: Sequence[str], tenant: str, moment: datetime) -> JudgedEvents:
    """Judge events, each a text on one line, that were received at ``moment``.

    Raises:
        RefusalError: ``payment_instrument`` where one of them holds the number of a card or account: what is stored of
            a request is all of it, or nothing.
    """
    lines = pl.DataFrame({"line": range(1, len(texts) + 1), "raw": texts}, schema=_LINES)
    with guarded():
        judged = with_repeats(judged_lines(read_lines(lines), tenant, pl.lit(moment)), "event")
    refused = _refused(judged)
    counts = {"accepted": judged.height - refused.height, "duplicate": 0, "refused": 0}
    counts |= Counter(refused["status"])
    billing = judged.lazy().filter(IS_BILLING).select(pl.col("type").unique().sort()).collect()
    encoded = [text.encode() for text in texts]
    leaves = [leaf_hash(one) for one in encoded]
    whole = b"\n".join([*encoded, b""])
    return JudgedEvents(
        body=pa.compress(whole, codec="zstd", asbytes=True),
        events=len(texts),
        expanded=len(whole),
        key_hashes=key_bytes(judged),
        billing_types=billing["type"].to_list(),
        counts=counts,
        first=FOUND_EVENTS.conform(judged.head(SHOWN).with_columns(_STATUS)),
        results=_results(judged, refused, leaves),
        root=root_hash(leaves),
    )


def _refused(judged: pl.DataFrame) -> pl.DataFrame:
    """place, line, status and _WHY of those that are not accepted.

    Raises:
        RefusalError: ``payment_instrument``.
    """
    wrong = judged.lazy().with_row_index("place").filter(pl.col("reason").is_not_null())
    refused = wrong.select("place", "line", _STATUS, *_WHY).collect()
    instruments = refused.filter(pl.col("reason") == "payment_instrument") if refused.height else refused
    if not instruments.is_empty():
        line, message, path = instruments.select("line", "message", "path").row(0)
        raise RefusalError("payment_instrument", f"event {line}: {message}; nothing of the request is stored", path)
    return refused


def _results(judged: pl.DataFrame, refused: pl.DataFrame, leaves: Sequence[bytes]) -> bytes:
    keys = zip(judged["source"], judged["id"], leaves, strict=True)
    results = [
        {"source": source, "id": event, "status": "accepted", "leaf": leaf.hex()} for source, event, leaf in keys
    ]
    for place, status, *reasons in refused.select("place", "status", *_WHY).iter_rows():
        why = zip(_WHY, reasons, strict=True)
        results[place] |= {"status": status} | {name: value for name, value in why if value is not None}
    return orjson.dumps(results)
