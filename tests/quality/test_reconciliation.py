from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from quality.reconciliation import reconcile
from tests.support.billing_rows import invoice_id
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, EVENTS_TABLE

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

START = datetime(2023, 11, 1, tzinfo=UTC)
CATALOG = {
    "meters": [
        {"key": "tokens", "event_type": "llm", "aggregation": "sum", "value": "usage.tokens"},
        {"key": "calls", "event_type": "llm", "aggregation": "count"},
        {
            "key": "seats",
            "event_type": "seat",
            "aggregation": "unique_count",
            "value": "user",
            "operation": "action",
        },
        {"key": "peak", "event_type": "llm", "aggregation": "max", "value": "usage.tokens"},
        {
            "key": "regional",
            "event_type": "llm",
            "aggregation": "sum",
            "value": "usage.tokens",
            "dimensions": ["region"],
        },
    ],
    "plans": [
        {
            "key": "pro",
            "version": 1,
            "charges": [
                {
                    "key": "tokens",
                    "meter": "tokens",
                    "convert": {"divide_by": "1000", "round": "up"},
                    "included": "1",
                    "price": {
                        "model": "graduated",
                        "tiers": [
                            {"up_to": "2", "unit": "0.5", "flat": "3"},
                            {"up_to": None, "unit": "0.25"},
                        ],
                    },
                    "discount_percent": "10",
                },
                {
                    "key": "calls",
                    "meter": "calls",
                    "price": {"model": "package", "size": 2, "amount": "0.50", "free": "1"},
                },
                {
                    "key": "seats",
                    "meter": "seats",
                    "price": {
                        "model": "volume",
                        "tiers": [{"up_to": "1", "unit": "9"}, {"up_to": None, "unit": "7", "flat": "1"}],
                    },
                },
                {
                    "key": "peak",
                    "meter": "peak",
                    "price": {"model": "percentage", "rate": "1.3", "fixed": "0.1"},
                },
                {
                    "key": "eu",
                    "meter": "regional",
                    "when": {"region": "eu"},
                    "price": {"model": "standard", "unit": "0.002"},
                },
                {
                    "key": "world",
                    "meter": "regional",
                    "price": {"model": "standard", "unit": "0.001"},
                    "minimum": "5",
                },
            ],
        }
    ],
}
# key, meter, quantity, amount: reckoned by hand from the events below.
LINES = (
    (
        "tokens",
        "tokens",
        "5",
        Decimal("4.05"),
    ),  # 5 - 1 -> 3 + 2 x 0.5 + 2 x 0.25, less 10 %
    ("calls", "calls", "3", Decimal("0.50")),  # (3 - 1 free) / 2 = 1 package
    ("seats", "seats", "2", Decimal(15)),
    ("peak", "peak", "3000", Decimal("39.10")),  # a maximum is one event: 0.1 and 1.3 %
    ("eu", "regional", "1500.5", Decimal("3.001")),
    ("world", "regional", "3000", Decimal(5)),  # 3, less than the minimum
)


def _event(
    number: int, kind: str, data: Any, *, replaces: str | None = None, hours: int = 0, **other: Any
) -> dict[str, Any]:
    time = START + timedelta(days=number)
    event = {
        "tenant": "acme",
        "source": "app",
        "id": f"e{number}",
        "type": kind,
        "subject": "one",
        "customer": "one",
        "subscription": None,
        "time": time,
        "event_date": time.date(),
        "data": None if data is None else json.dumps(data),
        "replaces": replaces,
        "received_at": time + timedelta(hours=hours),
        "payload_hash": "",
        "file": "f.ndjson",
        "line": number,
    }
    return event | other


