"""Value models, run: closed forms, published sensitivity indices, money, missing data, and the same bits every time."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import law
from valueverse.errors import RefusalError
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.executor import limits
from valueverse.value.executor.binding import read_metrics
from valueverse.value.executor.run import RunRequest, run_model


def run(document: dict[str, Any], data: pl.DataFrame | None = None, **asked: Any) -> dict[str, Any]:
    whole = {"schema": "valueverse.value_model/v1", "model": "m"} | document
    program = compile_model(parse_model(yaml.safe_dump(whole)))
    return run_model(program, None if data is None else read_metrics(data), RunRequest(**asked))


def base(document: dict[str, Any], data: pl.DataFrame | None = None, **asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = run(document, data, **asked)["scenarios"]["base"]
    return found


def formula(inputs: dict[str, Any], expr: str, *statistics: Any, **more: Any) -> dict[str, Any]:
    """Outputs of y = expr over distributed inputs."""
    named = {name: {"dist": dist} for name, dist in inputs.items()}
    wanted = {"y": list(statistics) or ["mean", "variance"]}
    asked = {"draws": 2**16} | {key: more.pop(key) for key in ("draws", "seed") if key in more}
    document = {"inputs": named, "variables": {"y": {"expr": expr}}, "outputs": [wanted]} | more
    found: dict[str, Any] = base(document, **asked)["outputs"]["y"]
    return found


@pytest.mark.parametrize(
    ("dist", "mean", "variance"),
    [
        ({"uniform": [2, 8]}, 5, 3),
        ({"normal": [10, 2]}, 10, 4),
        ({"lognormal": [0.5, 0.4]}, math.exp(0.58), math.exp(1.16) * (math.exp(0.16) - 1)),
        ({"triangular": [1, 3, 8]}, 4, (1 + 9 + 64 - 3 - 8 - 24) / 18),
        ({"pert": [8, 11, 15]}, (8 + 44 + 15) / 6, (11.1666666667 - 8) * (15 - 11.1666666667) / 7),
        ({"beta": [2, 3]}, 0.4, 6 / (25 * 6)),
        ({"discrete": {"1": 0.25, "5": 0.75}}, 4, 3),
    ],
)
def test_distributions_have_their_mean_and_variance(dist: dict[str, Any], mean: float, variance: float) -> None:
    found = formula({"x": dist}, "x")
    assert found["value"] == pytest.approx(mean, rel=1e-9)
    assert found["mean"] == pytest.approx(mean, rel=2e-3)
    assert found["variance"] == pytest.approx(variance, rel=5e-3)


def test_percentiles_of_a_normal_are_those_of_the_table() -> None:
    found = formula({"x": {"normal": [0, 1]}}, "x", {"percentiles": [5, 50, 97.5]})
    assert found["percentiles"]["5"] == pytest.approx(-1.6448536, abs=2e-3)
    assert found["percentiles"]["50"] == pytest.approx(0, abs=2e-3)
    assert found["percentiles"]["97.5"] == pytest.approx(1.959964, abs=4e-3)


def test_an_interval_of_ninety_percent_is_one_and_stays_within_its_clip() -> None:
    found = formula(
        {"x": {"interval90": [0.5, 0.9], "family": "normal", "clip": [0, 1]}}, "x", {"percentiles": [5, 95, 100]}
    )
    assert found["percentiles"]["5"] == pytest.approx(0.5, abs=1e-3)
    assert found["percentiles"]["95"] == pytest.approx(0.9, abs=1e-3)
    assert found["percentiles"]["100"] == 1


@pytest.mark.parametrize("rho", [-0.7, 0.4])
def test_the_variance_of_a_correlated_sum_is_its_closed_form(rho: float) -> None:
    found = formula(
        {"a": {"normal": [1, 2]}, "b": {"normal": [3, 1]}}, "a + b", correlations=[{"between": ["a", "b"], "rho": rho}]
    )
    assert found["variance"] == pytest.approx(5 + 4 * rho, rel=5e-3)


def test_ishigami_s_indices_are_the_published_ones() -> None:
    inputs = {name: {"uniform": [-math.pi, math.pi]} for name in ("x1", "x2", "x3")}
    found = formula(inputs, "sin(x1) + 7 * sin(x2)^2 + 0.1 * x3^4 * sin(x1)", "sobol")["sobol"]
    for name, first, total in (("x1", 0.3139, 0.5576), ("x2", 0.4424, 0.4424), ("x3", 0.0, 0.2437)):
        assert found["S1"][name] == pytest.approx(first, abs=0.01)
        assert found["ST"][name] == pytest.approx(total, abs=0.01)
        low, high = found["intervals"]["S1"][name]
        assert low <= found["S1"][name] <= high


def test_the_g_function_s_first_indices_are_the_published_ones() -> None:
    weights = (0, 1, 4.5, 9, 99, 99)
    inputs = {f"x{place}": {"uniform": [0, 1]} for place in range(len(weights))}
    expr = " * ".join(f"((abs(4 * x{place} - 2) + {a}) / (1 + {a}))" for place, a in enumerate(weights))
    found = formula(inputs, expr, "sobol")["sobol"]
    for place, first in enumerate((0.7165, 0.1791, 0.0237, 0.0072, 0.0001)):
        assert found["S1"][f"x{place}"] == pytest.approx(first, abs=0.01)


def test_a_product_of_uniforms_has_its_indices() -> None:
    found = formula({"a": {"uniform": [0, 1]}, "b": {"uniform": [0, 1]}}, "a * b", "sobol")["sobol"]
    assert found["S1"]["a"] == pytest.approx(3 / 7, abs=0.01)
    assert found["ST"]["b"] == pytest.approx(4 / 7, abs=0.01)


def test_what_does_not_vary_has_no_indices_and_says_so() -> None:
    found = formula({"a": {"uniform": [0, 1]}}, "a * 0 + 5", "sobol")["sobol"]
    assert found["status"] == "no_variance"
    assert found["S1"] == {"a": None}


def test_a_tornado_lists_the_widest_swing_first() -> None:
    found = formula({"small": {"uniform": [0, 1]}, "wide": {"uniform": [0, 10]}}, "small + wide", "tornado")["tornado"]
    assert [row["input"] for row in found] == ["wide", "small"]
    assert found[0]["low"] == pytest.approx(0.5 + 0.5)
    assert found[0]["swing"] == pytest.approx(9)


MONEY: dict[str, Any] = {
    "currency": "USD",
    "axis": {"grain": "year", "periods": 3, "discount": {"rate": 0.1}},
    "inputs": {"saving": {"unit": "USD/year", "value": 500}, "fee": {"unit": "USD/year", "value": 100}},
    "drivers": {"saved": {"kind": "cost_saving", "expr": "saving"}},
    "costs": {"fee": {"expr": "fee"}, "setup": {"expr": "600", "at": 0}},
    "outputs": ["roi", "npv", "irr", "payback", "total_benefit", "total_cost"],
}


def test_a_business_case_s_measures_are_those_of_the_formulas() -> None:
    found = base(MONEY)["outputs"]
    factors = [1.1**-t for t in (1, 2, 3)]
    npv = sum(400 * one for one in factors) - 600
    assert found["npv"] == pytest.approx(npv, rel=1e-12)
    assert found["roi"] == pytest.approx(npv / (600 + 100 * sum(factors)), rel=1e-12)
    assert found["irr"] == pytest.approx(0.4463115141, abs=1e-9)
    assert (found["payback"], found["total_benefit"], found["total_cost"]) == (1.5, 1500, 900)


def test_risk_attribution_and_decay_cut_a_benefit_and_risk_raises_a_cost() -> None:
    drivers = {"saved": {"kind": "x", "expr": "saving", "risk": 0.2, "attribution": 0.8, "decay": 0.5}}
    costs = {"fee": {"expr": "fee", "risk": 0.1}}
    found = base(MONEY | {"drivers": drivers, "costs": costs})["outputs"]
    assert found["total_benefit"] == pytest.approx(500 * 0.8 * 0.8 * (1 + 0.5 + 0.25))
    assert found["total_cost"] == pytest.approx(330)


@pytest.mark.parametrize(("timing", "shift"), [("end", 0), ("begin", 1), ("mid", 0.5)])
def test_a_month_is_discounted_by_the_effective_monthly_rate(timing: str, shift: float) -> None:
    axis = {"grain": "month", "periods": 12, "discount": {"rate": 0.1, "timing": timing}}
    document = MONEY | {"axis": axis, "costs": {}, "outputs": ["npv"]}
    monthly = 1.1 ** (1 / 12)
    expected = sum(500 / 12 * monthly ** -(t - shift) for t in range(1, 13))
    assert base(document)["outputs"]["npv"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("timing", "shift"), [("end", 0), ("begin", 1), ("mid", 0.5)])
def test_discounted_payback_discounts_as_the_present_value_does(timing: str, shift: float) -> None:
    axis = {"grain": "year", "periods": 3, "discount": {"rate": 0.1, "timing": timing}}
    worth = [500 * 1.1 ** -(t - shift) for t in (1, 2, 3)]
    costs = {"setup": {"expr": "600", "at": 0}}
    found = base(MONEY | {"axis": axis, "costs": costs, "outputs": ["discounted_payback"]})["outputs"]
    assert found["discounted_payback"] == pytest.approx(1 + (600 - worth[0]) / worth[1], rel=1e-12)


def test_nothing_invested_has_no_return_and_no_rate() -> None:
    found = base(MONEY | {"costs": {}})["outputs"]
    assert (found["roi"], found["irr"], found["payback"]) == (None, None, 0.0)


def test_recurrences_running_totals_and_lookups_go_period_by_period() -> None:
    variables = {
        "users": {"unit": "user", "expr": "prev(users, init=100) * (1 - 0.02) + 5"},
        "twice": {"unit": "user", "expr": "prev(users, 2, 7)"},
        "price": {"expr": "lookup(t, 1, 10, 3, 8)"},
        "sum_t": {"expr": "cumsum(t)"},
    }
    document = {"axis": {"grain": "month", "periods": 4}, "units": {"base": ["user"]}, "variables": variables}
    series = base(document)["series"]
    users = [103.0]
    for _ in range(3):
        users.append(users[-1] * 0.98 + 5)
    assert series["users"] == pytest.approx(users, rel=1e-12)
    assert series["twice"] == pytest.approx([7, 7, *users[:2]])
    assert series["price"] == [10, 10, 8, 8]
    assert series["sum_t"] == [1, 3, 6, 10]


def test_scenarios_fix_inputs_and_draw_the_others_alike() -> None:
    document = {
        "inputs": {"a": {"dist": {"uniform": [0, 1]}}, "b": {"dist": {"uniform": [0, 1]}}},
        "variables": {"y": {"expr": "a + b"}},
        "scenarios": {"base": {}, "high": {"a": 1}},
        "outputs": [{"y": ["mean", "variance"]}],
    }
    found = run(document)["scenarios"]
    assert found["high"]["outputs"]["y"]["mean"] == pytest.approx(1.5, abs=1e-3)
    assert found["high"]["outputs"]["y"]["variance"] == pytest.approx(1 / 12, rel=1e-2)
    only = run(document, scenarios=("high",))["scenarios"]
    assert only == {"high": found["high"]}


def test_a_statement_s_share_of_true_draws_is_its_probability() -> None:
    document = {
        "inputs": {"x": {"dist": {"normal": [0, 1]}}},
        "variables": {"y": {"expr": "x + 1"}},
        "outputs": ["y", {"probability": "y > 0"}],
    }
    assert base(document)["outputs"]["probability"]["y > 0"] == pytest.approx(0.8413447, abs=2e-3)


def test_the_same_bits_come_out_of_every_run_and_of_every_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    document = MONEY | {
        "inputs": {
            "saving": {"unit": "USD/year", "dist": {"lognormal": [6, 0.5]}},
            "fee": {"unit": "USD/year", "dist": {"pert": [50, 100, 300]}},
        },
        "outputs": ["npv", {"irr": ["mean"]}, "tornado", "sobol"],
    }
    first = run(document, draws=4_096)
    monkeypatch.setattr(limits, "BLOCK_CELLS", 3_500)
    assert run(document, draws=4_096) == first
    monkeypatch.setattr(limits, "BLOCK_NUMBERS", 3_000)
    assert run(document, draws=4_096) == first
    assert run(document, draws=4_096, seed=2)["run_hash"] != first["run_hash"]
    json.dumps(first, allow_nan=False)


BOUND: dict[str, Any] = {
    "axis": {"grain": "month", "periods": 3, "start": "2024-04-01"},
    "units": {"base": ["ticket"]},
    "inputs": {
        "before": {
            "unit": "ticket/month",
            "bind": {"metric": "usage.tickets", "agg": "sum", "window": "3 months", "freeze": "baseline"},
        },
        "now": {"unit": "ticket/month", "bind": {"metric": "usage.tickets"}, "missing": {"carry_forward": "1 month"}},
    },
    "variables": {"less": {"unit": "ticket/month", "expr": "before - now"}},
}


def tickets(rows: list[tuple[str, float]]) -> pl.DataFrame:
    schema = ["period", "value"]
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        metric=pl.lit("usage.tickets"), customer=pl.lit("c1")
    )


def test_metrics_are_bound_by_period_and_frozen_over_a_window() -> None:
    data = tickets(
        [("2024-01", 90), ("2024-02", 100), ("2024-03", 80), ("2024-03-15", 30), ("2024-04", 60), ("2024-05", 50)]
    )
    found = run(BOUND, data)
    assert found["scenarios"]["base"]["series"]["less"] == pytest.approx([40, 50, 50])
    assert found["flags"] == [
        {"input": "now", "period": 3, "policy": "carry_forward", "value": 50.0, "outputs": ["less"]}
    ]


def test_a_metric_missing_for_longer_than_it_may_be_carried_is_refused_with_its_place() -> None:
    data = tickets([("2024-01", 90), ("2024-02", 100), ("2024-03", 80), ("2024-04", 60)])
    with pytest.raises(RefusalError, match="period 3") as refused:
        run(BOUND, data)
    assert (refused.value.code, refused.value.path) == ("missing_metric", "inputs.now")


@pytest.mark.parametrize(("policy", "expected"), [("zero", [5.0, 0.0, 0.0]), ({"default": 7}, [5.0, 7.0, 7.0])])
def test_what_is_missing_follows_the_policy_and_is_never_silently_zero(policy: Any, expected: list[float]) -> None:
    document = {
        "axis": {"grain": "month", "periods": 3},
        "inputs": {"x": {"bind": {"metric": "m"}, "missing": policy}},
        "variables": {"y": {"expr": "x"}},
    }
    data = pl.DataFrame({"metric": ["m"], "period": ["1"], "value": [5.0]})
    found = run(document, data)
    assert found["scenarios"]["base"]["series"]["y"] == expected
    assert [flag["period"] for flag in found["flags"]] == [2, 3]


@pytest.mark.parametrize(
    ("expr", "period"), [("1 / (t - 2)", 2), ("log(1 - t)", 1), ("exp(t * 400)", 2), ("sqrt(2 - t)", 3)]
)
def test_what_is_no_number_names_the_variable_and_the_period(expr: str, period: int) -> None:
    with pytest.raises(RefusalError, match=f"'y' has no number in period {period}") as refused:
        base({"axis": {"periods": 3}, "variables": {"y": {"expr": expr}}})
    assert refused.value.code == "no_number"


@pytest.mark.parametrize(
    ("asked", "code"), [({"draws": 0}, "bad_draws"), ({"scenarios": ("nosuch",)}, "unknown_scenario")]
)
def test_a_run_that_cannot_be_made_is_refused(asked: dict[str, Any], code: str) -> None:
    with pytest.raises(RefusalError) as refused:
        run(MONEY, **asked)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("frame", "path"),
    [
        ({"metric": ["m"], "period": ["1"]}, "value"),
        ({"metric": ["m"], "period": ["1"], "value": [math.inf]}, "value"),
    ],
)
def test_data_that_is_none_is_refused_with_its_column(frame: dict[str, Any], path: str) -> None:
    with pytest.raises(RefusalError) as refused:
        read_metrics(pl.DataFrame(frame))
    assert (refused.value.code, refused.value.path) == ("bad_data", path)


@law(25)
@given(
    values=st.lists(st.integers(-50, 50), min_size=4, max_size=4),
    rate=st.integers(0, 40),
    periods=st.integers(1, 24),
)
def test_npv_is_benefits_less_costs_whatever_the_model(values: list[int], rate: int, periods: int) -> None:
    a, b, c, d = values
    document = {
        "currency": "USD",
        "axis": {"grain": "month", "periods": periods, "discount": {"rate": rate / 100}},
        "variables": {"x": {"unit": "USD/month", "expr": f"{a} + {b} * t"}},
        "drivers": {"gain": {"kind": "x", "expr": "x"}, "more": {"kind": "x", "expr": f"{c} + 0 * x"}},
        "costs": {"loss": {"expr": f"{d} + 0 * x"}},
        "outputs": ["npv", "pv_benefit", "pv_cost", "net_benefit", "total_benefit", "total_cost"],
    }
    found = base(document)["outputs"]
    assert found["npv"] == pytest.approx(found["pv_benefit"] - found["pv_cost"], abs=1e-9)
    assert found["net_benefit"] == pytest.approx(found["total_benefit"] - found["total_cost"], abs=1e-9)
    monthly = (1 + rate / 100) ** (1 / 12)
    expected = sum((a + b * t + c - d) * monthly**-t for t in range(1, periods + 1))
    assert found["npv"] == pytest.approx(expected, abs=1e-7)


def test_every_model_of_the_library_runs() -> None:
    from importlib.resources import files

    for file in sorted(files("valueverse.value.library").iterdir(), key=lambda one: one.name):
        if file.name.endswith(".yaml"):
            program = compile_model(parse_model(file.read_text()))
            found = run_model(program, None, RunRequest(draws=256))
            assert all(np.isfinite(one["outputs"]["npv"]) for one in found["scenarios"].values())
