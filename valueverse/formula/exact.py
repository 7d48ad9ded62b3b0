"""Formula tree -> Polars expression in exact decimals.

``+ - *`` and ``/`` are exact at 18 decimals (half-up), whole powers too; functions that leave exact
arithmetic (exp, log, sqrt ...) are refused. A missing value makes the result missing, never 0, with one
exception: ``==`` and ``!=`` compare it like any other value (a missing region is not 'internal'). Where a
result would leave the range that decimals hold (10^19), or divide by 0, it is missing too: one row never
stops the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from operator import add, ge, gt, le, lt, mul, sub, truediv
from typing import Any, Literal, NoReturn

import polars as pl

from valueverse.formula.nodes import Binary, Call, Constant, Name, Node, Number, Text, Unary, refusal
from valueverse.schemas.types import EXACT

Kind = Literal["number", "text", "boolean", "any"]
Operation = Callable[[Any, Any], Any]

_LITERAL_LIMIT = Decimal(10) ** 15
_RANGE = 9e19
"""A Decimal(38, 18) holds 20 digits before the point."""
_MAX_POWER = 16
_MAX_COST = 20_000
_NOT_EXACT = frozenset({"exp", "log", "ln", "log10", "sqrt", "sin", "cos", "pi"})
_ARGUMENTS = {
    "if": (3, 3), "clip": (3, 3), "abs": (1, 1), "floor": (1, 1), "ceil": (1, 1), "round": (1, 2),
    "min": (1, 64), "max": (1, 64), "coalesce": (1, 64),
}  # fmt: skip
_COMPARISONS: dict[str, Operation] = {
    "==": pl.Expr.eq_missing, "!=": pl.Expr.ne_missing, "<": lt, "<=": le, ">": gt, ">=": ge,
}  # fmt: skip


def literal(value: Decimal) -> pl.Expr:
    """An exact literal."""
    return pl.lit(value).cast(EXACT)


def kind_of(node: Node) -> Kind:
    """What a part yields by its form; ``any`` for a name and for null, which take the kind asked of them."""
    kind: Kind = "any"
    match node:
        case Number():
            kind = "number"
        case Text():
            kind = "text"
        case Constant(value=bool()) | Unary(operator="not"):
            kind = "boolean"
        case Binary(operator=operator) if operator not in _OPERATIONS and operator != "^":
            kind = "boolean"
        case Call(function="if" | "coalesce", arguments=arguments):
            kinds = (kind_of(argument) for argument in arguments[-2:])
            kind = next((found for found in kinds if found != "any"), "any")
        case Binary() | Unary() | Call():
            kind = "number"
    return kind


@dataclass(frozen=True, slots=True)
class Part:
    """A compiled part.

    Attributes:
        expression: EXACT, String or Boolean.
        bound: no value of it is larger than this (numbers only); a range check, not an amount.
        cost: size of the expression written out; guards repeat their operands, so it can outgrow the formula.
    """

    expression: pl.Expr
    bound: float = 0.0
    cost: int = 1


@dataclass(frozen=True)
class ExactCompiler:
    """Turns one formula into one expression; ``resolve`` gives the part a name stands for, typed as asked."""

    text: str
    resolve: Callable[[Name, Kind], Part]

    def compile(self, node: Node, wanted: Kind) -> Part:
        """The part as ``wanted``.

        Raises:
            RefusalError: ``bad_formula``: of another kind, unknown, or too large.
        """
        found = kind_of(node)
        if found not in {"any", wanted}:
            self.refuse(f"a {wanted} is expected here, not a {found}", node)
        part = self._compiled(node, wanted)
        if part.cost > _MAX_COST:
            self.refuse("the formula grows too large; use fewer nested functions and products", node)
        return part

    def _compiled(self, node: Node, wanted: Kind) -> Part:
        match node:
            case Number(value=value):
                part = self._number(node, value)
            case Text(value=text):
                part = Part(pl.lit(text))
            case Constant(value=constant):
                dtypes: dict[Kind, pl.DataType] = {"number": EXACT, "text": pl.String()}
                part = Part(pl.lit(constant, dtype=dtypes.get(wanted, pl.Boolean())))
            case Name():
                part = self.resolve(node, wanted)
            case Unary(operator="not", operand=operand):
                inside = self.compile(operand, "boolean")
                part = Part(inside.expression.not_(), cost=inside.cost + 1)
            case Unary(operand=operand):
                inside = self.compile(operand, "number")
                part = Part(-inside.expression, inside.bound, inside.cost + 1)
            case Binary():
                part = self._binary(node)
            case Call():
                part = self._call(node, wanted)
            case _:
                self.refuse("this part is not understood", node)
        return part

    def refuse(self, message: str, node: Node) -> NoReturn:
        """Raise ``bad_formula`` at the place of ``node``."""
        raise refusal(message, self.text, node.position)

    def _number(self, node: Node, value: Decimal) -> Part:
        exponent = value.as_tuple().exponent
        if value.copy_abs() >= _LITERAL_LIMIT or (isinstance(exponent, int) and -exponent > 18):
            self.refuse("the number is out of range: below 10^15 and at most 18 decimals", node)
        return Part(literal(value), float(abs(value)))

    def _binary(self, node: Binary) -> Part:
        operator = node.operator
        if operator in {"and", "or"}:
            left, right = (self.compile(side, "boolean") for side in node.children)
            joined = left.expression & right.expression if operator == "and" else left.expression | right.expression
            return Part(joined, cost=left.cost + right.cost + 1)
        if operator in _COMPARISONS:
            return self._comparison(node)
        if operator == "^":
            return self._power(node)
        left, right = (self.compile(side, "number") for side in node.children)
        return _OPERATIONS[operator](left, right)

    def _comparison(self, node: Binary) -> Part:
        kinds = [kind for kind in map(kind_of, node.children) if kind != "any"]
        ordering = node.operator not in {"==", "!="}
        kind: Kind = kinds[0] if kinds else "number" if ordering else "text"
        if ordering and kind == "boolean":
            self.refuse(f"{node.operator!r} does not order true and false", node)
        left, right = (self.compile(side, kind) for side in node.children)
        compared = _COMPARISONS[node.operator](left.expression, right.expression)
        return Part(compared, cost=left.cost + right.cost + 1)

    def _power(self, node: Binary) -> Part:
        exponent = node.right
        if not isinstance(exponent, Number) or exponent.value not in range(_MAX_POWER + 1):
            self.refuse(f"'^' is exact only for a whole exponent from 0 to {_MAX_POWER}", node)
        base = self.compile(node.left, "number")
        present = pl.when(base.expression.is_not_null())
        result = Part(present.then(literal(Decimal(1))), 1.0, base.cost + 1)
        for _ in range(int(exponent.value)):
            result = _product(result, base)
            if result.cost > _MAX_COST:
                break
        return result

    def _call(self, node: Call, wanted: Kind) -> Part:
        name = node.function
        if name in _NOT_EXACT:
            self.refuse(f"{name} leaves exact arithmetic and is not taken in money and quantities", node)
        if name not in _ARGUMENTS:
            self.refuse(f"unknown function {name!r}; known are {', '.join(sorted(_ARGUMENTS))}", node)
        if node.named:
            self.refuse(f"{name} takes its arguments by place, not by name", node)
        least, most = _ARGUMENTS[name]
        if not least <= len(node.arguments) <= most:
            count = str(least) if least == most else f"{least} to {most}"
            self.refuse(f"{name} takes {count} arguments, not {len(node.arguments)}", node)
        if name == "if":
            return self._choice(node, wanted)
        if name == "round":
            return _rounded(self.compile(node.arguments[0], "number"), self._places(node))
        kind: Kind = wanted if name == "coalesce" else "number"
        return _called(name, [self.compile(argument, kind) for argument in node.arguments])

    def _choice(self, node: Call, wanted: Kind) -> Part:
        condition = self.compile(node.arguments[0], "boolean")
        yes, no = (self.compile(branch, wanted) for branch in node.arguments[1:])
        decided = condition.expression
        # An undecided condition leaves the result missing: null propagates.
        chosen = pl.when(decided).then(yes.expression).when(decided.not_()).then(no.expression)
        return Part(chosen, max(yes.bound, no.bound), 2 * condition.cost + yes.cost + no.cost + 1)

    def _places(self, node: Call) -> int:
        if len(node.arguments) == 1:
            return 0
        places = node.arguments[1]
        if not isinstance(places, Number) or places.value not in range(19):
            self.refuse("round takes a whole number of decimals from 0 to 18", places)
        return int(places.value)


def _guarded(left: Part, right: Part, bound: float, estimate: Operation, operation: Operation) -> Part:
    """The operation, its rows that would overflow masked first: one overflow raises for the whole frame."""
    if bound < _RANGE:
        return Part(operation(left.expression, right.expression), bound, left.cost + right.cost + 1)
    # The float is a range check only; no digit of it reaches the result.
    estimated = estimate(left.expression.cast(pl.Float64), right.expression.cast(pl.Float64))
    fits = estimated.abs() < pl.lit(_RANGE / 10)
    masked = operation(pl.when(fits).then(left.expression), pl.when(fits).then(right.expression))
    return Part(masked, _RANGE / 10, 3 * (left.cost + right.cost) + 1)


def _sum(left: Part, right: Part) -> Part:
    return _guarded(left, right, left.bound + right.bound, add, add)


def _difference(left: Part, right: Part) -> Part:
    return _guarded(left, right, left.bound + right.bound, sub, sub)


def _product(left: Part, right: Part) -> Part:
    return _guarded(left, right, left.bound * right.bound, mul, mul)


def _quotient(left: Part, right: Part) -> Part:
    nonzero = pl.when(right.expression != literal(Decimal(0))).then(right.expression)
    divisor = Part(nonzero, right.bound, 2 * right.cost + 1)
    return _guarded(left, divisor, left.bound * 1e18, truediv, truediv)


def _rounded(part: Part, places: int) -> Part:
    rounded = part.expression.round(places, mode="half_away_from_zero")
    return Part(rounded, part.bound + 1, part.cost + 1)


def _called(name: str, parts: list[Part]) -> Part:
    arguments = [part.expression for part in parts]
    bound, cost = max(part.bound for part in parts), sum(part.cost for part in parts) + 1
    first = arguments[0]
    if name in _UNARY:
        return Part(_UNARY[name](first), bound + 1, cost)
    if name == "coalesce":
        return Part(pl.coalesce(arguments), bound, cost)
    if name == "clip":
        result = pl.min_horizontal(pl.max_horizontal(first, arguments[1]), arguments[2])
    else:
        result = (pl.min_horizontal if name == "min" else pl.max_horizontal)(arguments)
    # Polars' horizontal functions skip nulls; here a missing part makes the whole missing.
    present = pl.all_horizontal(argument.is_not_null() for argument in arguments)
    return Part(pl.when(present).then(result), bound, 2 * cost)


_UNARY = {"abs": pl.Expr.abs, "floor": pl.Expr.floor, "ceil": pl.Expr.ceil}
_OPERATIONS = {"+": _sum, "-": _difference, "*": _product, "/": _quotient}
