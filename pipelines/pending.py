"""What is out of date: partitions whose mark, or input, is newer than they are, and what a kill left in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from assets.asset_helpers import newest, newest_id, pending
from assets.billing import INVOICES
from assets.ingestion import FACTS, LANDING, recorded_state
from assets.journal import JOURNAL
from assets.marts import PUBLISHED
from assets.partitions import contiguous, range_tags
from assets.quality import RELEASE
from valueverse.platform.settings import get_settings
from valueverse.services.audit.sequence_entries import newest_waiting
from valueverse.services.ingestion.inbox import newest_request
from valueverse.services.ingestion.landing_state import landing_state
from valueverse.services.ingestion.topic import newest_message
from valueverse.services.marts.dbt_project import missing_relations
from valueverse.services.months import FIRST_DAY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    import dagster as dg


@dataclass(frozen=True)
class Work:
    """One run of a stage's job.

    Attributes:
        key: names the work and its newest mark: the same key is the same work, a new mark is new work.
        partitions: first and last, both included; None: the stage is not partitioned.
        config: run config of the job.
    """

    key: str
    partitions: tuple[str, str] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tags(self) -> dict[str, str]:
        """Run tags that make one run of the partitions."""
        return range_tags(*self.partitions) if self.partitions else {}


def newer(
    marks: dg.AssetKey | Sequence[dg.AssetKey], done: dg.AssetKey, *, monthly: bool
) -> Callable[[dg.DagsterInstance], list[Work]]:
    """Pending work of a partitioned stage: partitions of ``marks`` that are newer than the same ones of ``done``."""

    def due(instance: dg.DagsterInstance) -> list[Work]:
        return ranges(pending(instance, marks, done), monthly=monthly)

    return due


def ranges(partitions: Mapping[str, int], *, monthly: bool) -> list[Work]:
    """One gapless range per run; the key names the newest mark in it. ``partitions``: key -> storage id of its mark."""
    found = []
    for first, last in contiguous(partitions.keys(), monthly=monthly):
        newest_mark = max(mark for partition, mark in partitions.items() if first <= partition <= last)
        found.append(Work(f"{first}:{last}:{newest_mark}", (first, last)))
    return found


def events_to_take(instance: dg.DagsterInstance) -> list[Work]:
    """An ingestion if the landing folder has changed since the last one, or if that ended before its billing facts; and
    if something waits in the inbox or the topic.
    """
    settings = get_settings()
    state = landing_state(settings.landing)
    doors = {"inbox": newest_request(settings), "topic": newest_message(settings)}
    waits = [f"{door}:{newest}" for door, newest in doors.items() if newest is not None]
    unfinished = newest_id(instance, LANDING) > newest_id(instance, FACTS)
    changed = bool(state) and (unfinished or state != recorded_state(instance))
    if not waits:
        return [Work(state)] if changed else []
    return [Work(":".join([state, *waits]))]


def unbooked_invoices(instance: dg.DagsterInstance) -> list[Work]:
    """The journal if it is older than the newest invoices, as after a kill in between."""
    billed = max(newest(instance, INVOICES).values(), default=0)
    return [Work(str(billed))] if billed > newest_id(instance, JOURNAL) else []


def unpublished_months(instance: dg.DagsterInstance) -> list[Work]:
    """One run for all months from the first to the last that were released, or held, after they were published whole.

    While the warehouse lacks a relation of the dbt project: every month that was ever decided.
    """
    missing = missing_relations(get_settings())
    months = dict(newest(instance, RELEASE)) if missing else pending(instance, RELEASE, PUBLISHED)
    if not months:
        return []
    key = ":".join([str(max(months.values())), *missing])
    return [Work(key, config=marts_config(min(months), max(months)))]


def audit_entries(_instance: dg.DagsterInstance) -> list[Work]:
    """The audit log if something was submitted to it; the newest submission names the work."""
    newest_submission = newest_waiting(get_settings())
    config = {"ops": {"audit__log": {"config": {"whole": False}}}}
    return [] if newest_submission is None else [Work(str(newest_submission), config=config)]


def marts_config(first: str, last: str) -> dict[str, Any]:
    """Run config of ``marts_job`` for what monthly partitions stand for, from ``first`` to ``last`` (keys).

    The first partition also stands for all months before it: then no first month is given.
    """
    months = {} if first == FIRST_DAY.isoformat() else {"periods_from": first[:7]}
    return {"ops": {"dbt_models": {"config": {**months, "periods_to": last[:7]}}}}
