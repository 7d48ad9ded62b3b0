"""What failed is tried again, listed and alerted once until it is repaired: real runs of a month of last year."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg
import pytest
import typer
from typer.testing import CliRunner

from assets.billing import INVOICES
from assets.journal import JOURNAL
from assets.metering import USAGE
from assets.partitions import range_tags
from pipelines import repairs
from pipelines.catch_up import QUIET, Step, catch_up
from pipelines.checks import CHECK
from pipelines.definitions import defs
from pipelines.failed_partitions import Failure, Scope, failed_partitions, lines, remember_repaired
from pipelines.overview import WATCHED, overview
from pipelines.stages import by_name
from tests.support.dagster_world import own_instance
from tests.support.many_tenants import company, fill
from valueverse.commands.servers import status
from valueverse.platform.isolation import Failure as HeldFailure
from valueverse.platform.lake import Lake
from valueverse.platform.servers import dagster_home
from valueverse.platform.servers.dagster_overview import dagster_overview
from valueverse.platform.stores import held_store
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration

LAST_YEAR = datetime.now(UTC).year - 1
MONTH, NEXT = f"{LAST_YEAR}-02-01", f"{LAST_YEAR}-03-01"
BILLING = "billing/invoices"


@pytest.fixture(scope="module")
def world(module_settings: Settings) -> Iterator[Settings]:
    """Two tenants, of whom birch is held in usage all the time; also for code that reads the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in module_settings.environment().items():
            patch.setenv(name, value)
        fill(Lake(module_settings.lake_url), {name: company() for name in ("ash", "birch")})
        failure = HeldFailure("birch", "overflow_error", "out of range")
        with connect(module_settings, "builder") as connection:
            held_store.record(
                connection, "usage", [date(2023, 11, 1)], [failure], tenants=None, run_id="r", at=datetime.now(UTC)
            )
            connection.commit()
        yield module_settings


@pytest.fixture
def instance(world: Settings) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Title and text of every alert."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr("pipelines.alerts.send", lambda title, body: found.append((title, body)) or True)
    return found


