"""Texts read by their shape come out as they do when each is read by itself."""

from __future__ import annotations

import json
import random
from typing import Any

import polars as pl
import pytest

from valueverse.events import reading
from valueverse.events.reading import read_lines, read_rows
from valueverse.events.shapes import flat_lines, flat_objects
from valueverse.events.strict import ENVELOPE_ATTRIBUTES

_VALUES = (
    "1", "-0", "0.5", "12.50", "1e3", "123456789012", "1234567890123", "0.12345678", "1234567.1234567", '"a"', '"é"',
    '"\\u00e9"', '"a:123456789012345"', "true", "null", '{"x":1}', "[1,2]", '"x\ty"', "01", '"{"', '"}"', '"a,"', '""',
    "1.", ".5", "NaN", "-", "+1", "00", "1 2",
)  # fmt: skip
_KEYS = ("n", "m", "k k", "a.b", "", "ü", "x\\u0022", "n+", "(m")


def _object(rng: random.Random) -> str:
    colon, comma = rng.choice([":", ": "]), rng.choice([",", " , "])
    members = (f'"{rng.choice(_KEYS)}"{colon}{rng.choice(_VALUES)}' for _ in range(rng.randrange(4)))
    return "{" + comma.join(members) + "}"


def _line(rng: random.Random) -> str:
    event = {
        "specversion": "1.0", "id": rng.choice(["e", "é", "a:1234567890123456", "{", "a,b"]), "source": "s",
        "type": rng.choice(["t", "billing.x"]), "subject": "c", "time": "2024-01-31T09:30:00Z",
    }  # fmt: skip
    members = [f'"{name}":{json.dumps(value)}' for name, value in event.items() if rng.random() < 0.95]
    members += [f'"ext":{rng.choice(_VALUES)}'] * (rng.random() < 0.2) + ['"id":"z"'] * (rng.random() < 0.05)
    data = rng.choice([_object(rng), '{"n":1}', '{"n":1,"m":"x"}', "null", "[1]"])
    members.insert(len(members) if rng.random() < 0.9 else 1, f'"data":{data}')
    return "{" + rng.choice([",", ", "]).join(members) + "}" + rng.choice(["", "", "", "x", " "])


def _values(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its ``data`` as values: a line that is doubtful for nothing has its spaces taken out."""
    return row | {"data": row["data"] and reading.parse_line(f'{{"data":{row["data"]}}}')["data"]}


@pytest.mark.parametrize("seed", range(6))
def test_lines_read_by_shape_say_what_they_say_one_by_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    texts = [_line(rng) for _ in range(200)]
    texts = texts if seed % 2 else texts[:4] * 40 + texts[:50]
    lines = pl.DataFrame({"line": range(1, len(texts) + 1), "raw": texts}, schema_overrides={"line": pl.Int64})
    by_shape = read_lines(lines).to_dicts()
    monkeypatch.setattr(reading, "flat_lines", lambda given: flat_lines(given).clear())
    assert [_values(row) for row in by_shape] == [_values(row) for row in read_lines(lines).to_dicts()]


@pytest.mark.parametrize("seed", range(6))
def test_data_judged_by_shape_is_judged_as_one_by_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    texts = [_object(rng) for _ in range(200)]
    rows = pl.DataFrame({"line": range(1, 201), "type": "t", "data": texts}, schema_overrides={"line": pl.Int64})
    by_shape = read_rows(rows)
    monkeypatch.setattr(reading, "flat_objects", lambda given: flat_objects(given) & False)
    assert by_shape.to_dicts() == read_rows(rows).to_dicts()


def test_a_file_of_a_few_shapes_is_read_by_them_alone() -> None:
    texts = pl.Series([f'{{"n":{n}.5,"k":"{n}"}}' if n % 3 else f'{{"m": true, "n": {n}}}' for n in range(300)])
    assert flat_objects(texts).all()


def test_what_a_shape_takes_keeps_its_text() -> None:
    text = '{"specversion":"1.0","id":"1","type":"t","data": {"n": 1.50,"k":"a b"} }'
    found = flat_lines(pl.DataFrame({"line": [1], "raw": [text]}))
    stated = {"line": 1, "raw": text, "specversion": "1.0", "id": "1", "type": "t", "data": '{"n": 1.50,"k":"a b"}'}
    assert found.to_dicts() == [dict.fromkeys(found.columns) | stated]
    assert found.columns == ["line", "raw", *ENVELOPE_ATTRIBUTES, "data"]


@pytest.mark.parametrize(
    "text",
    [
        '{"n":1,"n":2}', '{"n":{"m":1}}', '{"n":[1]}', '{"n":1000000000000}', '{"n":0.12345678}', '{"n":1e2}',
        '{"n":"\\n"}', '{"n":"a\tb"}', '{"":1}', '{"a\\u0022":1}', "{}", "[1]", "null", "1", "", '{"n":01}', '{"n":1}x',
    ],
)  # fmt: skip
def test_what_needs_a_closer_look_has_no_shape(text: str) -> None:
    assert not flat_objects(pl.Series([text])).any()
