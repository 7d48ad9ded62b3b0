from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.effort import at_most
from tests.support.laws import law
from valueverse.errors import RefusalError
from valueverse.formula import (
    compile_amount,
    compile_condition,
    compile_value,
    extract,
    number_from_text,
    parse,
    parse_path,
    paths_in,
)
from valueverse.schemas.types import EXACT

D = Decimal


def value(text: str, *data: Any) -> list[Decimal | None]:
    return _evaluated(text, compile_value(text), data)


def condition(text: str, *data: Any) -> list[bool]:
    return _evaluated(text, compile_condition(text), data)


def _evaluated(text: str, compiled: pl.Expr, data: tuple[Any, ...]) -> list[Any]:
    rows = pl.DataFrame({"data": [item if isinstance(item, str) else json.dumps(item) for item in data]})
    return rows.with_columns(extract("data", paths_in(text))).with_columns(compiled.alias("x"))["x"].to_list()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("-2^2", "-4"),
        ("2 ^ 3", "8"),
        ("10 / 4", "2.5"),
        ("1 / 3", "0.333333333333333333"),
        ("2 / 3", "0.666666666666666667"),
        ("0.1 + 0.2", "0.3"),
        ("7 - 2 - 1", "4"),
        ("max(1, 5, 3)", "5"),
        ("min(1, -5, 3)", "-5"),
        ("clip(12, 0, 10)", "10"),
        ("abs(-1.5)", "1.5"),
        ("floor(-1.5)", "-2"),
        ("ceil(-1.5)", "-1"),
        ("round(2.5)", "3"),
        ("round(-2.345, 2)", "-2.35"),
        ("if(1 < 2, 10, 20)", "10"),
        ("if(not (1 < 2) or false, 10, 20)", "20"),
        ("coalesce(missing, 4)", "4"),
        ("1e3", "1000"),
        (".5", "0.5"),
        ("+3", "3"),
    ],
)
def test_arithmetic_is_exact(text: str, expected: str) -> None:
    assert value(text, {}) == [D(expected)]


def test_a_path_reads_numbers_by_their_text() -> None:
    data = [
        '{"a":0.0030}',
        '{"a":"12.5"}',
        '{"a":1e3}',
        '{"a":-7}',
        '{"a":"1E-7"}',
        '{"a":"0.10000000000000000000"}',
    ]
    assert value("a", *data) == [D("0.003"), D("12.5"), D(1000), D(-7), D("1e-7"), D("0.1")]


@pytest.mark.parametrize(
    "data",
    [
        '{"a":true}',
        '{"a":null}',
        "{}",
        '{"a":""}',
        '{"a":"12 GB"}',
        '{"a":[1]}',
        '{"a":{"b":1}}',
        '{"a":"NaN"}',
        '{"a":"Infinity"}',
        '{"a":"0x10"}',
        '{"a":"1_000"}',
        '{"a":1e12}',
        '{"a":"1e999"}',
        '{"a":1e-19}',
        '{"a":"0.1234567890123456789"}',
    ],
)
def test_what_is_no_exact_number_is_missing(data: str) -> None:
    assert value("a", data) == [None]


def test_a_missing_value_makes_the_result_missing_and_never_zero() -> None:
    for text in ("a + b", "a * b", "max(a, b)", "min(a, b)", "clip(a, 0, b)", "if(b > 1, a, a)", "-b"):
        assert value(text, {"a": 5}) == [None], text


def test_division_by_zero_and_overflow_touch_their_own_row_only() -> None:
    assert value("a / b", {"a": 1, "b": 0}, {"a": 1, "b": 2}) == [None, D("0.5")]
    big = 999_999_999_999
    assert value("a * a * a", {"a": big}, {"a": 2}) == [None, D(8)]


def test_equality_takes_a_missing_value_for_another_value() -> None:
    assert condition("region != 'internal'", {"region": "internal"}, {"region": "eu"}, {}) == [
        False,
        True,
        True,
    ]
    assert condition("region == 'eu'", {"region": "eu"}, {}) == [True, False]
    assert condition("region == null", {"region": "eu"}, {}) == [False, True]


def test_an_undecided_condition_is_false_however_it_is_turned() -> None:
    assert condition("a > 3", {"a": 5}, {"a": 2}, {}) == [True, False, False]
    assert condition("not (a > 3)", {"a": 5}, {"a": 2}, {}) == [False, True, False]


