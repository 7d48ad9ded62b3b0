"""Partitions whose last attempt failed and that nothing has repaired since, worked out from Dagster's event log.

Every run counts, whoever started it: a sensor, a schedule, a catch-up, a backfill, a command. What a run left undone
are the assets of its steps that did not succeed. It is repaired by a later success of the same partitions, for at least
the same tenants and months (``docs/decisions/0821-failed-partitions-are-listed-until-repaired.md``). A run whose config
was refused left nothing undone.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.partitions import contiguous
from valueverse.platform.outages import dagster_outage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

CURE = (
    "fix what the error names, then run `python -m pipelines.catch_up`, or materialise these partitions in the "
    "Dagster UI (docs/runbooks/failed-partitions.md)"
)
_ENDED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_EVENTS = {
    *(dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, dg.DagsterEventType.STEP_SUCCESS),
    *(dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED),
}
_CURSOR = "valueverse/failed_partitions"
_OVERLAP = timedelta(minutes=10)
"""Runs that ended so long before the newest that was looked at are looked at again: clocks of processes differ."""
_PAGE = 1000
_CANCELLED = "The run was cancelled."
_REFUSED = re.compile(r"\S*ValidationError: \d+ validation errors? for \w+Config\b")
"""The error of a run whose config was refused. It did nothing, and the same config is refused every time."""
_LONGEST = 300
"""Characters of an error in a summary."""


@dataclass(frozen=True)
class Scope:
    """What a run's config narrows it to; empty: no bound."""

    tenants: frozenset[str] = frozenset()
    first_month: str = ""
    last_month: str = ""
    as_of: str = ""

    @classmethod
    def of(cls, run: dg.DagsterRun, step: str) -> Scope:
        """Scope of one step of a run."""
        given: Mapping[str, Any] = run.run_config
        config = given.get("ops", {}).get(step, {}).get("config", {})
        return cls(
            frozenset(config.get("tenants", ())),
            *(config.get(name, "") for name in ("periods_from", "periods_to", "as_of")),
        )

    def covers(self, other: Scope) -> bool:
        """Whether a success within this scope does what a failure within the other one left undone."""
        tenants = not self.tenants or (bool(other.tenants) and other.tenants <= self.tenants)
        begins = not self.first_month or (bool(other.first_month) and self.first_month <= other.first_month)
        ends = not self.last_month or (bool(other.last_month) and self.last_month >= other.last_month)
        return tenants and begins and ends and self.as_of in {"", other.as_of}


@dataclass(frozen=True)
class Failure:
    """Partitions of one asset that the same runs left undone.

    Attributes:
        asset: its key.
        partitions: keys, sorted; empty: the asset is not partitioned.
        is_monthly: whether they are months.
        scope: what the runs were narrowed to.
        run_ids: the runs that failed since the last success, in the order they ended.
        run: the last of them.
        failed_at: when the last one ended.
        error: its error in a sentence.
    """

    asset: dg.AssetKey
    partitions: tuple[str, ...]
    is_monthly: bool
    scope: Scope
    run_ids: tuple[str, ...]
    run: dg.DagsterRun
    failed_at: datetime
    error: str

    @property
    def attempts(self) -> int:
        """Runs that failed since the last success."""
        return len(self.run_ids)

    @property
    def cancelled(self) -> bool:
        """Whether somebody ended the last run: it is listed, and not tried again without being asked for."""
        return self.run.status == dg.DagsterRunStatus.CANCELED

    def sentence(self) -> str:
        """``billing/invoices 2025-01-01...2025-03-01 failed 2 times, ...: error``."""
        where = " ".join(filter(None, [self.asset.to_user_string(), self.shown_partitions()]))
        tenants = f" for {', '.join(sorted(self.scope.tenants)[:5])}" if self.scope.tenants else ""
        times = "once" if self.attempts == 1 else f"{self.attempts} times"
        return (
            f"{where}{tenants} failed {times}, last at {self.failed_at:%Y-%m-%d %H:%M} UTC "
            f"(run {self.run.run_id[:8]}): {self.error}"
        )

    def shown_partitions(self) -> str:
        """Ranges of the partitions, as ``first...last``."""
        if not self.partitions:
            return ""
        ranges = contiguous(self.partitions, monthly=self.is_monthly)
        shown = ["...".join(dict.fromkeys(one)) for one in ranges[:5]]
        return ", ".join([*shown, *([f"and {len(ranges) - 5} more ranges"] if len(ranges) > 5 else [])])


