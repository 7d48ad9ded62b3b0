"""What the engine bills for a charge is what ``valueverse price`` answers for the same usage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from tests.rating.test_laws import amounts, decimals, positive, prices, unit_prices
from tests.support.laws import law
from tests.support.ledger import World
from valueverse.services.calculators.price import answer

ZONE = "America/Sao_Paulo"
METER = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n", "dimensions": ["region"]}
OTHER = {"key": "seats", "event_type": "seat", "aggregation": "sum", "value": "n"}


@st.composite
def further_prices(draw: st.DrawFn) -> dict[str, Any]:
    model = draw(st.sampled_from(["matrix", "dynamic", "formula", "bucketed", "capacity"]))
    match model:
        case "matrix":
            cells = [{"region": "eu", "unit": draw(unit_prices)}]
            return {"model": model, "dimensions": ["region"], "cells": cells, "default_unit": draw(unit_prices)}
        case "dynamic":
            return {"model": model, "multiplier": draw(unit_prices)}
        case "formula":
            return {"model": model, "amount": "max(quantity - 5, 0) * 0.3"}
        case "capacity":
            limits = {"tokens": draw(positive), "seats": draw(positive)}
            return {"model": model, "tiers": [{"limits": limits, "amount": draw(amounts)}, {"amount": "77"}]}
        case _:
            night = {"from": "18:30", "to": "06:00", "price": {"model": "standard", "unit": draw(unit_prices)}}
            inner = draw(prices().filter(lambda price: price["model"] in {"standard", "graduated", "package"}))
            return {
                "model": model, "every": "hour", "price": inner, "time_of_day": [night],
                "commitment": draw(amounts), "overage_factor": draw(positive), "true_up": draw(st.booleans()),
            }  # fmt: skip


LIMITS = {"minimum": amounts, "maximum": decimals(0, 500, 2), "discount_percent": decimals(0, 100, 1)}
UNITS = {
    "included": positive,
    "convert": st.sampled_from([{"divide_by": "7", "round": "up"}, {"multiply_by": "1.5"}, {"divide_by": "8"}]),
}
EVENTS = st.lists(st.tuples(st.integers(0, 31 * 24 * 60 - 1), decimals(0, 40), st.sampled_from(["eu", "us"])))


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """A charge, the day in January on which its subscription starts, and its usage by minute of the month."""
    price = draw(st.one_of(prices(), further_prices()))
    whole = price["model"] in {"bucketed", "capacity"}
    charge = {"price": price} | draw(st.fixed_dictionaries({}, optional=LIMITS if whole else LIMITS | UNITS))
    return {"charge": charge, "day": draw(st.integers(1, 31)), "events": sorted(draw(EVENTS)), "seats": draw(positive)}


def _times(case: dict[str, Any]) -> list[tuple[datetime, str, str]]:
    begin = datetime(2024, 1, 1, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)
    found = [(begin + timedelta(minutes=minute), value, region) for minute, value, region in case["events"]]
    start = begin + timedelta(days=case["day"] - 1)
    return [row for row in found if row[0] >= start]


def _asked(case: dict[str, Any]) -> dict[str, Any]:
    """The same usage as a line of the calculator."""
    line: dict[str, Any] = case["charge"] | {"proration": {"days": 32 - case["day"], "of": 31}, "timezone": ZONE}
    events = _times(case)
    match case["charge"]["price"]["model"]:
        case "percentage" if events:
            return line | {"events": [{"value": value} for _, value, _ in events]}
        case "matrix" if events:
            return line | {
                "events": [{"value": value, "dimensions": {"region": region}} for _, value, region in events]
            }
        case "capacity":
            return line | {"quantities": {"tokens": _total(events), "seats": case["seats"]}}
        case "bucketed":
            return line | {"buckets": _buckets(case, events)}
        case _:
            return line | {"quantity": _total(events)}


def _total(events: list[tuple[datetime, str, str]]) -> str:
    return format(sum((Decimal(value) for _, value, _ in events), Decimal(0)), "f")


def _buckets(case: dict[str, Any], events: list[tuple[datetime, str, str]]) -> list[dict[str, str]]:
    first = datetime(2024, 1, case["day"], tzinfo=ZoneInfo(ZONE))
    hours = [first + timedelta(hours=hour) for hour in range((32 - case["day"]) * 24)]
    by_hour: dict[datetime, list[tuple[datetime, str, str]]] = {}
    for row in events:
        by_hour.setdefault(row[0].replace(minute=0), []).append(row)
    return [{"at": f"{hour:%H:%M}", "quantity": _total(by_hour.get(hour.astimezone(UTC), []))} for hour in hours]


@law(10)
@given(st.lists(cases(), min_size=1, max_size=8))
def test_the_engine_bills_what_the_calculator_answers(batch: list[dict[str, Any]]) -> None:
    plans = []
    for number, case in enumerate(batch):
        meter = {} if case["charge"]["price"]["model"] == "capacity" else {"meter": "tokens"}
        charges = [{"key": "use"} | meter | case["charge"]]
        plans.append({"key": f"plan{number}", "period": {"align": "calendar"}, "charges": charges})
    acme = World({"timezone": ZONE, "meters": [METER, OTHER], "plans": plans})
    for number, case in enumerate(batch):
        who = f"c{number}"
        acme.start(f"2024-01-{case['day']:02d}T00:00:00-03:00", plan=f"plan{number}", subscription=who, customer=who)
        acme.use("2024-01-31T12:00:00-03:00", "seats", case["seats"], who)
        for time, value, region in _times(case):
            acme.use(time.isoformat(), "tokens", value, who, dimensions=f'{{"region":"{region}"}}')
    billed = acme.bill("2024-01-31", "2024-02-01")
    assert billed.problems.is_empty()
    found = dict(billed.lines.select("customer", "amount_minor").iter_rows())
    answers = list(answer([_asked(case) for case in batch]))
    for number, expected in enumerate(answers):
        assert isinstance(expected, dict), expected.as_json()
        shown = int(expected["amount_rounded"].replace(".", ""))
        assert found[f"c{number}"] == shown, (batch[number], expected)
