"""Explanations of outputs: every node comes out again from its children, and leaves say where they come from."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import law
from tests.support.recomputed import recomputed
from tests.support.value_models import EXAMPLE, compiled, model_text
from valueverse.errors import RefusalError
from valueverse.value import library
from valueverse.value.architect.compiler.outputs import FINANCIAL_METRICS
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.canonical import canonical_tree
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.committer.commits import Frozen
from valueverse.value.executor.binding import read_metrics
from valueverse.value.executor.run import RunRequest, run_model
from valueverse.value.realisation import explain as explaining
from valueverse.value.realisation.case_runs import SUMS, CaseRun, Commitment, run_cases
from valueverse.value.realisation.explain import Explained, explain_output
from valueverse.value.realisation.sources import assumed_inputs, run_inputs

if TYPE_CHECKING:
    from valueverse.value.architect.program_ir import Program

MONEY = [*FINANCIAL_METRICS, *SUMS]
NAMES = ["v0", "v1", "v2", "v3"]


def tree(program: Program, output: str, period: int | None = None, **more: Any) -> Explained:
    given_inputs, sources = assumed_inputs(program, "base", None)
    return explain_output(program, given_inputs, sources, output, period or program.axis.periods, **more)


def assert_recomputes(program: Program, root: Explained) -> None:
    for node in root.nodes():
        found = recomputed(program, node)
        # NumPy squares by a product or by pow(), as the exponent stands in memory: powers may differ in the last bit.
        power = "^" in (node.text or "") and found == pytest.approx(node.value, rel=1e-12)
        assert found == node.value or power, node


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Models of every kind of expression: recurrences, running totals, tables, functions; drivers and costs."""
    fixed = ["x", "k", "m", "t", "0.3", "pi"]

    def part(known: list[str]) -> str:
        one = draw(st.sampled_from(known))
        kind = draw(st.sampled_from(["plain", "exp", "log", "sqrt", "sin", "power", "floor", "lookup", "interpolate"]))
        return {
            "plain": one,
            "exp": f"exp(min({one}, 3))",
            "log": f"log(1 + abs({one}))",
            "sqrt": f"sqrt(abs({one}))",
            "sin": f"sin({one}) + cos({one})",
            "power": f"(1 + abs({one})) ^ {draw(st.sampled_from(['2', '0.37', '-1.5', 'm']))}",
            "floor": f"floor({one}) - ceil(-{one})",
            "lookup": f"lookup({one}, 0, 3, 2, x)",
            "interpolate": f"interpolate({one}, 0, k, 5, 8)",
        }[kind]

    def expr(known: list[str]) -> str:
        joined = part(known)
        for _ in range(draw(st.integers(0, 2))):
            shape = draw(
                st.sampled_from(
                    ["({} + {})", "({} - {})", "({} * {})", "max({}, {})", "if({} > 1, {}, 2)", "({} / (1 + abs({})))"]
                )
            )
            joined = shape.format(joined, part(known))
        return joined

    variables = {}
    for index, name in enumerate(NAMES):
        found = expr(fixed + NAMES[:index])
        if draw(st.booleans()):
            found += f" + 0.1 * prev({draw(st.sampled_from(NAMES))}, {draw(st.integers(1, 3))}, init={part(fixed)})"
        if index and draw(st.booleans()):
            found += f" + cumsum({draw(st.sampled_from(NAMES[:index]))})"
        variables[name] = {"unit": "1", "expr": found}

    def money() -> str:
        return f"({draw(st.sampled_from([*NAMES, *fixed[:3]]))}) * worth"

    fractions = st.sampled_from([0, 0.1, 0.35])
    return {
        "axis": {"grain": "quarter", "periods": draw(st.integers(1, 5)), "discount": {"rate": draw(fractions)}},
        "inputs": {
            "x": {"unit": 1, "dist": {"triangular": [0, 1, 3]}},
            "k": {"unit": 1, "value": draw(st.integers(-9, 9))},
            "m": {"unit": 1, "bind": {"metric": "usage.m"}, "missing": {"default": 0.6}},
            "worth": {"unit": "USD/month", "value": 10.1},
        },
        "variables": variables,
        "drivers": {
            "one": {"kind": "x", "expr": money()},
            "two": {
                "kind": "x",
                "expr": money(),
                "risk": draw(fractions),
                "attribution": 1 - draw(fractions),
                "decay": draw(fractions),
            },
        },
        "costs": {
            "run": {"expr": money(), "risk": draw(fractions)},
            "once": {"expr": money(), "at": 1},
        }
        | ({"setup": {"expr": money(), "at": 0}} if draw(st.booleans()) else {}),
    }


