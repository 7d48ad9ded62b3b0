"""Runs against what is known without them: quantiles of distributions at the default draws, a published business case,
the example of the reference, and bits that no machine may change."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from scipy import stats

from tests.support.value_models import EXAMPLE
from valueverse.errors import RefusalError
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.executor.binding import read_metrics
from valueverse.value.executor.run import RunRequest, run_model
from valueverse.value.executor.sampling import net, net_and_replicates, points, standard_error


def run(document: dict[str, Any] | str, data: pl.DataFrame | None = None, **asked: Any) -> dict[str, Any]:
    whole = {"schema": "valueverse.value_model/v1", "model": "m"}
    text = document if isinstance(document, str) else yaml.safe_dump(whole | document)
    return run_model(
        compile_model(parse_model(text)), None if data is None else read_metrics(data), RunRequest(**asked)
    )


def outputs(document: dict[str, Any] | str, data: pl.DataFrame | None = None, **asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = run(document, data, **asked)["scenarios"]["base"]["outputs"]
    return found


_Z = stats.norm.ppf(0.95)
LEVELS = [5, 25, 50, 75, 95]
FAMILIES = {
    "normal": ({"normal": [100, 15]}, stats.norm(100, 15)),
    "lognormal": ({"lognormal": [1, 0.5]}, stats.lognorm(0.5, scale=math.e)),
    "uniform": ({"uniform": [2, 5]}, stats.uniform(2, 3)),
    "triangular": ({"triangular": [2, 3, 9]}, stats.triang(1 / 7, 2, 7)),
    "pert": ({"pert": [8, 11, 15]}, stats.beta(1 + 12 / 7, 1 + 16 / 7, 8, 7)),
    "beta": ({"beta": [2, 5]}, stats.beta(2, 5)),
    "interval90": ({"interval90": [0.5, 0.9]}, stats.norm(0.7, 0.2 / _Z)),
    "interval90 lognormal": (
        {"interval90": [50, 200], "family": "lognormal"},
        stats.lognorm(math.log(2) / _Z, scale=100),
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_distribution_s_quantiles_and_moments_are_its_closed_forms_at_the_default_draws(family: str) -> None:
    dist, law = FAMILIES[family]
    asked = [{"y": ["mean", "variance", {"percentiles": LEVELS}]}]
    found = outputs({"inputs": {"x": {"dist": dist}}, "variables": {"y": "x"}, "outputs": asked})["y"]
    assert found["mean"] == pytest.approx(law.mean(), rel=2e-3)
    assert found["variance"] == pytest.approx(law.var(), rel=5e-3)
    for level in LEVELS:
        assert found["percentiles"][str(level)] == pytest.approx(law.ppf(level / 100), rel=2e-3)


def test_a_product_of_lognormals_is_one() -> None:
    dists = {"a": {"dist": {"lognormal": [0, 0.3]}}, "b": {"dist": {"lognormal": [1, 0.4]}}}
    found = outputs({"inputs": dists, "variables": {"y": "a * b"}, "outputs": [{"y": [{"percentiles": LEVELS}]}]})["y"]
    law = stats.lognorm(0.5, scale=math.e)
    assert (found["mean"], found["variance"]) == (
        pytest.approx(law.mean(), rel=2e-3),
        pytest.approx(law.var(), rel=5e-3),
    )
    for level in LEVELS:
        assert found["percentiles"][str(level)] == pytest.approx(law.ppf(level / 100), rel=2e-3)


def test_a_published_business_case_comes_out_to_the_dollar() -> None:
    """Forrester, The Total Economic Impact of SalesLoft (2020): cash flow table, risk-adjusted, at 10 %."""
    found = outputs(
        {
            "currency": "USD",
            "axis": {"grain": "year", "periods": 3, "discount": {"rate": 0.1, "timing": "end"}},
            "inputs": {
                "benefits": {"unit": "USD/year", "value": [1606511, 3061331, 4229760]},
                "running": {"unit": "USD/year", "value": [666715, 636772, 647783]},
            },
            "drivers": {"all": {"expr": "benefits"}},
            "costs": {"initial": {"expr": "53150", "at": 0}, "running": {"expr": "running"}},
            "outputs": ["npv", "roi", "pv_benefit", "pv_cost", "payback"],
        }
    )
    assert found["npv"] == pytest.approx(5_496_170, abs=1)
    assert found["pv_benefit"] == pytest.approx(7_168_371, abs=1)
    assert found["pv_cost"] == pytest.approx(1_672_201, abs=1)
    assert round(found["roi"], 2) == 3.29
    assert found["payback"] < 0.5


def measured() -> pl.DataFrame:
    """10,000 tickets in each of the three months before the start, 6,000 after it, and an invoice of 5,000 a month."""
    months = [(f"{2023 + place // 12}-{place % 12 + 1:02}", place) for place in range(9, 48)]
    rows = [("usage.tickets", month, 10_000.0 if place < 12 else 6_000.0) for month, place in months if place != 20]
    rows += [("billing.invoiced_net", month, 5_000.0) for month, place in months if place >= 12]
    return pl.DataFrame(rows, schema=["metric", "period", "value"], orient="row").with_columns(customer=pl.lit("c1"))


def test_the_example_of_the_reference_comes_to_what_its_formulas_say() -> None:
    found = run(EXAMPLE, measured())
    assert set(found["scenarios"]) == {"conservative", "base", "stretch"}
    assert [(flag["input"], flag["period"], flag["policy"]) for flag in found["flags"]] == [
        ("tickets", 9, "carry_forward")
    ]
    price = 8 + 7 * (1 + 12 / 7) / 6
    for scenario, adoption in (("conservative", 0.5), ("stretch", 0.9)):
        results = found["scenarios"][scenario]["outputs"]
        monthly = [4000 * adoption * price * min(1, t / 6) * 0.8 * 0.8 - 5000 for t in range(1, 37)]
        assert results["total_benefit"] == pytest.approx(sum(monthly) + 36 * 5000, rel=1e-12)
        assert results["total_cost"] == pytest.approx(150_000 + 36 * 5000, rel=1e-12)
        npv = sum(flow / 1.1 ** (t / 12) for t, flow in enumerate(monthly, 1)) - 150_000
        assert results["npv"] == pytest.approx(npv, rel=1e-12)
        zero = sum(flow / (1 + results["irr"]) ** (t / 12) for t, flow in enumerate(monthly, 1)) - 150_000
        assert zero == pytest.approx(0, abs=1e-6)
        assert set(results["sobol"]["S1"]) == {"cost_tick"}
    results = found["scenarios"]["base"]["outputs"]
    assert results["percentiles"]["5"] < results["npv"] < results["percentiles"]["95"]
    assert [row["input"] for row in results["tornado"]] == ["adoption", "cost_tick"]
    assert 0.99 < results["probability"]["npv > 0"] < 1


CERTAIN = {
    "currency": "USD",
    "axis": {"grain": "year", "periods": 4, "discount": {"rate": 0}},
    "inputs": {"saving": {"unit": "USD/year", "value": 512}, "share": {"unit": 1, "value": 0.25}},
    "variables": {"users": "prev(users, init=64) / 2 + 3", "steps": "lookup(t, 1, 8, 3, 4)"},
    "drivers": {"saved": {"expr": "saving * share + steps", "risk": 0.5, "attribution": 0.5}},
    "costs": {"setup": {"expr": "64", "at": 0}, "fee": {"expr": "16"}},
    "outputs": ["npv", "roi", "payback", "total_benefit", "total_cost", "users"],
}
GOLDEN = "0e740e2326712530377f9b7b80e6e1aad68d3e9c885e4fccd17c0b166128cee9"


def test_the_hash_of_a_run_of_halves_and_sums_is_the_same_on_every_machine() -> None:
    """Only what IEEE 754 rounds correctly may be pinned: no draws, powers, rates or logarithms.

    Those come from mathematical libraries that differ in the last bit; within one machine they are pinned against
    threads and blocks elsewhere.
    """
    found = run(CERTAIN)
    results = found["scenarios"]["base"]["outputs"]
    assert (results["npv"], results["total_benefit"], results["total_cost"], results["users"]) == (
        6.0,
        134.0,
        128.0,
        9.625,
    )
    assert (results["roi"], results["payback"]) == (6.0 / 128.0, 3.0 + 11.0 / 17.0)
    assert found["run_hash"] == GOLDEN


def test_an_error_bar_holds_the_error() -> None:
    errors = []
    for seed in range(30):
        uniform = net_and_replicates(3, 4_096, seed)
        found = np.exp(uniform[:, 0]) * uniform[:, 1] + (uniform[:, 2] > 0.3)
        bar = standard_error(found[4_096:], 4_096)
        assert bar is not None
        errors.append(abs(found[:4_096].mean() - ((math.e - 1) / 2 + 0.7)) / bar)
    assert float(np.mean(np.square(errors))) < 1.5


def test_a_net_filled_in_slices_is_the_net() -> None:
    draws = 2**16
    whole = net_and_replicates(5, draws, 3)
    assert whole[:draws].tobytes() == points(5, draws, 3).tobytes() == net(5, draws, 3).tobytes()
    assert whole[draws : draws + 1_024].tobytes() == points(5, 1_024, 3, stream=1).tobytes()


def test_a_run_that_would_never_end_or_fit_is_refused_before_it_begins() -> None:
    loops = {f"v{place}": f"prev(v{place}, 1, x) + 1" for place in range(300)}
    endless = {"axis": {"periods": 3_660}, "inputs": {"x": {"dist": {"normal": [0, 1]}}}, "variables": loops}
    wide = {"inputs": {"x": {"dist": {"normal": [0, 1]}}}, "variables": {f"v{place}": "x" for place in range(4_500)}}
    for document in (endless, wide):
        with pytest.raises(RefusalError) as caught:
            run(document)
        assert (caught.value.code, caught.value.path) == ("too_large", "--draws")


@pytest.mark.parametrize("bind", [{"window": "2 months"}, {"window": "2 months", "freeze": "baseline"}])
def test_without_a_start_the_axis_begins_behind_the_longest_window(bind: dict[str, str]) -> None:
    inputs = {"before": {"bind": {"metric": "usage.x", **bind}}, "now": {"bind": {"metric": "usage.x"}}}
    document = {"axis": {"periods": 2}, "inputs": inputs, "variables": {"y": "now - before"}}
    data = pl.DataFrame(
        {"metric": "usage.x", "period": [f"2024-0{place}" for place in range(1, 5)], "value": [1, 3, 7, 9]}
    )
    assert run(document, data)["scenarios"]["base"]["series"]["y"] == [5.0, 7.0]
