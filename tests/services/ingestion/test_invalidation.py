"""Which partitions a delivery asks for, read from a real lake."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from valueverse.platform.lake import Lake
from valueverse.services.ingestion.invalidation import invalidated_between, invalidated_months
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, EVENTS_TABLE
from valueverse.services.usage.refresh_facts import costs_by_month

if TYPE_CHECKING:
    from pathlib import Path

MONDAY = datetime(2024, 6, 3, 12, tzinfo=UTC)
TUESDAY = datetime(2024, 6, 4, 12, tzinfo=UTC)
NOW = datetime(2024, 6, 5, 12, tzinfo=UTC)
PLAN = {
    "key": "basic",
    "version": 1,
    "currency": "EUR",
    "period": {"every": 1, "unit": "month", "align": "anniversary"},
    "fees": [{"key": "base", "amount": "10.00"}],
    "charges": [],
}
CATALOG = {
    "schema": "valueverse.catalog/v1",
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "meters": [{"key": "calls", "event_type": "call", "aggregation": "count"}],
    "plans": [PLAN],
}


def _event(identity: str, kind: str, at: str, received: datetime, data: Any = None, **more: str) -> dict[str, Any]:
    time = datetime.fromisoformat(at).astimezone(UTC)
    return {
        "tenant": "acme",
        "source": "s",
        "id": identity,
        "type": kind,
        "time": time,
        "event_date": time.date(),
        "data": None if data is None else json.dumps(data),
        "received_at": received,
        **more,
    }


def _started(key: str, at: str, until: str | None) -> dict[str, Any]:
    data = {"subscription": key, "customer": "c", "plan": "basic"} | ({"ends_at": until} if until else {})
    return _event(f"start-{key}", "billing.subscription.started", at, MONDAY, data)


def _basis(*subscriptions: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        _event("catalog", "billing.catalog.published", "2024-01-01T00:00:00+01:00", MONDAY, CATALOG),
        _event("customer", "billing.customer.created", "2024-01-01T00:00:00+01:00", MONDAY, {"customer": "c"}),
        *subscriptions,
    ]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def _receive(lake: Lake, events: list[dict[str, Any]]) -> None:
    lake.append(EVENTS_TABLE, pl.DataFrame(events, schema=EVENTS_TABLE.schema))
    facts = lake.scan(EVENTS_TABLE).filter(pl.col("type").str.starts_with("billing.")).collect()
    known = facts.with_columns(pl.lit(None, pl.Datetime("us", "UTC")).alias("known_until"))
    lake.overwrite(BILLING_FACTS_TABLE, known.select(list(BILLING_FACTS_TABLE.schema)))


def _days(lake: Lake, after: datetime, until: datetime) -> list[date]:
    return invalidated_between(lake, after, until)["event_date"].to_list()


def _months(lake: Lake, after: datetime, until: datetime) -> list[date]:
    return invalidated_months(lake.scan(BILLING_FACTS_TABLE).collect(), invalidated_between(lake, after, until), NOW)


def test_an_event_touches_its_own_date(lake: Lake) -> None:
    _receive(lake, [_event("e1", "call", "2024-05-02T23:30:00-05:00", TUESDAY)])
    assert _days(lake, MONDAY, TUESDAY) == [date(2024, 5, 3)]


def test_what_was_received_before_is_not_listed_again(lake: Lake) -> None:
    _receive(lake, [_event("e1", "call", "2024-05-02T10:00:00Z", MONDAY)])
    assert _days(lake, MONDAY, TUESDAY) == []


def test_an_amendment_touches_its_own_date_and_that_of_its_original(lake: Lake) -> None:
    _receive(lake, [_event("e1", "call", "2024-05-02T10:00:00Z", MONDAY)])
    _receive(lake, [_event("e2", "call", "2024-05-09T10:00:00Z", TUESDAY, replaces="e1")])
    assert _days(lake, MONDAY, TUESDAY) == [date(2024, 5, 2), date(2024, 5, 9)]


def test_a_catalog_touches_every_later_date_of_its_tenant(lake: Lake) -> None:
    other = {**_event("e3", "call", "2024-05-20T10:00:00Z", MONDAY), "tenant": "other"}
    old = [
        _event("e1", "call", "2024-04-02T10:00:00Z", MONDAY),
        _event("e2", "call", "2024-05-09T10:00:00Z", MONDAY),
    ]
    _receive(lake, [*old, other])
    _receive(lake, [_event("c2", "billing.catalog.published", "2024-05-01T00:00:00Z", TUESDAY, CATALOG)])
    assert _days(lake, MONDAY, TUESDAY) == [date(2024, 5, 1), date(2024, 5, 9)]


def test_a_subscription_touches_the_months_of_its_start_and_of_every_close(lake: Lake) -> None:
    ended = _started("s", "2024-02-10T00:00:00+01:00", "2024-04-10T00:00:00+02:00")
    _receive(lake, _basis(ended))
    assert _months(lake, datetime(2024, 1, 1, tzinfo=UTC), MONDAY) == [
        date(2024, 2, 1),
        date(2024, 3, 1),
        date(2024, 4, 1),
    ]


def test_a_subscription_without_end_touches_every_month_until_now(lake: Lake) -> None:
    _receive(lake, _basis(_started("s", "2024-03-01T00:00:00+01:00", None)))
    assert _months(lake, datetime(2024, 1, 1, tzinfo=UTC), MONDAY) == [
        date(2024, 3, 1),
        date(2024, 4, 1),
        date(2024, 5, 1),
        date(2024, 6, 1),
    ]


def test_late_usage_touches_its_month_and_the_close_of_its_period_only(lake: Lake) -> None:
    _receive(lake, _basis(_started("s", "2024-01-20T00:00:00+01:00", None)))
    _receive(lake, [_event("e1", "call", "2024-03-25T10:00:00Z", TUESDAY)])
    assert _months(lake, MONDAY, TUESDAY) == [date(2024, 3, 1), date(2024, 4, 1)]


def test_a_period_that_closes_at_local_midnight_belongs_to_the_month_it_ends(lake: Lake) -> None:
    """In Berlin March ends at 22:00 UTC on the 31st, and February at 23:00 UTC on the 29th."""
    _receive(lake, _basis(_started("s", "2024-02-01T00:00:00+01:00", "2024-04-01T00:00:00+02:00")))
    _receive(lake, [_event("e1", "call", "2024-03-31T20:00:00Z", TUESDAY)])
    assert _months(lake, MONDAY, TUESDAY) == [date(2024, 3, 1)]


def test_nothing_touched_asks_for_no_month(lake: Lake) -> None:
    assert _months(lake, MONDAY, TUESDAY) == []


def _arrival(kind: str, at: str, received: datetime, customer: str = "late") -> dict[str, Any]:
    return _event(f"{customer}-{kind}-{at}", f"billing.customer.{kind}", at, received, {"customer": customer})


def _waiting() -> dict[str, Any]:
    """A subscription of a customer that nobody has created."""
    data = {"subscription": "held", "customer": "late", "plan": "basic"}
    return _event("start-held", "billing.subscription.started", "2024-02-10T00:00:00+01:00", MONDAY, data)


MONTHS_HELD = [date(2024, month, 1) for month in (2, 3, 4, 5, 6)]


@pytest.mark.parametrize(
    ("kind", "at"),
    [
        ("created", "2024-01-05T00:00:00Z"),
        ("created", "2024-05-20T00:00:00Z"),
        ("created", "2024-06-03T11:00:00Z"),
        ("updated", "2024-05-20T00:00:00Z"),
    ],
)
def test_a_customer_who_arrives_releases_every_month_since_the_subscription_that_waited_started(
    lake: Lake, kind: str, at: str
) -> None:
    _receive(lake, _basis(_started("s", "2024-03-01T00:00:00+01:00", "2024-03-20T00:00:00+01:00"), _waiting()))
    _receive(lake, [_arrival(kind, at, TUESDAY)])
    assert _months(lake, MONDAY, TUESDAY) == MONTHS_HELD


def test_other_events_of_a_customer_or_another_tenants_customer_release_nothing(lake: Lake) -> None:
    ended = _started("s", "2024-02-10T00:00:00+01:00", "2024-03-10T00:00:00+01:00")
    _receive(lake, _basis(ended))
    _receive(lake, [_arrival("updated", "2024-05-20T00:00:00Z", TUESDAY, "c")])
    assert _months(lake, MONDAY, TUESDAY) == []
    founded = [{**one, "tenant": "other"} for one in _basis()]
    _receive(lake, [_waiting(), *founded, {**_arrival("created", "2024-05-20T00:00:00Z", TUESDAY), "tenant": "other"}])
    assert _months(lake, MONDAY, TUESDAY) == []


def test_a_customer_whose_creation_was_withdrawn_arrives_once_more(lake: Lake) -> None:
    _receive(lake, _basis(_waiting()))
    _receive(lake, [_arrival("created", "2024-05-20T00:00:00Z", MONDAY)])
    facts = lake.scan(BILLING_FACTS_TABLE).collect()
    gone = pl.col("id") == "late-created-2024-05-20T00:00:00Z"
    until = pl.when(gone).then(pl.lit(MONDAY)).otherwise("known_until").cast(facts.schema["known_until"])
    again = pl.DataFrame([_arrival("created", "2024-05-21T00:00:00Z", TUESDAY)], schema=EVENTS_TABLE.schema)
    lake.append(EVENTS_TABLE, again)
    open_ended = again.with_columns(pl.lit(None, facts.schema["known_until"]).alias("known_until")).select(
        facts.columns
    )
    whole = pl.concat([facts.with_columns(until.alias("known_until")), open_ended])
    assert invalidated_months(whole, invalidated_between(lake, MONDAY, TUESDAY), NOW) == MONTHS_HELD


SINGLE = ["one_off.added", "payment.received", "credit_note.issued", "invoice.voided", "wallet.granted"]


@pytest.mark.parametrize("kind", [*SINGLE, "coupon.applied"])
def test_a_billing_event_that_acts_by_itself_asks_for_its_local_month_where_no_period_lies(
    lake: Lake, kind: str
) -> None:
    _receive(lake, _basis(_started("s", "2024-01-10T00:00:00+01:00", "2024-02-01T00:00:00+01:00")))
    # in Berlin it is May already
    _receive(lake, [_event("e1", f"billing.{kind}", "2024-04-30T22:30:00Z", TUESDAY, {"customer": "c"})])
    assert _months(lake, MONDAY, TUESDAY) == [date(2024, 5, 1)]


def test_one_date_may_lie_in_two_local_months(lake: Lake) -> None:
    times = ("2024-04-30T21:30:00Z", "2024-04-30T22:30:00Z", "2024-04-30T23:30:00Z")
    later = [_event(f"e{at}", "billing.one_off.added", at, TUESDAY, {"customer": "c"}) for at in times]
    _receive(lake, [*_basis(), *later])
    assert _months(lake, MONDAY, TUESDAY) == [date(2024, 4, 1), date(2024, 5, 1)]


def test_an_amendment_of_a_one_off_asks_for_its_month_and_that_of_the_original(lake: Lake) -> None:
    old = _event("e1", "billing.one_off.added", "2024-03-05T00:00:00Z", MONDAY, {"customer": "c"})
    _receive(lake, [*_basis(), old])
    new = _event("e2", "billing.one_off.added", "2024-05-05T00:00:00Z", TUESDAY, {"customer": "c"}, replaces="e1")
    _receive(lake, [new])
    assert _months(lake, MONDAY, TUESDAY) == [date(2024, 3, 1), date(2024, 5, 1)]


def test_an_event_of_next_month_asks_for_no_month_yet(lake: Lake) -> None:
    _receive(lake, [*_basis(), _event("e1", "billing.one_off.added", "2024-07-01T00:00:00Z", TUESDAY)])
    assert _months(lake, MONDAY, TUESDAY) == []


def test_a_customer_who_arrives_releases_the_one_off_that_waited(lake: Lake) -> None:
    old = _event("e1", "billing.one_off.added", "2024-03-05T00:00:00Z", MONDAY, {"customer": "late"})
    _receive(lake, [*_basis(), old])
    _receive(lake, [_arrival("created", "2024-05-20T00:00:00Z", TUESDAY)])
    assert _months(lake, MONDAY, TUESDAY) == [date(2024, 3, 1)]


def _cost_months(lake: Lake) -> list[date]:
    return sorted(costs_by_month(lake.scan(BILLING_FACTS_TABLE).collect())["month"].to_list())


def test_a_cost_counts_in_every_month_that_it_is_spread_over(lake: Lake) -> None:
    """Without a period in the month of its event, by the tenant's calendar; before the first partition in that."""
    assert _cost_months(lake_with(lake, *_basis())) == []
    spans = {"period": {"from": "2024-02-01", "to": "2024-04-01"}}
    of_old = {"period": {"from": "2019-02-01", "to": "2019-04-01"}}
    costs = [
        _event("e1", "billing.cost.recorded", "2024-04-30T22:30:00Z", TUESDAY, {"amount": "1"}),
        _event("e2", "billing.cost.recorded", "2024-04-30T00:00:00Z", TUESDAY, {"amount": "1", **spans}),
        _event("e3", "billing.cost.recorded", "2024-04-30T00:00:00Z", TUESDAY, {"amount": "1", **of_old}),
    ]
    months = [date(2023, 1, 1), date(2024, 2, 1), date(2024, 3, 1), date(2024, 5, 1)]
    assert _cost_months(lake_with(lake, *costs)) == months


def lake_with(lake: Lake, *events: dict[str, Any]) -> Lake:
    _receive(lake, list(events))
    return lake


def test_a_cost_is_no_work_of_billing(lake: Lake) -> None:
    _receive(lake, _basis(_started("s", "2024-01-10T00:00:00+01:00", "2024-02-01T00:00:00+01:00")))
    _receive(lake, [_event("e1", "billing.cost.recorded", "2024-04-30T00:00:00Z", TUESDAY, {"amount": "1"})])
    assert _months(lake, MONDAY, TUESDAY) == []
