"""When a sensor asks again for what is still due: a run that failed or was killed is not the last one for its work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from pipelines.pending import Work
    from pipelines.stages import Stage

WORK = "valueverse/work"
"""Tag of a run: the key of the work that it was asked for."""
_FIRST, _LONGEST = timedelta(minutes=1), timedelta(hours=1)
_COUNTED = 8
"""Attempts that lengthen the pause: twice as long each time comes to the longest before that."""


def pause_after(attempts: int) -> timedelta:
    """How long to wait after that many runs (at least one) which left their work undone."""
    return min(_FIRST * (1 << (attempts - 1)), _LONGEST)


def asked(instance: dg.DagsterInstance, stage: Stage, work: Work, now: datetime | None = None) -> list[dg.RunRequest]:
    """One request for work that is due, or none while a run for it is under way or has just failed.

    Args:
        instance: Dagster's.
        stage: whose job does it.
        work: what is due; a new mark makes another key, and does not wait.
        now: the instant; None: the present.
    """
    filters = dg.RunsFilter(job_name=stage.job_name, tags={WORK: work.key})
    before = instance.get_run_records(filters, limit=_COUNTED)
    run_key = work.key
    if before:
        if not all(record.dagster_run.is_finished for record in before):
            return []
        ended = max(datetime.fromtimestamp(one.end_time or one.update_timestamp.timestamp(), UTC) for one in before)
        if (now or datetime.now(UTC)) < ended + pause_after(len(before)):
            return []
        run_key = f"{work.key}:after:{before[0].dagster_run.run_id}"
    tags = {WORK: work.key, **work.tags}
    return [dg.RunRequest(run_key=run_key, job_name=stage.job_name, run_config=dict(work.config), tags=tags)]
