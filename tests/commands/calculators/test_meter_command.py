from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.effort import at_most
from valueverse.commands.calculators.ndjson import run_calculator
from valueverse.services.calculators.meter import meter_documents

if TYPE_CHECKING:
    from pathlib import Path

JANUARY = {"from": "2026-01-01", "to": "2026-02-01"}


@pytest.fixture
def answered(tmp_path: Path) -> Any:
    def run(*lines: Any) -> tuple[int, list[dict[str, Any]]]:
        file = tmp_path / "lines.ndjson"
        file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
        out = io.StringIO()
        code = run_calculator(meter_documents, file, out)
        return code, [json.loads(line) for line in out.getvalue().splitlines()]

    return run


def line(meter: dict[str, Any], *events: tuple[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "id": "x",
        "meter": meter,
        "period": JANUARY,
        **more,
        "events": [{"id": str(n), "time": when, "data": data} for n, (when, data) in enumerate(events)],
    }


SEATS = {"aggregation": "unique_count", "value": "user", "operation": "op", "carry_over": True}


@pytest.mark.parametrize(
    ("asked", "quantity", "rows"),
    [
        (
            line(
                {"aggregation": "sum", "value": "v", "dimensions": ["r"]},
                ("2026-01-01", {"v": 1.5, "r": "a"}),
                ("2026-01-31T23:59:59Z", {"v": "2.25"}),
                ("2026-02-01", {"v": 9}),
            ),
            "3.75",
            [({"r": "a"}, "1.5"), ({}, "2.25")],
        ),
        (
            line(
                {"aggregation": "max", "value": "v", "dimensions": ["r"]},
                ("2026-01-05", {"v": 2, "r": "a"}),
                ("2026-01-06", {"v": 5, "r": "b"}),
            ),
            "5",
            [({"r": "a"}, "2"), ({"r": "b"}, "5")],
        ),
        (
            line({"aggregation": "count", "where": "r != 'x'"}, ("2026-01-05", {"r": "x"}), ("2026-01-05", {})),
            "1",
            [({}, "1")],
        ),
        (
            line({"aggregation": "avg", "value": "v"}, ("2026-01-05", {"v": 1}), ("2026-01-06", {"v": 2})),
            "1.5",
            [({}, "1.5")],
        ),
        (line({"aggregation": "max", "value": "v"}), "0", []),
        (
            line({"aggregation": "weighted_sum", "value": "v"}, ("2026-01-16T12:00:00Z", {"v": 1})),
            "0.5",
            [({}, "0.5")],
        ),
        (
            line(
                {"aggregation": "weighted_sum", "value": "v", "carry_over": True},
                ("2025-12-16", {"v": 1}),
                ("2026-01-16T12:00:00Z", {"v": -1}),
                opening=2,
            ),
            "2.5",
            [({}, "2.5")],
        ),
        (line({"aggregation": "weighted_sum", "value": "v"}, opening="3"), "3", [({}, "3")]),
        (
            line(
                SEATS,
                ("2026-01-02", {"user": "z", "op": "remove"}),
                ("2026-01-10", {"user": "a"}),
                opening=["z", "y"],
            ),
            "2",
            [({}, "2")],
        ),
        (
            line(
                SEATS,
                ("2026-01-10", {"user": "a"}),
                ("2026-01-12T05:00:00Z", {"user": "a", "op": "remove"}),
                ("2026-01-12T07:00:00Z", {"user": "a"}),
                ("2026-01-13", {"user": "a", "op": "remove"}),
                ("2026-01-02", {"user": "z", "op": "remove"}),
                opening=["z"],
                prorate="day",
                round_prorated=5,
            ),
            "0.19355",
            [({}, "0.19355")],
        ),
        (
            line(
                SEATS,
                ("2025-12-10", {"user": "a"}),
                ("2025-12-20", {"user": "a", "op": "remove"}),
                ("2026-01-02", {"user": "z", "op": "remove"}),
                prorate="day",
            ),
            "0",
            [({}, "0")],
        ),
        (
            line(
                {"aggregation": "sum", "value": "v", "carry_over": True},
                ("2026-01-31T05:00:00Z", {"v": 31}),
                opening=10,
                prorate="day",
            ),
            "11",
            [({}, "11")],
        ),
        (
            line(
                {
                    "aggregation": "sum",
                    "value": "v",
                    "rounding": {"mode": "up", "places": -1},
                    "dimensions": ["r"],
                },
                ("2026-01-05", {"v": 1, "r": "a"}),
                ("2026-01-05", {"v": 2, "r": "b"}),
            ),
            "10",
            [({"r": "a"}, "10"), ({"r": "b"}, "10")],
        ),
    ],
)
def test_a_line_is_answered_with_its_quantity(answered: Any, asked: Any, quantity: str, rows: Any) -> None:
    code, (answer,) = answered(asked)
    assert code == 0
    assert answer == {
        "id": "x",
        "quantity": quantity,
        "rows": [{"dimensions": dimensions, "quantity": part} for dimensions, part in rows],
    }


def test_bare_dates_are_local_midnight(answered: Any) -> None:
    asked = line(
        {"aggregation": "sum", "value": "v"},
        ("2026-03-01T00:00:00+01:00", {"v": 1}),
        ("2026-03-31T22:00:00Z", {"v": 10}),
        ("2026-03-31", {"v": 100}),
    )
    asked |= {"period": {"from": "2026-03-01", "to": "2026-04-01"}, "timezone": "Europe/Berlin"}
    assert answered(asked)[1][0]["quantity"] == "101"


def test_a_partial_period_is_divided_by_the_full_one(answered: Any) -> None:
    asked = line({"aggregation": "weighted_sum", "value": "v"}, ("2026-01-17", {"v": 31}))
    asked |= {"period": {"from": "2026-01-17", "to": "2026-02-01"}, "full_period": JANUARY}
    assert answered(asked)[1][0]["quantity"] == "15"


def test_unreadable_events_are_listed_and_the_others_count(answered: Any) -> None:
    asked = line(
        {"aggregation": "sum", "value": "v"},
        ("2026-01-05", {"v": True}),
        ("2026-01-05", {"v": 2}),
        ("2026-01-05", {}),
    )
    _, (answer,) = answered(asked)
    assert answer["quantity"] == "2"
    assert answer["unbilled"] == [{"id": "0", "reason": "no_value"}, {"id": "2", "reason": "no_value"}]


def sent(name: str, value: int, **more: Any) -> dict[str, Any]:
    return {"id": name, "time": "2026-01-05T10:00:00Z", "data": {"v": value, "r": "a"}, **more}


@pytest.mark.parametrize(
    ("events", "quantity", "quarantined"),
    [
        ([sent("a", 5), sent("a", 5)], "5", None),
        (
            [sent("a", 5), {**sent("a", 5), "data": {"r": "a", "v": 5.0}, "time": "2026-01-05T11:00:00+01:00"}],
            "5",
            None,
        ),
        ([sent("a", 5), sent("a", 6)], "5", [{"id": "a", "reason": "conflict"}]),
        (
            [sent("a", 5, received_at="2026-01-07T00:00:00Z"), sent("a", 6, received_at="2026-01-06T00:00:00Z")],
            "6",
            [{"id": "a", "reason": "conflict"}],
        ),
        ([sent("a", 5, source="one"), sent("a", 5, source="two")], "10", None),
        ([{name: part for name, part in sent("a", 5).items() if name != "id"}] * 2, "10", None),
    ],
)
def test_two_events_with_one_source_and_id_count_once_and_the_first_received_wins(
    answered: Any, events: list[dict[str, Any]], quantity: str, quarantined: Any
) -> None:
    _, (answer,) = answered({**line({"aggregation": "sum", "value": "v"}), "events": events})
    assert (answer["quantity"], answer.get("quarantined")) == (quantity, quarantined)


COUNT = {"aggregation": "count"}


@pytest.mark.parametrize(
    ("asked", "code", "path"),
    [
        (line({"aggregation": "summ", "value": "v"}), "bad_meter", "meter.aggregation"),
        (line({"aggregation": "sum"}), "bad_meter", "meter"),
        (line({"aggregation": "sum", "value": "v +"}), "bad_meter", "meter.value"),
        (line({"aggregation": "count", "wher": "x"}), "bad_meter", "meter.wher"),
        (line(COUNT) | {"meter": 5}, "bad_meter", "meter"),
        (line(COUNT) | {"period": {"from": "2026-01-01"}}, "bad_period", "period"),
        (line(COUNT) | {"period": {"from": "2026-01-02", "to": "2026-01-01"}}, "bad_period", "period"),
        (line(COUNT, full_period={"from": "2026-01-02", "to": "2026-02-01"}), "bad_period", "full_period"),
        (line(COUNT, timezone="Mars/Base"), "unknown_timezone", "timezone"),
        (line(COUNT, ("yesterday", {})), "bad_time", "events[0].time"),
        (line(COUNT, ("2026-02-30", {})), "bad_time", "events[0].time"),
        (line(COUNT) | {"events": {}}, "bad_events", "events"),
        (line(COUNT) | {"events": [5]}, "bad_events", "events[0]"),
        (line(COUNT) | {"events": [sent("b", 1, replaces="a")]}, "bad_events", "events[0].replaces"),
        (line({"aggregation": "sum", "value": "v", "carry_over": "no"}), "bad_meter", "meter.carry_over"),
        (line(COUNT, perod=JANUARY), "unknown_field", "perod"),
        (line(COUNT, opening=5), "bad_opening", "opening"),
        (line({"aggregation": "sum", "value": "v"}, opening="1e13"), "out_of_range", "opening"),
        (line(SEATS, opening=5), "bad_opening", "opening"),
        (line({"aggregation": "sum", "value": "v"}, opening="x"), "not_a_number", "opening"),
        (line(COUNT, prorate="day"), "bad_proration", "prorate"),
        (line({"aggregation": "sum", "value": "v"}, prorate="week"), "bad_proration", "prorate"),
        (
            line({"aggregation": "sum", "value": "v"}, prorate="day", round_prorated=1.5),
            "bad_proration",
            "round_prorated",
        ),
        (
            '{"id": "x", "meter": {"aggregation": "count"}, "period": 0.12345678901234567}',
            "inexact_number",
            "period",
        ),
        ('{"id": "x"', "malformed", ""),
    ],
)
def test_a_bad_line_is_answered_and_the_next_one_still_is(answered: Any, asked: Any, code: str, path: str) -> None:
    exit_code, (bad, good) = answered(asked, line(COUNT, ("2026-01-05", {})) | {"id": "y"})
    assert exit_code == 1
    assert (bad["error"]["code"], bad["error"]["path"]) == (code, path)
    assert good == {"id": "y", "quantity": "1", "rows": [{"dimensions": {}, "quantity": "1"}]}


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ({"id": "\ud800", "time": "2026-01-05"}, "events[0].id"),
        ({"id": "a", "time": "2026-01-05", "data": {"v": "\ud83d"}}, "events[0].data.v"),
        ({"id": "a", "time": "2026-01-05", "data": {"\udc00": {}}}, "events[0].data.\udc00"),
    ],
)
def test_half_a_character_spoils_its_own_line_only(answered: Any, event: dict[str, Any], path: str) -> None:
    whole = {"id": "\U0001f600", "time": "2026-01-05", "data": {"\U0001f600": 1}}
    code, (bad, good) = answered({**line(COUNT), "events": [event]}, {**line(COUNT), "id": "y", "events": [whole]})
    assert code == 1
    assert (bad["error"]["code"], bad["error"]["path"]) == ("malformed", path)
    assert good["quantity"] == "1"


def test_a_line_out_of_range_stops_no_other(answered: Any) -> None:
    big = line({"aggregation": "weighted_sum", "value": "v"}, ("1600-01-01", {"v": "999999999999"}))
    big["period"] = {"from": "1600-01-01", "to": "2000-01-01"}
    code, (bad, good) = answered(big, line(COUNT) | {"id": "y"})
    assert code == 1
    assert bad["error"]["code"] == "out_of_range"
    assert good["quantity"] == "0"


def test_many_lines_with_meters_of_their_own_are_quick(answered: Any) -> None:
    lines = [
        line({"aggregation": "sum", "value": f"v{n}"}, ("2026-01-05", {f"v{n}": n})) | {"id": n} for n in range(300)
    ]
    with at_most(600):
        _, found = answered(*lines)
    assert [answer["quantity"] for answer in found] == [str(n) for n in range(300)]
