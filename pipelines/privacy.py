"""Jobs about one customer's data: export, restriction, erasure; and the daily end of what is retained."""
# No postponed annotations here: Dagster reads the types of config and resources when it is imported.

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from pydantic import Field

from assets.resources import Platform
from valueverse.services.privacy.erase_subject import erase_subject
from valueverse.services.privacy.export_subject import export_subject
from valueverse.services.privacy.restrict_subject import end_retention, release_subject, restrict_subject


class SubjectConfig(dg.Config):
    """About whom."""

    tenant: str = Field(description="Whose customer.")
    customer: str = Field(description="Key of the customer.")


class ExportConfig(SubjectConfig):
    """About whom, and where to."""

    out: str = Field(description="ZIP file to write, on the machine that runs the job.")


class RestrictConfig(SubjectConfig):
    """About whom, and whether the hold begins or ends."""

    reason: str = Field(default="", description="Why the data is on hold; empty: it is released.")


@dg.op
def export_customer(context: dg.OpExecutionContext, config: ExportConfig, platform: Platform) -> None:
    """Write everything that is stored about a customer to a ZIP file."""
    done = export_subject(platform.settings, config.tenant, config.customer, datetime.now(UTC))
    Path(config.out).write_bytes(done.archive)
    context.add_output_metadata({"digest": done.digest, "parts": dg.MetadataValue.json(done.manifest["parts"])})


@dg.op
def restrict_customer(context: dg.OpExecutionContext, config: RestrictConfig, platform: Platform) -> None:
    """Put data of a customer on hold, or release it."""
    if config.reason:
        new = restrict_subject(platform.settings, config.tenant, config.customer, config.reason)
        context.add_output_metadata({"new": new})
    else:
        release_subject(platform.settings, config.tenant, config.customer)


@dg.op
def erase_customer(context: dg.OpExecutionContext, config: SubjectConfig, platform: Platform) -> None:
    """Erase what is personal of a customer."""
    done = erase_subject(platform.settings, config.tenant, config.customer, datetime.now(UTC))
    context.add_output_metadata({
        "digest": done.digest, "rows": dg.MetadataValue.json(done.rows), "keys": done.keys,
        "deliveries": dg.MetadataValue.json(done.deliveries), "retain_until": str(done.retain_until or ""),
    })  # fmt: skip


@dg.op
def end_customer_retention(context: dg.OpExecutionContext, platform: Platform) -> None:
    """Remove what was retained of erased customers, where its time is over."""
    context.add_output_metadata({"ended": len(end_retention(platform.settings, datetime.now(UTC).date()))})


@dg.job(description="Export everything that is stored about a customer; config names tenant, customer and file.")
def privacy_export_job() -> None:
    """One op."""
    export_customer()


@dg.job(description="Put data of a customer on hold, or release it; config names tenant, customer and reason.")
def privacy_restrict_job() -> None:
    """One op."""
    restrict_customer()


@dg.job(description="Erase what is personal of a customer; config names tenant and customer.")
def privacy_erase_job() -> None:
    """One op."""
    erase_customer()


@dg.job(description="Remove what was retained of erased customers for their invoices, where its time is over.")
def end_retention_job() -> None:
    """One op."""
    end_customer_retention()


JOBS = (privacy_export_job, privacy_restrict_job, privacy_erase_job, end_retention_job)
SCHEDULES = (
    dg.ScheduleDefinition(
        name="end_retention_daily",
        job=end_retention_job,
        cron_schedule="40 1 * * *",
        description="Every day: removes what was retained of erased customers, where its time is over.",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    ),
)
