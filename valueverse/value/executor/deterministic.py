"""What a model comes to at the means of its inputs, for all customers and scenarios in one query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from valueverse.value.executor.binding import in_scenario
from valueverse.value.executor.columns import KEYS, array_of, columns_of, evaluate_columns
from valueverse.value.executor.customers import inputs_of
from valueverse.value.executor.financial_metrics import outputs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from valueverse.value.architect.program_ir import Program
    from valueverse.value.executor.customers import Measured

    Floats = NDArray[np.float64]


def run_deterministic(program: Program, measured: Measured) -> pl.DataFrame:
    """Every target for every customer and scenario, with uncertain inputs at their means.

    Args:
        program: the model.
        measured: inputs by scenario, then by customer.

    Returns:
        customer, scenario, output, value: a metric, or the last period of a node; null where a metric does not exist
        (no cost to return on, no rate, nothing paid back).

    Raises:
        RefusalError: ``no_number``, with the customer; ``too_large``.
    """
    targets = {one.name: one.node for one in program.outputs.targets}
    nodes = [node for node in targets.values() if node is not None]
    if None in targets.values():
        nodes += [*(one.node for one in program.drivers), *(one.node for one in program.costs)]
    found = evaluate_columns(program, input_rows(program, measured), dict.fromkeys(nodes))
    outputs = outputs_of(program, {name: array_of(found, name) for name in dict.fromkeys(nodes)}, targets)
    columns = {name: np.broadcast_to(values, (found.height,)) for name, values in outputs.items()}
    table = found.select(KEYS).with_columns(pl.Series(name, values) for name, values in columns.items())
    return table.unpivot(list(targets), index=KEYS, variable_name="output", value_name="value").with_columns(
        pl.col("value").fill_nan(None)
    )


def input_rows(program: Program, measured: Measured) -> pl.DataFrame:
    """KEYS and the columns of every input, uncertain ones at their means: scenario by scenario."""
    parts = []
    for scenario in program.scenarios:
        if scenario.name in measured:
            sources = {one.name: one.source for one in in_scenario(program, scenario).inputs}
            parts.append(inputs_of(sources, {}, list(measured[scenario.name].values()), 1))
    keys = [(customer, scenario) for scenario, bound in measured.items() for customer in bound]
    frame = pl.DataFrame(keys, schema=dict.fromkeys(KEYS, pl.String), orient="row")
    count = len(keys) // max(len(parts), 1)
    stacked = {one.name: _stacked([part[one.name] for part in parts], count) for one in program.inputs}
    return frame.hstack([series for name, values in stacked.items() for series in columns_of(name, values)])


def _stacked(parts: Sequence[Floats], rows: int) -> Floats:
    """Scenarios below each other, as wide as the widest of them."""
    width = max(part.shape[1] for part in parts)
    return np.concatenate([np.broadcast_to(part, (rows, width)) for part in parts])
