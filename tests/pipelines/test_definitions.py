from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from assets.check_results import DBT_TEST, sections
from pipelines.definitions import defs
from pipelines.stages import STAGES

ROOT = Path(__file__).parents[2]
NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
SPECS = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
WRITTEN = {
    key.to_user_string(): asset
    for asset in defs.resolve_asset_graph().assets_defs
    if asset.is_executable
    for key in asset.keys
}


def test_packages_of_dbt_are_not_imported_with_the_code_location() -> None:
    assert sys.modules["dagster_dbt.compat"].DBT_PYTHON_VERSION is None


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


@pytest.mark.parametrize("key", sorted(SPECS))
def test_every_asset_is_described_in_words_and_linked_to_its_file(key: str) -> None:
    spec = SPECS[key]
    assert "Raw SQL" not in (spec.description or "")
    assert "select" not in (spec.description or "")
    assert _files(spec)
    assert all(path.is_file() for path in _files(spec))
    if spec.key.path[0] in {"staging", "intermediate", "marts"}:
        assert _files(spec)[0].name == f"{spec.key.path[1]}.sql"


@pytest.mark.parametrize("key", sorted(SPECS))
def test_every_asset_is_owned_by_the_team_of_its_file(key: str) -> None:
    path = _files(SPECS[key])[0].relative_to(ROOT)
    rules = [line.split() for line in (ROOT / ".github" / "CODEOWNERS").read_text().splitlines() if line[:1] in "/*"]
    teams = next(teams for place, *teams in reversed([rule for rule in rules if rule]) if _covers(place, path))
    assert list(SPECS[key].owners) == [f"team:{team.removeprefix('@')}" for team in teams]


def _files(spec: dg.AssetSpec) -> list[Path]:
    linked = spec.metadata["dagster/code_references"].code_references
    return [Path(one.file_path) for one in linked if isinstance(one, dg.LocalFileCodeReference)]


def _covers(place: str, path: Path) -> bool:
    """Whether a line of CODEOWNERS is about a file: ``*``, a file, or a folder that ends in a slash."""
    return place == "*" or fnmatch.fnmatch(f"/{path}", f"{place}*" if place.endswith("/") else place)


def test_every_layer_is_a_group_of_its_own() -> None:
    groups = {group: sorted({key.split("/")[0] for key in SPECS if SPECS[key].group_name == group}) for group in {
        spec.group_name for spec in SPECS.values()
    }}  # fmt: skip
    assert groups == {
        "ingestion": ["ingestion", "lake"], "usage": ["lake"], "billing": ["billing"], "value": ["value"],
        "quality": ["quality"], "audit": ["audit"],
        "staging": ["seed", "staging"], "intermediate": ["intermediate"], "marts": ["marts"],
    }  # fmt: skip


def test_every_check_has_a_section_in_the_runbook_and_every_section_a_check() -> None:
    of_dbt = {"seed", "staging", "intermediate", "marts"}
    ours = {key.name for key in defs.resolve_asset_graph().asset_check_keys if key.asset_key.path[0] not in of_dbt}
    assert set(sections()) == {*ours, DBT_TEST}
    for name, text in sections().items():
        assert text, name
        assert "](" not in text, "the Dagster UI would follow the link within its own pages"


def test_runbooks_lead_to_pages_that_exist_and_the_first_page_names_all_of_them() -> None:
    folder = ROOT / "docs" / "runbooks"
    for path in folder.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)[)#]", path.read_text()):
            assert (folder / target).exists(), f"{path.name}: {target}"
    listed = re.findall(r"\(([a-z-]+\.md)\)", (folder / "README.md").read_text())
    assert sorted(listed) == sorted(path.name for path in folder.glob("*.md") if path.name != "README.md")


def test_every_asset_that_matters_has_checks_beside_those_of_failed_runs() -> None:
    checked: dict[str, set[str]] = {}
    for key in defs.resolve_asset_graph().asset_check_keys:
        checked.setdefault(key.asset_key.to_user_string(), set()).add(key.name)
    for asset in (
        "ingestion/landing", "lake/events", "lake/billing_facts", "lake/usage", "billing/invoices", "billing/journal",
        "value/realisation", "quality/release",
    ):  # fmt: skip
        assert checked[asset] - {"no_tenant_is_held", "no_partition_failed"}, asset


def test_no_schedule_runs_more_often_than_every_hour_and_no_asset_is_late_before_a_run_was_missed() -> None:
    for stage in STAGES:
        if stage.schedule is None:
            continue
        times = schedule_execution_time_iterator(
            datetime(2024, 1, 1, tzinfo=UTC).timestamp(), stage.schedule.cron, "UTC"
        )
        pause = max(after - before for before, after in pairwise(next(times) for _ in range(30)))
        assert pause.total_seconds() >= 3600, stage.name
        for key in stage.keys:
            policy = SPECS[key.to_user_string()].freshness_policy
            assert policy is not None
            assert policy.fail_window.to_timedelta() > pause, key


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
    jobs = {
        "ingestion_job",
        "usage_job",
        "billing_job",
        "value_job",
        "release_job",
        "marts_job",
        "audit_job",
        "end_retention_job",
        "purge_webhooks_job",
    }
    assert {schedule.job_name for schedule in defs.schedules or ()} == jobs
    assert all(schedule.default_status == dg.DefaultScheduleStatus.RUNNING for schedule in defs.schedules or ())
    assert all(sensor.default_status == dg.DefaultSensorStatus.RUNNING for sensor in defs.sensors or ())


def test_no_asset_uses_an_io_manager() -> None:
    assert set(defs.resources or {}) == {"platform", "dbt"}
