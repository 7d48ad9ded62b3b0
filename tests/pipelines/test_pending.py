from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from assets.ingestion import EVENTS
from assets.metering import USAGE
from pipelines.pending import pending_days, ranges

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as found:
        yield found


def _record(instance: dg.DagsterInstance, key: dg.AssetKey, *days: str) -> None:
    for day in days:
        instance.report_runless_asset_event(dg.AssetMaterialization(asset_key=key, partition=day))


def test_a_marked_day_is_pending_until_it_has_run(instance: dg.DagsterInstance) -> None:
    _record(instance, EVENTS, "2024-02-01", "2024-02-02")
    assert set(pending_days(instance)) == {"2024-02-01", "2024-02-02"}
    _record(instance, USAGE, "2024-02-01")
    assert set(pending_days(instance)) == {"2024-02-02"}


def test_a_day_marked_again_is_pending_again(instance: dg.DagsterInstance) -> None:
    _record(instance, EVENTS, "2024-02-01")
    _record(instance, USAGE, "2024-02-01")
    assert pending_days(instance) == {}
    _record(instance, EVENTS, "2024-02-01")
    assert set(pending_days(instance)) == {"2024-02-01"}


def test_days_that_were_not_touched_are_not_asked_for(instance: dg.DagsterInstance) -> None:
    _record(instance, EVENTS, "2024-02-01", "2024-02-02", "2024-02-09")
    assert [asked for asked, _ in ranges(pending_days(instance))] == [
        ("2024-02-01", "2024-02-02"),
        ("2024-02-09", "2024-02-09"),
    ]


def test_the_same_marks_ask_once_and_a_new_mark_asks_again(instance: dg.DagsterInstance) -> None:
    _record(instance, EVENTS, "2024-02-01")
    first = ranges(pending_days(instance))
    assert ranges(pending_days(instance)) == first
    _record(instance, EVENTS, "2024-02-01")
    again = ranges(pending_days(instance))
    assert [asked for asked, _ in again] == [asked for asked, _ in first]
    assert again[0][1] != first[0][1]
