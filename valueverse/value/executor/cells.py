"""Operators over the cells of a wide frame: a number known beforehand, or a Polars expression yet to be computed.

The rules are those of NumPy (``evaluate``), and null propagates. Polars' own differ: it orders NaN above every number
and calls it equal to itself, and its horizontal minima skip nulls and NaN.
"""

from __future__ import annotations

import operator as python
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from valueverse.value.executor.numpy_backend import operate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from valueverse.value.architect.language.expressions import Lookup


@dataclass(frozen=True, slots=True)
class Part:
    """An expression over columns.

    Attributes:
        expression: not computed yet.
        reads: the columns in it.
        stage: the first one that finds all of them there.
        is_column: it is one of them; anything else is made one before it is used twice, or expressions would double
            with each level.
        ordered: never NaN.
    """

    expression: pl.Expr
    reads: frozenset[str]
    stage: int
    is_column: bool = False
    ordered: bool = False


Cell = float | Part
"""Numbers and truths that hang on no input are worked out when the model is compiled."""

_ARITHMETIC: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "add": python.add, "subtract": python.sub, "multiply": python.mul, "divide": python.truediv, "power": pl.Expr.pow,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "negate": python.neg, "absolute": pl.Expr.abs, "floor": pl.Expr.floor, "ceil": pl.Expr.ceil, "exp": pl.Expr.exp,
    "log": pl.Expr.log, "sqrt": pl.Expr.sqrt, "sin": pl.Expr.sin, "cos": pl.Expr.cos, "not": python.invert,
}  # fmt: skip
_COMPARISONS: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "equal": python.eq, "not_equal": python.ne, "less": python.lt, "less_equal": python.le, "greater": python.gt,
    "greater_equal": python.ge,
}  # fmt: skip


def expression_of(cell: Cell) -> pl.Expr:
    """The cell in a query."""
    return cell.expression if isinstance(cell, Part) else pl.lit(cell)


