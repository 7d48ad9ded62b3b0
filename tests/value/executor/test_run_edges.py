"""Runs at the edges: what overflows, does not vary, or does not exist; the bits do not depend on threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
import yaml

from valueverse.errors import RefusalError
from valueverse.services.value.model_inputs import read_program
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.executor.binding import read_metrics
from valueverse.value.executor.run import DRAWS, RunRequest, run_model

if TYPE_CHECKING:
    from pathlib import Path

FRAME = {"schema": "valueverse.value_model/v1", "model": "m"}


def run(document: dict[str, Any], data: pl.DataFrame | None = None, **asked: Any) -> dict[str, Any]:
    program = compile_model(parse_model(yaml.safe_dump(FRAME | document)))
    found = run_model(program, None if data is None else read_metrics(data), RunRequest(**asked))
    json.dumps(found, allow_nan=False)
    return found


def outputs(document: dict[str, Any], **asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = run(document, **asked)["scenarios"]["base"]["outputs"]
    return found


def of(dists: dict[str, Any], expr: str, *wanted: Any, **asked: Any) -> dict[str, Any]:
    inputs = {name: {"dist": dist} for name, dist in dists.items()}
    found: dict[str, Any] = outputs(
        {"inputs": inputs, "variables": {"y": {"expr": expr}}, "outputs": [{"y": list(wanted)}]}, **asked
    )["y"]
    return found


def test_an_empirical_distribution_has_the_mean_and_variance_of_its_sample() -> None:
    found = of({"x": {"empirical": [1, 2, 3, 10]}}, "x", "mean", "variance")
    assert (found["value"], found["mean"], found["variance"]) == (4.0, 4.0, 12.5)


@pytest.mark.parametrize("mean", [1e9, 1e12, -1e12])
def test_a_large_mean_does_not_drown_the_indices_or_their_intervals(mean: float) -> None:
    found = of({"x": {"normal": [mean, 1]}, "z": {"normal": [0, 1]}}, "x + z", "sobol")["sobol"]
    assert found["S1"] == pytest.approx({"x": 0.5, "z": 0.5}, abs=0.01)
    assert all(low < 0.5 < high for low, high in found["intervals"]["S1"].values())


def test_what_varies_by_its_rounding_only_has_no_indices() -> None:
    assert of({"x": {"normal": [0, 1]}}, "sin(x)^2 + cos(x)^2", "sobol")["sobol"]["status"] == "no_variance"


def test_a_variance_beyond_numbers_is_refused_by_name() -> None:
    with pytest.raises(RefusalError, match="variance of 'y'") as refused:
        of({"x": {"lognormal": [190, 1]}}, "x^2", "mean")
    assert refused.value.code == "no_number"


INVESTED: dict[str, Any] = {
    "currency": "USD",
    "inputs": {"x": {"dist": {"uniform": [-1, 10]}}},
    "drivers": {"d": {"expr": "x * 2"}},
    "costs": {"s": {"expr": "3", "at": 0}},
}


def test_a_rate_that_does_not_exist_at_one_end_of_a_tornado_is_null_and_not_zero() -> None:
    found = outputs(INVESTED | {"outputs": [{"irr": ["tornado", "sobol"]}]})["irr"]
    (row,) = found["tornado"]
    assert (row["low"], row["swing"]) == (None, None)
    assert row["high"] > 0
    assert found["sobol"]["status"] == "missing"


def test_certain_models_report_the_percentiles_that_are_asked_for() -> None:
    document = INVESTED | {"inputs": {"x": 5}, "outputs": ["npv", {"percentiles": [5, 95]}]}
    assert outputs(document)["percentiles"] == {"5": 7.0, "95": 7.0, "npv": {"5": 7.0, "95": 7.0}}


@pytest.mark.parametrize("timing", ["begin", "mid", "end"])
def test_drawn_rates_agree_with_the_one_at_the_means_whatever_the_timing(timing: str) -> None:
    axis = {"periods": 12, "discount": {"rate": 0.1, "timing": timing}}
    inputs = {"x": {"dist": {"normal": [10, 1e-9]}}}
    costs = {"s": {"expr": "100", "at": 0}, "end": {"expr": "30", "at": 12}}
    document = INVESTED | {"axis": axis, "inputs": inputs, "costs": costs, "outputs": [{"irr": ["mean"]}]}
    found = outputs(document, draws=64)["irr"]
    assert found["mean"] == pytest.approx(found["value"], rel=1e-6)


def test_a_scenario_may_measure_what_the_model_assumes_and_assume_what_it_measures() -> None:
    document = {
        "inputs": {"x": 5, "z": {"bind": {"metric": "m"}}},
        "variables": {"y": {"expr": "x * z"}},
        "scenarios": {"guess": {"z": 2}, "seen": {"x": {"bind": {"metric": "m"}}}},
    }
    data = pl.DataFrame({"metric": ["m"], "period": ["1"], "value": [7.0]})
    found = run(document, data)["scenarios"]
    assert {name: one["outputs"]["y"] for name, one in found.items()} == {"base": 35.0, "guess": 10.0, "seen": 49.0}
    assert run(document, scenarios=("guess",))["scenarios"]["guess"]["outputs"]["y"] == 10.0
    with pytest.raises(RefusalError, match="bound to a metric"):
        run(document, scenarios=("seen",))


@pytest.mark.parametrize(
    ("asked", "code"), [({"seed": 2**53}, "bad_seed"), ({"start": "zzz"}, "bad_start"), ({"start": "5"}, "bad_start")]
)
def test_a_seed_beyond_json_and_a_start_that_is_no_day_are_refused(asked: dict[str, Any], code: str) -> None:
    with pytest.raises(RefusalError) as refused:
        outputs(INVESTED, **asked)
    assert refused.value.code == code


def test_a_statement_may_look_up_a_table() -> None:
    document = {
        "inputs": {"x": {"dist": {"uniform": [0, 1]}}},
        "variables": {"y": {"expr": "x"}},
        "outputs": [{"probability": "lookup(y, 0, 1, 0.25, 2) > 1"}],
    }
    assert outputs(document)["probability"] == {"lookup(y, 0, 1, 0.25, 2) > 1": pytest.approx(0.75, abs=1e-3)}


def test_other_outputs_leave_the_hash_of_the_document_and_are_refused_at_their_option(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(yaml.safe_dump(FRAME | {"variables": {"a": {"expr": "1"}, "b": {"expr": "2"}}, "outputs": ["a"]}))
    assert read_program(file, ["b"]).content_hash == read_program(file, []).content_hash
    with pytest.raises(RefusalError, match=r"^unknown output 'c'") as refused:
        read_program(file, ["c"])
    assert refused.value.path == "--output"
    with pytest.raises(RefusalError, match="is not JSON"):
        read_program(file, ['{"a":' + "[" * 5_000 + "]" * 5_000 + "}"])


def test_the_bits_are_the_same_whatever_the_threads_of_the_linear_algebra(tmp_path: Path) -> None:
    names = [f"x{place}" for place in range(8)]
    document = FRAME | {
        "inputs": {name: {"dist": {"normal": [place + 1, 1]}} for place, name in enumerate(names)},
        "correlations": [{"between": [one, other], "rho": 0.4} for one, other in pairwise(names[:6])],
        "variables": {"y": {"expr": " * ".join(names)}},
        "outputs": [{"y": ["mean", "sobol"]}],
    }
    file = tmp_path / "m.yaml"
    file.write_text(yaml.safe_dump(document))
    hashes = set()
    for threads in ("1", "2"):
        more = {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads, "POLARS_MAX_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-m", "valueverse", "value", "run", str(file)],
            env=os.environ | more, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found = json.loads(done.stdout)
        assert found["draws"] == DRAWS
        hashes.add(found["run_hash"])
    assert len(hashes) == 1
