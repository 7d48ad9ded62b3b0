"""What runs by the clock, as a net below the sensors."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from assets.partitions import range_tags
from pipelines.jobs import billing_job, ingestion_job, marts_job, release_job, usage_job, value_job
from pipelines.pending import pending_days, ranges
from valueverse.services.months import month_of

ingestion_every_five_minutes = dg.ScheduleDefinition(
    name="ingestion_every_five_minutes",
    job=ingestion_job,
    cron_schedule="*/5 * * * *",
    description="Takes landing files that the folder's sensor has missed.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)


@dg.schedule(
    job=usage_job,
    cron_schedule="17 * * * *",
    description="Every hour: today's usage, and every date that is out of date.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def usage_hourly(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
    """One run per gapless range."""
    now = context.scheduled_execution_time
    days = {**pending_days(context.instance), now.date().isoformat(): 0}
    return [
        dg.RunRequest(run_key=f"{now:%Y-%m-%dT%H}:{first}", tags=range_tags(first, last))
        for (first, last), _ in ranges(days)
    ]


@dg.schedule(
    job=billing_job,
    cron_schedule="30 2 * * *",
    description="Every day: the open month, and the one before it, whose drafts come out of grace.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def billing_daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """One run of two months."""
    return _open_months(context)


@dg.schedule(
    job=value_job,
    cron_schedule="30 3 * * *",
    description="Every day after billing: what came of committed value models in the same two months.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def value_daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """One run of two months."""
    return _open_months(context)


@dg.schedule(
    job=release_job,
    cron_schedule="30 4 * * *",
    description="Every day after billing: reconcile the same two months and decide anew.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def release_daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """One run of two months."""
    return _open_months(context)


marts_daily = dg.ScheduleDefinition(
    name="marts_daily",
    job=marts_job,
    cron_schedule="30 5 * * *",
    description="Every day after the release: all marts and all of their tests.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)


def _open_months(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    open_month = month_of(context.scheduled_execution_time.date())
    before = month_of(open_month - timedelta(days=1))
    return dg.RunRequest(
        run_key=f"{context.scheduled_execution_time:%Y-%m-%d}",
        tags=range_tags(before.isoformat(), open_month.isoformat()),
    )


SCHEDULES = [ingestion_every_five_minutes, usage_hourly, billing_daily, value_daily, release_daily, marts_daily]