def test_comparison_takes_the_kind_of_its_known_side() -> None:
    assert condition("tier == '1'", {"tier": 1}, {"tier": "1"}) == [True, True]
    assert condition("tier == 1", {"tier": 1.0}, {"tier": "1"}, {"tier": "x"}) == [True, True, False]
    assert condition("ok == true", {"ok": True}, {"ok": False}, {"ok": "yes"}) == [True, False, False]
    assert condition("ok and a.b >= 2", {"ok": True, "a": {"b": 2}}, {"ok": True, "a": 5}) == [True, False]
    assert condition("day >= '2026-02-01'", {"day": "2026-01-31"}, {"day": "2026-02-01"}) == [False, True]


def test_odd_names_are_in_backticks() -> None:
    assert value("`out-tokens` + usage.`in tokens`", {"out-tokens": 1, "usage": {"in tokens": 2}}) == [D(3)]


@pytest.mark.parametrize(
    ("text", "message_part"),
    [
        ("a +", "not the end, at character 4"),
        ("a = 5", "write '=='"),
        ("1 < 2 < 3", "do not chain"),
        ("exp(a)", "exact"),
        ("2 ^ a", "whole exponent"),
        ("2 ^ 99", "whole exponent"),
        ("nope(1)", "unknown function"),
        ("a[0]", "'['"),
        ("__import__('os').system('x')", "not understood"),
        ("lambda x: x", "not understood"),
        ("'a' + 1", "a number is expected"),
        ("a > 1", "a number is expected"),
        ("if(a, 1)", "takes 3 arguments"),
        ("max(x=1)", "by place"),
        ("1e99", "out of range"),
        ("1e999999999", "out of range"),
        ("", "not the end"),
        ("(1", "')' is expected"),
        ("`a'b`", "not understood"),
    ],
)
def test_a_wrong_formula_is_refused_where_it_is_wrong(text: str, message_part: str) -> None:
    with pytest.raises(RefusalError) as caught:
        compile_value(text)
    assert caught.value.code == "bad_formula"
    assert message_part in caught.value.message


@pytest.mark.security
@pytest.mark.parametrize(
    "text",
    [
        "(" * 1_000 + "1" + ")" * 1_000,
        "1" * 1_000_000,
        "-" * 4_000 + "1",
        "not " * 1_000 + "a",
        "*".join("a" * 64),
        "max(" * 40 + "a" + ", 2)" * 40,
        "max(" + ", ".join(["a * a * a"] * 60) + ")",
        "^" * 4_000,
        "'" * 4_095,
        "a." * 2_000 + "a",
        "+".join("1" * 2_000),
        "9" * 4_000,
    ],
)
def test_a_hostile_formula_is_refused_at_once(text: str) -> None:
    with at_most(100), pytest.raises(RefusalError):
        compile_value(text)


def test_amounts_know_their_variables() -> None:
    rows = pl.DataFrame({"quantity": [D(7), D("2.5")]}, schema={"quantity": EXACT})
    amounts = rows.select(compile_amount("max(quantity - 5, 0) * 0.3", ["quantity"]))
    assert amounts.to_series().to_list() == [D("0.6"), D(0)]
    assert amounts.schema["quantity"] == EXACT
    with pytest.raises(RefusalError, match="did you mean 'quantity'"):
        compile_amount("quantty * 2", ["quantity"])


@pytest.mark.parametrize("path", ["", "a b", "a..b", ".a", "a.", "a'b", "$", "a[0]", "a" * 300, ".".join("a" * 20)])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(RefusalError) as caught:
        parse_path(path)
    assert caught.value.code == "bad_path"


@law(100)
@given(st.text(max_size=60))
def test_any_text_is_either_read_or_refused(text: str) -> None:
    code = "read"
    try:
        parse(text)
    except RefusalError as refusal:
        code = refusal.code
    assert code in {"read", "bad_formula"}


@law(100)
@given(st.decimals(min_value=-(10**11), max_value=10**11, places=18, allow_nan=False))
def test_a_number_survives_its_text(number: Decimal) -> None:
    texts = pl.DataFrame({"t": [format(number, "f"), format(number, "e")]})
    assert texts.select(number_from_text(pl.col("t"))).to_series().to_list() == [number, number]


_LEAVES = st.integers(-50, 50).map(lambda n: f"({n})")
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
    max_leaves=8,
)


@law(60)
@given(_TREES)
def test_whole_number_arithmetic_agrees_with_python(text: str) -> None:
    expected = eval(text)
    if abs(expected) < 10**12:
        assert value(text, {}) == [D(expected)]
