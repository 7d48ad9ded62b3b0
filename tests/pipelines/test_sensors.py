from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from assets.billing import INVOICES
from assets.ingestion import EVENTS, FACTS, LANDING, PERIODS
from assets.journal import JOURNAL
from assets.marts import PUBLISHED, MartsConfig
from assets.metering import USAGE
from assets.quality import RELEASE
from assets.value import REALISATION
from pipelines.definitions import defs
from pipelines.pending import marts_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SENSORS = {sensor.name: sensor for sensor in defs.sensors or ()}
landing_changed, touched_days, touched_months, unbooked_invoices, valued_months, billed_months, released_months = (
    SENSORS[name]
    for name in (
        "ingestion_on_new_files", "usage_on_touched_days", "billing_on_touched_months", "journal_on_unbooked_invoices",
        "value_on_billed_months", "release_on_billed_months", "marts_on_released_months",
    )
)  # fmt: skip
SCHEDULES = {schedule.name: schedule for schedule in defs.schedules or ()}
START = "dagster/asset_partition_range_start"
END = "dagster/asset_partition_range_end"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance on disk: a schedule's context takes no other."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as found:
        yield found


def _record(instance: dg.DagsterInstance, key: dg.AssetKey, *partitions: str | None) -> None:
    for partition in partitions:
        instance.report_runless_asset_event(dg.AssetMaterialization(asset_key=key, partition=partition))


def _tick(sensor: Any, instance: dg.DagsterInstance) -> Any:
    context = dg.build_sensor_context(instance=instance, definitions=defs)
    return sensor.evaluate_tick(context)


def _ranges(tick: Any) -> list[tuple[str, str]]:
    return [(request.tags[START], request.tags[END]) for request in tick.run_requests]


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the requests in the inbox: none until a test adds one."""
    requests: list[int] = []
    monkeypatch.setattr("pipelines.pending.newest_request", lambda settings: max(requests, default=None))
    return requests


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ends of the topic while something waits there."""
    ends: list[int] = []
    monkeypatch.setattr("pipelines.pending.newest_message", lambda settings: max(ends, default=None))
    return ends


def test_a_new_file_asks_for_one_ingestion(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inbox: list[int]
) -> None:
    monkeypatch.setenv("VALUEVERSE_HOME", str(tmp_path))
    assert _tick(landing_changed, instance).run_requests == []
    folder = tmp_path / "landing" / "acme"
    folder.mkdir(parents=True)
    (folder / "usage.ndjson.part").write_text("{}")
    assert _tick(landing_changed, instance).run_requests == []
    (folder / "usage.ndjson.part").rename(folder / "usage.ndjson")
    (request,) = _tick(landing_changed, instance).run_requests
    landed = dg.AssetMaterialization(LANDING, metadata={"landing_state": str(request.run_key)})
    instance.report_runless_asset_event(landed)
    assert len(_tick(landing_changed, instance).run_requests) == 1, "its billing facts are still to be written"
    _record(instance, FACTS, None)
    assert _tick(landing_changed, instance).run_requests == []
    (folder / "more.ndjson").write_text("{}")
    assert len(_tick(landing_changed, instance).run_requests) == 1


