"""Constant expressions of numbers and ``pi``, such as ``2 * pi``."""

from __future__ import annotations

import math
import operator

from valueverse.formula import Binary, Name, Node, Unary
from valueverse.formula import Number as NumberNode
from valueverse.formula import refusal as formula_refusal

_OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "^": operator.pow}


def constant(root: Node, text: str) -> float:
    """The number that an expression of numbers and ``pi`` says.

    Raises:
        FormulaError: it reads something, or has no finite value.
    """
    match root:
        case NumberNode(value=value):
            return float(value)
        case Name(parts=("pi",)):
            return math.pi
        case Unary(operator="-", operand=operand):
            return -constant(operand, text)
        case Binary(operator=symbol, left=left, right=right) if symbol in _OPERATORS:
            try:
                result = _OPERATORS[symbol](constant(left, text), constant(right, text))
            except ArithmeticError:
                result = math.nan
            if isinstance(result, float) and math.isfinite(result):
                return result
            raise formula_refusal("this has no finite value", text, root.position)
    raise formula_refusal("a number is expected, or an expression of numbers and pi", text, root.position)
