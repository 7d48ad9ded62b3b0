"""``valueverse value portfolio``: one model for every customer in the data, as each would have it by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from valueverse.cli import app
from valueverse.errors import RefusalError
from valueverse.schemas.value import PORTFOLIO_RESULTS
from valueverse.services.value.model_inputs import read_program
from valueverse.value.executor.binding import read_metrics
from valueverse.value.executor.customers import bind_customers
from valueverse.value.executor.portfolio import run_portfolio
from valueverse.value.executor.run import RunRequest, run_model

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.value.architect.program_ir import Program

METRICS = ["roi", "npv", "irr", "payback", "discounted_payback", "net_benefit", "pv_benefit", "pv_cost"]
DOCUMENT: dict[str, Any] = {
    "schema": "valueverse.value_model/v1",
    "model": "deflection",
    "currency": "USD",
    "axis": {"grain": "month", "periods": 4, "discount": {"rate": 0.1}},
    "inputs": {
        "tickets": {"bind": {"metric": "usage.tickets"}, "missing": "carry_forward"},
        "price": {"dist": {"normal": [11, 1]}},
        "setup": 900,
    },
    "variables": {"kept": "prev(kept, init=1) * 0.9", "sum": "cumsum(tickets) * kept"},
    "drivers": {"deflection": {"expr": "tickets * price * kept", "risk": 0.1, "decay": 0.2}},
    "costs": {"setup": {"expr": "setup", "at": 0}, "late": {"expr": "100", "at": 3, "risk": 0.5}},
    "scenarios": {
        "base": {},
        "low": {"price": {"dist": {"uniform": [4, 6]}}},
        "seen": {"setup": {"bind": {"metric": "billing.setup"}}, "price": [9, 10, 11, 12]},
    },
    "outputs": [*METRICS, "total_benefit", "total_cost", "sum", "tickets", {"percentiles": [5, 95]}],
}
ROWS = [
    *(("usage.tickets", "beta", t, 30 + t) for t in (1, 2, 3, 4)),
    *(("usage.tickets", "alpha", t, 20.5 * t) for t in (1, 2)),
    *(("usage.tickets", "gamma", t, 3) for t in (1, 2, 3, 4)),
    *(("billing.setup", customer, t, 700.0) for customer in ("alpha", "beta", "gamma") for t in (1, 2, 3, 4)),
]


def model_file(folder: Path, **changed: Any) -> Path:
    file = folder / "model.yaml"
    file.write_text(yaml.safe_dump(DOCUMENT | changed), encoding="utf-8")
    return file


def data_file(folder: Path, *rows: tuple[Any, ...]) -> Path:
    file = folder / "data.csv"
    lines = [",".join(map(str, row)) for row in rows or ROWS]
    file.write_text("\n".join(["metric,customer,period,value", *lines, ""]), encoding="utf-8")
    return file


def run_portfolio_command(folder: Path, *arguments: str, model: Path | None = None) -> list[dict[str, Any]]:
    command = ["value", "portfolio", str(model or model_file(folder)), "--data", str(data_file(folder)), *arguments]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def run(folder: Path, rows: pl.DataFrame, asked: RunRequest, **changed: Any) -> pl.DataFrame:
    program = read_program(model_file(folder, **changed), [])
    return run_portfolio(program, bind_customers(program, rows, asked), asked)


def metrics(*rows: tuple[Any, ...]) -> pl.DataFrame:
    names = ["metric", "customer", "period", "value"]
    return read_metrics(pl.DataFrame(rows or ROWS, schema=names, orient="row", strict=False), empty=True)


def by_itself(program: Program, customer: str, scenario: str) -> dict[str, Any]:
    rows = metrics().filter(customer=customer)
    found = run_model(program, rows, RunRequest((scenario,), draws=256, seed=5))["scenarios"][scenario]["outputs"]
    return dict(found)


def test_each_line_is_what_the_customer_s_own_run_says(tmp_path: Path) -> None:
    lines = run_portfolio_command(tmp_path, "--draws", "256", "--seed", "5")
    assert [(line["customer"], line["scenario"]) for line in lines] == [
        (customer, scenario) for customer in ("alpha", "beta", "gamma") for scenario in ("base", "low", "seen")
    ]
    program = read_program(model_file(tmp_path), [])
    for line in lines:
        alone = by_itself(program, line["customer"], line["scenario"])
        for name, one in line["outputs"].items():
            value = alone[name]["value"] if isinstance(alone[name], dict) else alone[name]
            assert one["value"] == (None if value is None else pytest.approx(value, rel=1e-9)), (line, name)
            if one["mean"] is not None:
                assert one["percentiles"] == pytest.approx(alone["percentiles"][name], rel=1e-9)


def test_a_certain_scenario_has_its_value_as_mean_and_as_every_percentile(tmp_path: Path) -> None:
    for line in run_portfolio_command(tmp_path, "--scenario", "seen", "--output", "npv", "--output", "sum"):
        for one in line["outputs"].values():
            assert [one["mean"], *one["percentiles"].values()] == pytest.approx([one["value"]] * 4, rel=1e-9)


def test_draws_without_a_number_are_left_out_with_their_share_as_in_the_customer_s_own_run(tmp_path: Path) -> None:
    outputs: list[Any] = [{"payback": ["mean", {"percentiles": [5, 50, 95]}]}]
    lines = run_portfolio_command(
        tmp_path, "--scenario", "base", "--draws", "256", "--seed", "5", model=model_file(tmp_path, outputs=outputs)
    )
    program = read_program(model_file(tmp_path, outputs=outputs), [])
    shares = []
    for line in lines:
        alone, one = by_itself(program, line["customer"], "base")["payback"], line["outputs"]["payback"]
        assert one.get("missing") == alone.get("missing")
        assert [one["mean"], *one["percentiles"].values()] == [
            None if value is None else pytest.approx(value, rel=1e-9)
            for value in (alone["mean"], *alone["percentiles"].values())
        ]
        shares.append(one.get("missing", 0))
    assert any(0 < share < 1 for share in shares)


def test_what_does_not_exist_is_null_and_what_was_carried_forward_is_flagged(tmp_path: Path) -> None:
    alpha, beta, gamma = run_portfolio_command(tmp_path, "--scenario", "base", "--draws", "8", "--output", "payback")
    assert gamma["outputs"]["payback"] == {
        "value": None,
        "mean": None,
        "percentiles": {"5": None, "50": None, "95": None},
        "missing": 1.0,
    }
    assert [flag["period"] for flag in alpha["flags"]] == [3, 4]
    assert alpha["flags"][0] == {
        "input": "tickets", "period": 3, "policy": "carry_forward", "value": 41.0, "outputs": ["payback"],
    }  # fmt: skip
    assert beta["flags"] == []


def test_the_table_has_a_row_for_each_scenario_customer_and_output(tmp_path: Path) -> None:
    found = run(tmp_path, metrics(), RunRequest(("low", "base"), draws=16), outputs=["npv", "sum"])
    assert found.schema == PORTFOLIO_RESULTS
    assert (
        found.select("scenario", "customer", "output").unique(maintain_order=True).height == found.height == 2 * 3 * 2
    )


def test_a_model_that_measures_nothing_says_the_same_of_everybody(tmp_path: Path) -> None:
    inputs = DOCUMENT["inputs"] | {"tickets": [30, 31, 32, 33]}
    found = run(tmp_path, metrics(), RunRequest(("base",), draws=16), inputs=inputs, outputs=["npv"])
    assert found["customer"].to_list() == ["alpha", "beta", "gamma"]
    assert found["value"].n_unique() == found["mean"].n_unique() == 1


def test_the_lines_are_the_same_bits_whatever_the_threads(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "valueverse", "value", "portfolio", str(model_file(tmp_path)), "--draws", "64"]
    done = subprocess.run(
        [*command, "--data", str(data_file(tmp_path))],
        env=os.environ | {"POLARS_MAX_THREADS": "1"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [json.loads(line) for line in done.stdout.splitlines()] == run_portfolio_command(tmp_path, "--draws", "64")
    assert "running scenario low" in done.stderr


def refusal(folder: Path, rows: pl.DataFrame, **changed: Any) -> RefusalError:
    with pytest.raises(RefusalError) as caught:
        run(folder, rows, RunRequest(draws=64), **changed)
    return caught.value


def test_a_metric_that_is_missing_names_the_customer(tmp_path: Path) -> None:
    found = refusal(tmp_path, metrics(*(row for row in ROWS if row[:2] != ("billing.setup", "beta"))))
    assert (found.code, found.path) == ("missing_metric", "inputs.setup")
    assert found.message.startswith("customer 'beta': the input 'setup' has no value in period 1")


def test_a_customer_whose_values_are_all_empty_is_refused_and_not_left_out(tmp_path: Path) -> None:
    empty = [("usage.tickets", "delta", t, None) for t in (1, 2)]
    found = refusal(tmp_path, metrics(*ROWS, *empty))
    assert found.message.startswith("customer 'delta': the input 'tickets' has no value in period 1")


@pytest.mark.parametrize("name", ["", None])
def test_a_row_without_a_customer_is_refused(tmp_path: Path, name: str | None) -> None:
    found = refusal(tmp_path, metrics(*ROWS, ("usage.tickets", name, 1, 5)))
    assert (found.code, found.path) == ("bad_data", "customer")


def test_data_without_a_row_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, metrics().clear()).code == "bad_data"


def test_a_division_by_zero_at_the_means_names_customer_scenario_and_period(tmp_path: Path) -> None:
    found = refusal(tmp_path, metrics(), variables={"kept": "1 / (tickets - 33)", "sum": "kept"})
    assert (found.code, found.path) == ("no_number", "kept")
    assert found.message.startswith("customer 'beta', scenario 'base': 'kept' has no number in period 3: ")


def test_a_logarithm_that_fails_in_some_draws_names_the_customer_and_its_own_draw(tmp_path: Path) -> None:
    found = refusal(tmp_path, metrics(), variables={"kept": "log(price - tickets / 3.5)", "sum": "kept"})
    assert found.code == "no_number"
    assert found.message.startswith("customer 'alpha', scenario 'base': 'kept' has no number in period ")
    some = {"kept": "if(tickets < 30, 1, log(price - 9))", "sum": "kept"}
    seldom = refusal(tmp_path, metrics(), variables=some, scenarios={"base": {}})
    assert seldom.message.startswith("customer 'alpha', scenario 'base': 'kept' has no number in period 2, in draw ")
    assert " of 64: " in seldom.message


def test_money_that_overflows_is_refused_and_never_null(tmp_path: Path) -> None:
    drivers = {"deflection": "1e99 * 1e99 * 1e99 * 1e11"}
    found = refusal(tmp_path, metrics(), drivers=drivers, variables={}, outputs=["npv"])
    assert (found.code, found.path) == ("no_number", "npv")


def test_a_mean_that_overflows_is_refused_and_never_null(tmp_path: Path) -> None:
    inputs = {"price": {"dist": {"uniform": [1, 1.5]}}}
    with pytest.raises(RefusalError, match="the mean of 'far' is beyond what a number holds") as refused:
        run(tmp_path, metrics(), RunRequest(draws=64), inputs=inputs, variables={"far": "price * (1e77 ^ 4)"},
            drivers={}, costs={}, scenarios={}, outputs=["far"])  # fmt: skip
    assert (refused.value.code, refused.value.path) == ("no_number", "far")


def test_a_portfolio_of_statements_alone_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, metrics(), outputs=[{"probability": "npv > 0"}]).code == "no_output"


def test_draws_that_no_memory_holds_are_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match="for each of 3 customers in 2 scenarios") as refused:
        run(tmp_path, metrics(), RunRequest(draws=2**22, scenarios=("base", "low", "seen")))
    assert (refused.value.code, refused.value.path) == ("too_large", "--draws")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (RunRequest(("bast",)), "unknown_scenario"), (RunRequest(draws=0), "bad_draws"),
        (RunRequest(seed=2**60), "bad_seed"), (RunRequest(start="5"), "bad_start"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_refused(tmp_path: Path, asked: RunRequest, code: str) -> None:
    with pytest.raises(RefusalError) as refused:
        run(tmp_path, metrics(), asked)
    assert refused.value.code == code


def test_without_a_start_each_customer_s_axis_begins_with_its_own_data_and_with_one_all_begin_there(
    tmp_path: Path,
) -> None:
    rows = metrics(
        *(("usage.tickets", "early", f"2024-0{month}", month) for month in (1, 2, 3, 4, 5)),
        *(("usage.tickets", "late", f"2024-0{month}", month) for month in (2, 3, 4, 5)),
    )
    changed: dict[str, Any] = {"outputs": ["tickets"], "scenarios": {"base": {}}}
    assert run(tmp_path, rows, RunRequest(draws=1), **changed)["value"].to_list() == [4.0, 5.0]
    assert run(tmp_path, rows, RunRequest(draws=1, start="2024-02"), **changed)["value"].to_list() == [5.0, 5.0]
