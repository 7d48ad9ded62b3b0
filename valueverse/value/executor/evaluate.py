"""Expressions over blocks of draws and periods: arrays of shape (draws or 1, periods or 1), fixed order throughout.

What does not vary over draws or periods stays small. Loops through ``prev`` run period by period; everything else over
all periods at once. The draws of one period lie side by side in memory (order F): there are thousands of them, and a
loop over some dozen periods would spend its time on starting.
"""

from __future__ import annotations

from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from valueverse.errors import RefusalError
from valueverse.value.architect.language import Literal, Lookup, Operation, Period, Previous, Reference, RunningTotal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from valueverse.value.architect import Node, Program
    from valueverse.value.architect.language import Expression

    Floats = NDArray[np.float64]
    Values = dict[str, Floats]

_EXACT_POWERS: dict[float, Callable[..., Floats]] = {
    0.5: np.sqrt, 2.0: np.square, -1.0: np.reciprocal, 1.0: np.positive,
}  # fmt: skip


def _power(base: Floats, exponent: Floats, *, order: Any) -> Floats:
    """``base`` to the power of ``exponent``, with the same bits however many numbers are computed together.

    For a single exponent NumPy takes a root or a square, for an array a loop of the processor's, which may be one bit
    off: here these exponents are roots and squares always.
    """
    found: Floats = np.power(base, exponent, order=order)
    for known, exact in _EXACT_POWERS.items():
        chosen = exponent == known
        if chosen.any():
            # At zero and without bounds the two agree, but for the sign of a zero.
            np.copyto(found, exact(base), where=chosen & np.isfinite(base) & (base != 0))
    return found


_TWO: dict[str, Callable[..., Floats]] = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "power": _power,
    "equal": np.equal, "not_equal": np.not_equal, "less": np.less, "less_equal": np.less_equal,
    "greater": np.greater, "greater_equal": np.greater_equal, "and": np.logical_and, "or": np.logical_or,
}  # fmt: skip
_ONE: dict[str, Callable[..., Floats]] = {
    "negate": np.negative, "absolute": np.abs, "floor": np.floor, "ceil": np.ceil, "exp": np.exp, "log": np.log,
    "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "not": np.logical_not,
}  # fmt: skip
_least: Callable[..., Floats] = partial(np.minimum, order="F")
_most: Callable[..., Floats] = partial(np.maximum, order="F")


def evaluate_program(program: Program, inputs: Mapping[str, Floats]) -> Values:
    """Values of every input and node.

    Args:
        program: what to compute.
        inputs: arrays (draws or 1, periods or 1) by name, all inputs of the program.

    Raises:
        RefusalError: ``no_number``: a division by zero, the logarithm of a negative number, an overflow; it names the
            variable, the period and the formula.
    """
    values: Values = dict(inputs)
    nodes = {node.name: node for node in program.nodes}
    with np.errstate(all="ignore"):
        for component in program.components:
            members = [nodes[name] for name in component.names]
            if component.recurrent:
                _loop(members, values, program.axis.periods)
            else:
                for node in members:
                    whole = _AllPeriods(values, program.axis.periods)
                    values[node.name] = _shaped(whole.of(node.expression))
            for node in members:
                _judge(node, values[node.name])
    return values


def _shaped(found: Floats) -> Floats:
    array = np.asarray(found, dtype=np.float64)
    return array if array.ndim == 2 else array.reshape(1, 1)


def _judge(node: Node, found: Floats) -> None:
    finite = np.isfinite(found)
    if finite.all():
        return
    draw, period = np.argwhere(~finite)[0]
    where = f" in period {period + 1}" if found.shape[1] > 1 else ""
    which = f", in draw {draw + 1} of {found.shape[0]}" if found.shape[0] > 1 else ""
    raise RefusalError(
        "no_number",
        f"{node.name!r} has no number{where}{which}: {node.text!r} divides by zero, takes the logarithm or root of a "
        "negative number, or grows beyond what a number holds; guard it with if() or max()",
        node.name,
    )


