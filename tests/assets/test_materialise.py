"""Every asset on a temporary instance and real Postgres: a range, the same again, some tenants only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
import pytest

from assets.ingestion import EVENTS, FACTS, LANDING, PERIODS
from assets.kit import newest
from assets.metering import USAGE
from assets.partitions import range_tags
from pipelines.catch_up import QUIET, Step, StepFailedError, catch_up
from pipelines.definitions import defs
from pipelines.pending import pending_days, pending_marts, pending_months, pending_releases, pending_values
from valueverse.commands.demo import deliver
from valueverse.demo import harbor, northwind
from valueverse.lake_tables import EVENTS_TABLE, USAGE_TABLE
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
KEY = ["tenant", "event_date", "source", "id", "meter"]


@pytest.fixture(scope="module")
def settings(module_settings: Settings) -> Iterator[Settings]:
    """Settings of this module's world, also for code that reads the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in module_settings.environment().items():
            patch.setenv(name, value)
        yield module_settings


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as found:
        yield found


@pytest.fixture(scope="module")
def steps(settings: Settings, instance: dg.DagsterInstance) -> list[Step]:
    """The runs that one small delivery of both tenants asked for."""
    traces = {
        name: pl.read_csv(ROOT / "data" / f"{name}.csv", infer_schema=False).head(300) for name in northwind.TRACES
    }
    deliver(settings.landing, northwind.landing_files(traces) + harbor.landing_files(10))
    told: list[Step] = []
    catch_up(instance, told.append)
    return told


def _usage(settings: Settings) -> pl.DataFrame:
    return Lake(settings.lake_url).scan(USAGE_TABLE).collect().sort(KEY)


def _invoices(settings: Settings) -> list[tuple[Any, ...]]:
    with connect(settings, "builder") as connection:
        return connection.execute(
            "select tenant_id, customer, period_from, purpose, status, total_minor, content_hash "
            "from billing.invoice order by 1, 2, 3, 4"
        ).fetchall()


def _run(instance: dg.DagsterInstance, job: str, first: str, last: str, config: dict[str, Any] | None = None) -> bool:
    result = defs.resolve_job_def(job).execute_in_process(
        run_config={**QUIET, **(config or {})}, instance=instance, tags=range_tags(first, last)
    )
    return result.success


def test_every_stage_runs_and_succeeds(steps: list[Step]) -> None:
    assert [step.stage for step in steps if not step.ok] == []
    assert {step.stage for step in steps} == {"ingestion", "usage", "billing", "value", "release", "marts"}


def test_every_asset_is_materialised(steps: list[Step], instance: dg.DagsterInstance) -> None:
    written = {key for asset in defs.resolve_asset_graph().assets_defs if asset.is_executable for key in asset.keys}
    missing = {key.to_user_string() for key in written if instance.get_latest_materialization_event(key) is None}
    assert missing == set()


def test_nothing_is_out_of_date_afterwards(steps: list[Step], instance: dg.DagsterInstance) -> None:
    assert pending_days(instance) == {}
    assert pending_months(instance) == {}
    assert pending_values(instance) == {}
    assert pending_releases(instance) == {}
    assert pending_marts(instance) == {}


def test_only_touched_dates_are_run(steps: list[Step], instance: dg.DagsterInstance, settings: Settings) -> None:
    touched = {day.isoformat() for day in Lake(settings.lake_url).dates(EVENTS_TABLE)}
    assert set(newest(instance, USAGE)) == touched
    assert set(newest(instance, EVENTS)) == touched


def test_only_months_with_touched_periods_or_usage_are_billed(steps: list[Step], instance: dg.DagsterInstance) -> None:
    months = ["2023-11-01", "2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01"]
    assert sorted(newest(instance, PERIODS)) == months
    assert [step.partitions for step in steps if step.stage == "billing"] == [
        "2023-11-01",
        "2024-01-01...2024-05-01",
    ]