class Outage:
    """Lets billing fail as if Postgres had gone, while it is on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        from assets import billing

        works, self.on = billing.bill, True

        def bill(*args: Any, **named: Any) -> Any:
            if self.on:
                raise psycopg.OperationalError("server closed the connection unexpectedly")
            return works(*args, **named)

        patch.setattr(billing, "bill", bill)


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Outage:
    return Outage(monkeypatch)


def run(
    instance: dg.DagsterInstance,
    first: str = MONTH,
    last: str = MONTH,
    tenants: tuple[str, ...] = (),
    tags: dict[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    """A run of the billing job, as a schedule or a person starts it."""
    ops = {"ops": {"billing__invoices": {"config": {"tenants": list(tenants)}}}} if tenants else {}
    return defs.resolve_job_def("billing_job").execute_in_process(
        run_config={**QUIET, **ops}, instance=instance, tags={**range_tags(first, last), **(tags or {})},
        raise_on_error=False,
    )  # fmt: skip


def tick(instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    """One evaluation of the sensor, which also records the checks that it changes, as the daemon does."""
    sensor = defs.resolve_sensor_def("failed_partitions")
    found = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, definitions=defs))
    for event in found.asset_events:
        instance.report_runless_asset_event(event)
    return list(found.run_requests or ())


def launch(instance: dg.DagsterInstance, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    assert request.job_name is not None
    return defs.resolve_job_def(request.job_name).execute_in_process(
        run_config={**QUIET, **request.run_config}, instance=instance, tags=request.tags, raise_on_error=False
    )


def alert(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> None:
    context = dg.build_run_status_sensor_context(
        sensor_name="alert_on_run_failure",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=result.get_run_failure_event(),
    ).for_run_failure()
    defs.resolve_sensor_def("alert_on_run_failure")(context)


def check(instance: dg.DagsterInstance, asset: dg.AssetKey = INVOICES) -> tuple[bool, str]:
    record = instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(asset, CHECK))
    assert record is not None
    assert record.evaluation is not None
    return record.evaluation.passed, record.evaluation.description or ""


def failing(instance: dg.DagsterInstance) -> dict[str, tuple[str, ...]]:
    return {one.asset.to_user_string(): one.partitions for one in failed_partitions(instance)}


def test_a_month_of_last_year_that_fails_twice_is_retried_listed_and_reported_once_until_it_is_repaired(
    instance: dg.DagsterInstance, outage: Outage, sent: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(instance)
    alert(instance, first)
    assert tick(instance) == [], "the first retry comes after a pause"
    passed, shown = check(instance)
    assert not passed
    assert f"{BILLING} {MONTH} failed once" in shown
    assert "Postgres does not answer" in shown
    assert "pipelines.catch_up" in shown

    monkeypatch.setattr(repairs, "pause_after", lambda attempts: timedelta(0))
    (request,) = tick(instance)
    assert request.job_name == "billing_job"
    assert request.tags.items() >= range_tags(MONTH, MONTH).items()
    second = launch(instance, request)
    assert not second.success
    alert(instance, second)
    (again,) = tick(instance)
    assert again.run_key != request.run_key
    assert "failed 2 times" in check(instance)[1]
    (message,) = sent
    assert message[0] == "ValueVerse: billing_job failed"
    assert f"{BILLING} {MONTH}" in message[1]
    assert "pipelines.catch_up" in message[1]

    outage.on = False
    assert launch(instance, again).success
    assert tick(instance) == []
    assert check(instance) == (True, "")
    assert failing(instance) == {}
    assert len(sent) == 1


def test_a_success_for_one_tenant_alone_repairs_nothing_for_the_others(
    instance: dg.DagsterInstance, outage: Outage
) -> None:
    run(instance)
    run(instance, NEXT, NEXT, tenants=("ash",))
    outage.on = False
    assert run(instance, MONTH, NEXT, tenants=("birch",)).success
    (all_tenants, ash_alone) = [one for one in failed_partitions(instance) if one.asset == INVOICES]
    assert (all_tenants.partitions, ash_alone.partitions) == ((MONTH,), (NEXT,))
    assert "for ash" in ash_alone.sentence()
    assert run(instance, MONTH, NEXT).success
    assert failing(instance) == {}


def test_a_run_whose_config_is_refused_is_neither_listed_nor_tried_again(instance: dg.DagsterInstance) -> None:
    refused = run(instance, tenants=("ash", "No Tenant"))
    assert not refused.success
    assert failing(instance) == {}
    steps: list[Step] = []
    catch_up(instance, steps.append, stages=[by_name()["billing"]])
    assert all(step.ok for step in steps)


def test_a_range_is_repaired_month_by_month_and_a_later_failure_counts_again(
    instance: dg.DagsterInstance, outage: Outage
) -> None:
    run(instance, MONTH, NEXT)
    outage.on = False
    run(instance)
    assert failing(instance) == {BILLING: (NEXT,)}
    outage.on = True
    run(instance)
    outage.on = False
    run(instance, NEXT, NEXT)
    assert failing(instance)[BILLING] == (MONTH,)
    (repair,) = repairs.repairs(failed_partitions(instance), list(by_name().values()))
    assert (repair.stage.name, repair.work.partitions) == ("billing", (MONTH, MONTH))


def test_a_run_that_fails_after_its_invoices_leaves_the_journal_alone(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr("assets.journal.book_journal", gone)
        run(instance)
    assert failing(instance) == {JOURNAL.to_user_string(): ()}
    tick(instance)
    assert not check(instance, JOURNAL)[0]
    assert check(instance, INVOICES)[0]
    (repair,) = repairs.repairs(failed_partitions(instance), list(by_name().values()))
    assert (repair.stage.name, repair.work.partitions) == ("journal", None)


def test_a_killed_run_is_retried_and_a_cancelled_one_is_only_listed(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repairs, "pause_after", lambda attempts: timedelta(0))
    job = defs.resolve_job_def("usage_job")
    days = range_tags(MONTH, f"{LAST_YEAR}-02-03")
    killed = instance.create_run_for_job(job, tags=days, status=dg.DagsterRunStatus.STARTED)
    assert tick(instance) == []
    instance.report_run_failed(killed, "The process of this run was killed.")
    (request,) = tick(instance)
    assert request.tags.items() >= days.items()
    (failure,) = failed_partitions(instance)
    assert failure.partitions == tuple(f"{LAST_YEAR}-02-0{day}" for day in (1, 2, 3))
    assert failure.error == "The process of this run was killed."
    assert f"{LAST_YEAR}-02-01...{LAST_YEAR}-02-03 failed once" in failure.sentence()
    again = instance.create_run_for_job(job, tags=request.tags, status=dg.DagsterRunStatus.STARTED)
    assert tick(instance) == [], "a run for it is under way"
    instance.report_run_canceled(again)
    assert tick(instance) == []
    assert "cancelled" in check(instance, USAGE)[1]


def test_retries_pause_longer_each_time_and_end() -> None:
    pauses = [repairs.pause_after(attempts) for attempts in range(1, repairs.LIMIT + 1)]
    assert pauses[0] == timedelta(minutes=1)
    assert pauses == sorted(pauses)
    assert timedelta(days=2) < sum(pauses, timedelta()) < timedelta(days=4)
    stage, now = by_name()["billing"], datetime.now(UTC)
    job_run = dg.DagsterRun(job_name="billing_job")

    def due(attempts: int, ago: timedelta) -> bool:
        failure = Failure(INVOICES, (MONTH,), True, Scope(), ("run",) * attempts, job_run, now - ago, "error")
        (repair,) = repairs.repairs([failure], [stage])
        return repair.is_due(now)

    assert [due(1, timedelta(seconds=59)), due(1, timedelta(minutes=1))] == [False, True]
    assert [due(repairs.LIMIT, timedelta(days=2)), due(repairs.LIMIT + 1, timedelta(days=2))] == [True, False]


def test_runs_that_are_repaired_are_not_read_again_and_later_failures_are(
    instance: dg.DagsterInstance, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.failed_partitions._OVERLAP", timedelta(0))
    open_run, repaired = run(instance).run_id, run(instance, NEXT, NEXT).run_id
    outage.on = False
    run(instance, NEXT, NEXT)
    assert {one.partitions for one in remember_repaired(instance) if one.partitions} == {(MONTH,)}
    read: list[str] = []
    logs = instance.all_logs

    def all_logs(run_id: str, of_type: Any = None) -> Any:
        read.append(run_id)
        return logs(run_id, of_type=of_type)

    monkeypatch.setattr(instance, "all_logs", all_logs)
    assert failing(instance)[BILLING] == (MONTH,)
    assert open_run in read
    assert repaired not in read
    outage.on = True
    run(instance, NEXT, NEXT)
    outage.on = False
    assert sorted(one.partitions for one in failed_partitions(instance) if one.partitions) == [(MONTH,), (NEXT,)]


def test_a_catch_up_repairs_what_no_mark_asks_for(instance: dg.DagsterInstance, outage: Outage) -> None:
    run(instance)
    outage.on = False
    steps: list[Step] = []
    catch_up(instance, steps.append, stages=[by_name()["billing"]])
    assert [(one.stage, one.partitions, one.ok) for one in steps if one.partitions == MONTH] == [
        ("billing", MONTH, True)
    ]
    assert failing(instance) == {}
    assert check(instance)[0]
    assert lines(failed_partitions(instance)) == []


def test_status_lists_what_failed_on_the_installation_with_the_cure(
    world: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = typer.Typer()
    status.register(app)
    with own_instance(world) as own:
        for name, value in dagster_home.environment(own).items():
            monkeypatch.setenv(name, value)
        dagster_home.prepare(own)
        assert dagster_overview(own) is None
        with dg.DagsterInstance.get() as instance:
            killed = instance.create_run_for_job(
                defs.resolve_job_def("billing_job"), tags=range_tags(MONTH, NEXT), status=dg.DagsterRunStatus.STARTED
            )
            instance.report_run_failed(killed, "The process of this run was killed.")
        shown = CliRunner().invoke(app, [])
        assert shown.exit_code == 1
        assert f"failed: {BILLING} {MONTH}...{NEXT} failed once" in shown.output
        assert "The process of this run was killed." in shown.output
        assert "python -m pipelines.catch_up" in shown.output


def test_the_overview_watches_the_assets_of_the_stages_and_shows_what_waits(instance: dg.DagsterInstance) -> None:
    assert WATCHED.keys() == by_name().keys()
    for name, watched in WATCHED.items():
        stage = by_name()[name]
        assert dg.AssetKey.from_user_string(watched.done) in stage.keys | {mark.key for mark in stage.marks}
        for mark, day in product(watched.marks, (MONTH, NEXT)):
            instance.report_runless_asset_event(
                dg.AssetMaterialization(dg.AssetKey.from_user_string(mark), partition=day)
            )
    shown = {one["stage"]: one for one in overview(instance)["stages"]}
    for name, stage in by_name().items():
        if stage.partitions is not None:
            due = ["...".join(dict.fromkeys(one.partitions)) for one in stage.pending(instance) if one.partitions]
            assert due == shown[name]["waiting"]
    assert [name for name, one in shown.items() if one["waiting"]] == ["usage", "value", "marts"]
    assert shown["value"]["materialised_at"] is None
    assert shown["billing"]["materialised_at"] is not None


def test_first_days_of_two_months_that_stay_undone_are_shown_as_two_days(instance: dg.DagsterInstance) -> None:
    killed = instance.create_run_for_job(
        defs.resolve_job_def("usage_job"), tags=range_tags(MONTH, NEXT), status=dg.DagsterRunStatus.STARTED
    )
    instance.report_run_failed(killed, "The process of this run was killed.")
    for day in range(2, 32):
        partition = (date(LAST_YEAR, 2, 1) + timedelta(days=day - 1)).isoformat()
        if partition < NEXT:
            instance.report_runless_asset_event(dg.AssetMaterialization(USAGE, partition=partition))
    (failure,) = failed_partitions(instance)
    assert failure.shown_partitions() == f"{MONTH}, {NEXT}"