@law(50)
@given(documents())
def test_every_node_comes_out_of_its_children_to_the_bit(document: dict[str, Any]) -> None:
    program = compiled(**document)
    for output in [*MONEY, *NAMES, "once"]:
        assert_recomputes(program, tree(program, output))
    for output in [*SUMS, "two", "run"]:
        assert_recomputes(program, tree(program, output, to_date=True))


@law(15)
@given(documents())
def test_what_is_explained_is_what_a_run_reports(document: dict[str, Any]) -> None:
    program = compiled(**document, outputs=list(FINANCIAL_METRICS))
    found = run_model(
        program, read_metrics(pl.DataFrame({"metric": [], "period": [], "value": []})), RunRequest(draws=2)
    )
    base = found["scenarios"]["base"]
    for name in FINANCIAL_METRICS:
        assert tree(program, name).value == base["outputs"][name]
    for name in NAMES:
        assert tree(program, name, 1).value == base["series"][name][0]


@pytest.mark.parametrize("name", library.names())
def test_models_of_the_library_are_explained_in_every_output(name: str) -> None:
    program = compile_model(parse_model(library.text(name)))
    for output in MONEY:
        assert_recomputes(program, tree(program, output))


def test_a_tree_shows_formula_value_and_unit_of_every_part() -> None:
    program = compiled(
        inputs={
            "tickets": {"unit": "ticket/month", "value": 40},
            "cost": {"unit": "USD/ticket", "dist": {"uniform": [4, 6]}},
        },
        variables={"avoided": {"unit": "ticket/month", "expr": "tickets * 0.5"}},
        drivers={"saving": {"kind": "x", "expr": "avoided * cost", "risk": 0.2, "attribution": 0.5}},
        costs={"licence": "10 USD/month", "setup": {"expr": 100, "at": 0}},
    )
    found = {node.id: node for node in tree(program, "net", 1).nodes()}
    assert {name: (node.kind, node.text, node.unit, node.value) for name, node in found.items()} == {
        "net@1": ("difference", "benefit - cost", "USD", -70.0),
        "benefit": ("sum", "driver.saving", "USD", 40.0),
        "driver.saving": ("driver", "driver.saving before risk * (1 - 0.2) * 0.5", "USD", 40.0),
        "driver.saving before risk": ("driver", "avoided * cost", "USD", 100.0),
        "avoided": ("variable", "tickets * 0.5", "ticket/month", 20.0),
        "tickets": ("input", "constant", "ticket/month", 40.0),
        "input cost": ("input", "mean of uniform(4, 6)", "USD/ticket", 5.0),
        "cost@1": ("sum", "running_cost + upfront_cost", "USD", 110.0),
        "running_cost": ("sum", "cost.licence", "USD", 10.0),
        "cost.licence": ("cost", "10 USD/month", "USD", 10.0),
        "upfront_cost@0": ("sum", "cost.setup", "USD", 100.0),
        "cost.setup@0": ("cost", "cost.setup before risk", "USD", 100.0),
        "cost.setup before risk": ("cost", "100", "USD", 100.0),
    }


def test_a_recurrence_is_explained_period_by_period_down_to_its_beginning() -> None:
    program = compiled(variables={"users": {"unit": "user", "expr": "prev(users, init=100) * 0.9 + 5"}})
    root = tree(program, "users", 3)
    assert [node.id for node in root.nodes()] == ["users@3", "users@2", "users@1"]
    assert list(root.nodes())[-1].value == 95


def test_a_part_that_is_read_twice_is_one_node() -> None:
    program = compiled(inputs={"a": 2}, variables={"b": "a + 1", "c": "b * b + a"})
    assert [node.id for node in tree(program, "c").nodes()] == ["c", "b", "a"]


def test_a_variable_called_like_a_sum_is_another_node() -> None:
    program = compiled(
        inputs={"upfront_cost": 30},
        variables={"running_cost": "upfront_cost / 3", "net": "running_cost * 2"},
        costs={"run": {"expr": "net", "risk": 0.5}, "setup": {"expr": "upfront_cost", "at": 0, "risk": 0.1}},
    )
    root = tree(program, "cost", 1)
    assert_recomputes(program, root)
    found = {node.id: node.value for node in root.nodes()}
    assert found["variable running_cost"] == 10
    assert found["running_cost"] == 30
    assert found["input upfront_cost"] == 30
    assert found["upfront_cost@0"] == 33


