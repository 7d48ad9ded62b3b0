"""A node of an explanation, worked out again from nothing but the values of its children."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from valueverse.value.architect.language.expressions import (
    Literal,
    Lookup,
    Operation,
    Period,
    Previous,
    Reference,
    RunningTotal,
)
from valueverse.value.executor.evaluate import lookup, operate
from valueverse.value.executor.financial_metrics import Money, effect, financial_metric
from valueverse.value.realisation.explain import DIFFERENCES, RUNNING, UPFRONT

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from valueverse.value.architect.language.expressions import Expression
    from valueverse.value.architect.program_ir import Program
    from valueverse.value.realisation.explain import Explained

    Floats = NDArray[np.float64]
    _Known = Mapping[tuple[str, int | None], float]


def recomputed(program: Program, node: Explained) -> float | None:
    """The value that a node's formula gives for its children: the same bits as ``node.value``.

    An input has no formula: its value is its own.
    """
    if node.expression is not None:
        known = {(child.name, child.period): _number(child) for child in node.children}
        with np.errstate(all="ignore"):
            return float(_worked_out(node.expression, node.period or 1, known)[0, 0])
    match node.kind:
        case "input":
            return node.value
        case "metric":
            return _metric(program, node)
        case "difference":
            first, second = node.children
            return _number(first) - _number(second)
        case "driver":
            return _driver(program, node)
        case "cost":
            risk = next(one.risk for one in program.costs if f"cost.{one.name}" == node.name)
            return _number(node.children[0]) * (1 + risk) if node.children else 0.0
        case "total":
            alike = len(node.children) == 1
            return math.fsum([_number(child) for child in node.children] * ((node.period or 1) if alike else 1))
    total = 0.0
    for child in node.children:
        total += _number(child)
    return total


def _number(node: Explained) -> float:
    return math.nan if node.value is None else node.value


def _driver(program: Program, node: Explained) -> float:
    driver = next(one for one in program.drivers if f"driver.{one.name}" == node.name)
    share = effect(program, driver)[0]
    return _number(node.children[0]) * float(share[(node.period or 1) - 1 if len(share) > 1 else 0])


def _metric(program: Program, node: Explained) -> float | None:
    if node.name in DIFFERENCES:
        first, second = (_number(child) for child in node.children)
        if node.name == "roi":
            return None if second == 0 else (first - second) / second
        return first - second

    def row(names: Collection[str]) -> Floats:
        found = [_number(child) for child in node.children if child.name in names]
        return np.array([found or [0.0]])

    benefits, costs, upfront = (row(names) for names in ({"benefit"}, {"cost", RUNNING}, {UPFRONT}))
    whole = Money(benefits, costs, upfront[0], {}, {}, {})
    found = float(financial_metric(program, whole, node.name)[0])
    return found if math.isfinite(found) else None


def _worked_out(expression: Expression, t: int, known: _Known) -> Floats:
    """As ``evaluate`` does it, for one period."""
    match expression:
        case Literal(value=value):
            return np.array([[value]])
        case Reference(name=name):
            return _of(name, t, known)
        case Period():
            return np.array([[float(t)]])
        case Previous(name=name, lag=lag, initial=initial):
            return _of(name, t - lag, known) if t > lag else _worked_out(initial, t, known)
        case RunningTotal(name=name):
            amounts = np.concatenate([_of(name, one, known) for one in range(1, t + 1)], axis=1)
            return np.cumsum(amounts, axis=1)[:, -1:]
        case Lookup(argument=argument, values=values):
            return lookup(expression, _worked_out(argument, t, known), [_worked_out(one, t, known) for one in values])
        case Operation(operator=operator, arguments=arguments):
            return operate(operator, [_worked_out(one, t, known) for one in arguments])


def _of(name: str, t: int, known: _Known) -> Floats:
    alike = (name, None)
    return np.array([[known[alike] if alike in known else known[name, t]]])