EVENTS = [
    _event(1, "llm", {"usage": {"tokens": 1000}, "region": "eu"}),
    _event(2, "llm", {"usage": {"tokens": "500.5"}, "region": "eu"}),
    _event(3, "llm", {"usage": {"tokens": 9}}),
    _event(4, "llm", {"usage": {"tokens": 3000}}, replaces="e3"),
    _event(5, "llm", {"usage": {"tokens": 77}}),
    _event(6, "llm", None, replaces="e5"),
    _event(7, "seat", {"user": "ann"}),
    _event(8, "seat", {"user": "bob", "action": "add"}),
    _event(9, "seat", {"user": "cid"}),
    _event(10, "seat", {"user": "cid", "action": "remove"}),
    _event(11, "llm", {"usage": {"tokens": 50000}}, replaces="e1", hours=24 * 40),  # known after the invoice
    _event(12, "llm", {"usage": {"tokens": 4}}, customer="two"),
    _event(13, "other", {"usage": {"tokens": 4}}),
]


def change_plans(lake: Lake, *subscriptions: str) -> None:
    """Billing facts that start these subscriptions of customer one on the plan."""
    facts = [
        {
            "tenant": "acme",
            "type": "billing.subscription.started",
            "time": START,
            "received_at": START,
            "source": "app",
            "id": subscription,
            "data": json.dumps({"subscription": subscription, "customer": "one", "plan": "pro"}),
        }
        for subscription in subscriptions
    ]
    lake.overwrite(BILLING_FACTS_TABLE, pl.DataFrame(facts, schema=BILLING_FACTS_TABLE.schema))


@pytest.fixture
def booked(settings: Settings) -> Settings:
    lake = Lake(settings.lake_url)
    lake.append(EVENTS_TABLE, pl.DataFrame(EVENTS, schema=EVENTS_TABLE.schema))
    change_plans(lake, "s")
    identifier, total = invoice_id("acme", "2023-11"), 6665
    with connect(settings, "builder") as connection:
        run = connection.execute
        run("insert into billing.tenant (tenant_id, timezone, currency) values ('acme', 'UTC', 'USD')")
        run(
            "insert into billing.catalog values ('acme', 'h', '2023-01-01T00:00:00Z', %s)",
            [json.dumps(CATALOG)],
        )
        run("insert into billing.customer (tenant_id, customer) values ('acme', 'one'), ('acme', 'two')")
        run(
            "insert into billing.subscription values "
            "('acme', 's', 'one', 'pro', 1, 'UTC', 'USD', '2023-11-01', '2023-11-01T00:00:00Z', null, "
            "'active')"
        )
        run(
            "insert into billing.invoice (tenant_id, invoice_id, status, customer, subscription, currency, "
            "period_from, "
            "period_to, invoice_type, issued_on, subtotal_minor, discount_total_minor, tax_total_minor, "
            "total_minor, "
            "credit_total_minor, amount_due_minor, events_known_at, catalog_hash) values ('acme', %s, "
            "'draft', 'one', 's', "
            "'USD', '2023-11-01T00:00:00Z', '2023-12-01T00:00:00Z', 'period', '2023-12-02', %s, 0, 0, %s, "
            "0, %s, "
            "'2023-12-02T00:00:00Z', 'h')",
            [identifier, total, total, total],
        )
        for number, (key, meter, quantity, amount) in enumerate(LINES, start=1):
            run(
                "insert into billing.invoice_line values ('acme', %s, %s, %s, 'usage', %s, %s, null, "
                "'2023-11-01T00:00:00Z', '2023-12-01T00:00:00Z', %s, %s, %s, 'USD', 1, null)",
                [identifier, number, key, key, meter, quantity, amount, round(amount * 100)],
            )
        for customer, meter, quantity in (
            ("one", "tokens", 53500.5),
            ("two", "tokens", 4),
            ("one", "calls", 3),
            ("two", "calls", 1),
            ("one", "regional", 53500.5),
            ("two", "regional", 4),
        ):
            run(
                "insert into billing.usage_daily values ('acme', %s, '', %s, '2023-11-02', '', %s, 1)",
                [customer, meter, str(quantity)],
            )
        run("insert into billing.ingestion_file values ('acme', 'f.ndjson', 'h', '2023-12-01', 16, 13, 2, 1, 0, now())")
        for event in EVENTS:
            billed = int(event["data"] is not None)
            run(
                "insert into billing.event_day values ('acme', %s, 1, %s, %s)",
                [event["event_date"], billed, 1 - billed],
            )
    return settings