def test_what_is_paid_before_the_start_is_paid_once_to_date() -> None:
    program = compiled(costs={"setup": {"expr": 25, "at": 0}, "late": {"expr": 7, "at": 3}, "each": 2})
    for name, value in (("setup", 25), ("late", 7), ("each", 24), ("cost", 56)):
        root = tree(program, name, to_date=True)
        assert root.value == value
        assert_recomputes(program, root)


def test_a_long_chain_needs_no_deep_stack() -> None:
    variables = {f"v{index}": f"v{index + 1} + 1" for index in range(3_000)} | {"v3000": "1"}
    program = compiled(axis={"periods": 2}, variables=variables)
    assert sum(1 for _ in tree(program, "v0").nodes()) == 3_001


def test_data_as_json_names_children_by_their_ids_and_stands_parents_first() -> None:
    program = compiled(inputs={"a": 2}, variables={"b": "cumsum(a) + prev(a, init=7)"})
    rows = [node.as_json() for node in tree(program, "b", 2).nodes()]
    place = {row["id"]: number for number, row in enumerate(rows)}
    assert all(place[child] > place[row["id"]] for row in rows for child in row["children"])
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert rows[0]["compiled"] is not None


@pytest.mark.parametrize(
    ("output", "period", "more", "code"),
    [
        ("nvp", 1, {}, "unknown_output"),
        ("npv", 13, {}, "bad_period"),
        ("ratio", 1, {"to_date": True}, "no_sum"),
        ("a", 1, {"to_date": True}, "no_sum"),
    ],
)
def test_what_cannot_be_explained_is_refused(output: str, period: int, more: dict[str, Any], code: str) -> None:
    program = compiled(inputs={"a": 2}, variables={"ratio": "a / 3"}, drivers={"d": {"kind": "x", "expr": "a"}})
    with pytest.raises(RefusalError) as refused:
        tree(program, output, period, **more)
    assert refused.value.code == code


def test_a_tree_of_too_many_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "MOST_NODES", 50)
    program = compiled(variables={"v": {"unit": "1", "expr": "prev(v, init=1) + cumsum(t)"}})
    assert sum(1 for _ in tree(program, "v", 4).nodes()) < 50
    with pytest.raises(RefusalError) as refused:
        tree(program, "v", 12)
    assert refused.value.code == "too_large"


def test_scenarios_and_defaults_are_shown_at_their_inputs_and_flagged_above() -> None:
    program = compiled(
        axis={"grain": "month", "periods": 3, "start": "2024-01-01"},
        inputs={"a": 2, "m": {"unit": 1, "bind": {"metric": "usage.m"}, "missing": "zero"}},
        variables={"b": "a + m"},
        scenarios={"base": {}, "high": {"a": 5}},
    )
    data = read_metrics(pl.DataFrame({"metric": ["usage.m"], "period": ["2024-01"], "value": [4.0]}))
    values, sources = assumed_inputs(program, "high", data)
    early, late = (explain_output(program, values, sources, "b", period) for period in (1, 3))
    assert (early.value, early.flags, late.value) == (9.0, (), 5.0)
    assert late.flags == ({"input": "m", "period": 3, "policy": "zero", "value": 0.0},)
    assert {node.name: node.text for node in late.nodes() if node.kind == "input"} == {
        "a": "constant (scenario high)",
        "m": "measured: sum of usage.m",
    }
    with pytest.raises(RefusalError, match="did you mean 'high'"):
        assumed_inputs(program, "hihg", data)


BASE = {"tickets_0": 100.0}


