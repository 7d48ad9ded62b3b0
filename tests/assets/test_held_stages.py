"""Every stage goes on without the tenant it fails for: others' rows are the same, and later stages wait for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
import pytest

from assets.billing import INVOICES
from assets.held import CHECK
from assets.ingestion import FACTS
from assets.journal import JOURNAL
from assets.metering import USAGE
from assets.partitions import range_tags
from assets.quality import RELEASE
from assets.value import REALISATION
from pipelines.catch_up import QUIET
from pipelines.definitions import defs
from pipelines.retries import retries
from pipelines.stages import by_name
from tests.support.many_tenants import company, fill
from valueverse.platform.lake import Lake
from valueverse.platform.stores import held_store
from valueverse.platform.warehouse import connect
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, USAGE_TABLE
from valueverse.services.tenant_holds import held_lines

if TYPE_CHECKING:
    from pipelines.pending import Work
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration

AS_OF = {"as_of": "2024-06-01T00:00:00Z"}
JOBS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "ingestion": ({}, {}),
    "usage": (range_tags("2023-11-01", "2023-11-30"), {}),
    "billing": (
        range_tags("2023-11-01", "2024-01-01"),
        {"billing__invoices": {"config": AS_OF}, "billing__journal": {"config": AS_OF}},
    ),
    "value": (range_tags("2023-11-01", "2024-01-01"), {"value__realisation": {"config": AS_OF}}),
    "release": (range_tags("2023-11-01", "2023-11-01"), {}),
}
"""Stage -> tags and config of its run."""


@pytest.fixture(scope="module")
def world(module_settings: Settings) -> Iterator[Settings]:
    """Three tenants of which the second is to fail, also for code that reads the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in module_settings.environment().items():
            patch.setenv(name, value)
        fill(Lake(module_settings.lake_url), {name: company() for name in ("ash", "birch", "cedar")})
        yield module_settings


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def run(instance: dg.DagsterInstance, stage: str, retry: Work | None = None) -> dg.ExecuteInProcessResult:
    tags, ops = JOBS[stage]
    if retry is not None:
        tags = retry.tags
        ops = {
            name: {"config": one["config"] | ops.get(name, {"config": {}})["config"]}
            for name, one in retry.config["ops"].items()
        }
    return defs.resolve_job_def(f"{stage}_job").execute_in_process(
        run_config={**QUIET, "ops": ops}, instance=instance, tags=tags, raise_on_error=False
    )


def outcome(result: dg.ExecuteInProcessResult, asset: dg.AssetKey) -> tuple[str, bool]:
    """What the asset says of its outcome, and whether its check of held tenants passed."""
    outcomes = {
        str(event.materialization.metadata["outcome"].value)
        for event in result.get_asset_materialization_events()
        if event.asset_key == asset
    }
    checks = result.get_asset_check_evaluations()
    (check,) = [one for one in checks if one.check_name == CHECK and one.asset_key == asset]
    return outcomes.pop(), check.passed


def held(settings: Settings) -> dict[str, set[tuple[str, str]]]:
    """Stage -> tenants held in it, with the code."""
    found: dict[str, set[tuple[str, str]]] = {}
    with connect(settings, "builder") as connection:
        for row in held_store.held(connection).iter_rows(named=True):
            found.setdefault(row["stage"], set()).add((row["tenant"], row["code"]))
    return found


def query(settings: Settings, text: str) -> list[tuple[Any, ...]]:
    with connect(settings, "builder") as connection:
        return connection.execute(text).fetchall()


def fails_for_birch(patch: pytest.MonkeyPatch, target: str) -> None:
    """Let a function of frames raise as soon as one of them holds a row of tenant birch."""
    module, name = target.rsplit(".", 1)
    import importlib

    owner = importlib.import_module(module)
    works = getattr(owner, name)

    def poisoned(*given: Any, **named: Any) -> Any:
        for one in (*given, *named.values()):
            frame = getattr(one, "tenants", one)
            if isinstance(frame, pl.LazyFrame):
                frame = frame.collect()
            if isinstance(frame, pl.DataFrame):
                names = [column for column in ("tenant", "tenant_id") if column in frame.columns]
                found = any(frame[column].eq("birch").any() for column in names)
            else:
                found = isinstance(frame, Sequence) and not isinstance(frame, str) and "birch" in frame
            if found:
                raise ArithmeticError("a number of birch is out of range")
        return works(*given, **named)

    patch.setattr(owner, name, poisoned)


EXPECTED = {
    "tables": "select tenant_id, number, content_hash from billing.invoice order by 1, 2",
    "journal": "select tenant_id, entry_id from billing.journal_entry order by 1, 2",
    "days": "select tenant_id, day, accepted, billed, unbilled from billing.event_day order by 1, 2",
}


def state(settings: Settings) -> dict[str, Any]:
    lake = Lake(settings.lake_url)
    return {name: query(settings, text) for name, text in EXPECTED.items()} | {
        table.name: lake.scan(table).collect().sort(pl.all()).rows() for table in (BILLING_FACTS_TABLE, USAGE_TABLE)
    }