@dataclass(frozen=True)
class _Undone:
    """What one run left undone of one asset; the partition of an asset that has none is an empty text."""

    asset: dg.AssetKey
    partitions: frozenset[str]
    is_monthly: bool
    scope: Scope
    record: dg.RunRecord
    error: str


@dataclass(frozen=True)
class _RunLog:
    """What a run planned and did: asset -> its step and partitions, the steps that succeeded, why it failed."""

    planned: Mapping[dg.AssetKey, tuple[str, set[str]]]
    succeeded: Collection[str]
    error: str


def failed_partitions(instance: dg.DagsterInstance) -> list[Failure]:
    """Everything that failed and was not repaired, the oldest first."""
    return _joined(_Reader(instance).unrepaired(_candidates(instance)))


def remember_repaired(instance: dg.DagsterInstance) -> list[Failure]:
    """``failed_partitions``; runs that are found to be repaired are not looked at again."""
    candidates = _candidates(instance)
    undone = _Reader(instance).unrepaired(candidates)
    if candidates:
        newest = max(record.update_timestamp for record in candidates)
        runs = sorted({one.record.dagster_run.run_id for one in undone})
        text = json.dumps({"until": newest.isoformat(), "open": runs})
        instance.daemon_cursor_storage.set_cursor_values({_CURSOR: text})
    return _joined(undone)


def error_of(events: Iterable[dg.DagsterEvent]) -> str:
    """Why a run failed, from its failure events: the first failed step's error, else what the run says."""
    events = list(events)
    for event in events:
        if event.is_step_failure and event.step_failure_data.error:
            error = event.step_failure_data.error
            cause = error.cause or error
            return dagster_outage(cause.cls_name or "", cause.message)
    return next((event.message for event in events if event.message), "")


def _candidates(instance: dg.DagsterInstance) -> list[dg.RunRecord]:
    """Failed and cancelled runs that may be unrepaired, the oldest first."""
    stored = instance.daemon_cursor_storage.get_cursor_values({_CURSOR}).get(_CURSOR)
    if stored is None:
        found = list(instance.get_run_records(dg.RunsFilter(statuses=_ENDED)))
    else:
        known = json.loads(stored)
        after = datetime.fromisoformat(known["until"]) - _OVERLAP
        found = list(instance.get_run_records(dg.RunsFilter(statuses=_ENDED, updated_after=after)))
        seen = {record.dagster_run.run_id for record in found}
        if left := [run_id for run_id in known["open"] if run_id not in seen]:
            found += instance.get_run_records(dg.RunsFilter(run_ids=left))
    return sorted(found, key=_ended)


def _ended(record: dg.RunRecord) -> datetime:
    return datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), UTC)


