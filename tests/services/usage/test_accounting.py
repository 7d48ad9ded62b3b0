"""Accounting for usage: months are accounted again when something that they depend on changed, and only then."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from tests.support.ledger import World, instant
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.billing.run_billing import bill
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, EVENTS_TABLE, USAGE_TABLE
from valueverse.services.usage import usage_accounting as step

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
TABLES = ("unbilled_usage", "event_day", "usage_daily")


def world() -> World:
    meter = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
    charge = {"key": "usage", "meter": "tokens", "price": {"model": "standard", "unit": "0.01"}}
    plans = [
        {"key": unit, "period": {"every": 1, "unit": unit, "align": "calendar"}, "charges": [charge]}
        for unit in ("month", "year")
    ]
    made = World({"currency": "USD", "meters": [meter], "plans": plans})
    made.start("2023-01-01", plan="month", subscription="monthly", customer="c-month")
    made.start("2023-01-01", plan="year", subscription="yearly", customer="c-year")
    for month in range(1, 13):
        for customer in ("c-month", "c-year", "nobody"):
            made.use(f"2023-{month:02d}-05", "tokens", "100", customer=customer)
    made.use("2024-02-01", "tokens", "5", customer="c-month")
    return made


class Books:
    """A lake and a warehouse that a world is stored in and billed from."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.lake = settings, Lake(settings.lake_url)
        self.written: dict[date, pl.DataFrame] = {}

    def store(self, made: World) -> None:
        """Write the facts, and the event dates whose usage is new."""
        usage = made.usage_frame()
        self.lake.overwrite(BILLING_FACTS_TABLE, made.lake_facts())
        days = {day: part for (day,), part in usage.partition_by("event_date", as_dict=True).items()}
        new = [day for day, part in days.items() if day not in self.written or not part.equals(self.written[day])]
        self.written = days
        if new:
            self.lake.replace_dates(USAGE_TABLE, usage.filter(pl.col("event_date").is_in(new)), new)
        shared = [name for name in EVENTS_TABLE.schema if name in usage.columns]
        events = usage.select(shared).with_columns(usage["event_type"].alias("type"))
        missing = {name: None for name in EVENTS_TABLE.schema if name not in events.columns}
        self.lake.overwrite(EVENTS_TABLE, events.with_columns(**missing))

    def bill(self, month: str, as_of: str) -> None:
        first = date.fromisoformat(f"{month}-01")
        bill(self.settings, self.lake, first, first, as_of=instant(as_of), run_id="test")

    def rows(self) -> dict[str, list[Any]]:
        with connect(self.settings, "builder") as connection:
            return {
                table: connection.execute(f"select * from billing.{table} order by 1, 2, 3, 4, 5".encode()).fetchall()
                for table in TABLES
            }

    def from_nothing(self, month: str, as_of: str) -> dict[str, list[Any]]:
        """The rows after everything was accounted for again."""
        with connect(self.settings, "builder") as connection:
            for table in (*TABLES, "accounted_month"):
                connection.execute(f"delete from billing.{table}".encode())
            connection.commit()
        self.bill(month, as_of)
        return self.rows()


CHANGES: dict[str, Any] = {
    "late usage": lambda made: made.use("2023-03-07", "tokens", "7", "c-month", received_at=instant("2024-01-20")),
    "late usage of the year": lambda made: made.use(
        "2023-03-07", "tokens", "7", "c-year", received_at=instant("2024-01-20")
    ),
    "an end long ago": lambda made: made.record(
        "subscription.ended", "2023-04-10", {"subscription": "yearly"}, received_at=instant("2024-01-20")
    ),
    "a start long ago": lambda made: made.record(
        "subscription.started",
        "2023-06-01",
        {"subscription": "late", "customer": "nobody", "plan": "month"},
        received_at=instant("2024-01-20"),
    ),
    "another subscription": lambda made: made.start(
        "2024-02-01", plan="year", subscription="other", customer="c-month"
    ),
    "a void": lambda made: made.record(
        "invoice.voided", "2024-01-20", {"number": "acme-000003", "reason": "wrong"}, received_at=instant("2024-01-20")
    ),
}


def test_what_is_stored_is_what_accounting_for_everything_again_gives(settings: Settings) -> None:
    made, books = world(), Books(settings)
    books.store(made)
    for month, as_of in (("2023-01", "2023-03-10"), ("2023-02", "2023-03-10"), ("2023-12", "2024-01-10")):
        books.bill(month, as_of)
    for name, change in CHANGES.items():
        change(made)
        books.store(made)
        books.bill("2024-01", "2024-02-05")
        found = books.rows()
        assert found == books.from_nothing("2024-01", "2024-02-05"), name
        assert all(row[2] == row[3] + row[4] for row in found["event_day"])


def test_a_month_is_accounted_for_again_only_when_its_inputs_changed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, books = world(), Books(settings)
    books.store(made)
    for month in (2, 7, 11):
        books.bill(f"2023-{month:02d}", f"2023-{month + 1:02d}-10")
    accounted: list[date] = []
    replace = step._replace
    monkeypatch.setattr(
        step, "_replace", lambda *given: (accounted.append(given[2]), replace(*given))
    )  # _replace(connection, inputs, month, tenants, last)
    books.bill("2023-11", "2023-12-10")
    assert accounted == []
    made.use("2023-03-07", "tokens", "7", "c-month", received_at=instant("2023-12-20"))
    books.store(made)
    books.bill("2023-11", "2023-12-21")
    assert accounted == [date(2023, 3, 1)]
    accounted.clear()
    # A year that closes has every month's usage billed; the months after it have nothing to do with it.
    books.bill("2023-12", "2024-01-10")
    assert accounted == [date(2023, month, 1) for month in range(1, 13)]
    accounted.clear()
    books.bill("2024-01", "2024-02-10")
    assert [month for month in accounted if month < date(2023, 3, 1)] == []


def test_the_table_of_usage_is_opened_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    books = Books(settings)
    books.store(world())
    opened: list[str] = []
    delta = Lake.delta
    monkeypatch.setattr(Lake, "delta", lambda lake, table: (opened.append(table.name), delta(lake, table))[1])
    bill(
        settings, books.lake, date(2023, 1, 1), date(2023, 12, 1), as_of=datetime(2024, 2, 1, tzinfo=UTC), run_id="test"
    )
    assert opened.count("usage") <= 2