def committed(periods: int) -> tuple[Commitment, dict[str, CaseRun]]:
    """The reference's example, tracked for some months; tickets are missing in the second."""
    text = EXAMPLE.replace("missing: {carry_forward: 2 months}", "missing: {carry_forward: 2 months}")
    frozen = Frozen(
        canonical_tree(parse_model(text)),
        "conservative",
        BASE,
        "2023-12-31T00:00:00+00:00",
        1,
        "ann",
        customer="c1",
        start="2024-01-01",
        expected={"tickets": 60.0, "licence": 9.0},
    )
    rows = [("usage.tickets", "2024-01", 70.0), ("usage.tickets", "2024-03", 50.0)]
    rows += [("billing.invoiced_net", f"2024-{month:02}", 12.5) for month in range(1, periods + 1)]
    metrics = pl.DataFrame(rows, schema=["metric", "period", "value"], orient="row")
    shown = metrics.with_columns(pl.lit("c1").alias("customer"))
    commitment = Commitment.read("c" * 64, frozen.canonical())
    shown_metrics = read_metrics(shown.filter(pl.col("period") <= f"2024-{periods:02}"))
    return commitment, {run.case: run for run in run_cases(commitment, shown_metrics, date(2024, periods, 1))}


@pytest.mark.parametrize("case", ["committed", "forecast", "realised"])
def test_a_run_of_a_commit_is_explained_as_it_was_made(case: str) -> None:
    commitment, runs = committed(3)
    run = runs[case]
    program, values, sources = run_inputs(commitment, run, "2024-04-02T00:00:00+00:00")
    for output in ("total_benefit", "npv", "net", "benefit", "cost", "deflection", "avoided"):
        root = explain_output(program, values, sources, output, 3)
        name = f"driver.{output}" if output == "deflection" else output
        assert root.value == run.values[name]
        assert_recomputes(program, root)


def test_inputs_of_a_commit_lead_to_the_baseline_the_scenario_and_the_metric_s_rows() -> None:
    commitment, runs = committed(2)
    program, values, sources = run_inputs(commitment, runs["realised"], "2024-03-02T00:00:00+00:00")
    leaves = {node.name: node for node in explain_output(program, values, sources, "net", 1).nodes() if node.source}
    kinds = {name: node.source["kind"] for name, node in leaves.items() if node.source}
    assert kinds == {
        "adoption": "constant",
        "cost_tick": "distribution",
        "licence": "metric",
        "tickets": "metric",
        "tickets_0": "baseline",
    }
    assert leaves["tickets"].source == {
        "kind": "metric",
        "metric": "usage.tickets",
        "text": "sum of usage.tickets",
        "aggregation": "sum",
        "period": 1,
        "rows": [{"customer": "c1", "month": "2024-01", "value": 70.0}],
        "known_at": "2024-03-02T00:00:00+00:00",
    }
    baseline = leaves["tickets_0"].source
    assert baseline is not None
    assert (baseline["commit"], baseline["known_at"]) == ("c" * 64, "2023-12-31T00:00:00+00:00")
    late = explain_output(program, values, sources, "net", 2)
    assert [(flag["input"], flag["policy"]) for flag in late.flags] == [("tickets", "carry_forward")]


def test_what_is_not_measured_yet_is_expected_by_the_commit() -> None:
    commitment, runs = committed(2)
    for case, period, kind in (("committed", 1, "expected"), ("forecast", 3, "expected"), ("forecast", 1, "metric")):
        program, values, sources = run_inputs(commitment, runs[case], "2024-03-02T00:00:00+00:00")
        leaves = {
            node.name: node.source for node in explain_output(program, values, sources, "avoided", period).nodes()
        }
        assert leaves["tickets"] is not None
        assert leaves["tickets"]["kind"] == kind


def test_a_quarter_is_made_of_its_three_months() -> None:
    inputs = {"m": {"unit": "USD/quarter", "bind": {"metric": "usage.m"}}}
    text = model_text(axis={"grain": "quarter", "periods": 4}, inputs=inputs, drivers={"d": {"kind": "x", "expr": "m"}})
    frozen = Frozen(canonical_tree(parse_model(text)), "base", {}, None, 1, "ann", start="2023-11-01")
    commitment = Commitment.read("c" * 64, frozen.canonical())
    months = ["2023-11", "2023-12", "2024-01"]
    metrics = read_metrics(pl.DataFrame({"metric": ["usage.m"] * 3, "period": months, "value": [1.0, 2.0, 4.0]}))
    (run,) = run_cases(commitment, metrics, date(2024, 1, 1))
    root = explain_output(*run_inputs(commitment, run, "2024-02-02T00:00:00+00:00"), "d", 1)
    (leaf,) = (node for node in root.nodes() if node.kind == "input")
    assert leaf.source is not None
    assert [row["month"] for row in leaf.source["rows"]] == months
