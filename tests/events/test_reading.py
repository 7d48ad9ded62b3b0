"""Lines and rows become attributes; what no column could hold unchanged is refused with its place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from valueverse.events.reading import read_lines, read_rows

EVENT = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "meter-7",
    "type": "llm.request",
    "subject": "c-1",
    "time": "2024-01-31T09:30:00Z",
}


def _line(data: str = '{"n":1}', **more: Any) -> str:
    return json.dumps(EVENT | more)[:-1] + f',"data":{data}}}'


def _read(*lines: str) -> list[dict[str, Any]]:
    frame = pl.DataFrame({"line": range(1, len(lines) + 1), "raw": lines}, schema={"line": pl.Int64, "raw": pl.String})
    return read_lines(frame).to_dicts()


@pytest.mark.parametrize(
    ("line", "reason", "path", "message"),
    [
        ("{", "malformed", "", "not JSON"),
        ("null", "malformed", "", "one JSON object"),
        ("[1]", "malformed", "", "one JSON object"),
        (_line() + "x", "malformed", "", "not JSON"),
        (_line("{}", id=5), "malformed", "id", "'id' must be a string, not 5"),
        (_line("[1]"), "malformed", "data", "'data' must be a JSON object"),
        (_line('"{}"'), "malformed", "data", "'data' must be a JSON object"),
        (_line("7"), "malformed", "data", "'data' must be a JSON object"),
        (_line('{"n":1,"n":2}'), "malformed", "", "the key 'n' stands twice"),
        (_line('{"n":1,"\\u006e":2}'), "malformed", "", "the key 'n' stands twice"),
        (_line()[:-1] + ',"id":"e-2"}', "malformed", "", "the key 'id' stands twice"),
        (_line('{"n":NaN}'), "malformed", "", "not JSON"),
        (_line('{"n":01}'), "malformed", "", "not JSON"),
        (_line('{"t":"a\\u0000b"}'), "malformed", "data.t", "NUL"),
        (_line('{"t":"a\x00b"}'), "malformed", "", "NUL"),
        (_line('{"t":["\\ud800"]}'), "malformed", "data.t[0]", "half a surrogate pair"),
        (_line('{"t":' + "[" * 101 + "]" * 101 + "}"), "malformed", None, "nested more than 100 levels deep"),
        (_line('{"t":' + "[" * 90_000 + "}"), "malformed", "", "nested"),
        (_line('{"a":[{"n":0.1234567890123456}]}'), "inexact_number", "data.a[0].n", "write it as a string"),
        (_line('{"n":1234567890123.456}'), "inexact_number", "data.n", "1234567890123.456"),
        (_line('{"n":1000000000000}'), "out_of_range", "data.n", "10^12 or more"),
        (_line('{"n":-1e12}'), "out_of_range", "data.n", "10^12 or more"),
        (_line('{"n":1e999999999999999999999}'), "out_of_range", "data.n", "10^12 or more"),
        (_line('{"n":1e-19}'), "out_of_range", "data.n", "more than 18 decimals"),
        (_line('{"n":0.0000000000000000001}'), "out_of_range", "data.n", "more than 18 decimals"),
    ],
)
def test_a_bad_line_is_refused_with_its_place_and_keeps_what_can_be_read(
    line: str, reason: str, path: str | None, message: str
) -> None:
    before, bad, after = _read(_line(), line, _line(id="e-3"))
    assert (before["reason"], after["reason"]) == (None, None)
    assert bad["reason"] == reason
    assert message in bad["message"]
    assert path is None or bad["path"] == path
    if '"source"' in line:
        assert (bad["source"], bad["type"]) == ("meter-7", "llm.request")


@pytest.mark.parametrize(
    "number",
    [
        "123456789012345",
        "0.123456789012345",
        "999999999999.999",
        "1e-18",
        "1E3",
        "-0",
        "0e999999999",
        "0.0000000000000001",
    ],
)
def test_numbers_of_fifteen_significant_digits_are_taken_by_value(number: str) -> None:
    if number == "123456789012345":
        assert _read(_line(f'{{"n":{number}}}'))[0]["reason"] == "out_of_range"
        return
    (row,) = _read(_line(f'{{"n":{number}}}'))
    assert row["reason"] is None
    assert json.loads(row["data"], parse_float=Decimal, parse_int=Decimal)["n"] == (
        Decimal(0) if number.startswith("0e") else Decimal(number)
    )


def test_strings_are_exact_whatever_their_length() -> None:
    (row,) = _read(_line('{"n":"12345678901.123456789012345678"}'))
    assert json.loads(row["data"]) == {"n": "12345678901.123456789012345678"}


@pytest.mark.parametrize(
    "data",
    [
        '{"a":{"b":[1,{"c":null}],"d":"}\\"{"}}',
        '{ "t" : "x,\\"data\\":{}" }',
        '{"data":{"data":{"n":1}}}',
        '{"é":"ü"}',
        "{}",
    ],
)
@pytest.mark.parametrize("last", [True, False])
def test_data_is_stored_by_its_meaning_wherever_it_stands(data: str, last: bool) -> None:
    line = _line(data) if last else '{"data":' + data + "," + json.dumps(EVENT)[1:]
    (row,) = _read(line)
    assert row["reason"] is None
    assert json.loads(row["data"]) == json.loads(data)


def test_blank_lines_and_carriage_returns_are_no_events() -> None:
    assert [row["line"] for row in _read("", " \t", _line() + "\r", "\r")] == [3]


def test_one_bad_line_does_not_change_how_ten_thousand_others_are_read() -> None:
    lines = [_line(f'{{"n":{n}}}', id=f"e-{n}") for n in range(10_000)]
    whole = _read(*lines)
    lines[777] = lines[777][:-1]
    spoilt = _read(*lines)
    assert [row["line"] for row in spoilt if row["reason"]] == [778]
    assert [row for row in spoilt if row["line"] != 778] == [row for row in whole if row["line"] != 778]


def test_absent_and_null_data_are_both_null() -> None:
    absent, null = _read(json.dumps(EVENT), _line("null"))
    assert (absent["data"], null["data"], absent["reason"], null["reason"]) == (None, None, None, None)


def _rows(**columns: Any) -> list[dict[str, Any]]:
    size = len(next(iter(columns.values())))
    shared = {name: [value] * size for name, value in EVENT.items() if name not in columns}
    return read_rows(pl.DataFrame({"line": range(1, size + 1)} | shared | columns)).to_dicts()


def test_rows_may_carry_data_as_text() -> None:
    good, long, void, no_object, broken = _rows(data=['{"n":1.50}', '{"n":0.1234567890123456}', None, "[1]", '{"n":1'])
    assert (good["data"], good["reason"]) == ('{"n":1.50}', None)
    assert (long["reason"], long["path"]) == ("inexact_number", "data.n")
    assert (void["data"], void["reason"]) == (None, None)
    assert (no_object["reason"], no_object["path"]) == ("malformed", "data")
    assert (broken["reason"], broken["path"]) == ("malformed", "data")


def test_rows_may_carry_data_as_a_struct_whose_nulls_are_absent() -> None:
    exact, inexact = _rows(
        data=[
            {"price": Decimal("1.10"), "f": 0.1, "n": None, "in": {"k": None, "m": [1, 2]}},
            {"price": Decimal("2.20"), "f": 0.1 + 0.2, "n": 3, "in": None},
        ]
    )
    assert json.loads(exact["data"]) == {"price": "1.10", "f": 0.1, "in": {"m": [1, 2]}}
    assert (inexact["reason"], inexact["path"]) == ("inexact_number", "data.f")


def test_rows_may_carry_time_as_a_datetime() -> None:
    moment = datetime(2024, 1, 31, 9, 30, 0, 123456, UTC)
    (zoned,) = _rows(time=[moment], data=["{}"])
    (naive,) = _rows(time=[moment.replace(tzinfo=None)], data=["{}"])
    assert zoned["time"] == naive["time"] == "2024-01-31T09:30:00.123456Z"


def test_numbers_in_attribute_columns_are_read_as_text() -> None:
    (row,) = _rows(id=[42], data=["{}"])
    assert row["id"] == "42"


def test_nul_in_a_row_is_refused_where_it_stands() -> None:
    (row,) = _rows(subject=["a\x00b"], data=["{}"])
    assert (row["reason"], row["path"]) == ("malformed", "subject")
