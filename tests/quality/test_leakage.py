"""Usage that stops or leaves its weekly pattern is flagged, and regular usage never is."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quality.leakage import flag_leakage, flags_of
from tests.support.laws import law
from tests.support.warehouse_billing import acme, store
from valueverse.platform.warehouse import connect
from valueverse.schemas.checks import LEAKAGE_FLAGS
from valueverse.schemas.types import EXACT

if TYPE_CHECKING:
    from collections.abc import Callable

    from valueverse.platform.settings import Settings

LAST = date(2024, 3, 20)  # a Wednesday
SCHEMA = {"tenant": pl.String, "customer": pl.String, "meter": pl.String, "day": pl.Date, "quantity": EXACT}


def daily(quantity: Callable[[date], int], days: int = 90) -> pl.DataFrame:
    rows = []
    for back in range(days):
        day = LAST - timedelta(days=back)
        if quantity(day):
            rows.append(("acme", "c1", "tokens", day, Decimal(quantity(day))))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def reasons(frame: pl.DataFrame) -> list[str]:
    return flags_of(frame, LAST)["reason"].to_list()


def weekly(day: date) -> int:
    return 0 if day.weekday() >= 5 else 100 + 10 * day.weekday()


def test_usage_that_stops_is_flagged_with_its_first_silent_day() -> None:
    found = flags_of(daily(lambda day: 0 if day > LAST - timedelta(days=3) else weekly(day)), LAST)
    assert found.select("reason", "since", "expected", "seen").rows() == [
        ("stopped", LAST - timedelta(days=2), Decimal(100 + 110 + 120), Decimal(0))
    ]


def test_two_silent_days_are_not_yet_a_stop() -> None:
    assert reasons(daily(lambda day: 0 if day > LAST - timedelta(days=2) else weekly(day))) == []


@pytest.mark.parametrize("factor", [0.2, 3])
def test_usage_far_outside_its_pattern_is_flagged(factor: float) -> None:
    found = daily(lambda day: int(weekly(day) * factor) if day == LAST else weekly(day))
    assert reasons(found) == ["outside_pattern"]


def test_a_meter_that_rests_on_weekends_is_not_missed_on_weekends() -> None:
    sunday = date(2024, 3, 24)
    rows = daily(weekly).vstack(
        pl.DataFrame(
            [("acme", "c1", "tokens", LAST + timedelta(days=ahead), Decimal(weekly(LAST + timedelta(days=ahead))))
             for ahead in (1, 2)],
            schema=SCHEMA, orient="row",
        )
    )  # fmt: skip
    assert flags_of(rows, sunday).is_empty()


def test_a_new_customer_has_no_pattern_yet() -> None:
    assert reasons(daily(lambda day: 0 if day > LAST - timedelta(days=5) else 100, days=20)) == []


@law(25)
@given(pattern=st.lists(st.integers(0, 1000), min_size=7, max_size=7), days=st.integers(1, 100))
def test_a_perfectly_regular_week_is_never_flagged(pattern: list[int], days: int) -> None:
    assert reasons(daily(lambda day: pattern[day.weekday()], days)) == []


@pytest.mark.integration
def test_flags_are_written_for_a_day_and_replaced_by_the_next_look(settings: Settings) -> None:
    world = acme(1)
    for back in range(5, 80):
        world.use((LAST - timedelta(days=back)).isoformat(), "tokens", "10", customer="c0")
    lake = store(world, settings)
    with connect(settings, "builder") as connection:
        connection.execute("insert into billing.tenant (tenant_id, timezone, currency) values ('acme', 'UTC', 'USD')")
        connection.commit()
    for _ in range(2):
        assert flag_leakage(settings, lake, LAST)["reason"].to_list() == ["stopped"]
    with connect(settings, "builder") as connection:
        rows = connection.execute("select customer, reason, since from billing.leakage_flag").fetchall()
    assert rows == [("c0", "stopped", LAST - timedelta(days=2))]


@pytest.mark.integration
def test_gaps_of_a_meter_are_a_view_of_their_own(settings: Settings) -> None:
    with connect(settings, "builder") as connection:
        for day in ("2024-01-01", "2024-01-02", "2024-01-05"):
            connection.execute(
                "insert into billing.usage_daily (tenant_id, customer, meter, day, quantity, events) "
                "values ('acme', 'c1', 'tokens', %s, 1, 1)",
                [day],
            )
        rows = connection.execute("select meter, gap_from, gap_to, days from billing.meter_gap").fetchall()
    assert rows == [("tokens", date(2024, 1, 3), date(2024, 1, 4), 2)]


def test_nothing_used_is_nothing_flagged() -> None:
    assert flags_of(pl.DataFrame(schema=SCHEMA), LAST).schema == LEAKAGE_FLAGS
