"""Amendments over dates and runs: which dates have to be derived again."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.landing import NOW, Harbour, event, founding

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def harbour(tmp_path: Path) -> Harbour:
    made = Harbour(tmp_path)
    made.land("acme/000.ndjson", founding())
    made.take()
    return made


def _on(day: int, key: str, **more: Any) -> dict[str, Any]:
    return event(key, time=f"2024-05-{day:02d}T00:00:00Z", **more)


def _touched(harbour: Harbour, run: int, *events: dict[str, Any]) -> list[date]:
    harbour.land(f"acme/{run}.ndjson", *events)
    return harbour.take(NOW + timedelta(hours=run)).touched["event_date"].to_list()


def test_an_amendment_touches_its_own_date_and_its_originals(harbour: Harbour) -> None:
    _touched(harbour, 1, _on(1, "a"))
    assert _touched(harbour, 2, _on(2, "b", replaces="a")) == [date(2024, 5, 1), date(2024, 5, 2)]


def test_an_original_touches_the_dates_of_amendments_that_waited_for_it(harbour: Harbour) -> None:
    _touched(harbour, 1, _on(2, "b", replaces="a"))
    assert _touched(harbour, 2, _on(1, "a")) == [date(2024, 5, 1), date(2024, 5, 2)]


def test_a_second_amendment_touches_the_date_of_the_first(harbour: Harbour) -> None:
    _touched(harbour, 1, _on(1, "a"), _on(2, "b", replaces="a"))
    assert _touched(harbour, 2, _on(3, "c", replaces="a")) == [date(2024, 5, day) for day in (1, 2, 3)]
