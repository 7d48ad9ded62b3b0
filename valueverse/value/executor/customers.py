"""One model under the measurements of many customers: inputs as rows, customer by customer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from valueverse.value.architect import Binding, Distribution
from valueverse.value.executor.binding import Bound, bind_each, in_scenario
from valueverse.value.executor.run import check_request
from valueverse.value.executor.sampling import expected_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from valueverse.value.architect import Program, Source
    from valueverse.value.executor.run import RunRequest

    Floats = NDArray[np.float64]
    Measured = Mapping[str, Mapping[str, Bound]]
    """Measured inputs by scenario, then by customer; the customers are the same in each."""


def bind_customers(program: Program, metrics: pl.DataFrame, asked: RunRequest) -> dict[str, dict[str, Bound]]:
    """Measured inputs of each customer in ``metrics`` (metric, customer, period, value), in each scenario asked for.

    Raises:
        RefusalError: ``missing_metric``, with the customer; ``bad_data``; as ``check_request``.
    """
    check_request(program, asked)
    known: dict[tuple[object, ...], dict[str, Bound]] = {}
    found = {}
    for scenario in program.scenarios:
        if asked.names(scenario.name):
            changed = in_scenario(program, scenario)
            bindings = tuple((one.name, one.source) for one in changed.inputs if isinstance(one.source, Binding))
            if bindings not in known:
                known[bindings] = bind_each(changed, metrics, asked.start)
            found[scenario.name] = known[bindings]
    return found


def inputs_of(
    sources: Mapping[str, Source], drawn: Mapping[str, Floats], bound: Sequence[Bound], draws: int
) -> dict[str, Floats]:
    """Inputs by name, rows x periods or x 1: rows are customers x draws, customer by customer.

    What is the same for all rows stays one row; an uncertain input that is not drawn has its mean.
    """
    found = {}
    for name, source in sources.items():
        if name in drawn:
            found[name] = np.tile(drawn[name], len(bound)).reshape(-1, 1)
        elif isinstance(source, Binding):
            found[name] = np.repeat(np.concatenate([one.values[name] for one in bound]).T, draws, axis=1).T
        elif isinstance(source, Distribution):
            found[name] = np.array([[expected_value(source)]])
        else:
            found[name] = np.array([source if isinstance(source, tuple) else (source,)], dtype=np.float64)
    return found
