"""Rows ``value run``, ``value portfolio``, ``irr``, ``sobol``, ``value edit`` and ``value compile``: value models.

Peers: the same formula by hand in Polars or NumPy, pyxirr in a loop, SALib. Before anything is timed, the results of
both sides are compared.
"""

from __future__ import annotations

import math
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyxirr
from SALib.analyze import sobol as salib_sobol
from SALib.sample import sobol as salib_sample
from scipy.stats import norm

from bench.rating import peak_gib, seconds
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.executor.binding import Bound
from valueverse.value.executor.portfolio import run_portfolio
from valueverse.value.executor.run import RunRequest, run_model
from valueverse.value.executor.sensitivity import sobol_indices
from valueverse.value.finance.cashflows import irr_batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from valueverse.value.architect.program_ir import Program

SIZES = {
    "tiny": {"draws": 2**12, "customers": 10, "flows": 1_000, "sobol": 2**9, "edits": 5},
    "small": {"draws": 2**17, "customers": 100, "flows": 10_000, "sobol": 2**12, "edits": 50},
    "full": {"draws": 2**20, "customers": 1_000, "flows": 100_000, "sobol": 2**14, "edits": 200},
}
PERIODS = 36
PAIRS = 5
MODEL = """
schema: valueverse.value_model/v1
model: roi
currency: USD
axis: {grain: month, periods: 36, discount: {rate: 0.10}}
inputs:
  volume: {dist: {normal: [12000, 900]}}
  growth: {dist: {normal: [0.01, 0.002]}}
  deflected: {dist: {uniform: [0.1, 0.3]}}
  unit_cost: {dist: {normal: [11, 1]}}
  adoption: {dist: {uniform: [0.5, 0.9]}}
  uplift: {dist: {normal: [0.02, 0.004]}}
  revenue: {dist: {normal: [400000, 25000]}}
  margin: {dist: {uniform: [0.3, 0.5]}}
  hours: {dist: {normal: [300, 40]}}
  wage: {dist: {uniform: [40, 80]}}
  licence: {dist: {uniform: [9000, 11000]}}
  setup: {dist: {normal: [150000, 10000]}}
drivers:
  deflection: volume * (1 + growth * t) * deflected * unit_cost * adoption * min(1, t / 6)
  sales: revenue * uplift * margin * min(1, t / 12)
  time: hours * wage * adoption
costs: {licence: licence, setup: {expr: setup, at: 0}}
outputs: [npv, roi, {percentiles: [5, 50, 95]}]
"""


def run(size: str) -> list[dict[str, object]]:
    """All rows of value models."""
    asked = SIZES[size]
    return [
        _value_run(asked["draws"]),
        _portfolio(asked["customers"]),
        _irr(asked["flows"]),
        _sobol(asked["sobol"]),
        _edit(asked["edits"]),
        _compile(),
    ]


def _program(text: str = MODEL) -> Program:
    return compile_model(parse_model(text))


def _pairs(ours: Callable[[], object], peer: Callable[[], object]) -> tuple[float, float]:
    """Medians of interleaved pairs after a warm-up of both."""
    ours(), peer()
    found = [(seconds(ours), seconds(peer)) for _ in range(PAIRS)]
    return statistics.median(one for one, _ in found), statistics.median(two for _, two in found)


def _row(name: str, events: int, times: tuple[float, float], goal: str, note: str) -> dict[str, object]:
    ours, peer = times
    return {
        "row": name,
        "events": events,
        "ours_seconds": round(ours, 4),
        "peer_seconds": round(peer, 4),
        "ratio": round(ours / peer, 3),
        "goal": goal,
        "note": note,
    }


def _value_run(draws: int) -> dict[str, object]:
    program = _program()

    def ours() -> dict[str, Any]:
        return run_model(program, None, RunRequest(draws=draws))["scenarios"]["base"]["outputs"]

    def peer() -> tuple[float, float, float]:
        return _plain_polars(draws)

    mine, theirs = ours()["percentiles"]["npv"], peer()
    assert all(
        math.isclose(mine[level], other, rel_tol=0.02) for level, other in zip(("5", "50", "95"), theirs, strict=True)
    )
    return _row(
        "value run",
        draws,
        _pairs(ours, peer),
        "<= 1.2",
        "12 inputs, 36 months, npv and roi; peer: plain Polars, NumPy draws",
    )


