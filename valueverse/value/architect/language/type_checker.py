"""Formula tree -> typed expression: names, functions and units judged, conversions written out.

A bare number (a literal without a unit, ``t``, ``pi``, an input that states no unit) takes the unit of what it stands
beside; in a product or quotient it is plain.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from valueverse.errors import Hint, RefusalError, did_you_mean
from valueverse.formula import Binary, Call, Constant, FormulaError, Name, Node, Number, Quantity, Unary
from valueverse.value.architect.language import functions
from valueverse.value.architect.language.expressions import (
    BOOLEAN,
    Expression,
    Literal,
    Operation,
    Period,
    Reference,
    converted,
    expression_text,
)
from valueverse.value.architect.language.scope import Part, Scope, TypingError
from valueverse.value.architect.language.units import ONE, Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from valueverse.value.architect.language.expressions import Operator

_ARITHMETIC: dict[str, Operator] = {"+": "add", "-": "subtract"}
_COMPARISONS: dict[str, Operator] = {
    "==": "equal", "!=": "not_equal", "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal",
}  # fmt: skip
_VERBS = {"add": "adds", "subtract": "subtracts"}
_LARGEST = 1e100
CONSTANTS = frozenset({"t", "pi"})


class TypeChecker:
    """Types one expression; the nodes it needs beside itself are left in ``parts``."""

    def __init__(self, text: str, scope: Scope, owner: str = "") -> None:
        self.text = text
        self.scope = scope
        self.owner = owner
        self.current = Part(owner)
        self.parts: list[Part] = []

    def refuse(self, code: str, message: str, node: Node, suggestion: str | None = None) -> NoReturn:
        """Raise at the place of ``node``."""
        raise TypingError(code, message, node.position, suggestion)

    def number(self, root: Node) -> Expression:
        """The expression as a number; a condition counts 1 or 0."""
        found = self.any(root)
        if isinstance(found, Operation) and found.operator in BOOLEAN:
            return Operation("if", (found, Literal(1.0), Literal(0.0)))
        return found

    def boolean(self, root: Node) -> Expression:
        """The expression as a condition; a plain number counts as true unless it is 0."""
        found = self.any(root)
        if isinstance(found, Operation) and found.operator in BOOLEAN:
            return found
        return Operation("not_equal", (self.plain(found, root, "a condition"), Literal(0.0)))

    def any(self, node: Node) -> Expression:
        """The expression as it is, number or condition.

        Raises:
            TypingError: with the place.
        """
        kind = _KINDS.get(type(node))
        if kind is None:
            message = "texts and null have no place in a model; a missing value has its policy"
            self.refuse("bad_formula", message, node)
        return kind(self, node)

    def _number(self, node: Number) -> Expression:
        return self._literal(float(node.value), None, node)

    def _quantity(self, node: Quantity) -> Expression:
        return self._literal(float(node.value), self._unit(node.unit, node), node)

    def _unary(self, node: Unary) -> Expression:
        if node.operator == "not":
            return Operation("not", (self.boolean(node.operand),))
        inside = self.number(node.operand)
        return Operation("negate", (inside,), inside.unit)

    def _truth(self, node: Constant) -> Expression:
        if node.value is None:
            self.refuse("bad_formula", "null has no place in a model; a missing value has its policy", node)
        return Literal(1.0 if node.value else 0.0)

    def _call(self, node: Call) -> Expression:
        return functions.call(self, node)

    def _literal(self, value: float, unit: Unit | None, node: Node) -> Literal:
        if not abs(value) <= _LARGEST:
            self.refuse("out_of_range", "this number is out of range", node)
        return Literal(value, unit)

    def _unit(self, text: str, node: Node) -> Unit:
        try:
            return self.scope.units.of(text)
        except RefusalError as refusal:
            self.refuse(refusal.code, refusal.message, node)

    def _name(self, node: Name) -> Expression:
        name = node.parts[0] if len(node.parts) == 1 else node.dotted
        if name in self.scope.names:
            self.current.now.add(name)
            return Reference(name, self.scope.known.get(name))
        if name == "t":
            self.current.moves = True
            return Period()
        if name != "pi":
            raise self.unknown_name(node)
        return Literal(math.pi)

    def unknown_name(self, node: Name) -> TypingError:
        """The refusal of a name that is not there, with the one that was probably meant."""
        hint = did_you_mean(node.dotted, {*self.scope.names, *CONSTANTS})
        if self.scope.units.knows(node.dotted):
            hint = Hint(f"; {node.dotted} is a unit, which stands behind a number: 1 {node.dotted}", None)
        elif hint.name is None:
            unit = self.scope.units.nearest(node.dotted)
            hint = hint if unit is None else Hint(f": did you mean the unit {unit!r}?", unit)
        message = f"unknown name {node.dotted[:60]!r} in {self._shown()}{hint.ending}"
        return TypingError("unknown_name", message, node.position, hint.name)

    def _shown(self) -> str:
        return repr(self.text if len(self.text) <= 80 else f"{self.text[:77]}...")

    def _binary(self, node: Binary) -> Expression:
        symbol = node.operator
        if symbol in {"*", "/"}:
            return self._product(node, self.number(node.left), self.number(node.right))
        if symbol in _ARITHMETIC:
            operator = _ARITHMETIC[symbol]
            arguments, unit = self.unified([self.number(node.left), self.number(node.right)], node, _VERBS[operator])
            return Operation(operator, arguments, unit)
        if symbol in _COMPARISONS:
            arguments, _ = self.unified([self.number(node.left), self.number(node.right)], node, "compares")
            return Operation(_COMPARISONS[symbol], arguments)
        if symbol == "^":
            return self._power(node)
        return Operation("and" if symbol == "and" else "or", (self.boolean(node.left), self.boolean(node.right)))

    def _product(self, node: Binary, left: Expression, right: Expression) -> Expression:
        one, other = left.unit, right.unit
        operator: Operator = "multiply" if node.operator == "*" else "divide"
        if one is other and (one is None or one is ONE):
            return Operation(operator, (left, right), one)
        stated = one if one is not None else other
        if (one is None or other is None) and stated is not None and stated.is_number:
            # A bare number beside a plain one stays bare: 1000 * adoption may still become USD.
            return Operation(operator, (converted(left, ONE), converted(right, ONE)))
        try:
            unit = (one or ONE).times(other or ONE) if node.operator == "*" else (one or ONE).over(other or ONE)
        except RefusalError as refusal:
            self.refuse(refusal.code, refusal.message, node)
        return Operation(operator, (left, right), unit)

    def _power(self, node: Binary) -> Expression:
        base = self.number(node.left)
        if base.unit is not None and not base.unit.is_number:
            try:
                exponent = functions.bare_constant(node.right)
                unit = base.unit.to_power(Fraction(exponent).limit_denominator(64))
            except FormulaError:
                shown = f"{expression_text(base)[:40]!r} is in {base.unit}"
                self.refuse("unit_mismatch", f"{shown}: its exponent has to be a number written out", node)
            except RefusalError as refusal:
                self.refuse(refusal.code, refusal.message, node)
            return Operation("power", (base, Literal(exponent)), unit)
        right = self.plain(self.number(node.right), node.right, "an exponent")
        return Operation("power", (self.plain(base, node.left, "a power"), right), base.unit and ONE)

    def unified(self, parts: Sequence[Expression], node: Node, verb: str) -> tuple[tuple[Expression, ...], Unit | None]:
        """The parts in the unit of the first that has one; beside a bare number, in its settled form.

        Raises:
            TypingError: ``unit_mismatch``, with both units.
        """
        first = parts[0]
        if all(part.unit is first.unit for part in parts):
            return tuple(parts), first.unit
        first = next(part for part in parts if part.unit is not None)
        unit = first.unit or ONE
        if any(part.unit is None for part in parts):
            unit = unit.settled()
        return tuple(self._into(part, unit, first, node, verb) for part in parts), unit

    def _into(self, part: Expression, unit: Unit, first: Expression, node: Node, verb: str) -> Expression:
        if part.unit is None or part.unit is unit or part.unit == unit:
            return part
        if part.unit.dimension != unit.dimension:
            sides = f"{_short(first)} in {unit} and {_short(part)} in {part.unit}"
            self.refuse("unit_mismatch", f"{self._shown()} {verb} {sides}{self.hint(unit, part.unit)}", node)
        return converted(part, unit)

    def hint(self, unit: Unit, other: Unit) -> str:
        """What may be done about two units that differ."""
        mine, theirs = self.scope.units.currencies(unit), self.scope.units.currencies(other)
        if len(mine) == 1 and len(theirs) == 1 and mine != theirs:
            return f"; convert with an input in {mine[0]}/{theirs[0]}"
        if unit.power_of("time") != other.power_of("time"):
            return "; one is per time, the other is not"
        return ""

    def plain(self, part: Expression, node: Node, what: str) -> Expression:
        """The part as a plain number.

        Raises:
            TypingError: ``unit_mismatch``: it has a dimension.
        """
        if part.unit is None:
            return part
        if not part.unit.is_number:
            sentence = f"{what} takes a plain number (1), and {_short(part)} is in {part.unit}"
            self.refuse("unit_mismatch", f"{sentence}, in {self._shown()}", node)
        return converted(part, ONE)

    def look_at(self, node: Node) -> tuple[str, Unit | None]:
        """The input or node that an argument of ``prev`` names; any other expression gets a node of its own."""
        if isinstance(node, Name) and node.dotted in self.scope.names:
            self.current.lagged.add(node.dotted)
            self.current.moves = True
            return node.dotted, self.scope.known.get(node.dotted)
        part = self.part(lambda: self.number(node))
        self.current.lagged.add(part.name)
        self.current.moves = True
        return part.name, part.expression.unit

    def part(self, compile_inside: Callable[[], Expression]) -> Part:
        """A node for what ``compile_inside`` types."""
        outer = self.current
        part = self.current = Part(f"{self.owner}~{len(self.parts) + 1}")
        self.parts.append(part)
        part.expression = compile_inside()
        self.current = outer
        return part


def _short(part: Expression) -> str:
    text = expression_text(part)
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


_KINDS: dict[type[Node], Callable[[TypeChecker, Any], Expression]] = {
    Name: TypeChecker._name,
    Number: TypeChecker._number,
    Quantity: TypeChecker._quantity,
    Unary: TypeChecker._unary,
    Binary: TypeChecker._binary,
    Call: TypeChecker._call,
    Constant: TypeChecker._truth,
}
