"""One model for many customers at once: every customer's measured inputs under the same draws.

Common random numbers: draw 17 is the same adoption and the same price for every customer and scenario, so differences
between them are differences of the customers. Customers are folded into the rows of the NumPy back end, block by block.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from valueverse.value.architect.ir import Binding, Distribution
from valueverse.value.executor.binding import Bound, bind
from valueverse.value.executor.evaluate import evaluate
from valueverse.value.executor.measures import metrics, money_of
from valueverse.value.executor.sampling import correlated, mean_of, quantiles, replicated, uncertain_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from valueverse.value.architect.ir import Program, Source

    Floats = NDArray[np.float64]
    _Row = tuple[str, str, str, float | None, list[float], list[float] | None]

BLOCK_CELLS = 400_000
"""Rows x periods of one array at once: what fits the processor's cache beats what fits the memory."""
PORTFOLIO = pl.Schema(
    {
        "customer": pl.String(),
        "scenario": pl.String(),
        "output": pl.String(),
        "mean": pl.Float64(),
        "level": pl.List(pl.Float64),
        "percentile": pl.List(pl.Float64),
    }
)
"""``percentile[i]`` is the value below which ``level[i]`` percent of the draws lie; null where a draw has no number."""


def bind_all(program: Program, metrics: pl.DataFrame, start: str | None = None) -> dict[str, Bound]:
    """Measured inputs of each customer in ``metrics`` (metric, customer, period, value), by customer.

    Raises:
        RefusalError: ``missing_metric``, with the customer.
    """
    parts = metrics.sort("customer").partition_by("customer", as_dict=True, maintain_order=True)
    return {str(customer): bind(program, part, start) for (customer,), part in parts.items()}


def run_portfolio(program: Program, bound: Mapping[str, Bound], draws: int, seed: int) -> pl.DataFrame:
    """Every target of every scenario for every customer: mean and percentiles over the same draws.

    Args:
        program: the model.
        bound: measured inputs by customer; a model without any takes one customer with none.
        draws: a power of two.
        seed: of the draws.

    Returns:
        PORTFOLIO.

    Raises:
        RefusalError: ``no_number``.
    """
    names = _uncertain(program)
    uniform = np.empty((1, 0))
    if names:
        uniform = correlated(replicated(len(names), draws, seed), names, program.correlations)
    customers = list(bound)
    size = max(BLOCK_CELLS // (len(uniform) * max(program.axis.periods, 1)), 1)
    blocks = [customers[start : start + size] for start in range(0, len(customers), size)]
    rows: list[_Row] = []
    for scenario in program.scenarios:
        sources: dict[str, Source] = {one.name: one.source for one in program.inputs} | dict(scenario.overrides)
        drawn = {
            name: quantiles(source, uniform[:, place])
            for place, name in enumerate(names)
            if isinstance(source := sources[name], Distribution)
        }
        work = partial(_block, program, scenario.name, sources, drawn)
        # Blocks are the same however many threads there are, and are put together in their order.
        with ThreadPoolExecutor() as threads:
            for found in threads.map(work, [{one: bound[one] for one in block} for block in blocks]):
                rows.extend(found)
    return pl.DataFrame(rows, schema=PORTFOLIO, orient="row")


def _uncertain(program: Program) -> tuple[str, ...]:
    """Inputs that are distributions in the model or in any scenario: one dimension each, the same in all of them."""
    found = dict.fromkeys(uncertain_inputs(program))
    for scenario in program.scenarios:
        found |= dict.fromkeys(uncertain_inputs(program, scenario.overrides))
    return tuple(found)


def _block(
    program: Program,
    scenario: str,
    sources: Mapping[str, Source],
    drawn: Mapping[str, Floats],
    bound: Mapping[str, Bound],
) -> list[_Row]:
    draws = max((len(column) for column in drawn.values()), default=1)
    values = evaluate(program, _inputs(sources, drawn, list(bound.values()), draws))
    targets = program.outputs.targets
    asked = [one.name for one in targets if one.node is None]
    money = metrics(program, money_of(program, values), asked) if asked else {}
    levels = list(program.outputs.percentiles)
    rows: list[_Row] = []
    for target in targets:
        found = money[target.name] if target.node is None else values[target.node][:, -1]
        table = np.broadcast_to(found, (len(bound) * draws,)).reshape(len(bound), draws)
        means = np.einsum("ij->i", table) / draws
        points = np.quantile(table, [level / 100 for level in levels], axis=1) if levels else np.empty((0, len(bound)))
        for place, customer in enumerate(bound):
            whole = bool(np.isfinite(means[place]))
            mean, known = (float(means[place]), points[:, place].tolist()) if whole else (None, None)
            rows.append((customer, scenario, target.name, mean, levels, known))
    return rows


def _inputs(
    sources: Mapping[str, Source], drawn: Mapping[str, Floats], bound: Sequence[Bound], draws: int
) -> dict[str, Floats]:
    """Rows are customers x draws, customer by customer; what is the same for all of them stays one row."""
    found = {}
    for name, source in sources.items():
        if name in drawn:
            found[name] = np.tile(drawn[name], len(bound)).reshape(-1, 1)
        elif isinstance(source, Binding):
            found[name] = np.repeat(np.concatenate([one.values[name] for one in bound]), draws, axis=0)
        elif isinstance(source, Distribution):
            found[name] = np.array([[mean_of(source)]])
        else:
            found[name] = np.array([source if isinstance(source, tuple) else (source,)], dtype=np.float64)
    return found
