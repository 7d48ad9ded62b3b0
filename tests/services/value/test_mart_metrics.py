"""A model bound to a column of a mart: committed, measured as published last, and stored as it was measured."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import commits
from tests.support.ledger import World
from tests.support.warehouse_billing import rows, run, store
from valueverse.platform.warehouse import connect
from valueverse.services.value.track_value import track_value

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings
    from valueverse.services.value.track_commit import TrackReport

pytestmark = pytest.mark.integration
NOVEMBER = date(2023, 11, 1)
JANUARY_5 = datetime(2024, 1, 5, tzinfo=UTC)
HOURS = {
    "key": "support.hours",
    "mart": "fct_support",
    "column": "hours",
    "month": "worked_on",
    "customer": "customer_key",
    "aggregation": "sum",
}
SPENT = HOURS | {"key": "support.spent", "column": "spent", "currency_column": "currency"}
MODEL: dict[str, Any] = {
    "schema": "valueverse.value_model/v1",
    "model": "relieved",
    "currency": "USD",
    "axis": {"grain": "month", "start": "commit.start", "periods": 12},
    "units": {"base": ["hour_worked"]},
    "inputs": {
        "hours": {"unit": "hour_worked/month", "bind": {"metric": "support.hours"}},
        "spent": {"unit": "USD/month", "bind": {"metric": "support.spent"}},
        "wage": {"unit": "USD/hour_worked", "value": 40},
    },
    "drivers": {"relief": "hours * wage"},
    "costs": {"spent": "spent"},
    "scenarios": {"agreed": {"hours": 5, "spent": 1}},
    "outputs": ["npv"],
}
WORKED: list[tuple[Any, ...]] = [
    ("acme", "c1", "2023-11-02", "1.5", "10", "USD"),
    ("acme", "c1", "2023-11-30", "2.25", "20", "USD"),
    ("acme", "c1", "2023-11-30", "0", "500", "EUR"),
    ("acme", "c2", "2023-11-30", "7", "70", "USD"),
    ("other", "c1", "2023-11-30", "1000", "1000", "USD"),
]


def world(*metrics: dict[str, Any]) -> World:
    company = World({"currency": "USD", "plans": [{"key": "pro"}], "metrics": list(metrics)})
    company.start("2023-11-01")
    return company


def publish(settings: Settings, worked: list[tuple[Any, ...]]) -> None:
    """A mart of support work, as a release leaves it."""
    with connect(settings, "builder") as connection:
        connection.execute(
            "create table if not exists marts.fct_support (tenant_id text not null, customer_key text, worked_on date,"
            " hours numeric(38, 18), spent numeric, currency text)"
        )
        connection.execute("delete from marts.fct_support")
        connection.cursor().executemany("insert into marts.fct_support values (%s, %s, %s, %s, %s, %s)", worked)
        connection.commit()


def commit(company: World, settings: Settings) -> str:
    run(company, settings, datetime(2023, 11, 2, tzinfo=UTC))
    options = {"scenario": "agreed", "seed": 1, "author": "ann", "parent": None, "reason": None}
    options |= {"customer": "c1", "start": "2023-11-01"}
    found = commits.commit(settings, "acme", json.dumps(MODEL), options, None)["commit"]
    commits.approve(settings, "acme", found, "vendor", "vera")
    commits.approve(settings, "acme", found, "customer", "carl")
    return str(found)


def track(company: World, settings: Settings) -> TrackReport:
    return track_value(settings, store(company, settings), NOVEMBER, NOVEMBER, as_of=JANUARY_5, run_id="test")


def measured(settings: Settings) -> list[tuple[Any, ...]]:
    return rows(
        settings,
        "select metric, customer, currency, trim_scale(value), known_at from value.metric"
        " where metric like 'support.%' order by metric, customer, currency",
    )


def realised(settings: Settings, name: str) -> list[tuple[Any, ...]]:
    return rows(
        settings,
        "select x.value from value.run r join value.result x using (tenant_id, run_hash)"
        f" where r.case_name = 'realised' and x.name = '{name}' order by r.computed_at, x.value",
    )


def test_a_model_is_measured_by_a_mart_of_its_tenant_and_customer(settings: Settings) -> None:
    company = world(HOURS, SPENT)
    publish(settings, WORKED)
    commit(company, settings)
    report = track(company, settings)
    assert report.refused == []
    assert [(metric, customer, currency, value) for metric, customer, currency, value, _ in measured(settings)] == [
        ("support.hours", "c1", None, Decimal("3.75")),
        ("support.hours", "c2", None, Decimal(7)),
        ("support.spent", "c1", "EUR", Decimal(500)),
        ("support.spent", "c1", "USD", Decimal(30)),
        ("support.spent", "c2", "USD", Decimal(70)),
    ]
    ((known_at,),) = rows(settings, "select distinct known_at from value.metric")
    assert {row[-1] for row in measured(settings)} == {known_at}
    assert realised(settings, "driver.relief") == [(150,)]
    assert realised(settings, "cost.spent") == [(30,)]


def test_a_run_stores_what_the_mart_showed_and_a_later_release_adds_one(settings: Settings) -> None:
    company = world(HOURS, SPENT)
    publish(settings, WORKED)
    commit(company, settings)
    track(company, settings)
    assert not any(new for *_, new in track(company, settings).runs)
    publish(settings, [*WORKED, ("acme", "c1", "2023-11-29", "1", "0", "USD")])
    late = track(company, settings)
    assert {case for *_, case, _, new in late.runs if new} == {"realised", "forecast"}
    assert realised(settings, "driver.relief") == [(150,), (190,)]
    documents = rows(settings, "select document::json -> 'metrics' from value.run where case_name = 'realised'")
    assert sorted(value for (mart_rows,) in documents for name, _, _, value in mart_rows if name == HOURS["key"]) == [
        3.75,
        4.75,
    ]


def test_a_metric_without_its_mart_or_column_is_reported_and_holds_nothing_else(settings: Settings) -> None:
    company = world(
        HOURS,
        SPENT,
        HOURS | {"key": "gone", "mart": "fct_gone"},
        HOURS | {"key": "typo", "column": "hour"},
        HOURS | {"key": "text", "column": "currency"},
    )
    publish(settings, WORKED)
    commit(company, settings)
    report = track(company, settings)
    assert sorted(report.refused) == [
        (
            "acme",
            "",
            NOVEMBER,
            "metric 'gone': there is no mart 'fct_gone' with a tenant_id [unknown_mart]",
        ),
        (
            "acme",
            "",
            NOVEMBER,
            "metric 'text': 'currency' of 'fct_support' is text: only exact numbers are measured [wrong_type]",
        ),
        (
            "acme",
            "",
            NOVEMBER,
            "metric 'typo': 'fct_support' has no column 'hour': did you mean 'hours'? [unknown_column]",
        ),
    ]
    assert realised(settings, "driver.relief") == [(150,)]


def test_a_commit_whose_month_holds_no_value_is_named_with_the_reason(settings: Settings) -> None:
    company = world(HOURS, SPENT)
    publish(settings, [*WORKED, ("acme", "c9", "2023-11-03", "1", "NaN", "USD")])
    commit(company, settings)
    reasons = [reason for *_, reason in track(company, settings).refused]
    assert "a value is no number" in reasons[0]
    assert "'spent' has no value in period 1" in reasons[1]
    assert {row[0] for row in measured(settings)} == {"support.hours"}


def test_what_is_no_longer_registered_is_no_longer_measured(settings: Settings) -> None:
    company = world(HOURS)
    publish(settings, WORKED)
    run(company, settings)
    track(company, settings)
    assert len(measured(settings)) == 2
    later = {"schema": "valueverse.catalog/v1", "currency": "USD", "plans": [{"key": "pro"}]}
    company.record("catalog.published", "2023-11-20", later)
    track(company, settings)
    assert measured(settings) == []