class Operators:
    """The language's operators; ``keep`` makes a column of a part, ``filled`` one of a number."""

    def __init__(self, keep: Callable[[Part], Part], filled: Callable[[float], Part]) -> None:
        self.keep, self.filled = keep, filled

    def operate(self, operator: str, arguments: Sequence[Cell]) -> Cell:
        """Any operator but ``if``."""
        if not any(isinstance(one, Part) for one in arguments):
            return _folded(operator, arguments)
        if operator in _ARITHMETIC:
            arguments = self._without_shortcuts(operator, arguments)
            found = _ARITHMETIC[operator](*map(expression_of, arguments))
        elif operator in _FUNCTIONS:
            found = _FUNCTIONS[operator](expression_of(arguments[0]))
        elif operator in _COMPARISONS:
            return self._compared(operator, arguments)
        elif operator in {"and", "or"}:
            # As numbers: unlike & and |, a sum is null whenever one side is.
            together = python.add(*(expression_of(one).cast(pl.Int8) for one in arguments))
            found = together == 2 if operator == "and" else together >= 1
        elif operator == "clip":
            number, low, high = arguments
            return self._extreme("minimum", [self._extreme("maximum", [number, low]), high])
        else:
            return self._extreme(operator, arguments)
        return _joined(found, arguments)

    def _without_shortcuts(self, operator: str, arguments: Sequence[Cell]) -> Sequence[Cell]:
        """Columns in place of the numbers for which Polars does something else than it is asked for.

        It multiplies by the inverse of a number where it should divide, and 49 / 49 falls short of 1; and it takes
        0 - x for -x and x + 0 for x, whose zeros have another sign and another inverse.
        """
        if operator == "divide":
            return [arguments[0], self._filled(arguments[1])]
        if operator in {"add", "subtract"}:
            return [self._filled(one) if one == 0 else one for one in arguments]
        return arguments

    def _filled(self, cell: Cell) -> Part:
        """A column even of a number: where all rows take it by a branch, Polars would go on with it as a number."""
        return cell if isinstance(cell, Part) else self.filled(cell)

    def choose(self, condition: Part, then: Cell, otherwise: Cell) -> Cell:
        """``if``: null where the condition is."""
        held, one, other = self._column(condition), self._filled(then), self._filled(otherwise)
        truth = expression_of(held)
        found = pl.when(truth).then(one.expression).when(~truth).then(other.expression)
        return _joined(found, (held, one, other))

    def lookup(self, expression: Lookup, argument: Cell, value_at: Callable[[int], Cell]) -> Cell:
        """A table at an argument, as ``numpy_backend.lookup``; values are worked out as far as they may be needed."""
        if not isinstance(argument, Part):
            return self._looked_up(expression, argument, value_at)
        number = self._column(argument)
        x = expression_of(number)
        values = [self._filled(value_at(place)) for place in range(len(expression.keys))]
        if expression.linear:
            return self._interpolated(expression.keys, number, [self._column(value) for value in values])
        tree = _tree(x, expression.keys, [expression_of(value) for value in values], 0, len(values) - 1)
        return _joined(pl.when(x.is_not_null()).then(tree), (number, *values))

    def _looked_up(self, expression: Lookup, x: float, value_at: Callable[[int], Cell]) -> Cell:
        keys = expression.keys
        place = len(keys) - 1 if x != x else max(bisect_right(keys, x) - 1, 0)  # noqa: PLR0124 - NaN is past all keys
        left = value_at(place)
        if not expression.linear:
            return left
        following = min(place + 1, len(keys) - 1)
        width = keys[following] - keys[place] if following > place else 1.0
        share = float(np.clip((x - keys[place]) / width, 0.0, 1.0))
        left = self._column(left)
        rise = self.operate("subtract", [value_at(following), left])
        return self.operate("add", [left, self.operate("multiply", [rise, share])])

    def _interpolated(self, keys: Sequence[float], number: Cell, values: Sequence[Cell]) -> Part:
        """Straight lines between the keys; NaN where NumPy's formula has it."""
        x, points = expression_of(number), [expression_of(value) for value in values]
        widths = [self.filled(after - key) for key, after in pairwise(keys)]
        lines = [
            left + (right - left) * ((x - key) / width.expression)
            for key, width, (left, right) in zip(keys, widths, pairwise(points), strict=False)
        ]
        flat = points[0] + (points[1] - points[0]) * 0.0
        last = points[-1] + (points[-1] - points[-1]) * 0.0
        tree = _tree(x, keys, [pl.when(x < keys[0]).then(flat).otherwise(lines[0]), *lines[1:], last], 0, len(lines))
        found = pl.when(x.is_nan()).then(x).when(x.is_not_null()).then(tree)
        return _joined(found, (number, *values, *widths))

    def _compared(self, operator: str, arguments: Sequence[Cell]) -> Part:
        sides = [one if _ordered(one) else self._column(one) for one in arguments]
        found = _COMPARISONS[operator](*map(expression_of, sides))
        for side in sides:
            if not _ordered(side):
                nan = expression_of(side).is_nan()
                found = found | nan if operator == "not_equal" else found & ~nan
        return _joined(found, sides)

    def _extreme(self, operator: str, arguments: Sequence[Cell]) -> Cell:
        """Halves first: 64 arguments are six levels and not 63."""
        if len(arguments) == 1:
            return arguments[0]
        if not any(isinstance(one, Part) for one in arguments):
            return _folded(operator, arguments)
        middle = len(arguments) // 2
        halves = (self._extreme(operator, arguments[:middle]), self._extreme(operator, arguments[middle:]))
        left, right = (self._column(self._filled(half)) for half in halves)
        a, b = expression_of(left), expression_of(right)
        # NaN stands above every number, so the greater of two is NaN where one is; the smaller is the greater negated.
        x, y = (a, b) if operator == "maximum" else (-a, -b)
        return _joined(pl.when(y > x).then(b).when(y <= x).then(a), (left, right))

    def _column(self, cell: Cell) -> Cell:
        return self.keep(cell) if isinstance(cell, Part) and not cell.is_column else cell


def _folded(operator: str, arguments: Sequence[Cell]) -> float:
    found: float = operate(operator, [np.array(one) for one in arguments]).item()
    return found


def _joined(expression: pl.Expr, cells: Sequence[Cell]) -> Part:
    parts = [cell for cell in cells if isinstance(cell, Part)]
    reads = frozenset[str]().union(*(part.reads for part in parts))
    return Part(expression, reads, max(part.stage for part in parts))


def _ordered(cell: Cell) -> bool:
    return cell.ordered if isinstance(cell, Part) else cell == cell  # noqa: PLR0124 - only NaN differs from itself


def _tree(x: pl.Expr, keys: Sequence[float], leaves: Sequence[pl.Expr], first: int, last: int) -> pl.Expr:
    """The leaf of the greatest key <= x, by halving: 256 keys are eight levels deep."""
    if first == last:
        return leaves[first]
    middle = (first + last + 1) // 2
    below, above = _tree(x, keys, leaves, first, middle - 1), _tree(x, keys, leaves, middle, last)
    return pl.when(x < keys[middle]).then(below).otherwise(above)
