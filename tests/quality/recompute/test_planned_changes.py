"""Changes that wait for a period's end: billing, the recomputation and a plain fold over what was stated agree."""

from __future__ import annotations

import json
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from itertools import permutations
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quality.recompute.catalog_flattening import flatten
from quality.recompute.lines import EVERY_LINE
from quality.recompute.macros import MACROS
from quality.recompute.states import stated_overrides, statements_of
from quality.recompute.stretches import STRETCHES
from tests.support.laws import law
from tests.support.ledger import World

MONTHS = {"month": 1, "quarter": 3, "year": 12}
PERIODS = {
    ("mini", 1): ("month", "calendar"),
    ("mini", 2): ("month", "calendar"),
    ("pro", 1): ("month", "anniversary"),
    ("pro", 2): ("year", "calendar"),
    ("max", 1): ("quarter", "anniversary"),
    ("max", 2): ("quarter", "anniversary"),
}
FEES = [{"key": key, "unit_amount": "9"} for key in ("seats", "desks")]
CATALOG = {
    "plans": [
        {"key": plan, "version": version, "period": {"unit": unit, "align": align}, "fees": FEES}
        for (plan, version), (unit, align) in PERIODS.items()
    ]
}
ZONES = ("UTC", "Europe/Berlin", "America/New_York")
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
PARTS: dict[str, tuple[Any, ...]] = {
    "plan": ("mini", "pro", "max"),
    "plan_version": (1, 2),
    "overrides": tuple({"fees": [{"key": "seats", "unit_amount": price}]} for price in "56"),
    "quantities": ({"seats": 3}, {"seats": 7}, {"desks": 2}),
}
KNOWN_AT = [FIRST + timedelta(days=days) for days in (150, 400)]
State = dict[str, Any]
Moment = tuple[str, datetime, datetime]


def drawn_life(draw: Random) -> dict[str, Any]:
    """A subscription: its start, and changes with what they state, when, and from when until when that is known."""
    first = {"plan": draw.choice(PARTS["plan"]), "timezone": draw.choice(ZONES)}
    first |= {name: draw.choice(PARTS[name]) for name in ("overrides", "quantities") if draw.random() < 0.3}
    changes = []
    for _ in range(draw.randint(0, 6)):
        at = FIRST + timedelta(hours=draw.randint(40 * 24, 160 * 24))
        received = at + timedelta(days=draw.choice([0, 0, 0, 20, 60]))
        until = draw.choice([None, None, None, received + timedelta(days=30)])
        stated = {name: draw.choice(PARTS[name]) for name in draw.sample(sorted(PARTS), draw.choice([1, 1, 2]))}
        waits = draw.random() < 0.5
        changes.append({"at": at, "received": received, "until": until, "waits": waits, "stated": stated})
    start = FIRST + timedelta(days=draw.randint(0, 39), hours=draw.randint(0, 23))
    return {"at": start, "first": first, "changes": changes}


