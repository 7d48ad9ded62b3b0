"""A stage is one row: everything that runs it follows from the table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from assets.partitions import MONTHLY
from pipelines import pending
from pipelines.catch_up import Step, catch_up
from pipelines.definitions import definitions_of
from pipelines.stages import STAGES, Schedule, Sensor, Stage, by_name

if TYPE_CHECKING:
    from pathlib import Path

START, LAST = "2024-02-01", "2024-03-01"
MARKS, REFUNDS = dg.AssetKey(["refunds", "due"]), dg.AssetKey(["refunds", "paid"])


@dg.asset(
    key=REFUNDS,
    partitions_def=MONTHLY,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[MARKS],
)
def paid() -> None:
    pass


ROW = Stage(
    name="refunds",
    summary="pay refunds",
    description="Pay the refunds of a range of months.",
    assets=(paid,),
    marks=(dg.AssetSpec(MARKS, partitions_def=MONTHLY),),
    pending=pending.newer(MARKS, REFUNDS, monthly=True),
    partitions=MONTHLY,
    upstream=("billing",),
    sensor=Sensor("refunded_months", "Asks for refunds."),
    schedule=Schedule("refunds_daily", "0 6 * * *", "Every day: the open month.", newest=1),
)


@pytest.fixture(scope="module")
def table() -> tuple[Stage, ...]:
    """A copy of the table with one more row."""
    return (*STAGES, ROW)


@pytest.fixture(scope="module")
def definitions(table: tuple[Stage, ...]) -> dg.Definitions:
    return definitions_of(table)


def test_a_row_more_is_a_job_a_sensor_a_schedule_and_a_step_more(
    table: tuple[Stage, ...], definitions: dg.Definitions, tmp_path: Path
) -> None:
    assert definitions.resolve_job_def("refunds_job").description == ROW.description
    schedule = definitions.resolve_schedule_def("refunds_daily")
    sensor = definitions.resolve_sensor_def("refunded_months")
    assert (sensor.job_name, schedule.job_name) == ("refunds_job", "refunds_job")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:

        def asked() -> list[str | None]:
            context = dg.build_sensor_context(instance=instance, definitions=definitions)
            return [one.job_name for one in sensor.evaluate_tick(context).run_requests or ()]

        for month in (START, LAST):
            instance.report_runless_asset_event(dg.AssetMaterialization(MARKS, partition=month))
        billing = by_name()["billing"]
        for key in (billing.assets[0].key, *(mark.key for mark in by_name()["ingestion"].marks)):
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=START))
        assert asked() == []  # months are still to be billed
        for name in ("usage", "billing"):
            instance.report_runless_asset_event(dg.AssetMaterialization(by_name()[name].assets[0].key, partition=START))
        assert asked() == ["refunds_job"]
        at = dg.build_schedule_context(instance=instance, scheduled_execution_time=datetime(2024, 6, 3, 6, tzinfo=UTC))
        requests = schedule.evaluate_tick(at).run_requests or ()
        firsts = [one.tags["dagster/asset_partition_range_start"] for one in requests]
        assert firsts == [START, "2024-06-01"]

        steps: list[Step] = []
        begun: list[tuple[str, str]] = []
        catch_up(
            instance,
            steps.append,
            stages=[ROW],
            definitions=definitions,
            announce=lambda stage, partitions: begun.append((stage.name, partitions)),
        )
        assert begun == [("refunds", f"{START}...{LAST}")]
        assert [(one.stage, one.summary, one.partitions, one.ok) for one in steps] == [
            ("refunds", "pay refunds", f"{START}...{LAST}", True)
        ]
        assert asked() == []


def test_names_of_stages_sensors_and_schedules_are_different() -> None:
    names = [stage.name for stage in STAGES]
    names += [stage.sensor.name for stage in STAGES] + [stage.schedule.name for stage in STAGES if stage.schedule]
    assert len(names) == len(set(names))


def test_a_stage_waits_for_stages_before_it_alone() -> None:
    names = [stage.name for stage in STAGES]
    for number, stage in enumerate(STAGES):
        assert {*stage.upstream, *stage.apart_from} <= set(names[:number])
