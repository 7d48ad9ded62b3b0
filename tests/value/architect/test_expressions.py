"""Expressions: units judged, conversions written out, and every way to be refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.laws import law
from tests.support.value_models import compiled, only, refused
from valueverse.value.architect.language.expressions import expression_text
from valueverse.value.architect.language.units import Unit, UnitSystem

if TYPE_CHECKING:
    from valueverse.value.architect.program_ir import Node

INPUTS: dict[str, Any] = {
    "usd": {"unit": "USD/month", "value": 100},
    "usd_year": {"unit": "USD/year", "value": 1200},
    "eur": {"unit": "EUR/month", "value": 90},
    "rate": {"unit": "USD/EUR", "value": 1.1},
    "users_0": {"unit": "user", "value": 10},
    "tickets": {"unit": "ticket/month", "value": 5},
    "share": {"unit": "1", "value": 0.5},
    "part": {"unit": "percent", "value": 50},
    "x": {"dist": {"uniform": [0, 1]}},
    "plain": 3,
}


def node(expr: str, **variable: Any) -> Node:
    return compiled(inputs=INPUTS, variables={"v": {"expr": expr, **variable}}).node("v")


def problem(expr: str, **variable: Any) -> tuple[str, str]:
    found = only(refused(inputs=INPUTS, variables={"v": {"expr": expr, **variable}}))
    assert found.path == "variables.v.expr"
    return found.code, found.message


@pytest.mark.parametrize(
    ("expr", "unit", "text"),
    [
        ("usd + usd_year", "USD/month", "(usd + (usd_year * 0.0833333333333))"),
        ("usd_year - usd", "USD/year", "(usd_year - (usd * 12))"),
        ("usd + eur * rate", "USD/month", "(usd + (eur * rate))"),
        ("usd / tickets", "USD/ticket", "(usd / tickets)"),
        ("usd * 2 month", "USD", "(usd * 2)"),
        ("usd * 2", "USD/month", "(usd * 2)"),
        ("1 / usd", "month/USD", "(1 / usd)"),
        ("usd + 5", "USD/month", "(usd + 5)"),
        ("5 + usd", "USD/month", "(5 + usd)"),
        ("max(tickets, 0)", "ticket/month", "max(tickets, 0)"),
        ("max(0, tickets, 12 ticket/year)", "ticket/month", "max(0, tickets, (12 * 0.0833333333333))"),
        ("if(t > 6, usd, 0)", "USD/month", "if((t > 6), usd, 0)"),
        ("if(share, usd, usd_year)", "USD/month", "if((share != 0), usd, (usd_year * 0.0833333333333))"),
        ("clip(usd, 0, 600 USD/year)", "USD/month", "clip(usd, 0, (600 * 0.0833333333333))"),
        ("users_0 ^ 2", "user^2", "(users_0 ^ 2)"),
        ("users_0 ^ -1", "1/user", "(users_0 ^ -1)"),
        ("sqrt(users_0 * users_0)", "user", "sqrt((users_0 * users_0))"),
        ("exp(share)", "1", "exp(share)"),
        ("exp(part)", "1", "exp((part * 0.01))"),
        ("exp(usd / usd_year)", "1", "exp(((usd / usd_year) * 12))"),
        ("usd / usd_year > 0.5", "None", "if((((usd / usd_year) * 12) > 0.5), 1, 0)"),
        ("1 - usd / usd_year", "1", "(1 - ((usd / usd_year) * 12))"),
        ("1 - part", "1", "(1 - (part * 0.01))"),
        ("part + part", "percent", "(part + part)"),
        ("1000 * part", "None", "(1000 * (part * 0.01))"),
        ("usd * 6 month * 2 / (1 year) + 5", "USD/year", None),
        ("usd_year * 1 month + 5", "USD", "(((usd_year * 1) * 0.0833333333333) + 5)"),
        ("share ^ (t / 12)", "1", "(share ^ (t / 12))"),
        ("abs(-usd)", "USD/month", "abs(-usd)"),
        ("usd * (t > 6)", "USD/month", "(usd * if((t > 6), 1, 0))"),
        ("usd * (share > 0 and not (t > 6) or t == 9)", "USD/month", None),
        ("lookup(t, 1, usd, 6, 0)", "USD/month", "lookup(t, 1, usd, 6, 0)"),
        ("interpolate(usd, 0 USD/month, 0, 1200 USD/year, 1)", "None", "interpolate(usd, 0, 0, 100, 1)"),
        ("cumsum(tickets)", "ticket", "cumsum(v~1)"),
        ("cumsum(share)", "1", "cumsum(v~1)"),
        ("prev(usd, 2, usd_year)", "USD/month", "prev(usd, 2, (usd_year * 0.0833333333333))"),
        ("prev(usd * 2, k=3, init=0)", "USD/month", "prev(v~1, 3, 0)"),
        ("2 * pi * t", "None", "((2 * 3.14159265359) * t)"),
        ("x * share", "None", "(x * share)"),
        ("1000 * share", "None", "(1000 * share)"),
        ("ln(2) + log(2) + sin(pi()) + cos(t)", "None", None),
        ("2 ^ 3 ^ 2", "None", "(2 ^ (3 ^ 2))"),
        ("true", "None", "1"),
        ("`plain` + 1", "None", "(plain + 1)"),
    ],
)
def test_an_expression_has_a_unit_and_its_conversions_stand_in_it(expr: str, unit: str, text: str | None):
    found = node(expr)
    assert str(found.unit) == unit
    if text is not None:
        assert expression_text(found.expression) == text


@pytest.mark.parametrize(
    ("expr", "code", "texts"),
    [
        ("usd + eur", "unit_mismatch", ["USD/month", "EUR/month", "an input in USD/EUR", "'usd + eur'"]),
        ("tickets + users_0", "unit_mismatch", ["ticket/month", "user"]),
        ("usd > eur", "unit_mismatch", ["compares"]),
        ("if(t > 1, usd, users_0)", "unit_mismatch", ["chooses between"]),
        ("usd + usd * 1 month", "unit_mismatch", ["one is per time, the other is not"]),
        ("exp(users_0)", "unit_mismatch", ["exp", "user", "plain number"]),
        ("log(usd)", "unit_mismatch", ["USD/month"]),
        ("sin(tickets)", "unit_mismatch", ["ticket/month"]),
        ("users_0 ^ x", "unit_mismatch", ["exponent"]),
        ("2 ^ users_0", "unit_mismatch", ["user"]),
        ("cumsum(users_0)", "stock_summed", ["user", "user/month"]),
        ("cumsum(usd * 1 month)", "stock_summed", ["USD", "USD/month"]),
        ("prev(users_0, init=usd)", "unit_mismatch", ["user", "USD/month"]),
        ("lookup(usd, 1 user, 2)", "unit_mismatch", ["user", "USD/month"]),
        ("lookup(t, 1, usd, 2, users_0)", "unit_mismatch", ["USD/month", "user"]),
        ("if(usd, 1, 2)", "unit_mismatch", ["condition"]),
        ("usr + 1", "unknown_name", ["'usr'", "did you mean 'usd'"]),
        ("ticket * 2", "unknown_name", ["is a unit"]),
        ("usage.tokens", "unknown_name", ["usage.tokens"]),
        ("usd + 2 USD/yeer", "unknown_name", ["'yeer'", "did you mean the unit 'year'"]),
        ("usd + 5 usr", "bad_formula", ["'usr' is no unit that is known here"]),
        ("max(usd, 1 usr)", "bad_formula", ["'usr' is no unit that is known here"]),
        ("maxx(1, 2)", "unknown_function", ["did you mean 'max'"]),
        ("open('x')", "unknown_function", ["open"]),
        ("min()", "bad_formula", ["1 to 64"]),
        ("if(1, 2)", "bad_formula", ["3 arguments"]),
        ("exp(1, 2)", "bad_formula", ["1 arguments"]),
        ("max(1, k=2)", "bad_formula", ["no argument called 'k'"]),
        ("prev(usd)", "bad_formula", ["init=0"]),
        ("prev(usd, 0, 0)", "bad_formula", ["whole number of periods"]),
        ("prev(usd, 1.5, 0)", "bad_formula", ["whole number of periods"]),
        ("prev(usd, t, 0)", "bad_formula", ["whole number of periods"]),
        ("prev(usd, 1, init=1, k=2)", "bad_formula", ["twice"]),
        ("lookup(t, 1, 2, 3)", "bad_formula", ["pairs"]),
        ("lookup(t, 2, 1, 1, 2)", "bad_formula", ["rise"]),
        ("lookup(t, x, 1)", "bad_formula", ["written out"]),
        ("'text'", "bad_formula", ["no place"]),
        ("null", "bad_formula", ["null"]),
        ("usd +", "bad_formula", ["expected"]),
        ("usd = 3", "bad_formula", ["=="]),
        ("usd.__class__", "unknown_name", ["__class__"]),
        ("2 * 1e999", "out_of_range", ["range"]),
        ("usd[0]", "bad_formula", ["not understood"]),
        ("(" * 300 + "1" + ")" * 300, "bad_formula", ["levels deep"]),
        ("+".join("1" * 1500), "bad_formula", ["deep"]),
        ("1" * 5000, "bad_formula", ["too long"]),
        ("users_0^60 * users_0^60", "bad_unit", ["64"]),
    ],
)
def test_what_means_nothing_is_refused(expr: str, code: str, texts: list[str]):
    found, message = problem(expr)
    assert found == code
    for word in texts:
        assert word in message


def test_a_problem_points_at_the_operator_inside_the_text():
    problems = refused(inputs=INPUTS, variables={"v": {"expr": "1 + (usd + eur)"}})
    plain = refused(inputs=INPUTS, variables={"v": {"expr": "0"}, "w": {"expr": "usd + eur"}})
    assert only(problems).column - only(plain).column == len("1 + (")


def test_the_declared_unit_stays_and_is_converted_to():
    found = node("usd_year", unit="USD/month")
    assert str(found.unit) == "USD/month"
    assert expression_text(found.expression) == "(usd_year * 0.0833333333333)"


def test_a_declared_unit_of_another_dimension_is_refused_with_both():
    code, message = problem("usd * 2", unit="user")
    assert code == "unit_mismatch"
    assert "user" in message
    assert "USD/month" in message


def test_a_running_total_adds_the_amount_of_each_period():
    program = compiled(
        axis={"grain": "quarter", "periods": 4}, inputs=INPUTS, variables={"v": {"expr": "cumsum(tickets)"}}
    )
    assert expression_text(program.node("v~1").expression) == "(tickets * 3)"
    assert str(program.node("v").unit) == "ticket"


@pytest.mark.parametrize(
    ("grain", "expr", "text"),
    [
        ("month", "usd", "usd"),
        ("year", "usd", "(usd * 12)"),
        ("quarter", "usd", "(usd * 3)"),
        ("month", "usd_year", "(usd_year * 0.0833333333333)"),
        ("day", "usd_year", "(usd_year * 0.0027397260274)"),
        ("week", "70 USD/day", "(70 * 7)"),
        ("quarter", "100 USD/period", "100"),
        ("year", "100 USD", "100"),
        ("year", "100", "100"),
    ],
)
def test_drivers_and_costs_are_money_of_one_period(grain: str, expr: str, text: str):
    program = compiled(
        axis={"grain": grain, "periods": 2}, inputs=INPUTS, drivers={"d": {"expr": expr}}, costs={"c": {"expr": expr}}
    )
    assert expression_text(program.node("driver.d").expression) == text
    assert expression_text(program.node("cost.c").expression) == text
    assert str(program.node("driver.d").unit) == "USD"


@pytest.mark.parametrize("expr", ["users_0", "eur", "tickets", "share", "usd * usd", "usd_year * 1 month * 1 month"])
def test_what_is_no_money_of_the_model_drives_nothing(expr: str):
    for section in ("drivers", "costs"):
        found = only(refused(inputs=INPUTS, **{section: {"d": {"expr": expr}}}))
        assert (found.code, found.path) == ("unit_mismatch", f"{section}.d.expr")


def test_a_value_carries_its_unit_or_is_read_in_the_one_stated():
    program = compiled(
        inputs={"a": "60000 USD/year", "b": {"unit": "USD/month", "value": "60000 USD/year"}, "c": "2 * 3"},
        variables={"v": "a + b"},
    )
    assert [str(one.unit) for one in program.inputs] == ["USD/year", "USD/month", "None"]
    assert [one.source for one in program.inputs] == [60000, 5000, 6]
    assert only(refused(inputs={"a": {"unit": "USD", "value": "5 EUR"}})).code == "unit_mismatch"
    assert only(refused(inputs={"a": "x + 1"})).code == "unknown_name"


UNITS = UnitSystem(frozenset({"user", "ticket"}), "month")
LEAVES = {name: UNITS.of(INPUTS[name]["unit"]) for name in ("usd", "eur", "rate", "users_0", "tickets", "share")}
MONTH = UNITS.of("month")
KEEPING = ("abs({0})", "-{0}", "max({0}, 0)", "if(t > 2, {0}, 0)", "prev({0}, init=0)", "clip({0}, 0, {0})",
           "{0} + {0}", "{0} - abs({0})", "lookup(t, 1, {0}, 6, 0)")  # fmt: skip


@st.composite
def typed(draw: st.DrawFn, depth: int = 3) -> tuple[str, Unit]:
    """An expression and its unit by the rules of value-models.md, worked out beside it."""
    if not depth or draw(st.integers(0, 3)) == 0:
        name = draw(st.sampled_from(sorted(LEAVES)))
        return name, LEAVES[name]
    text, unit = draw(typed(depth=depth - 1))
    kind = draw(st.sampled_from(["keep", "product", "quotient", "root", "sum"]))
    if kind == "keep":
        return f"({draw(st.sampled_from(KEEPING)).format(f'({text})')})", unit
    if kind == "root":
        return f"sqrt(({text}) * ({text}))", unit
    if kind == "sum":
        per_month = dict(unit.powers).get("month") == -1
        return (f"cumsum({text})", unit.times(MONTH)) if per_month else (text, unit)
    other, beside = draw(typed(depth=depth - 1))
    if kind == "product":
        return f"(({text}) * ({other}))", unit.times(beside)
    return f"(({text}) / ({other}))", unit.over(beside)


@law(60)
@given(typed())
def test_every_expression_has_the_unit_that_its_parts_give_it(found: tuple[str, Unit]) -> None:
    text, unit = found
    assert node(text).unit == unit


@law(60)
@given(typed(), typed(), st.sampled_from(["{0} + {1}", "max({0}, {1})", "if(t > 1, {0}, {1})", "prev({0}, init={1})"]))
def test_what_has_different_dimensions_does_not_meet(one: tuple[str, Unit], other: tuple[str, Unit], meet: str) -> None:
    assume(one[1].dimension != other[1].dimension)
    assert problem(meet.format(f"({one[0]})", f"({other[0]})"))[0] == "unit_mismatch"