def period_end(plan: str, version: int, first_day: date, zone: ZoneInfo, at: datetime) -> datetime:
    """The local midnight at which the period ends that runs at an instant."""
    unit, align = PERIODS[plan, version]
    step, month = MONTHS[unit], first_day.year * 12 + first_day.month - 1
    month -= month % step if align == "calendar" else 0
    end = datetime.min.replace(tzinfo=UTC)
    while end <= at:
        month += step
        named = date(month // 12, month % 12 + 1, 1)
        last = monthrange(named.year, named.month)[1]
        day = named if align == "calendar" else named.replace(day=min(first_day.day, last))
        end = datetime.combine(day, time(), zone).astimezone(UTC)
    return end


def folded(life: dict[str, Any], known_at: datetime) -> list[tuple[datetime, State]]:
    """The law (decision 1697): from when on a subscription has which plan, version, overrides and quantities."""
    zone = ZoneInfo(life["first"]["timezone"])
    first_day = life["at"].astimezone(zone).date()
    first = life["first"]
    running = {"plan": first["plan"], "version": 2, "overrides": first.get("overrides")}
    running["quantities"] = first.get("quantities")
    states = [(life["at"], running)]
    planned: State = {}
    due = None
    known = [
        (number, one)
        for number, one in enumerate(life["changes"])
        if one["received"] <= known_at and (one["until"] is None or one["until"] > known_at)
    ]
    for _, one in sorted(known, key=lambda known: (known[1]["at"], known[1]["received"], f"{known[0]:02}")):
        at, stated = one["at"], one["stated"]
        if due is not None and due <= at:
            running = running | planned
            states.append((due, running))
            planned, due = {}, None
        another = planned.get("plan", running["plan"]) != running["plan"]
        parts = parts_of(stated, (running | planned if one["waits"] else running)["plan"])
        if one["waits"]:
            due = due or period_end(running["plan"], running["version"], first_day, zone, at)
            planned |= parts
            continue
        of_that_plan = {"plan", "version", "overrides"} if another and "plan" not in stated else set()
        planned = {part: what for part, what in planned.items() if part not in parts or part in of_that_plan}
        schedules = [PERIODS[state["plan"], state["version"]] for state in (running, running | parts)]
        running = running | parts
        states.append((at, running))
        due = (due if schedules[0] == schedules[1] else at) if planned else None
    return states if due is None else [*states, (due, running | planned)]


def different(states: list[tuple[datetime, State]]) -> list[tuple[datetime, State]]:
    """The last state of each instant, where it differs from the one before."""
    lasting = list(dict(states).items())
    return [one for place, one in enumerate(lasting) if not place or one[1] != lasting[place - 1][1]]


def parts_of(stated: State, plan: str) -> State:
    """What a change states: version and overrides are parts of a plan, and begin again with it."""
    parts = {name: stated[name] for name in ("overrides", "quantities") if name in stated}
    if "plan" in stated or "plan_version" in stated:
        version = stated.get("plan_version", 2)
        parts |= {"plan": stated.get("plan", plan), "version": version, "overrides": stated.get("overrides")}
    return parts


def described(plan: str, version: int | None, overrides: str | None, quantities: str | None) -> State:
    """A state as the law gives it, of texts; the newest version is the second."""
    texts = {"overrides": overrides, "quantities": quantities}
    return {"plan": plan, "version": version or 2} | {
        name: json.loads(text) if text else None for name, text in texts.items()
    }


def recorded(lives: dict[str, dict[str, Any]]) -> World:
    """The events of lives by subscription, each of a customer of its own."""
    world = World(CATALOG, published="2023-01-01")
    for name, life in lives.items():
        world.start(life["at"].isoformat(), subscription=name, customer=name, **life["first"])
        for number, one in enumerate(life["changes"]):
            data = {"subscription": name} | one["stated"] | ({"effective": "period_end"} if one["waits"] else {})
            more = {"received_at": one["received"], "known_until": one["until"], "id": f"{name}{number:02}"}
            world.record("subscription.changed", one["at"].isoformat(), data, **more)
    return world


def recomputed(world: World, lines: pl.DataFrame) -> dict[Moment, State]:
    """The state of each line by subscription, known_at and service_from, as the release gate works it out in SQL.

    Args:
        world: what was stated.
        lines: subscription, known_at, service_from, timezone, anchor.
    """
    stated = statements_of(world.facts_frame())
    texts = pl.col("known_at", "service_from", "anchor").cast(pl.String)
    always = {"tenant": "acme", "invoice_id": "i", "kind": "fee", "charge": "f", "early": "false", "so_far": "false"}
    always |= {"currency": "USD"}
    booked = lines.with_row_index("line_id").with_columns(
        texts, pl.col("service_from").cast(pl.String).alias("service_to"), pl.lit("1").alias("booked_amount"),
        pl.col("subscription").alias("customer"), *(pl.lit(value).alias(name) for name, value in always.items()),
    )  # fmt: skip
    holder = ("tenant", "customer", "subscription", "timezone", "anchor", "started_at", "ended_at")
    published = {"tenant": "acme", "catalog_hash": "h", "valid_from": "2023-01-01T00:00:00Z", "valid_to": "infinity"}
    frames = {
        "statements": stated,
        "booked_lines": booked,
        "currencies": pl.DataFrame({"currency": ["USD"], "places": [2]}),
        "moved": pl.DataFrame(schema=dict.fromkeys(holder[:2], pl.String)),
        "subscriptions": pl.DataFrame(schema=dict.fromkeys(holder, pl.String)),
        "published_catalogs": pl.DataFrame([published]),
        "plans": flatten({"h": world.facts[0]["data"]}, stated_overrides(stated).rows())["plans"],
    }
    with duckdb.connect() as connection:
        connection.execute("set timezone to 'UTC'")
        for name, frame in frames.items():
            connection.register(name, frame.to_arrow())
        for statement in (MACROS, EVERY_LINE, STRETCHES):
            connection.execute(statement)
        found = connection.execute(
            "select subscription, known_at, service_from, plan, version, overrides, quantities from line_states"
        ).fetchall()
    assert len(found) == len({row[:3] for row in found})
    return {row[:3]: described(*row[3:]) for row in found}


@law(20)
@given(st.integers(0, 10**9))
def test_a_change_now_withdraws_of_what_is_planned_the_parts_that_it_states(seed: int) -> None:
    draw = Random(seed)
    lives = {f"s{number:02}": drawn_life(draw) for number in range(40)}
    world, frames = recorded(lives), []
    expected: dict[Moment, State] = {}
    for known_at in KNOWN_AT:
        timeline = world.timeline(known_at.isoformat())
        assert timeline.rejected.is_empty()
        frames.append(timeline.segments.with_columns(pl.lit(known_at).alias("known_at")))
        for name, life in lives.items():
            law_says = different(folded(life, known_at))
            columns = ("from", "plan", "plan_version", "overrides", "quantities")
            segments = timeline.segments.filter(pl.col("subscription") == name).select(columns)
            assert different([(row[0], described(*row[1:])) for row in segments.rows()]) == law_says, life
            expected |= {(name, known_at, begins): state for begins, state in law_says}
            # up to the very end of each state
            ends = zip(law_says[1:], law_says, strict=False)
            expected |= {(name, known_at, end - timedelta(microseconds=1)): state for (end, _), (_, state) in ends}
    asked = pl.DataFrame(list(expected), ["subscription", "known_at", "service_from"], orient="row")
    held = pl.concat(frames).select("subscription", "timezone", "anchor").unique()
    lines = asked.join(held, on="subscription").select("subscription", "known_at", "service_from", "timezone", "anchor")
    assert recomputed(world, lines) == expected


@pytest.mark.parametrize("names", list(permutations(["x2", "y0", "z1"])))
def test_of_changes_at_one_instant_by_several_sources_both_take_the_same_last(names: tuple[str, ...]) -> None:
    plans = [{"key": key, "period": {"align": "calendar"}, "fees": [{"key": "base", "amount": "1"}]} for key in "abc"]
    acme = World({"plans": plans})
    acme.start("2024-01-01", plan="a")
    for name, plan in zip(names, "bca", strict=True):
        data = {"subscription": "s1", "plan": plan}
        acme.record("subscription.changed", "2024-02-01", data, source=name[0], id=name[1])
    segments = acme.timeline().segments.sort("from")
    assert statements_of(acme.facts_frame())["plan"][-1] == segments["plan"][-1]