def _plain_polars(draws: int) -> tuple[float, float, float]:
    """The same model written by hand: pseudo-random draws, one expression per month, percentiles of npv and roi."""
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "volume": rng.normal(12000, 900, draws),
            "growth": rng.normal(0.01, 0.002, draws),
            "deflected": rng.uniform(0.1, 0.3, draws),
            "unit_cost": rng.normal(11, 1, draws),
            "adoption": rng.uniform(0.5, 0.9, draws),
            "uplift": rng.normal(0.02, 0.004, draws),
            "revenue": rng.normal(400000, 25000, draws),
            "margin": rng.uniform(0.3, 0.5, draws),
            "hours": rng.normal(300, 40, draws),
            "wage": rng.uniform(40, 80, draws),
            "licence": rng.uniform(9000, 11000, draws),
            "setup": rng.normal(150000, 10000, draws),
        }
    )
    column = pl.col
    benefit, cost = pl.lit(0.0), column("setup")
    for t in range(1, PERIODS + 1):
        factor = 1.1 ** (-t / 12)
        deflection = column("volume") * (1 + column("growth") * t) * column("deflected") * column("unit_cost")
        deflection = deflection * column("adoption") * min(1, t / 6)
        sales = column("revenue") * column("uplift") * column("margin") * min(1, t / 12)
        benefit += (deflection + sales + column("hours") * column("wage") * column("adoption")) * factor
        cost += column("licence") * factor
    levels = (0.05, 0.5, 0.95)
    found = (
        frame.lazy()
        .select(benefit.alias("b"), cost.alias("c"))
        .select(npv=column("b") - column("c"), roi=(column("b") - column("c")) / column("c"))
        .select(
            *(column("npv").quantile(q, "linear").alias(f"n{q}") for q in levels),
            *(column("roi").quantile(q, "linear").alias(f"r{q}") for q in levels),
            column("npv").mean().alias("nm"), column("roi").mean().alias("rm"),
        )
        .collect()
    )  # fmt: skip
    return tuple(found.row(0)[:3])  # type: ignore[return-value]


PORTFOLIO_MODEL = """
schema: valueverse.value_model/v1
model: portfolio
currency: USD
axis: {grain: month, periods: 36, discount: {rate: 0.10}}
inputs:
  tickets: {bind: {metric: usage.tickets}}
  deflected: {dist: {uniform: [0.1, 0.3]}}
  unit_cost: {dist: {normal: [11, 1]}}
  licence: {dist: {uniform: [900, 1100]}}
drivers: {deflection: "tickets * deflected * unit_cost * min(1, t / 6)"}
costs: {licence: licence, setup: {expr: "15000", at: 0}}
scenarios:
  base: {}
  low: {deflected: {dist: {uniform: [0.05, 0.15]}}}
  high: {deflected: {dist: {uniform: [0.2, 0.4]}}}
outputs: [npv, {percentiles: [5, 50, 95]}]
"""


def _portfolio(customers: int) -> dict[str, object]:
    program = _program(PORTFOLIO_MODEL)
    rng = np.random.default_rng(3)
    measured = rng.uniform(500, 1500, (customers, PERIODS))
    bound = {f"c{place:05d}": Bound({"tickets": measured[[place]]}, []) for place in range(customers)}
    everywhere = {scenario.name: bound for scenario in program.scenarios}

    def ours() -> pl.DataFrame:
        return run_portfolio(program, everywhere, RunRequest(draws=1_024))

    def peer() -> np.ndarray:
        return _blocked_numpy(measured, 1_024)

    mine = ours().filter(pl.col("scenario") == "base")["percentile"].list.get(1).to_numpy()
    np.testing.assert_allclose(mine, peer()[0, 1], atol=3_000)
    note = "3 scenarios x 1,024 draws x 36 months; peer: blocked NumPy by hand"
    row = _row("value portfolio", customers, _pairs(ours, peer), "<= 1.5, < 2 GiB", note)
    return row | {"peak_gib": round(peak_gib(_portfolio_peak, everywhere), 2)}


def _portfolio_peak(everywhere: dict[str, dict[str, Bound]]) -> None:
    run_portfolio(_program(PORTFOLIO_MODEL), everywhere, RunRequest(draws=1_024))


