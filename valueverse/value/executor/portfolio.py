"""One model for many customers at once: every customer's measured inputs under the same draws.

Common random numbers: draw 17 is the same adoption and the same price for every customer and scenario, so differences
between them are differences of the customers. Customers are folded into the rows of arrays, block by block: for the
value at the means of the inputs one row each, for the draws one row per draw.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from valueverse.errors import RefusalError
from valueverse.schemas.value import PORTFOLIO_RESULTS
from valueverse.value.architect import Distribution
from valueverse.value.executor.binding import in_scenario, naming
from valueverse.value.executor.customers import inputs_of
from valueverse.value.executor.evaluate import evaluate_program
from valueverse.value.executor.financial_metrics import outputs_of
from valueverse.value.executor.limits import BLOCK_CELLS, BLOCK_NUMBERS, judge_portfolio
from valueverse.value.executor.run import level_name, reached
from valueverse.value.executor.sampling import correlated, net, quantiles, uncertain_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from valueverse.value.architect import Program, Scenario, Source
    from valueverse.value.executor.binding import Bound
    from valueverse.value.executor.customers import Measured
    from valueverse.value.executor.run import RunRequest

    Floats = NDArray[np.float64]
    _Row = tuple[str, str, str, float | None, float | None, list[float], list[float] | None, float]


def run_portfolio(
    program: Program, measured: Measured, asked: RunRequest, progress: Callable[[str], None] = lambda _: None
) -> pl.DataFrame:
    """Every target of every scenario for every customer: at the means of the inputs, and over the same draws.

    Args:
        program: the model.
        measured: inputs by scenario, then by customer; a model without any takes one customer with none.
        asked: draws and their seed.
        progress: called with a line of progress.

    Returns:
        PORTFOLIO_RESULTS, scenario by scenario, customers in their order, targets as asked for.

    Raises:
        RefusalError: ``no_number``, with the customer; ``too_large``; ``no_output``: nothing is asked for but
            statements.
    """
    if not program.outputs.targets:
        message = "a portfolio reports metrics, variables and inputs, and the model asks for none: name one"
        raise RefusalError("no_output", message, "outputs")
    scenarios = [scenario for scenario in program.scenarios if scenario.name in measured]
    judge_portfolio(program, scenarios, max(map(len, measured.values())), asked.power_of_two)
    names = _uncertain(program)
    uniform = np.empty((1, 0))
    if names:
        uniform = correlated(net(len(names), asked.power_of_two, asked.seed), names, program.correlations)
    rows: list[_Row] = []
    for scenario in scenarios:
        progress(f"running scenario {scenario.name}")
        rows += _scenario(program, scenario, dict(zip(names, uniform.T, strict=True)), measured[scenario.name])
    return pl.DataFrame(rows, schema=PORTFOLIO_RESULTS, orient="row")


def _scenario(
    program: Program, scenario: Scenario, uniform: Mapping[str, Floats], bound: Mapping[str, Bound]
) -> list[_Row]:
    """One scenario, a few customers at a time."""
    sources = {one.name: one.source for one in in_scenario(program, scenario).inputs}
    drawn = {
        name: quantiles(source, points)
        for name, points in uniform.items()
        if isinstance(source := sources[name], Distribution)
    }
    draws = max((len(column) for column in drawn.values()), default=1)
    customers = list(bound)
    cells = draws * program.axis.periods
    names = len(program.nodes) + len(program.inputs) + 1
    size = max(min(BLOCK_CELLS // cells, BLOCK_NUMBERS // (cells * names)), 1)
    blocks = [{one: bound[one] for one in customers[start : start + size]} for start in range(0, len(customers), size)]
    work = partial(_block, program, scenario.name, sources, drawn)
    # Blocks are the same however many threads there are, and are put together in their order.
    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        return [row for found in threads.map(work, blocks) for row in found]


def _block(
    program: Program,
    scenario: str,
    sources: Mapping[str, Source],
    drawn: Mapping[str, Floats],
    bound: Mapping[str, Bound],
) -> list[_Row]:
    draws = max((len(column) for column in drawn.values()), default=1)
    central = _outputs(program, scenario, sources, {}, bound)
    found = _outputs(program, scenario, sources, drawn, bound) if drawn else central
    levels = list(program.outputs.percentiles)
    rows: list[_Row] = []
    for target in program.outputs.targets:
        table = np.broadcast_to(found[target.name], (len(bound) * draws,)).reshape(len(bound), draws)
        means, points, missing = _statistics(table, levels)
        if not np.isfinite(means).all():
            raise RefusalError("no_number", f"the mean of {target.name!r} is beyond what a number holds", target.name)
        values = np.broadcast_to(central[target.name], (len(bound),)).tolist()
        for place, (customer, value) in enumerate(zip(bound, values, strict=True)):
            at_means = None if np.isnan(value) else value
            mean, known = (None, None) if missing[place] == 1 else (float(means[place]), points[:, place].tolist())
            rows.append((customer, scenario, target.name, at_means, mean, levels, known, float(missing[place])))
    return rows


def _statistics(table: Floats, levels: list[float]) -> tuple[Floats, Floats, Floats]:
    """Of each row (draws): mean and levels x percentiles of its numbers, and the share of draws without one."""
    shares = [level / 100 for level in levels]
    means = np.einsum("ij->i", table) / table.shape[1]
    missing = np.zeros(len(table))
    if np.isfinite(means).all():
        return means, np.quantile(table, shares, axis=1), missing
    finite = np.isfinite(table)
    counts = np.count_nonzero(finite, axis=1)
    missing = 1 - counts / table.shape[1]
    means = np.einsum("ij->i", np.where(finite, table, 0.0)) / np.maximum(counts, 1)
    points = np.full((len(levels), len(table)), np.nan)
    whole, part = counts == table.shape[1], (counts > 0) & (counts < table.shape[1])
    points[:, whole] = np.quantile(table[whole], shares, axis=1)
    points[:, part] = np.nanquantile(np.where(finite, table, np.nan)[part], shares, axis=1)
    return means, points, missing


def _outputs(
    program: Program,
    scenario: str,
    sources: Mapping[str, Source],
    drawn: Mapping[str, Floats],
    bound: Mapping[str, Bound],
) -> dict[str, Floats]:
    """Targets by name, rows customer by customer; what is not drawn has its mean. A refusal names the customer."""
    draws = max((len(column) for column in drawn.values()), default=1)
    targets = {one.name: one.node for one in program.outputs.targets}
    try:
        values = evaluate_program(program, inputs_of(sources, drawn, list(bound.values()), draws))
        return outputs_of(program, values, targets)
    except RefusalError:
        # Seldom, and then worth a second run: alone, a customer's draws count from 1.
        for customer, one in bound.items():
            with naming(customer, scenario):
                outputs_of(program, evaluate_program(program, inputs_of(sources, drawn, [one], draws)), targets)
        raise


def _uncertain(program: Program) -> tuple[str, ...]:
    """Inputs that are distributions in the model or in any scenario: one dimension each, the same in all of them."""
    found = dict.fromkeys(uncertain_inputs(program))
    for scenario in program.scenarios:
        found |= dict.fromkeys(uncertain_inputs(program, scenario.overrides))
    return tuple(found)


def portfolio_documents(program: Program, measured: Measured, table: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """What ``valueverse value portfolio`` prints: one object per customer and scenario, customer by customer.

    Args:
        program: the model.
        measured: inputs by scenario, then by customer: the report flags values that were carried forward or defaulted.
        table: PORTFOLIO_RESULTS.
    """
    whole = table.sort("customer", maintain_order=True).rows(named=True)
    for (customer, scenario), rows in groupby(whole, lambda row: (row["customer"], row["scenario"])):
        flags = measured[scenario][customer].flags
        yield {
            "customer": customer,
            "scenario": scenario,
            "outputs": {row["output"]: _numbers(row) for row in rows},
            "flags": [flag | {"outputs": reached(program, flag["input"])} for flag in flags],
        }


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    names = [level_name(level) for level in row["level"]]
    points = row["percentile"] if row["percentile"] is not None else [None] * len(names)
    found = {"value": row["value"], "mean": row["mean"], "percentiles": dict(zip(names, points, strict=True))}
    return found | ({"missing": row["missing"]} if row["missing"] else {})
