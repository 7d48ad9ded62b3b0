"""A value model worked out one number at a time, in plain Python floats: what the executor's arrays have to come to.

Nothing of the executor is used. Arithmetic follows IEEE 754, as arrays do: an overflow is infinite, and what has no
value is NaN.
"""

from __future__ import annotations

import math
import operator as python
from typing import TYPE_CHECKING

from valueverse.value.architect.language.expressions import (
    Literal,
    Lookup,
    Operation,
    Period,
    Previous,
    Reference,
    RunningTotal,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from valueverse.value.architect.language.expressions import Expression
    from valueverse.value.architect.program_ir import Program

Row = dict[str, list[float]]
"""Values of each name, by period."""


class NoNumberError(Exception):
    """A node has no finite number; ``node`` and ``period`` (from 1)."""

    def __init__(self, node: str, period: int) -> None:
        super().__init__(node, period)
        self.node, self.period = node, period


def worked_out(program: Program, inputs: Row) -> Row:
    """Values of every input and node of one customer.

    Raises:
        NoNumberError: as the executor refuses: nodes in their order, a loop's members after all of its periods.
    """
    nodes = {node.name: node for node in program.nodes}
    values = dict(inputs)
    for component in program.components:
        for name in component.names:
            values[name] = []
        for t in range(program.axis.periods):
            for name in component.names:
                values[name].append(float(_at(nodes[name].expression, t, values)))
        for name in component.names:
            for t, value in enumerate(values[name], start=1):
                if not math.isfinite(value):
                    raise NoNumberError(name, t)
    return values


def _of(values: Row, name: str, t: int) -> float:
    return values[name][t] if len(values[name]) > 1 else values[name][0]


def _at(expression: Expression, t: int, values: Row) -> float:
    match expression:
        case Literal(value=value):
            return value
        case Reference(name=name):
            return _of(values, name, t)
        case Period():
            return float(t + 1)
        case Previous(name=name, lag=lag, initial=initial):
            return _at(initial, t, values) if t < lag else _of(values, name, t - lag)
        case RunningTotal(name=name):
            total = 0.0
            for period in range(t + 1):
                total += _of(values, name, period)
            return total
        case Lookup(argument=argument, keys=keys, values=entries, linear=linear):
            return _table(_at(argument, t, values), keys, [_at(entry, t, values) for entry in entries], linear=linear)
        case Operation(operator="if", arguments=(condition, then, otherwise)):
            return _at(then if _at(condition, t, values) else otherwise, t, values)
        case Operation(operator=name, arguments=arguments):
            return _operators[name]([_at(argument, t, values) for argument in arguments])


def _table(argument: float, keys: Sequence[float], entries: Sequence[float], *, linear: bool) -> float:
    # NaN stands above every key.
    place = max(sum(math.isnan(argument) or key <= argument for key in keys) - 1, 0)
    if not linear:
        return entries[place]
    following = min(place + 1, len(keys) - 1)
    width = keys[following] - keys[place] if following > place else 1.0
    part = _divided(argument - keys[place], width)
    part = part if math.isnan(part) else min(max(part, 0.0), 1.0)
    return entries[place] + (entries[following] - entries[place]) * part


def _divided(one: float, other: float) -> float:
    if other != 0:
        return one / other
    return math.nan if one == 0 or math.isnan(one) else math.copysign(math.inf, one) * math.copysign(1.0, other)


def _power(base: float, exponent: float) -> float:
    try:
        found = base**exponent
    except OverflowError:
        return -math.inf if base < 0 and exponent % 2 == 1 else math.inf
    except ZeroDivisionError:
        return math.copysign(math.inf, base) if exponent % 2 == 1 else math.inf
    return math.nan if isinstance(found, complex) else found


def _of_one(function: Callable[[float], float], beyond: Callable[[float], float]) -> Callable[[float], float]:
    """``beyond``: the value where the function of ``math`` raises."""

    def found(value: float) -> float:
        try:
            return float(function(value))
        except (ValueError, OverflowError):
            return beyond(value)

    return found


def _least(values: Sequence[float]) -> float:
    return math.nan if any(map(math.isnan, values)) else min(values)


def _most(values: Sequence[float]) -> float:
    return math.nan if any(map(math.isnan, values)) else max(values)


_ONE: dict[str, Callable[[float], float]] = {
    "negate": python.neg,
    "absolute": abs,
    "floor": _of_one(math.floor, float),
    "ceil": _of_one(math.ceil, float),
    "exp": _of_one(math.exp, lambda _: math.inf),
    "log": _of_one(math.log, lambda value: -math.inf if value == 0 else math.nan),
    "sqrt": _of_one(math.sqrt, lambda _: math.nan),
    "sin": _of_one(math.sin, lambda _: math.nan),
    "cos": _of_one(math.cos, lambda _: math.nan),
    "not": python.not_,
}
_TWO: dict[str, Callable[[float, float], float]] = {
    "add": python.add, "subtract": python.sub, "multiply": python.mul, "divide": _divided, "power": _power,
    "equal": python.eq, "not_equal": python.ne, "less": python.lt, "less_equal": python.le,
    "greater": python.gt, "greater_equal": python.ge,
    "and": lambda one, other: bool(one) and bool(other), "or": lambda one, other: bool(one) or bool(other),
}  # fmt: skip


def _applied(function: Callable[..., float]) -> Callable[[Sequence[float]], float]:
    return lambda values: function(*values)


_operators: dict[str, Callable[[Sequence[float]], float]] = {
    **{name: _applied(function) for name, function in (_ONE | _TWO).items()},
    "minimum": _least,
    "maximum": _most,
    "clip": lambda values: _least([_most(values[:2]), values[2]]),
}
