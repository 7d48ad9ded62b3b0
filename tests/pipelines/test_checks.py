"""The standing check of failed partitions is evaluated whenever Dagster would show it as not evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from assets.metering import USAGE
from pipelines.checks import CHECK, changed_evaluations
from pipelines.stages import by_name

if TYPE_CHECKING:
    from collections.abc import Iterator

USAGE_STAGE = [by_name()["usage"]]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def evaluate(instance: dg.DagsterInstance) -> int:
    """Record what has changed, as the sensor does; how many evaluations that were."""
    found = changed_evaluations(instance, USAGE_STAGE, [])
    for one in found:
        instance.report_runless_asset_event(one)
    return len(found)


def test_it_is_evaluated_once_and_again_after_each_materialisation(instance: dg.DagsterInstance) -> None:
    assert [evaluate(instance), evaluate(instance)] == [1, 0]
    instance.report_runless_asset_event(dg.AssetMaterialization(USAGE, partition="2024-02-01"))
    assert [evaluate(instance), evaluate(instance)] == [1, 0]


def test_a_run_that_planned_it_and_failed_before_does_not_stop_it(instance: dg.DagsterInstance) -> None:
    @dg.asset(key=USAGE, check_specs=[dg.AssetCheckSpec(CHECK, asset=USAGE)])
    def usage():  # type: ignore[no-untyped-def]  # to Dagster, a return of None is no output to check
        raise ValueError("no disk")

    evaluate(instance)
    assert not dg.materialize([usage], instance=instance, raise_on_error=False).success
    assert [evaluate(instance), evaluate(instance)] == [1, 0]