def test_metadata_tells_rows_reasons_and_totals(steps: list[Step], instance: dg.DagsterInstance) -> None:
    def metadata(key: dg.AssetKey) -> dict[str, Any]:
        event = instance.get_latest_materialization_event(key)
        assert event is not None
        assert event.asset_materialization is not None
        return {name: value.value for name, value in event.asset_materialization.metadata.items()}

    landed = metadata(LANDING)
    assert landed["received"] == landed["accepted"] + landed["duplicate"] + landed["quarantined"]
    assert "malformed" in landed["quarantined_by_reason"]
    assert metadata(FACTS)["dagster/row_count"] > 20
    assert "total_minor" in metadata(dg.AssetKey(["billing", "invoices"]))["totals"]


def test_the_next_catch_up_finds_nothing_to_do(
    steps: list[Step], instance: dg.DagsterInstance, settings: Settings
) -> None:
    before = _invoices(settings)
    told: list[Step] = []
    catch_up(instance, told.append)
    assert [step.stage for step in told] == ["ingestion"]
    assert _invoices(settings) == before


def test_a_range_run_again_gives_the_same_usage_and_the_same_invoices(
    steps: list[Step], instance: dg.DagsterInstance, settings: Settings
) -> None:
    usage, invoices = _usage(settings), _invoices(settings)
    assert _run(instance, "usage_job", "2024-02-01", "2024-03-15")
    assert _run(instance, "billing_job", "2024-01-01", "2024-05-01")
    assert _usage(settings).equals(usage)
    assert _invoices(settings) == invoices


def test_single_partitions_give_what_their_range_gives(
    steps: list[Step], instance: dg.DagsterInstance, settings: Settings
) -> None:
    usage = _usage(settings)
    for day in ("2024-02-10", "2024-02-11"):
        assert _run(instance, "usage_job", day, day)
    assert _usage(settings).equals(usage)


def test_a_run_for_one_tenant_leaves_the_others_alone_and_owed(
    steps: list[Step], instance: dg.DagsterInstance, settings: Settings
) -> None:
    usage = _usage(settings)
    config = {"ops": {"lake__usage": {"config": {"tenants": ["northwind-ai"]}}}}
    instance.report_runless_asset_event(dg.AssetMaterialization(EVENTS, partition="2024-02-10"))
    assert _run(instance, "usage_job", "2024-02-10", "2024-02-11", config)
    assert _usage(settings).equals(usage)
    assert set(pending_days(instance)) == {"2024-02-10"}
    assert _run(instance, "usage_job", "2024-02-10", "2024-02-10")
    assert pending_days(instance) == {}


def test_a_wrong_tenant_in_the_config_is_refused_before_the_run(
    steps: list[Step], instance: dg.DagsterInstance
) -> None:
    config = {"ops": {"lake__usage": {"config": {"tenants": ["Northwind AI"]}}}}
    with pytest.raises(Exception, match="is not a tenant key"):
        _run(instance, "usage_job", "2024-02-10", "2024-02-10", config)


def test_a_backfill_from_the_command_line_changes_nothing(
    steps: list[Step], settings: Settings, tmp_path: Path
) -> None:
    """The command of docs/runbooks/backfill.md, on an instance of its own."""
    import os

    usage = _usage(settings)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dagster", "asset", "materialize", "-m", "pipelines.definitions"),
            *("--select", 'key:"lake/usage"', "--partition-range", "2024-02-01...2024-02-29"),
        ],
        cwd=ROOT,
        env={**os.environ, **settings.environment(), "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert _usage(settings).equals(usage)


def test_a_run_that_fails_is_told_and_stops_what_follows(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUEVERSE_POSTGRES_URL", f"postgresql://nobody@/nothing?host={tmp_path}")
    told: list[Step] = []
    with dg.DagsterInstance.local_temp(str(tmp_path)) as empty, pytest.raises(StepFailedError):
        catch_up(empty, told.append)
    (step,) = told
    assert not step.ok
    assert "Postgres does not answer" in step.error