class _AllPeriods:
    """All periods at once."""

    def __init__(self, values: Values, periods: int) -> None:
        self.values, self.periods = values, periods

    def of(self, expression: Expression) -> Floats:  # noqa: PLR0911 - one per kind of expression
        match expression:
            case Literal(value=value):
                return np.array([[value]])
            case Reference(name=name):
                return self.values[name]
            case Period():
                return np.arange(1.0, self.periods + 1).reshape(1, -1)
            case Previous(name=name, lag=lag, initial=initial):
                return self._previous(self.values[name], lag, self.of(initial))
            case RunningTotal(name=name):
                wide = self._over_periods(self.values[name])
                totals: Floats = np.empty(wide.shape, order="F")
                np.cumsum(wide, axis=1, out=totals)
                return totals
            case Lookup():
                values = [self.of(value) for value in expression.values]
                return lookup(expression, self.of(expression.argument), values)
            case Operation(operator=operator, arguments=arguments):
                return operate(operator, [self.of(argument) for argument in arguments])

    def _over_periods(self, found: Floats) -> Floats:
        return np.broadcast_to(found, (found.shape[0], self.periods))

    def _previous(self, found: Floats, lag: int, initial: Floats) -> Floats:
        rows = max(found.shape[0], initial.shape[0])
        early = np.broadcast_to(self._over_periods(initial), (rows, self.periods))[:, :lag]
        late = np.broadcast_to(self._over_periods(found), (rows, self.periods))[:, : max(self.periods - lag, 0)]
        return np.concatenate([early.T, late.T]).T


def operate(operator: str, arguments: Sequence[Floats]) -> Floats:
    """An operator over arrays that broadcast."""
    if operator in _TWO:
        return _TWO[operator](*arguments, order="F")
    if operator in _ONE:
        return _ONE[operator](arguments[0])
    if operator == "minimum":
        return reduce(_least, arguments)
    if operator == "maximum":
        return reduce(_most, arguments)
    if operator == "clip":
        return _least(_most(arguments[0], arguments[1]), arguments[2])
    condition, then, otherwise = arguments
    return np.where(condition, then, otherwise)


def lookup(expression: Lookup, argument: Floats, values: Sequence[Floats]) -> Floats:
    """A table at an argument: steps, or lines between the keys; flat outside."""
    keys = np.array(expression.keys)
    shape = np.broadcast_shapes(argument.shape, *(value.shape for value in values))
    table = np.stack([np.broadcast_to(value, shape) for value in values])
    place = np.broadcast_to(np.clip(np.searchsorted(keys, argument, side="right") - 1, 0, len(keys) - 1), shape)
    left: Floats = np.take_along_axis(table, place[None], axis=0)[0]
    if not expression.linear:
        return left
    following = np.minimum(place + 1, len(keys) - 1)
    right: Floats = np.take_along_axis(table, following[None], axis=0)[0]
    width = np.where(following > place, keys[following] - keys[place], 1.0)
    part = np.clip((np.broadcast_to(argument, shape) - keys[place]) / width, 0.0, 1.0)
    between: Floats = left + (right - left) * part
    return between


def _loop(members: Sequence[Node], values: Values, periods: int) -> None:
    """A loop through ``prev``: period by period, its members in order."""
    draws = max((values[name].shape[0] for node in members for name in node.inputs), default=1)
    for node in members:
        values[node.name] = np.empty((draws, periods), order="F")
    totals: dict[str, Floats] = {}
    for t in range(periods):
        step = _OnePeriod(values, totals, t)
        for node in members:
            values[node.name][:, t] = step.of(node.expression)


class _OnePeriod:
    """One period: vectors over draws."""

    def __init__(self, values: Values, totals: dict[str, Floats], t: int) -> None:
        self.values, self.totals, self.t = values, totals, t
        self.summed: set[str] = set()

    def at(self, name: str, t: int) -> Floats:
        found = self.values[name]
        return found[:, t] if found.shape[1] > 1 else found[:, 0]

    def of(self, expression: Expression) -> Floats:  # noqa: PLR0911 - one per kind of expression
        match expression:
            case Literal(value=value):
                return np.array([value])
            case Reference(name=name):
                return self.at(name, self.t)
            case Period():
                return np.array([float(self.t + 1)])
            case Previous(name=name, lag=lag, initial=initial):
                return self.of(initial) if self.t < lag else self.at(name, self.t - lag)
            case RunningTotal(name=name):
                return self._total(name)
            case Lookup():
                values = [self.of(value) for value in expression.values]
                return lookup(expression, self.of(expression.argument), values)
            case Operation(operator=operator, arguments=arguments):
                return operate(operator, [self.of(argument) for argument in arguments])

    def _total(self, name: str) -> Floats:
        if name not in self.summed:
            self.totals[name] = self.totals.get(name, np.zeros(1)) + self.at(name, self.t)
            self.summed.add(name)
        return self.totals[name]
