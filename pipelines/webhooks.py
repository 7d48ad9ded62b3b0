"""The daily end of notifications that were delivered, or given up, long ago."""
# No postponed annotations here: Dagster reads the types of config and resources when it is imported.

import dagster as dg

from assets.resources import Platform
from valueverse.services.webhooks.purge import purge_deliveries


@dg.op
def purge_webhook_deliveries(context: dg.OpExecutionContext, platform: Platform) -> None:
    """Remove deliveries of webhooks whose time is over."""
    context.add_output_metadata({"removed": purge_deliveries(platform.settings)})


@dg.job(description="Remove deliveries of webhooks that were delivered, or given up, long ago.")
def purge_webhooks_job() -> None:
    """One op."""
    purge_webhook_deliveries()


SCHEDULES = (
    dg.ScheduleDefinition(
        name="purge_webhooks_daily",
        job=purge_webhooks_job,
        cron_schedule="50 1 * * *",
        description="Every day: removes deliveries of webhooks that were delivered, or given up, long ago.",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    ),
)
