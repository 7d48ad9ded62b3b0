"""The billing events of one tenant: those that the lake holds, and those that wait in its landing folder or inbox."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from valueverse.errors import RefusalError, did_you_mean
from valueverse.events import EVENT_KEY, IS_BILLING, read_lines, resolve_amendments
from valueverse.landing import landing_files, one_file
from valueverse.platform.settings import TENANT_KEY
from valueverse.platform.stores import inbox_store
from valueverse.platform.warehouse import connect
from valueverse.schemas.events import BILLING_FACTS, PARSED_LINES
from valueverse.services.ingestion.deliver import deliver
from valueverse.services.ingestion.file_manifest import taken_files
from valueverse.services.ingestion.file_validation import judged_lines, validated
from valueverse.services.lake_tables import BILLING_FACTS_TABLE
from valueverse.services.usage.derive_usage import received_facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from valueverse.landing import LandingFile
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import Settings

_LINES = PARSED_LINES.part("line", "raw")
_LARGEST = 64 * 2**20
"""Bytes of a waiting file that is looked into: larger ones are deliveries of usage."""


@dataclass(frozen=True)
class BillingLog:
    """Billing events of a tenant.

    Attributes:
        tenant: its key.
        events: BILLING_FACTS; what waits is received at the instant of reading.
        unread: names of waiting files that are too large to be looked into.
    """

    tenant: str
    events: pl.DataFrame
    unread: tuple[str, ...] = ()

    def facts(self) -> pl.DataFrame:
        """BILLING_FACTS as the next ingestion would derive them."""
        known = pl.col("known_until").alias("_known_until")
        resolved = resolve_amendments(self.events.lazy().with_columns(known).drop("known_until"))
        counted = resolved.filter(~pl.col("is_void") & ~pl.col("awaiting_original"))
        # The amendment that voids an event is no fact: what it did is in the facts that were stored.
        until = pl.min_horizontal("known_until", "_known_until").alias("known_until")
        return BILLING_FACTS.conform(counted.with_columns(until).collect())

    def find(self, source: str, key: str) -> dict[str, Any] | None:
        """The event with this source and id."""
        rows = self.events.filter(pl.col("source") == source, pl.col("id") == key).head(1)
        return rows.to_dicts()[0] if rows.height else None

    def under_free_id(self, event: dict[str, Any]) -> dict[str, Any]:
        """The event, with a number behind its id where the event of that id was voided or amended: that one is over for
        ever, and to state the same again takes another id."""
        facts = self.facts().filter(pl.col("source") == event["source"])
        over = facts.filter(pl.col("known_until").is_not_null() | pl.col("data").is_null())["id"].to_list()
        numbered = (f"{event['id']}/{number}" for number in count(2))
        return event | {"id": next(key for key in chain([event["id"]], numbered) if key not in over)}

    def at(self, time: datetime) -> pl.DataFrame:
        """The events in force (BILLING_FACTS) that take effect at this instant."""
        return self.facts().filter(
            pl.col("time") == time, pl.col("known_until").is_null(), pl.col("data").is_not_null()
        )

    def require_tenant(self, lake: Lake, cure: str) -> None:
        """Refuse a tenant of which nothing was received, and nothing waits.

        Raises:
            RefusalError: ``unknown_tenant`` with the nearest known name, and the ``cure`` where there is none.
        """
        if not self.events.is_empty():
            return
        known = lake.scan(BILLING_FACTS_TABLE).select(pl.col("tenant").unique()).collect()["tenant"].to_list()
        hint = did_you_mean(self.tenant, known)
        what = f"no event was received of a tenant {self.tenant!r}{hint.ending} ({cure})"
        raise RefusalError("unknown_tenant", what, "--tenant", hint.name)

    def plus(self, event: pl.DataFrame) -> BillingLog:
        """With another event (BILLING_FACTS), received last."""
        return replace(self, events=pl.concat([self.events, event]))


def named_event(row: dict[str, Any]) -> str:
    """An event in words."""
    return f"event {row['id']!r} of source {row['source']!r}"


VOID_IT = (
    "void that one first, by an event of its source and type with 'replaces': its id and 'data': null (docs/events.md)"
)
"""What takes an event back."""


@dataclass(frozen=True)
class WaitingRequest:
    """A request of the inbox that may hold billing events: its events as they came, compressed by Zstandard."""

    received_at: datetime
    body: bytes


def waiting_requests(settings: Settings, tenant: str) -> list[WaitingRequest]:
    """The requests of a tenant that wait in the inbox and may hold billing events, in the order of receipt.

    Raises:
        RefusalError: the warehouse does not answer.
    """
    with connect(settings, "builder") as connection:
        return [WaitingRequest(*one) for one in inbox_store.requests_with_billing(connection, tenant)]


def read_log(
    lake: Lake, landing: Path, tenant: str, moment: datetime, requests: Sequence[WaitingRequest] = ()
) -> BillingLog:
    """What is known of a tenant at ``moment``, what no ingestion has taken yet included.

    Args:
        lake: what was received.
        landing: where files wait.
        tenant: whose.
        moment: when files that wait are received.
        requests: those of the inbox, in the order of receipt. Whoever reads them reads them first: ingestion takes an
            event out of the inbox only once the lake has it (decision 1686).

    Raises:
        RefusalError: ``bad_tenant``.
    """
    if not TENANT_KEY.fullmatch(tenant):
        raise RefusalError(
            "bad_tenant", f"{tenant!r} is not a tenant key: a-z, 0-9, '_', '.', '-', at most 63", "--tenant"
        )
    files, unread = _waiting(lake, landing, tenant)
    parts = [one for file in files for one in _billing_events(file, moment)]
    requested = [_requested(one, tenant) for one in requests]
    events = pl.concat([received_facts(lake, tenant), *requested, *parts]).unique(
        EVENT_KEY, keep="first", maintain_order=True
    )
    return BillingLog(tenant, events, unread)


def _requested(request: WaitingRequest, tenant: str) -> pl.DataFrame:
    """The billing events of a request as ingestion will take them; of a body that cannot be read, none."""
    try:
        whole = pa.CompressedInputStream(pa.BufferReader(request.body), "zstd").read().decode()
    except (OSError, UnicodeDecodeError):
        return BILLING_FACTS.to_frame()
    texts = whole.removesuffix("\n").split("\n")
    lines = pl.DataFrame({"line": range(1, len(texts) + 1), "raw": texts}, schema=_LINES)
    judged = judged_lines(read_lines(lines), tenant, pl.lit(request.received_at))
    return _as_received(judged.filter(IS_BILLING, pl.col("reason").is_null()), request.received_at)


def judged_event(event: dict[str, Any], tenant: str, moment: datetime) -> pl.DataFrame:
    """An event as ingestion takes it (BILLING_FACTS).

    Raises:
        RefusalError: what ingestion would quarantine it for; ``path`` is the place within the event.
    """
    with TemporaryDirectory() as folder:
        path, _ = deliver(Path(folder), tenant, "event.ndjson", [event])
        [judged] = validated(one_file(path, tenant, path.name), moment)
    [row] = judged.select("reason", "message", "path").to_dicts()
    if row["reason"] is not None:
        raise RefusalError(row["reason"], row["message"], row["path"] or "")
    return _as_received(judged, moment)


def _waiting(lake: Lake, landing: Path, tenant: str) -> tuple[list[LandingFile], tuple[str, ...]]:
    taken = set(taken_files(lake).filter(pl.col("tenant_id") == tenant)["file"])
    large = {f"{tenant}/{name}" for name, size in _sizes(landing / tenant) if size > _LARGEST}
    files, _ = landing_files(landing, tenant, taken | large)
    return files, tuple(sorted(large - taken))


def _sizes(folder: Path) -> Iterator[tuple[str, int]]:
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                yield path.name, path.stat().st_size


def _billing_events(file: LandingFile, moment: datetime) -> Iterator[pl.DataFrame]:
    """What ingestion would take; of a file that cannot be read, nothing."""
    try:
        for judged in validated(file, moment):
            yield _as_received(judged.filter(IS_BILLING, pl.col("reason").is_null()), moment)
    except RefusalError:
        return


def _as_received(judged: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    received = judged.with_columns(pl.lit(moment).alias("received_at"))
    return BILLING_FACTS.conform(received, unset=("known_until",))