class _Reader:
    """Reads the event log; a run's events once."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._logs: dict[str, _RunLog] = {}

    def unrepaired(self, records: Iterable[dg.RunRecord]) -> list[_Undone]:
        """What these runs left undone and no later run has done."""
        found = []
        for record in records:
            run = record.dagster_run
            log = self._log(run.run_id)
            if _REFUSED.match(log.error):
                continue
            for asset, (step, keys) in log.planned.items():
                if step not in log.succeeded:
                    scope = Scope.of(run, step)
                    left = keys - self._repaired(asset, keys, scope, _ended(record))
                    if left:
                        error = _CANCELLED if run.status == dg.DagsterRunStatus.CANCELED else log.error
                        # A run covers a gapless range: two days or more are not all the first of a month.
                        monthly = all(key.endswith("-01") for key in keys)
                        found.append(_Undone(asset, frozenset(left), monthly, scope, record, error))
        return found

    def _repaired(self, asset: dg.AssetKey, keys: set[str], scope: Scope, after: datetime) -> set[str]:
        """Partitions that a run did whole after that instant."""
        partitions = sorted(key for key in keys if key)
        wanted = dg.AssetRecordsFilter(asset, partitions or None, after_timestamp=after.timestamp())
        found: set[str] = set()
        cursor = None
        while not found >= keys:
            page = self._instance.fetch_materializations(wanted, limit=_PAGE, cursor=cursor)
            found |= {record.partition_key or "" for record in page.records if self._does(record.run_id, asset, scope)}
            if not page.has_more:
                break
            cursor = page.cursor
        return found

    def _does(self, run_id: str, asset: dg.AssetKey, scope: Scope) -> bool:
        """Whether the run that materialised the asset did all of the work; a report without a run does, too."""
        run = self._instance.get_run_by_id(run_id) if run_id else None
        log = self._log(run_id)
        if run is None or asset not in log.planned:
            return True
        step, _ = log.planned[asset]
        return step in log.succeeded and Scope.of(run, step).covers(scope)

    def _log(self, run_id: str) -> _RunLog:
        if run_id not in self._logs:
            entries = self._instance.all_logs(run_id, of_type=_EVENTS)
            self._logs[run_id] = _run_log([entry.dagster_event for entry in entries if entry.dagster_event])
        return self._logs[run_id]


def _run_log(events: Sequence[dg.DagsterEvent]) -> _RunLog:
    planned: dict[dg.AssetKey, tuple[str, set[str]]] = {}
    for event in events:
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
            data = event.asset_materialization_planned_data
            keys = (
                set(data.partitions_subset.get_partition_keys()) if data.partitions_subset else {data.partition or ""}
            )
            planned.setdefault(data.asset_key, (event.step_key or "", set()))[1].update(keys)
    succeeded = {event.step_key for event in events if event.event_type == dg.DagsterEventType.STEP_SUCCESS}
    error = error_of(event for event in events if event.is_failure)[:_LONGEST]
    return _RunLog(planned, {step for step in succeeded if step}, error)


def _joined(undone: Iterable[_Undone]) -> list[Failure]:
    """One failure for partitions of an asset which the same runs failed for; runs come in the order they ended."""
    runs: dict[tuple[dg.AssetKey, Scope, str], list[_Undone]] = defaultdict(list)
    for one in undone:
        for key in one.partitions:
            runs[one.asset, one.scope, key].append(one)
    grouped: dict[tuple[dg.AssetKey, Scope, tuple[str, ...]], set[str]] = defaultdict(set)
    newest: dict[tuple[dg.AssetKey, str], _Undone] = {}
    for (asset, scope, key), attempts in runs.items():
        run_ids = tuple(one.record.dagster_run.run_id for one in attempts)
        newest[asset, run_ids[-1]] = attempts[-1]
        grouped[asset, scope, run_ids].add(key)
    found = []
    for (asset, scope, run_ids), keys in grouped.items():
        one = newest[asset, run_ids[-1]]
        found.append(
            Failure(
                asset, tuple(sorted(keys - {""})), one.is_monthly, scope, run_ids,
                one.record.dagster_run, _ended(one.record), one.error,
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: (one.failed_at, one.asset.to_user_string(), one.partitions))


def grouped_by_run(failures: Sequence[Failure]) -> list[list[Failure]]:
    """The failures of each run that failed last, those of a scope together."""
    runs: dict[tuple[str, Scope], list[Failure]] = defaultdict(list)
    for one in failures:
        runs[one.run.run_id, one.scope].append(one)
    return list(runs.values())


def lines(failures: Sequence[Failure]) -> list[str]:
    """One sentence per run that failed last: its first assets, their partitions, the error."""
    found = []
    for group in grouped_by_run(failures):
        more = f" (and {len(group) - 1} more of the same run)" if len(group) > 1 else ""
        found.append(group[0].sentence() + more)
    return found
