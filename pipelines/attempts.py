"""When a sensor asks again for what is still due: a run that failed or was killed is not the last one for its work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from assets.partitions import range_tags

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

WORK = "valueverse/work"
"""Tag of a run: the key of the work that it was asked for."""
_FIRST, _LONGEST = timedelta(minutes=1), timedelta(hours=1)
_COUNTED = 8
"""Attempts that lengthen the pause: twice as long each time comes to the longest before that."""


def pause_after(attempts: int) -> timedelta:
    """How long to wait after that many runs (at least one) which left their work undone."""
    return min(_FIRST * (1 << (attempts - 1)), _LONGEST)


def asked(
    instance: dg.DagsterInstance,
    job: str,
    key: str,
    partitions: tuple[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> list[dg.RunRequest]:
    """One request for work that is due, or none while a run for it is under way or has just failed.

    Args:
        instance: Dagster's.
        job: name of the job.
        key: of the work: what is due and its newest mark, so that a new delivery does not wait.
        partitions: first and last, for a job of partitions.
        config: run config.
        now: the instant; None: the present.
    """
    filters = dg.RunsFilter(job_name=job, tags={WORK: key})
    before = instance.get_run_records(filters, limit=_COUNTED)
    run_key = key
    if before:
        if not all(record.dagster_run.is_finished for record in before):
            return []
        ended = max(datetime.fromtimestamp(one.end_time or one.update_timestamp.timestamp(), UTC) for one in before)
        if (now or datetime.now(UTC)) < ended + pause_after(len(before)):
            return []
        run_key = f"{key}:after:{before[0].dagster_run.run_id}"
    tags = {WORK: key, **(range_tags(*partitions) if partitions else {})}
    return [dg.RunRequest(run_key=run_key, job_name=job, run_config=dict(config or {}), tags=tags)]