@pytest.mark.integration
def test_duckdb_agrees_with_what_was_booked_to_the_last_digit(booked: Settings) -> None:
    found = reconcile(booked, Lake(booked.lake_url), "2023-11", run_id="r1")
    assert found.filter(~pl.col("ok")).rows() == []
    assert set(found["check_name"]) == {
        *(f"line_quantity:{key}" for key, *_ in LINES),
        *(f"line_amount:{key}" for key, *_ in LINES),
        "lines_missing",
        "usage:tokens",
        "usage:calls",
        "usage:regional",
        "received_is_accepted_duplicate_or_quarantined",
        "accepted_events_are_in_the_lake",
        "accepted_is_billed_or_unbilled",
        "accepted_usage_is_accounted_for",
    }
    amounts = dict(found.select("check_name", "expected").rows())
    assert amounts["line_amount:tokens"] == Decimal("4.05")
    with connect(booked, "builder") as connection:
        rows = connection.execute(
            "select count(*), bool_and(ok) from billing.reconciliation where run_id = 'r1'"
        ).fetchone()
    assert rows == (found.height, True)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("statement", "check"),
    [
        (
            "update billing.invoice_line set amount_precise = amount_precise + 1e-18 where key = 'tokens'",
            "line_amount:tokens",
        ),
        ("update billing.invoice_line set quantity = quantity - 1e-18 where key = 'eu'", "line_quantity:eu"),
        (
            ("update billing.usage_daily set quantity = quantity + 1 where meter = 'calls' and customer = 'two'"),
            "usage:calls",
        ),
        ("delete from billing.usage_daily where meter = 'tokens' and customer = 'two'", "usage:tokens"),
        (
            "insert into billing.usage_daily values ('acme', 'three', '', 'calls', '2023-11-02', '', 1, 1)",
            "usage:calls",
        ),
        ("update billing.ingestion_file set accepted = 12, duplicate = 3", "accepted_events_are_in_the_lake"),
        ("delete from billing.event_day where day = '2023-11-03'", "accepted_usage_is_accounted_for"),
        (
            "update billing.event_day set billed = 4 where day = '2023-11-03'",
            "accepted_is_billed_or_unbilled",
        ),
        ("update billing.invoice set events_known_at = '2024-06-01T00:00:00Z'", "line_amount:tokens"),
    ],
)
def test_a_digit_that_differs_is_found_and_named(booked: Settings, statement: str, check: str) -> None:
    with connect(booked, "builder") as connection:
        connection.execute(statement)
    found = reconcile(booked, Lake(booked.lake_url), "2023-11")
    wrong = found.filter(~pl.col("ok"))
    assert check in wrong["check_name"].to_list()
    assert "1 of" in wrong.filter(check_name=check)["detail"][0]


@pytest.mark.integration
def test_events_received_after_usage_was_derived_are_not_missed(booked: Settings) -> None:
    lake = Lake(booked.lake_url)
    late = _event(14, "llm", {"usage": {"tokens": 1}}, hours=24 * 90)
    lake.append(EVENTS_TABLE, pl.DataFrame([late], schema=EVENTS_TABLE.schema))
    assert not reconcile(booked, lake, "2023-11")["ok"].all()
    assert reconcile(booked, lake, "2023-11", known_at=late["received_at"] - timedelta(seconds=1))["ok"].all()


def _elsewhere(booked: Settings, *events: dict[str, Any]) -> Lake:
    """The lake with more events, which count as accepted."""
    lake = Lake(booked.lake_url)
    lake.append(EVENTS_TABLE, pl.DataFrame(list(events), schema=EVENTS_TABLE.schema))
    with connect(booked, "builder") as connection:
        connection.execute(
            "update billing.ingestion_file set accepted = accepted + %s, received = received + %s", [len(events)] * 2
        )
    return lake


