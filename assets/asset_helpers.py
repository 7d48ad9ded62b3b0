"""What every asset has in common: owners, freshness, links to its code, and which partitions are out of date."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import dagster as dg

from assets.partitions import covered, monthly_keys

# Assets are annotated with the bare class: with another, a range run fails in the default IO manager.
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    Result = dg.MaterializeResult[None]
else:
    Result = dg.MaterializeResult

T = TypeVar("T")

PLATFORM, ANALYTICS = ["team:platform-team"], ["team:analytics-team"]
"""Owners of assets, as .github/CODEOWNERS has the teams of their code."""


def fresh(hours: float) -> dg.FreshnessPolicy:
    """Late after ``hours``, a warning after three quarters of them."""
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=hours), warn_window=timedelta(hours=hours * 0.75))


def code_in(path: Path | str) -> dict[str, Any]:
    """Metadata that links an asset to its file. Assets that a function makes are linked by ``definitions_of``."""
    file = dg.LocalFileCodeReference(file_path=str(path), line_number=1)
    return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[file])}


def covered_by(context: dg.AssetExecutionContext) -> tuple[date, date]:
    """First and last date that the partitions of this run stand for; the first partition includes all before it."""
    return covered(context.partition_keys)


def mark(
    context: dg.AssetExecutionContext,
    key: dg.AssetKey,
    partitions: Iterable[str],
    metadata: Mapping[str, str],
    rows: Mapping[str, int] | None = None,
) -> None:
    """Report to the instance that these partitions of ``key`` have changed: what is downstream is out of date.

    Args:
        context: of the run.
        key: the asset that is marked.
        partitions: keys.
        metadata: of each of them.
        rows: what the partitions hold, by key; None: it is not known.
    """
    for partition in partitions:
        counted = {} if rows is None else {"dagster/row_count": rows.get(partition, 0)}
        context.log_event(dg.AssetMaterialization(key, partition=partition, metadata={**metadata, **counted}))


def newest(instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Collection[str] | None = None) -> dict[str, int]:
    """Partition -> storage id of its latest materialisation; ids grow with time over all assets."""
    event = dg.DagsterEventType.ASSET_MATERIALIZATION
    wanted = None if partitions is None else set(partitions)
    return dict(instance.get_latest_storage_id_by_partition(key, event, wanted))


def newest_texts(instance: dg.DagsterInstance, key: dg.AssetKey, name: str) -> dict[str, str]:
    """Partition -> the text ``name`` in the metadata of its latest materialisation."""
    ids = list(newest(instance, key).values())
    if not ids:
        return {}
    wanted = dg.AssetRecordsFilter(asset_key=key, storage_ids=ids)
    records = instance.fetch_materializations(wanted, limit=len(ids)).records
    found = {one.partition_key: one.asset_materialization for one in records}
    return {
        partition: str(event.metadata[name].value)
        for partition, event in found.items()
        if partition is not None and event is not None and name in event.metadata
    }


def mark_changed(context: dg.AssetExecutionContext, key: dg.AssetKey, name: str, states: Mapping[date, str]) -> None:
    """Mark every month whose state is not the one recorded with its last mark, whichever run changed it.

    States are compared, not what a run wrote: a run that was killed before its marks is made up for by the next.

    Args:
        context: of the run.
        key: the asset that is marked.
        name: of the state in its metadata.
        states: month -> its state; a month without one has the state ``""``.
    """
    now = {month.isoformat(): state for month, state in states.items()}
    before = newest_texts(context.instance, key, name)
    changed = {date.fromisoformat(month) for month in {*now, *before} if now.get(month, "") != before.get(month, "")}
    for partition in monthly_keys(changed, datetime.now(UTC).date()):
        mark(context, key, [partition], {name: now.get(partition, "")})


def newest_id(instance: dg.DagsterInstance, key: dg.AssetKey) -> int:
    """Storage id of the latest materialisation of an asset that is not partitioned; 0 if there is none."""
    records = instance.fetch_materializations(key, limit=1).records
    return records[0].storage_id if records else 0


def pending(
    instance: dg.DagsterInstance,
    marks: dg.AssetKey | Sequence[dg.AssetKey],
    done: dg.AssetKey,
    partitions: Collection[str] | None = None,
) -> dict[str, int]:
    """Partitions of ``done`` that were marked, by one asset or several, after they last ran, with the newest mark's
    storage id."""
    finished = newest(instance, done, partitions)
    marked: dict[str, int] = {}
    for key in [marks] if isinstance(marks, dg.AssetKey) else marks:
        for partition, storage_id in newest(instance, key, partitions).items():
            marked[partition] = max(storage_id, marked.get(partition, 0))
    return {key: storage_id for key, storage_id in marked.items() if storage_id > finished.get(key, 0)}


def until_unmarked(context: dg.AssetExecutionContext, marks: dg.AssetKey, work: Callable[[], T]) -> T:
    """Do ``work``, and again if a partition of this run was marked meanwhile.

    A materialisation is younger than every mark before it, also than one that came after its input was read.
    """
    while True:
        seen = newest(context.instance, marks, context.partition_keys)
        result = work()
        if newest(context.instance, marks, context.partition_keys) == seen:
            return result