@pytest.mark.parametrize("door", ["inbox", "topic"])
def test_what_waits_in_inbox_or_topic_asks_for_an_ingestion_and_what_comes_after_for_another(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inbox: list[int], topic: list[int],
    door: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("VALUEVERSE_HOME", str(tmp_path))
    waiting = inbox if door == "inbox" else topic
    waiting.append(7)
    (first,) = _tick(landing_changed, instance).run_requests
    (same,) = _tick(landing_changed, instance).run_requests
    waiting.append(8)
    (later,) = _tick(landing_changed, instance).run_requests
    assert first.run_key == same.run_key != later.run_key
    waiting.clear()
    _record(instance, LANDING, None)
    _record(instance, FACTS, None)
    assert _tick(landing_changed, instance).run_requests == []


def test_touched_dates_are_asked_for_and_no_others(instance: dg.DagsterInstance) -> None:
    _record(instance, EVENTS, "2024-02-28", "2024-02-29", "2024-03-05")
    assert _ranges(_tick(touched_days, instance)) == [
        ("2024-02-28", "2024-02-29"),
        ("2024-03-05", "2024-03-05"),
    ]
    _record(instance, USAGE, "2024-02-28", "2024-02-29", "2024-03-05")
    assert _ranges(_tick(touched_days, instance)) == []


def test_billing_waits_until_usage_is_derived(instance: dg.DagsterInstance) -> None:
    _record(instance, EVENTS, "2024-02-28")
    _record(instance, PERIODS, "2024-02-01", "2024-03-01", "2024-06-01")
    assert _ranges(_tick(touched_months, instance)) == []
    _record(instance, USAGE, "2024-02-28")
    assert _ranges(_tick(touched_months, instance)) == [
        ("2024-02-01", "2024-03-01"),
        ("2024-06-01", "2024-06-01"),
    ]


@pytest.fixture
def relations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Relations of the dbt project that the warehouse lacks: none until a test adds one."""
    missing: list[str] = []
    monkeypatch.setattr("pipelines.pending.missing_relations", lambda settings: sorted(missing))
    return missing


def test_value_follows_billing_then_release_then_the_marts(instance: dg.DagsterInstance, relations: list[str]) -> None:
    _record(instance, INVOICES, "2024-02-01", "2024-03-01")
    assert _ranges(_tick(valued_months, instance)) == [("2024-02-01", "2024-03-01")]
    assert _tick(billed_months, instance).run_requests == []
    _record(instance, REALISATION, "2024-02-01", "2024-03-01")
    assert _tick(valued_months, instance).run_requests == []
    assert _ranges(_tick(billed_months, instance)) == [("2024-02-01", "2024-03-01")]
    assert _tick(released_months, instance).run_requests == []
    _record(instance, RELEASE, "2024-02-01", "2024-03-01")
    (request,) = _tick(released_months, instance).run_requests
    config = request.run_config["ops"]["dbt_models"]["config"]
    assert config == {"periods_from": "2024-02", "periods_to": "2024-03"}
    _record(instance, PUBLISHED, "2024-02-01")
    (request,) = _tick(released_months, instance).run_requests
    assert request.run_config["ops"]["dbt_models"]["config"]["periods_from"] == "2024-03"
    _record(instance, PUBLISHED, "2024-03-01")
    assert _tick(released_months, instance).run_requests == []


def test_a_mart_that_does_not_exist_asks_for_all_months_that_were_ever_released(
    instance: dg.DagsterInstance, relations: list[str]
) -> None:
    _record(instance, RELEASE, "2024-02-01", "2024-04-01")
    _record(instance, PUBLISHED, "2024-02-01", "2024-04-01")
    assert _tick(released_months, instance).run_requests == []
    relations.append("marts.fct_invoice_line")
    (request,) = _tick(released_months, instance).run_requests
    assert request.run_config["ops"]["dbt_models"]["config"] == {"periods_from": "2024-02", "periods_to": "2024-04"}
    assert request.run_key.endswith(":marts.fct_invoice_line")


def test_marts_of_a_run_that_ended_half_way_are_due(instance: dg.DagsterInstance, relations: list[str]) -> None:
    _record(instance, RELEASE, "2024-02-01")
    _record(instance, dg.AssetKey(["marts", "fct_invoice"]), None)
    assert len(_tick(released_months, instance).run_requests) == 1


def test_a_billing_run_that_ended_before_its_journal_is_made_whole(instance: dg.DagsterInstance) -> None:
    _record(instance, INVOICES, "2024-02-01", "2024-03-01")
    assert len(_tick(unbooked_invoices, instance).run_requests) == 1
    under_way = instance.create_run_for_job(defs.resolve_job_def("billing_job"), status=dg.DagsterRunStatus.STARTED)
    assert _tick(unbooked_invoices, instance).run_requests == []
    instance.report_run_failed(under_way)
    assert len(_tick(unbooked_invoices, instance).run_requests) == 1
    _record(instance, JOURNAL, None)
    assert _tick(unbooked_invoices, instance).run_requests == []


def test_a_killed_run_of_any_stage_is_tried_again(
    instance: dg.DagsterInstance, relations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.repairs.pause_after", lambda attempts: timedelta(0))
    february = "2024-02-01"
    stages: list[tuple[Any, str, tuple[dg.AssetKey, str | None]]] = [
        (touched_days, "usage_job", (USAGE, february)),
        (touched_months, "billing_job", (INVOICES, february)),
        (unbooked_invoices, "journal_job", (JOURNAL, None)),
        (valued_months, "value_job", (REALISATION, february)),
        (billed_months, "release_job", (RELEASE, february)),
        (released_months, "marts_job", (PUBLISHED, february)),
    ]
    _record(instance, EVENTS, february)
    _record(instance, PERIODS, february)
    for sensor, job, (key, partition) in stages:
        if key == JOURNAL:
            _record(instance, INVOICES, february)  # by a run that ended before its journal
        (request,) = _tick(sensor, instance).run_requests
        asked = {request.run_key}
        for _ in range(2 if sensor is touched_days else 1):  # the second retry is asked for alike in all stages
            run = instance.create_run_for_job(
                defs.resolve_job_def(job), run_config=request.run_config, tags=request.tags,
                status=dg.DagsterRunStatus.STARTED,
            )  # fmt: skip
            assert not _tick(SENSORS["failed_partitions"], instance).run_requests
            instance.report_run_failed(run, "The process of this run was killed.")
            (again,) = _tick(SENSORS["failed_partitions"], instance).run_requests
            assert (again.job_name, again.run_config) == (job, request.run_config)
            assert [again.tags.get(tag) for tag in (START, END)] == [request.tags.get(tag) for tag in (START, END)]
            request = again
            asked.add(request.run_key)
        assert len(asked) == (3 if sensor is touched_days else 2)
        _record(instance, key, partition)
        for done in defs.resolve_job_def(job).asset_layer.selected_asset_keys:
            _record(instance, done, partition if done == key else None)
        assert not _tick(SENSORS["failed_partitions"], instance).run_requests
        assert not _tick(sensor, instance).run_requests


def test_the_marts_of_the_first_partition_have_no_first_month() -> None:
    config = marts_config("2023-01-01", "2023-02-01")["ops"]["dbt_models"]["config"]
    assert config == {"periods_to": "2023-02"}
    assert MartsConfig(**config).covers("2023-01-01")
    assert not MartsConfig(periods_from="2023-01").covers("2023-01-01")


def test_the_hourly_schedule_takes_today_and_what_is_out_of_date(stored: dg.DagsterInstance) -> None:
    from datetime import UTC, datetime

    _record(stored, EVENTS, "2024-02-28")
    context = dg.build_schedule_context(
        instance=stored, scheduled_execution_time=datetime(2024, 3, 1, 5, 17, tzinfo=UTC)
    )
    assert _ranges(SCHEDULES["usage_hourly"].evaluate_tick(context)) == [
        ("2024-02-28", "2024-02-28"),
        ("2024-03-01", "2024-03-01"),
    ]


def test_the_daily_schedule_bills_the_open_month_and_the_one_before(stored: dg.DagsterInstance) -> None:
    from datetime import UTC, datetime

    context = dg.build_schedule_context(
        instance=stored, scheduled_execution_time=datetime(2024, 3, 1, 2, 30, tzinfo=UTC)
    )
    assert _ranges(SCHEDULES["billing_daily"].evaluate_tick(context)) == [("2024-02-01", "2024-03-01")]


def test_a_daily_schedule_takes_older_months_that_are_pending_unless_a_run_for_them_is_under_way(
    stored: dg.DagsterInstance,
) -> None:
    from datetime import UTC, datetime

    def asked() -> list[tuple[str, str]]:
        at = datetime(2024, 3, 1, 2, 30, tzinfo=UTC)
        context = dg.build_schedule_context(instance=stored, scheduled_execution_time=at)
        return _ranges(SCHEDULES["billing_daily"].evaluate_tick(context))

    _record(stored, PERIODS, "2023-06-01")
    assert asked() == [("2023-06-01", "2023-06-01"), ("2024-02-01", "2024-03-01")]
    stored.create_run_for_job(defs.resolve_job_def("billing_job"), status=dg.DagsterRunStatus.STARTED)
    assert asked() == [("2024-02-01", "2024-03-01")]