def _blocked_numpy(measured: np.ndarray, draws: int) -> np.ndarray:
    """scenario x percentile x customer of the same model, customers in blocks of 32."""
    rng = np.random.default_rng(1)
    uniform = rng.random((draws, 3))
    unit_cost, licence = norm.ppf(uniform[:, 1]) + 11, 900 + 200 * uniform[:, 2]
    t = np.arange(1, PERIODS + 1)
    ramp, factor = np.minimum(1, t / 6), 1.1 ** (-t / 12)
    found = np.empty((3, 3, len(measured)))
    for place, (low, high) in enumerate(((0.1, 0.3), (0.05, 0.15), (0.2, 0.4))):
        deflected = low + (high - low) * uniform[:, 0]
        for start in range(0, len(measured), 32):
            block = measured[start : start + 32, None, :]
            flows = block * deflected[None, :, None] * unit_cost[None, :, None] * ramp - licence[None, :, None]
            npv = (flows * factor).sum(axis=2) - 15000
            found[place, :, start : start + 32] = np.quantile(npv, [0.05, 0.5, 0.95], axis=1)
    return found


def _irr(count: int) -> dict[str, object]:
    rng = np.random.default_rng(5)
    rows = np.concatenate([-rng.uniform(500, 1000, (count, 1)), rng.uniform(5, 60, (count, PERIODS))], axis=1)

    def peer() -> list[float | None]:
        return [pyxirr.irr(row) for row in rows]

    np.testing.assert_allclose(irr_batch(rows[:200]), [pyxirr.irr(row) for row in rows[:200]], rtol=1e-8, atol=1e-10)
    note = "cash flows of 36 periods; peer: pyxirr in a loop"
    return _row("irr", count, _pairs(lambda: irr_batch(rows), peer), "<= 0.2", note)


def _sobol(draws: int) -> dict[str, object]:
    dimensions = 10
    weights = np.array([0, 0.5, 1, 2, 5, 9, 20, 50, 99, 99.0])
    names = [f"x{place}" for place in range(dimensions)]

    def g_function(points: np.ndarray) -> np.ndarray:
        return np.prod((np.abs(4 * points - 2) + weights) / (1 + weights), axis=1)

    problem = {"num_vars": dimensions, "names": names, "bounds": [[0, 1]] * dimensions}

    def peer() -> dict[str, np.ndarray]:
        points = salib_sample.sample(problem, draws, calc_second_order=False)
        found = salib_sobol.analyze(problem, g_function(points), calc_second_order=False, num_resamples=100)
        return dict(found)

    def ours() -> dict[str, Any]:
        return sobol_indices(names, g_function, draws, 1)

    np.testing.assert_allclose(list(ours()["ST"].values()), peer()["ST"], atol=0.05)
    note = "g-function of 10 inputs, 100 bootstraps; peer: SALib"
    return _row("sobol", draws, _pairs(ours, peer), "<= 0.2", note)


def _edit(edits: int) -> dict[str, object]:
    """One input edited, compiled and run again with 10,000 draws: all but the slowest twentieth against 30 ms."""
    spent = []
    for number in range(edits):
        text = MODEL.replace("licence: licence", f"licence: licence * {1 + number / 1000}")
        begun = time.perf_counter()
        run_model(_program(text), None, RunRequest(draws=10_000))
        spent.append(time.perf_counter() - begun)
    p95 = sorted(spent)[math.ceil(0.95 * len(spent)) - 1]
    return _row(
        "value edit", edits, (p95, 0.030), "<= 1.0", "one input edited -> new outputs, 10,000 draws: p95 against 30 ms"
    )


def _compile() -> dict[str, object]:
    stated = ["  v0: x"]
    for place in range(1, 500):
        step = f"max(v{place - 1} * 0.5 + k, 0)" if place % 10 else f"prev(v{place}, init=1) * 0.9 + v{place - 1}"
        stated.append(f"  v{place}: {step}")
    head = "schema: valueverse.value_model/v1\nmodel: long\ninputs: {x: {dist: {uniform: [0, 1]}}, k: 2}\nvariables:\n"
    model = parse_model(head + "\n".join(stated))
    compile_model(model)
    spent = statistics.median(seconds(lambda: compile_model(model)) for _ in range(9))
    return _row("value compile", 500, (spent, 0.050), "<= 1.0", "a model of 500 variables against 50 ms")
