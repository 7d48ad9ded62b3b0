"""The billing events of one tenant: those that the lake holds, and those that wait in its landing folder."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.errors import RefusalError, did_you_mean
from valueverse.events import EVENT_KEY, IS_BILLING, resolve_amendments
from valueverse.landing import landing_files, one_file
from valueverse.platform.settings import TENANT_KEY
from valueverse.schemas.events import BILLING_FACTS
from valueverse.services.ingestion.deliver import deliver
from valueverse.services.ingestion.file_manifest import taken_files
from valueverse.services.ingestion.file_validation import validated
from valueverse.services.lake_tables import BILLING_FACTS_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from valueverse.landing import LandingFile
    from valueverse.platform.lake import Lake

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


def read_log(lake: Lake, landing: Path, tenant: str, moment: datetime) -> BillingLog:
    """What is known of a tenant at ``moment``, its deliveries that no ingestion has taken yet included.

    Raises:
        RefusalError: ``bad_tenant``.
    """
    if not TENANT_KEY.fullmatch(tenant):
        raise RefusalError(
            "bad_tenant", f"{tenant!r} is not a tenant key: a-z, 0-9, '_', '.', '-', at most 63", "--tenant"
        )
    stored = BILLING_FACTS.conform(lake.scan(BILLING_FACTS_TABLE).filter(pl.col("tenant") == tenant).collect())
    files, unread = _waiting(lake, landing, tenant)
    parts = [one for file in files for one in _billing_events(file, moment)]
    events = pl.concat([stored, *parts]).unique(EVENT_KEY, keep="first", maintain_order=True)
    return BillingLog(tenant, events, unread)


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
