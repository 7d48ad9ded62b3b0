from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from assets.ingestion import EVENTS
from assets.metering import USAGE
from pipelines.stages import by_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.pending import Work


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def _record(instance: dg.DagsterInstance, key: dg.AssetKey, *days: str) -> None:
    for day in days:
        instance.report_runless_asset_event(dg.AssetMaterialization(asset_key=key, partition=day))


def _pending(instance: dg.DagsterInstance) -> list[Work]:
    return by_name()["usage"].pending(instance)


def _ranges(instance: dg.DagsterInstance) -> list[tuple[str, str] | None]:
    return [work.partitions for work in _pending(instance)]


def test_a_marked_day_is_pending_until_it_has_run(instance: dg.DagsterInstance) -> None:
    _record(instance, EVENTS, "2024-02-01", "2024-02-02")
    assert _ranges(instance) == [("2024-02-01", "2024-02-02")]
    _record(instance, USAGE, "2024-02-01")
    assert _ranges(instance) == [("2024-02-02", "2024-02-02")]


def test_a_day_marked_again_is_pending_again(instance: dg.DagsterInstance) -> None:
    _record(instance, EVENTS, "2024-02-01")
    _record(instance, USAGE, "2024-02-01")
    assert _ranges(instance) == []
    _record(instance, EVENTS, "2024-02-01")
    assert _ranges(instance) == [("2024-02-01", "2024-02-01")]


def test_days_that_were_not_touched_are_not_asked_for(instance: dg.DagsterInstance) -> None:
    _record(instance, EVENTS, "2024-02-01", "2024-02-02", "2024-02-09")
    assert _ranges(instance) == [("2024-02-01", "2024-02-02"), ("2024-02-09", "2024-02-09")]


def test_the_same_marks_are_the_same_work_and_a_new_mark_is_new_work(instance: dg.DagsterInstance) -> None:
    _record(instance, EVENTS, "2024-02-01")
    first = _pending(instance)
    assert _pending(instance) == first
    _record(instance, EVENTS, "2024-02-01")
    (again,) = _pending(instance)
    assert again.partitions == first[0].partitions
    assert again.key != first[0].key