def test_without_a_failure_nobody_is_held(world: Settings, instance: dg.DagsterInstance) -> None:
    for stage in JOBS:
        result = run(instance, stage)
        assert result.success, stage
    assert held(world) == {}
    assert held_lines(world) == []
    assert {row[0] for row in query(world, "select tenant_id from billing.invoice")} == {"ash", "birch", "cedar"}
    released = "select tenant_id, status from billing.release where period = '2023-11' order by 1"
    assert query(world, released) == [("ash", "released"), ("birch", "released"), ("cedar", "released")]


@pytest.mark.parametrize(
    ("stage", "asset", "name", "target"),
    [
        ("ingestion", FACTS, "facts", "valueverse.services.usage.derive_usage.resolve_amendments"),
        ("usage", USAGE, "usage", "valueverse.services.usage.derive_usage.derive_usage"),
        ("billing", INVOICES, "billing", "valueverse.services.billing.run_billing.build_timeline"),
        ("billing", JOURNAL, "journal", "valueverse.services.billing.book_journal.current_inputs"),
        ("value", REALISATION, "value", "valueverse.services.value.track_value.mart_metrics"),
        ("release", RELEASE, "release", "quality.reconciliation.copy_frame"),
    ],
    ids=["facts", "usage", "billing", "journal", "value", "release"],
)
def test_a_stage_that_fails_for_one_tenant_is_finished_for_the_others(
    world: Settings, instance: dg.DagsterInstance, stage: str, asset: dg.AssetKey, name: str, target: str
) -> None:
    before = state(world)
    with pytest.MonkeyPatch.context() as patch:
        fails_for_birch(patch, target)
        result = run(instance, stage)
        assert result.success
        assert outcome(result, asset) == ("finished, 1 tenant held", False)
        assert held(world)[name] == {("birch", "arithmetic_error")}
        assert state(world) == before
        assert any("tenant birch is held in" in line and "is out of range" in line for line in held_lines(world))
    if name in {"facts", "journal"}:
        run(instance, "release")
        (decided,) = query(
            world, "select status, reason from billing.release where period = '2023-11' and tenant_id = 'birch'"
        )
        assert decided[0] == "held"
        assert f"held_in_{name}: a number of birch is out of range [arithmetic_error]" in decided[1]
    result = run(instance, stage)
    assert outcome(result, asset) == ("finished", True)
    assert held(world) == {}
    assert state(world) == before


def test_later_stages_wait_for_a_tenant_and_take_it_up_again(world: Settings, instance: dg.DagsterInstance) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fails_for_birch(patch, "valueverse.services.usage.derive_usage.derive_usage")
        run(instance, "usage")
    before = state(world)
    for stage in ("billing", "value"):
        run(instance, stage)
        assert held(world)[stage] == {("birch", "waits")}
        assert retries(world, by_name()[stage]) == []
    run(instance, "release")
    assert retries(world, by_name()["release"]) == []
    assert state(world) == before
    assert retries(world, by_name()["usage"], datetime.now(UTC)) == []
    for stage, first, last in (
        ("usage", "2023-11-01", "2023-11-30"),
        ("billing", "2023-11-01", "2024-01-01"),
        ("value", "2023-11-01", "2024-01-01"),
        ("release", "2023-11-01", "2023-11-01"),
    ):
        (retry,) = retries(world, by_name()[stage])
        assert retry.partitions == (first, last)
        assert {tuple(one["config"]["tenants"]) for one in retry.config["ops"].values()} == {("birch",)}
        assert run(instance, stage, retry).success
        assert retries(world, by_name()[stage]) == []
    assert held(world) == {}
    assert state(world) == before
    decided = "select distinct status from billing.release where period = '2023-11'"
    assert query(world, decided) == [("released",)]


def test_holds_are_due_again_after_an_hour_then_two_then_four(world: Settings) -> None:
    from valueverse.platform.isolation import Failure

    at = datetime(2024, 1, 1, tzinfo=UTC)
    with connect(world, "builder") as connection:
        for attempt, hours in enumerate((1, 2, 4, 8, 16, 24, 24)):
            failure = Failure("birch", "tried", f"attempt {attempt}")
            held_store.record(connection, "value", [held_store.WHOLE], [failure], tenants=None, run_id="r", at=at)
            (row,) = held_store.held(connection, ["value"]).iter_rows(named=True)
            assert (row["attempts"], row["since"]) == (attempt + 1, at)
            due = [
                held_store.held(connection, ["value"], at.replace(day=1 + hour // 24, hour=hour % 24)).height
                for hour in (hours - 1, hours)
            ]
            assert due == [0, 1]
        held_store.record(connection, "value", [held_store.WHOLE], [], tenants=["ash"], run_id="r", at=at)
        assert held_store.held(connection).height == 1
        held_store.record(connection, "value", [held_store.WHOLE], [], tenants=["birch"], run_id="r", at=at)
        assert held_store.held(connection).is_empty()
