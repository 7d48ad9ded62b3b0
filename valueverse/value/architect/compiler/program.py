"""``compile_model``: document -> ``Program``, the typed intermediate form that executors run.

Start here to execute a model::

    program = compile_model(parse_model(text))

``Program`` and its parts are in ``program_ir``, expressions and units in ``language``; all of them are
frozen. The essentials:

* ``inputs``: each with a ``source``: float | tuple of floats (one per period) | Distribution | Binding, and a
  ``missing`` policy. A scenario's ``overrides`` replace sources by input name.
* ``correlations``: positive definite matrices for a Gaussian copula, over disjoint groups of uncertain inputs.
* ``components``: groups of node names in the order of computation. All but the ``recurrent`` ones can be computed over
  all periods at once; a recurrent one runs period by period, its names in the order given.
* ``nodes``: ``expression`` over inputs and nodes, all conversions of units written out as factors.
* ``drivers`` and ``costs`` name the node that holds the money of one period (``driver.<key>``, ``cost.<key>``).
* ``outputs``: targets, percentiles, statements (typed conditions), names for tornado and Sobol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.documents import Problems
from valueverse.value.architect.compiler.inputs import InputCompiler
from valueverse.value.architect.compiler.nodes import NodeCompiler
from valueverse.value.architect.compiler.outputs import OutputCompiler
from valueverse.value.architect.compiler.pricing import compile_pricing
from valueverse.value.architect.document.canonical import content_hash
from valueverse.value.architect.language.units import CURRENCIES, UnitSystem, is_built_in
from valueverse.value.architect.program_ir import PERIODS_PER_YEAR, Axis, Cost, Discount, Driver, Program

if TYPE_CHECKING:
    from valueverse.value.architect.document.model import Model

MAX_CELLS = 20_000_000
"""Nodes x periods x scenarios that one run has to hold for one customer."""


def compile_model(model: Model) -> Program:
    """Check names, units, cycles, correlations and outputs of a document and put it in order.

    Raises:
        DocumentError: with every problem found, each with its line and column.
    """
    problems = Problems(model.source)
    units = UnitSystem(frozenset(model.units.base), model.axis.grain)
    _judge_frame(model, problems)
    reader = InputCompiler(model, units, problems)
    inputs = {one.name: one for one in reader.inputs()}
    scenarios = reader.scenarios(inputs)
    correlations = reader.correlations(inputs)
    nodes, components = NodeCompiler(model, reader, inputs).compile(scenarios)
    by_name = {node.name: node for node in nodes}
    outputs = OutputCompiler(model, units, inputs, by_name, problems)
    reported = outputs.compile()
    pricing = compile_pricing(model, units, outputs.measured, problems)
    cells = (len(nodes) + len(inputs)) * model.axis.periods * len(scenarios)
    if cells > MAX_CELLS:
        message = f"{cells} values (names x periods x scenarios) are too many: at most {MAX_CELLS}; take fewer periods"
        problems.add("too_large", message, "axis.periods")
    problems.refuse()
    return Program(
        model=model.model,
        content_hash=content_hash(model),
        currency=model.currency,
        axis=_axis(model),
        inputs=tuple(inputs.values()),
        correlations=correlations,
        nodes=nodes,
        components=components,
        drivers=tuple(
            Driver(name, f"driver.{name}", one.kind, one.risk, one.attribution, one.decay)
            for name, one in model.drivers.items()
        ),
        costs=tuple(Cost(name, f"cost.{name}", one.risk, one.at) for name, one in model.costs.items()),
        scenarios=scenarios,
        outputs=reported,
        pricing=pricing,
    )


def _judge_frame(model: Model, problems: Problems) -> None:
    """Currency, base units, evidence and the periods costs fall in."""
    if model.currency is None and (model.drivers or model.costs or model.pricing):
        problems.add("missing_field", "drivers, costs and pricing are money: state the model's currency", "currency")
    if model.currency is not None and model.currency not in CURRENCIES:
        message = f"{model.currency!r} is not an ISO 4217 currency such as 'USD'"
        problems.add("unknown_currency", message, "currency")
        problems.refuse()  # nothing that is money could be judged
    for index, name in enumerate(model.units.base):
        if is_built_in(name) or name in model.units.base[:index]:
            why = "built in" if is_built_in(name) else "declared twice"
            problems.add("bad_name", f"the unit {name!r} is {why}; leave it out", f"units.base[{index}]")
    for name, cost in model.costs.items():
        if cost.at is not None and cost.at > model.axis.periods:
            message = f"period {cost.at} lies behind the last one, {model.axis.periods}"
            problems.add("bad_value", message, f"costs.{name}.at")
    if model.evidence:
        _judge_evidence(model, problems)


def _judge_evidence(model: Model, problems: Problems) -> None:
    """Where evidence is listed, what refers to it has to be on the list."""
    for section, entries in (("inputs", model.inputs), ("drivers", model.drivers), ("costs", model.costs)):
        for name, one in entries.items():
            for reference in one.evidence:
                if reference not in model.evidence:
                    message = f"unknown evidence {reference[:60]!r}: list it under evidence"
                    problems.add("unknown_name", message, f"{section}.{name}.evidence")


def _axis(model: Model) -> Axis:
    stated = model.axis
    discount = Discount(stated.discount.rate, stated.discount.compounding, stated.discount.timing)
    start = None if stated.start == "commit.start" else stated.start
    return Axis(stated.grain, stated.periods, start, discount, PERIODS_PER_YEAR[stated.grain])


__all__ = ["MAX_CELLS", "Program", "compile_model"]