@pytest.mark.integration
def test_files_of_dates_outside_the_month_s_periods_are_not_opened(booked: Settings) -> None:
    far = _event(20, "llm", {"usage": {"tokens": 1}}, time=START - timedelta(days=400))
    lake = _elsewhere(booked, far | {"event_date": far["time"].date()})
    removed = list((Path(booked.lake_url) / "events").glob("event_date=2022-*/*.parquet"))
    assert removed
    for file in removed:
        file.unlink()
    assert reconcile(booked, lake, "2023-11")["ok"].all()


@pytest.mark.integration
def test_amendments_on_other_dates_count_and_are_compared_with_originals_on_other_dates(booked: Settings) -> None:
    early, late = START - timedelta(days=90), START + timedelta(days=70)
    original = _event(21, "llm", {"usage": {"tokens": 5}, "region": "eu"}, time=early, event_date=early.date())
    moved = _event(22, "llm", {"usage": {"tokens": 5}, "region": "eu"}, replaces="e21")
    away = _event(23, "llm", {"usage": {"tokens": 9}}, replaces="e2", time=late, event_date=late.date())
    known = {"received_at": START + timedelta(days=25)}
    lake = _elsewhere(booked, original, moved | known, away | known)
    found = reconcile(booked, lake, "2023-11")
    sides = {
        name: (expected, actual) for name, expected, actual in found.select("check_name", "expected", "actual").rows()
    }
    # 1000 and 500.5 were booked; the second moved away, and 5 moved here
    assert sides["line_quantity:eu"] == (Decimal(1005), Decimal("1500.5"))


@pytest.mark.integration
def test_usage_without_a_subscription_key_goes_to_nobody_when_two_could_take_it(booked: Settings) -> None:
    with connect(booked, "builder") as connection:
        connection.execute(
            "insert into billing.subscription values "
            "('acme', 't', 'one', 'pro', 1, 'UTC', 'USD', '2023-11-01', '2023-11-01T00:00:00Z', null, "
            "'active')"
        )
    change_plans(Lake(booked.lake_url), "s", "t")
    found = reconcile(booked, Lake(booked.lake_url), "2023-11")
    quantities = dict(found.select("check_name", "expected").rows())
    assert quantities["line_quantity:calls"] == 0


@pytest.mark.integration
def test_a_text_that_says_a_number_out_of_range_is_no_quantity_as_in_metering(booked: Settings) -> None:
    with connect(booked, "builder") as connection:
        connection.execute("insert into billing.tenant (tenant_id, timezone, currency) values ('birch', 'UTC', 'USD')")
        connection.execute(
            "insert into billing.catalog values ('birch', 'h', '2023-01-01T00:00:00Z', %s)",
            [json.dumps(CATALOG)],
        )
    lake = Lake(booked.lake_url)
    huge = [_event(n, "llm", {"usage": {"tokens": "9" * 20}}, tenant="birch", id=f"h{n}") for n in (1, 2)]
    lake.append(EVENTS_TABLE, pl.DataFrame(huge, schema=EVENTS_TABLE.schema))
    found = reconcile(booked, lake, "2023-11")
    assert found.filter(tenant_id="acme")["ok"].all()
    birch = found.filter(tenant_id="birch")
    assert birch.filter(check_name="usage:tokens")["ok"].all()
    assert "numbers_are_in_range" not in birch["check_name"]


@pytest.mark.integration
def test_an_empty_lake_and_an_empty_month_reconcile(settings: Settings) -> None:
    with connect(settings, "builder") as connection:
        connection.execute("insert into billing.tenant (tenant_id, timezone, currency) values ('acme', 'UTC', 'USD')")
    assert reconcile(settings, Lake(settings.lake_url), "2023-11").is_empty()
