"""Typed expressions: what a back end evaluates. Numbers are floats; comparisons and logic are booleans.

A missing argument makes the result missing, never 0: also in ``min``, ``max`` and ``clip``. ``if`` is missing where its
condition is, or where the branch it takes is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Literal as OneOf

if TYPE_CHECKING:
    from valueverse.value.architect.language.units import Unit

Operator = OneOf[
    "add", "subtract", "multiply", "divide", "power", "negate",
    "absolute", "floor", "ceil", "exp", "log", "sqrt", "sin", "cos",
    "minimum", "maximum", "clip", "if",
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "and", "or", "not",
]  # fmt: skip
BOOLEAN = frozenset(
    {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "and", "or", "not"},
)


@dataclass(frozen=True, slots=True)
class Literal:
    """A number.

    Attributes:
        value: in ``unit``.
        unit: None: a bare number, which takes the unit its place asks for. So on every expression.
    """

    value: float
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """The value of an input or a node in the same period (in a ``Probability``: of an output)."""

    name: str
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """``t``: 1.0 in the first period."""

    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator over its arguments, in the order they are written.

    ``minimum`` and ``maximum`` take one argument or more; ``clip`` is (x, low, high); ``if`` is (condition, then,
    otherwise), its condition a boolean. ``and``, ``or``, ``not`` take booleans; the rest takes numbers.
    """

    operator: Operator
    arguments: tuple[Expression, ...]
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class Previous:
    """The value that an input or node had ``lag`` periods ago; in the first ``lag`` periods ``initial``.

    ``initial`` is evaluated in the period at hand (t <= lag).
    """

    name: str
    lag: int
    initial: Expression
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class RunningTotal:
    """``cumsum``: the sum of ``name`` over the periods 1..t, this one included.

    ``name`` is a node that holds the amount of one period, so nothing is left to convert.
    """

    name: str
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class Lookup:
    """The entry of a table at ``argument``.

    ``keys`` ascend. Steps: the value of the greatest key <= argument. ``linear``: straight lines between the keys.
    Left of the first key the first value holds, right of the last the last.
    """

    argument: Expression
    keys: tuple[float, ...]
    values: tuple[Expression, ...]
    linear: bool = False
    unit: Unit | None = None


Expression = Literal | Reference | Period | Operation | Previous | RunningTotal | Lookup


def converted(part: Expression, unit: Unit) -> Expression:
    """The part in another unit of its dimension."""
    if part.unit is None:
        return part
    factor = part.unit.factor_to(unit)
    return part if factor == 1.0 else Operation("multiply", (part, Literal(factor)), unit)


def per_period(unit: Unit, period: Unit) -> tuple[float, Unit]:
    """Of a flow: the factor to the amount of one period, and the unit of that amount."""
    amount = unit.without_time()
    return unit.times(period).factor_to(amount), amount


def child_expressions(expression: Expression) -> tuple[Expression, ...]:
    """The expressions that one is made of; names it refers to are not among them."""
    match expression:
        case Operation(arguments=arguments):
            return arguments
        case Previous(initial=initial):
            return (initial,)
        case Lookup(argument=argument, values=values):
            return (argument, *values)
        case _:
            return ()


_SYMBOLS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "^", "equal": "==", "not_equal": "!=",
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "and": "and", "or": "or",
}  # fmt: skip
_FUNCTIONS = {"absolute": "abs", "minimum": "min", "maximum": "max"}


def expression_text(expression: Expression) -> str:
    """The expression as text, fully bracketed, conversions included: for explanations."""
    match expression:
        case Literal(value=value):
            text = f"{value:.12g}"
        case Reference(name=name):
            text = name
        case Period():
            text = "t"
        case Previous(name=name, lag=lag, initial=initial):
            text = f"prev({name}, {lag}, {expression_text(initial)})"
        case RunningTotal(name=name):
            text = f"cumsum({name})"
        case Lookup(argument=argument, keys=keys, values=values, linear=linear):
            rows = ", ".join(f"{key:.12g}, {expression_text(value)}" for key, value in zip(keys, values, strict=True))
            text = f"{'interpolate' if linear else 'lookup'}({expression_text(argument)}, {rows})"
        case Operation():
            text = _operation(expression)
    return text


def _operation(expression: Operation) -> str:
    operator, parts = expression.operator, [expression_text(argument) for argument in expression.arguments]
    if operator in _SYMBOLS:
        return f"({f' {_SYMBOLS[operator]} '.join(parts)})"
    if operator in {"negate", "not"}:
        return f"{'-' if operator == 'negate' else 'not '}{parts[0]}"
    return f"{_FUNCTIONS.get(operator, operator)}({', '.join(parts)})"
