"""Held tenants are asked for again by the sensor and by a catch-up: each stage by its own job, for them alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from pipelines import catch_up
from pipelines.definitions import defs
from pipelines.pending import Work
from pipelines.retries import retries
from pipelines.stages import STAGES, Stage, by_name
from valueverse.platform.isolation import Failure
from valueverse.platform.stores import held_store
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration

RETRIED = [stage.name for stage in STAGES if stage.holds]
PERIODS = {
    "usage": [date(2023, 11, 1), date(2023, 11, 2)],
    "billing": [date(2023, 11, 1)],
    "value": [date(2023, 11, 1)],
    "release": [date(2023, 11, 1)],
    "marts": [held_store.WHOLE],
}


@pytest.fixture
def world(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a fresh world, also for code that reads the environment."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    return settings


def hold(settings: Settings, tenants: list[str], ago: timedelta) -> None:
    """These tenants fail in every stage that is tried again, each for a reason of its own."""
    failures = [Failure(tenant, "overflow_error", "out of range") for tenant in tenants]
    with connect(settings, "builder") as connection:
        for stage, days in PERIODS.items():
            at = datetime.now(UTC) - ago
            held_store.record(connection, stage, days, failures, tenants=None, run_id="r", at=at)
        connection.commit()


def asked() -> list[dg.RunRequest]:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, definitions=defs)
        return list(defs.resolve_sensor_def("held_tenants").evaluate_tick(context).run_requests or ())


def test_the_sensor_asks_for_each_stages_job_once_the_pause_is_over_and_longer_after_each_attempt(
    world: Settings,
) -> None:
    hold(world, ["birch"], timedelta(minutes=50))
    assert asked() == []
    hold(world, ["birch"], timedelta(minutes=110))
    assert asked() == []
    hold(world, ["birch"], timedelta(hours=5))
    found = {request.job_name: request for request in asked()}
    assert set(found) == {f"{stage}_job" for stage in RETRIED}
    config: Any = found["marts_job"].run_config
    assert config["ops"] == {"dbt_models": {"config": {"tenants": ["birch"]}}}
    ranges = {
        name: (
            request.tags.get("dagster/asset_partition_range_start"),
            request.tags.get("dagster/asset_partition_range_end"),
        )
        for name, request in found.items()
    }
    assert ranges["usage_job"] == ("2023-11-01", "2023-11-02")
    assert ranges["marts_job"] == (None, None)


def test_the_key_of_a_run_for_many_tenants_fits_the_index_of_the_run_store(world: Settings) -> None:
    hold(world, [f"t{number:03}{'x' * 58}" for number in range(120)], timedelta(days=2))
    keys = {str(request.run_key) for request in asked()}
    assert len(keys) == len(RETRIED)
    assert max(map(len, keys)) < 200
    before = retries(world, by_name()["marts"])[0].key
    hold(world, ["birch"], timedelta(days=2))
    assert retries(world, by_name()["marts"])[0].key != before


def test_a_catch_up_tries_at_once_and_marts_before_it_builds_the_others(
    world: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(world, ["birch"], timedelta())
    ran: list[tuple[str, Any, Any]] = []

    def run(_: Any, __: Any, stage: Stage, work: Work) -> catch_up.Step:
        ran.append((stage.name, work.partitions, work.config))
        return catch_up.Step(stage.name, "", "", "", 0, ok=True)

    monkeypatch.setattr(catch_up, "_run", run)
    published = replace(by_name()["marts"], pending=lambda _: [Work("1", config={"ops": {}})])
    with dg.DagsterInstance.ephemeral() as instance:
        catch_up.catch_up(instance, lambda _: None, stages=[*STAGES[:-2], published])
    of_birch = [(stage, partitions) for stage, partitions, config in ran if "birch" in str(config)]
    assert of_birch == [
        ("usage", ("2023-11-01", "2023-11-02")),
        ("billing", ("2023-11-01", "2023-11-01")),
        ("value", ("2023-11-01", "2023-11-01")),
        ("release", ("2023-11-01", "2023-11-01")),
        ("marts", None),
    ]
    assert [stage for stage, _, config in ran if stage == "marts" and "birch" not in str(config)] == ["marts"]
    assert ran[-1][0] == "marts"
    assert "birch" not in str(ran[-1][2])
