"""Shapley shares of the difference between two cases: the laws that define them, closed forms, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import law
from valueverse.errors import RefusalError
from valueverse.value.architect.document.canonical import canonical_tree
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.committer.commits import Frozen
from valueverse.value.realisation import variance as varying
from valueverse.value.realisation.case_runs import CaseRun, Commitment, run_cases
from valueverse.value.realisation.variance import Variance, explain_variance

NAMES = ("a", "b", "c", "d")
_Cases = tuple[Commitment, dict[str, CaseRun]]


def cases(
    sections: dict[str, Any], expected: dict[str, float], measured: dict[str, list[float]], periods: int = 12
) -> _Cases:
    """A commit whose inputs are measured, and its cases in the month that ends what was measured."""
    inputs = {name: {"bind": {"metric": f"usage.{name}"}} for name in measured}
    document = {
        "schema": "valueverse.value_model/v1",
        "model": "tried",
        "currency": "USD",
        "axis": {"grain": "month", "periods": periods},
        "inputs": inputs | sections.pop("inputs", {}),
    }
    model = parse_model(json.dumps(document | sections))
    frozen = Frozen(canonical_tree(model), "base", {}, None, 1, "ann", start="2024-01-01", expected=expected)
    rows = [
        (f"usage.{name}", "c1", f"2024-{t:02}", x) for name, series in measured.items() for t, x in enumerate(series, 1)
    ]
    metrics = pl.DataFrame(rows, schema=["metric", "customer", "period", "value"], orient="row")
    commitment = Commitment.read("0" * 64, frozen.canonical())
    month = date(2024, max(len(series) for series in measured.values()), 1)
    return commitment, {run.case: run for run in run_cases(commitment, metrics, month)}


def gain(expr: str) -> dict[str, Any]:
    return {"drivers": {"gain": {"kind": "x", "expr": expr}}}


def shares(found: Variance) -> dict[str, Fraction]:
    return {one.input: one.share for one in found.shares}


def committed_to_realised(made: _Cases, output: str = "benefit", **more: Any) -> Variance:
    commitment, runs = made
    return explain_variance(commitment, runs["committed"], runs["realised"], output, **more)


numbers = st.integers(-400, 400).map(lambda n: n / 7)


@st.composite
def models(draw: st.DrawFn) -> _Cases:
    """Small models over four measured inputs, with recurrences, running totals, risk, decay and costs."""
    terms = [*NAMES, "t", "0.3", "u", "v"]
    pairs = ["({} + {})", "({} - {})", "({} * {})", "max({}, {})", "min({}, {})", "if({} > 0, {}, 2)"]

    def expr(known: list[str], size: int) -> str:
        found = draw(st.sampled_from(known))
        for _ in range(size):
            found = draw(st.sampled_from(pairs)).format(found, draw(st.sampled_from(known)))
        return found

    variables = {
        "u": {"unit": "1", "expr": f"prev(u, init=1) * 0.5 + {expr(terms[:6], 2)}"},
        "v": {"unit": "1", "expr": f"cumsum(u) / (1 + abs({expr(terms[:6], 1)}))"},
    }

    def money(size: int) -> str:
        return f"({expr(terms, size)}) * worth"

    driver = {"kind": "x", "risk": 0.1, "attribution": 0.7, "decay": draw(st.sampled_from([0, 0.2]))}
    sections = {
        "variables": variables,
        "inputs": {"worth": {"unit": "USD/month", "value": 0.7}},
        "drivers": {"one": {"kind": "x", "expr": money(2)}, "two": driver | {"expr": money(2)}},
        "costs": {"run": money(1), "setup": {"expr": money(1), "at": 0}, "late": {"expr": "5", "at": 7}},
    }
    expected = {name: draw(numbers) for name in NAMES}
    months = draw(st.integers(1, 4))
    measured = {name: [draw(st.one_of(st.just(expected[name]), numbers)) for _ in range(months)] for name in NAMES}
    return cases(sections, expected, measured)


@law(60)
@given(models(), st.sampled_from(["benefit", "cost", "net", "one", "two", "run"]), st.booleans())
def test_shares_add_up_to_the_difference_of_the_runs_exactly(made: _Cases, output: str, alone: bool) -> None:
    _, runs = made
    last = runs["realised"].document["period"]
    found = committed_to_realised(made, output, **({"period": last} if alone else {}))
    compared = slice(last - 1, last) if alone else slice(0, last)
    before, after = (sum(map(Fraction, runs[case].series[found.output][compared])) for case in found.cases)
    assert (found.before, found.after, found.difference) == (before, after, after - before)
    assert sum(shares(found).values()) == after - before
    assert sum(one.shown for one in found.shares) == found.shown[2]
    assert all(abs(Fraction(one.shown) - one.share) < Fraction(1, 100) for one in found.shares)


@law(30)
@given(models())
def test_shares_turn_their_sign_when_the_runs_change_places(made: _Cases) -> None:
    commitment, runs = made
    there = shares(explain_variance(commitment, runs["committed"], runs["realised"], "net"))
    back = shares(explain_variance(commitment, runs["realised"], runs["committed"], "net"))
    assert there == {name: -share for name, share in back.items()}


@law(20)
@given(before=numbers, after=numbers, other=st.tuples(numbers, numbers))
def test_inputs_that_act_alike_have_equal_shares(before: float, after: float, other: tuple[float, float]) -> None:
    made = cases(
        gain("(a * b + max(a, b)) * c"),
        {"a": before, "b": before, "c": other[0]},
        {"a": [after], "b": [after], "c": [other[1]]},
    )
    found = shares(committed_to_realised(made))
    assert found.get("a") == found.get("b")


@law(20)
@given(a=st.tuples(numbers, numbers), b=st.tuples(numbers, numbers))
def test_an_input_that_moves_nothing_has_none(a: tuple[float, float], b: tuple[float, float]) -> None:
    sections = {"variables": {"beside": {"unit": "1", "expr": "c + d"}}} | gain("a * b + 0 * c")
    made = cases(
        sections,
        {"a": a[0], "b": b[0], "c": 1.0, "d": 1.0},
        {"a": [a[1]], "b": [b[1]], "c": [2.0], "d": [2.0]},
    )
    found = {one.input: one for one in committed_to_realised(made).shares}
    assert (found["c"].share, found["d"].share) == (0, 0)
    assert (found["c"].shown, found["d"].shown) == (0, 0)


@law(30)
@given(a=st.tuples(st.integers(-99, 99), st.integers(-99, 99)), b=st.tuples(st.integers(-99, 99), st.integers(-99, 99)))
def test_a_product_of_two_is_split_at_the_means_of_the_other(a: tuple[int, int], b: tuple[int, int]) -> None:
    made = cases(gain("a * b"), {"a": float(a[0]), "b": float(b[0])}, {"a": [float(a[1])], "b": [float(b[1])]})
    found = shares(committed_to_realised(made))
    assert found.get("a", 0) == Fraction((a[1] - a[0]) * (b[0] + b[1]), 2)
    assert found.get("b", 0) == Fraction((b[1] - b[0]) * (a[0] + a[1]), 2)


def test_a_sum_is_split_into_its_own_differences() -> None:
    names = [f"x{place}" for place in range(12)]
    made = cases(
        gain(" + ".join(names)),
        dict.fromkeys(names, 1.0),
        {name: [2.0, 3.0 + place] for place, name in enumerate(names)},
    )
    found = committed_to_realised(made)
    assert found.method == "exact"
    assert shares(found) == {name: 3 + place for place, name in enumerate(names)}
    assert [one.input for one in found.shares] == names[::-1]
    assert [(one.before, one.after) for one in found.shares][-1] == (1.0, 2.5)


def test_many_inputs_are_averaged_over_orders_and_still_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"x{place}" for place in range(14)]
    expr = " + ".join(f"{name} * x0 * {place}" for place, name in enumerate(names))
    expected = {name: 1.0 + place / 3 for place, name in enumerate(names)}
    made = cases(gain(expr), expected, {name: [2.0 + place / 7] for place, name in enumerate(names)})
    found = committed_to_realised(made)
    assert found.method == "permutations"
    assert sum(shares(found).values()) == found.difference
    assert found == committed_to_realised(made)
    monkeypatch.setattr(varying, "MOST_EXACT", 14)
    exact = shares(committed_to_realised(made))
    for name, share in shares(found).items():
        assert float(share) == pytest.approx(float(exact[name]), abs=0.02 * abs(float(found.difference)))


def test_blocks_of_combinations_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    made = cases(gain("a * b * c * exp(d)"), dict.fromkeys(NAMES, 0.3), {name: [0.7, 0.9] for name in NAMES})
    whole = committed_to_realised(made)
    monkeypatch.setattr(varying, "_BLOCK_CELLS", 6)
    assert committed_to_realised(made) == whole


def test_a_variable_is_compared_in_one_period_and_shown_by_its_digits() -> None:
    variables = {"ratio": {"unit": "1", "expr": "a / b"}}
    made = cases({"variables": variables}, {"a": 1.0, "b": 3.0}, {"a": [2.0, 5.0], "b": [3.0, 7.0]})
    found = committed_to_realised(made, "ratio", period=2)
    assert (found.unit, found.period, found.to_date) == ("1", 2, False)
    assert found.shown == (Decimal("0.333333"), Decimal("0.714286"), Decimal("0.380952"))
    assert sum(one.shown for one in found.shares) == Decimal("0.380952")
    with pytest.raises(RefusalError) as refused:
        committed_to_realised(made, "ratio")
    assert refused.value.code == "no_sum"


def test_a_variable_that_is_money_is_added_up_like_a_driver() -> None:
    made = cases({"variables": {"saved": {"unit": "USD/month", "expr": "a * 2"}}}, {"a": 1.0}, {"a": [2.0, 4.0]})
    found = committed_to_realised(made, "saved")
    assert (found.unit, found.difference, found.shown[2]) == ("USD", 8, Decimal("8.00"))


def test_runs_that_do_not_differ_have_no_shares() -> None:
    found = committed_to_realised(cases(gain("a"), {"a": 1.0}, {"a": [1.0, 1.0]}))
    assert (found.shares, found.difference, found.method) == ([], 0, "exact")


def test_a_combination_without_a_number_is_named() -> None:
    made = cases(gain("a / (b - c)"), {"a": 1.0, "b": 1.0, "c": 2.0}, {"a": [1.0], "b": [2.0], "c": [3.0]})
    with pytest.raises(RefusalError, match="with b as realised, the rest as committed") as refused:
        committed_to_realised(made)
    assert (refused.value.code, refused.value.path) == ("no_number", "driver.gain")


def test_what_the_output_does_not_need_may_have_no_number() -> None:
    sections = gain("a") | {"variables": {"other": {"unit": "1", "expr": "1 / (b - c)"}}}
    made = cases(sections, {"a": 1.0, "b": 1.0, "c": 2.0}, {"a": [2.0], "b": [2.0], "c": [3.0]})
    assert shares(committed_to_realised(made)) == {"a": 1, "b": 0, "c": 0}


@pytest.mark.parametrize(
    ("output", "more", "code"),
    [
        ("benefits", {}, "unknown_output"),
        ("benefit", {"period": 3}, "bad_period"),
        ("benefit", {"period": 0}, "bad_period"),
    ],
)
def test_what_cannot_be_compared_is_refused(output: str, more: dict[str, Any], code: str) -> None:
    with pytest.raises(RefusalError) as refused:
        committed_to_realised(cases(gain("a"), {"a": 1.0}, {"a": [2.0, 3.0]}), output, **more)
    assert refused.value.code == code


def test_runs_of_different_months_are_refused_with_both() -> None:
    commitment, runs = cases(gain("a"), {"a": 1.0}, {"a": [2.0, 3.0]})
    early = replace(runs["committed"], document=runs["committed"].document | {"period": 1})
    with pytest.raises(RefusalError, match="committed has 1 and realised has 2") as refused:
        explain_variance(commitment, early, runs["realised"])
    assert refused.value.code == "different_periods"


def test_money_too_large_to_be_shown_is_refused() -> None:
    with pytest.raises(RefusalError) as refused:
        committed_to_realised(cases(gain("a * b"), {"a": 1e12, "b": 1e12}, {"a": [2e12], "b": [1e12]}))
    assert refused.value.code == "out_of_range"


def test_a_run_read_back_from_its_document_is_the_run() -> None:
    commitment, runs = cases(gain("a / 3"), {"a": 1.0}, {"a": [2.0, math.pi]})
    run = runs["realised"]
    again = CaseRun.read(commitment.program, json.dumps(run.document), run.content_hash)
    assert (again.values, again.units, again.series) == (run.values, run.units, run.series)
    assert explain_variance(commitment, runs["committed"], again) == explain_variance(
        commitment, runs["committed"], run
    )
