from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from pipelines.definitions import defs

ROOT = Path(__file__).parents[2]
SPECS = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
WRITTEN = {
    key.to_user_string(): asset
    for asset in defs.resolve_asset_graph().assets_defs
    if asset.is_executable
    for key in asset.keys
}


def test_definitions_can_be_loaded() -> None:
    dg.Definitions.validate_loadable(defs)


@pytest.mark.integration
def test_definitions_validate_needs_no_server(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "pipelines.definitions"],
        cwd=ROOT,
        env={**os.environ, "VALUEVERSE_HOME": str(tmp_path / "home"), "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("key", sorted(SPECS))
def test_every_asset_has_a_prefix_a_group_owners_kinds_a_description_and_a_code_version(key: str) -> None:
    spec = SPECS[key]
    assert len(spec.key.path) == 2
    assert spec.group_name not in (None, "default")
    assert spec.owners
    assert spec.kinds
    assert spec.description
    assert spec.code_version


@pytest.mark.parametrize("key", sorted(WRITTEN))
def test_every_asset_that_runs_says_how_fresh_it_has_to_be(key: str) -> None:
    assert SPECS[key].freshness_policy is not None


@pytest.mark.parametrize("key", sorted(key for key in WRITTEN if SPECS[key].partitions_def))
def test_every_partitioned_asset_runs_a_range_as_one_run(key: str) -> None:
    policy = WRITTEN[key].backfill_policy
    assert policy is not None
    assert policy.max_partitions_per_run is None


@pytest.mark.parametrize("key", sorted(WRITTEN))
def test_every_asset_names_the_pool_of_its_writer(key: str) -> None:
    assert all(pool for pool in WRITTEN[key].op.pools)


def test_partitions_are_defined_in_one_place() -> None:
    sources = [*ROOT.glob("assets/**/*.py"), *ROOT.glob("pipelines/**/*.py")]
    elsewhere = [
        path.name for path in sources if "PartitionsDefinition(" in path.read_text() and path.name != "partitions.py"
    ]
    assert elsewhere == []


def test_every_stage_has_a_sensor_or_a_schedule_that_runs_by_itself() -> None:
    jobs = {"ingestion_job", "usage_job", "billing_job", "value_job", "release_job", "marts_job"}
    assert {schedule.job_name for schedule in defs.schedules or ()} == jobs
    assert all(schedule.default_status == dg.DefaultScheduleStatus.RUNNING for schedule in defs.schedules or ())
    assert all(sensor.default_status == dg.DefaultSensorStatus.RUNNING for sensor in defs.sensors or ())


def test_no_asset_uses_an_io_manager() -> None:
    assert set(defs.resources or {}) == {"platform", "dbt"}
