"""The functions of expressions: what they take, and the unit of what they give."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from valueverse.errors import RefusalError, did_you_mean
from valueverse.formula import FormulaError, Quantity
from valueverse.value.architect.language.constants import constant
from valueverse.value.architect.language.expressions import (
    Literal,
    Lookup,
    Operation,
    Previous,
    RunningTotal,
    converted,
    per_period,
)
from valueverse.value.architect.language.units import ONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from valueverse.formula import Call, Node
    from valueverse.value.architect.language.expressions import Expression, Operator
    from valueverse.value.architect.language.scope import Checker
    from valueverse.value.architect.language.units import Unit

MAX_LAG = 3_660
_KEEP_UNIT: dict[str, Operator] = {"abs": "absolute", "floor": "floor", "ceil": "ceil"}
_PLAIN: dict[str, Operator] = {"exp": "exp", "log": "log", "ln": "log", "sin": "sin", "cos": "cos"}
_ALIKE: dict[str, Operator] = {"min": "minimum", "max": "maximum", "clip": "clip"}

ARGUMENTS: dict[str, tuple[int, int]] = {
    "if": (3, 3), "min": (1, 64), "max": (1, 64), "clip": (3, 3), "abs": (1, 1), "floor": (1, 1), "ceil": (1, 1),
    "exp": (1, 1), "log": (1, 1), "ln": (1, 1), "sqrt": (1, 1), "sin": (1, 1), "cos": (1, 1),
    "prev": (1, 3), "cumsum": (1, 1), "lookup": (3, 513), "interpolate": (5, 513), "pi": (0, 0),
}  # fmt: skip
"""Fewest and most arguments."""
_NAMED = {"prev": ("k", "init")}


def bare_constant(node: Node) -> float:
    """The number that a constant expression without units says.

    Raises:
        FormulaError: it is none.
    """
    return constant(node, "")


def call(checker: Checker, node: Call) -> Expression:
    """The typed call.

    Raises:
        TypingError: an unknown function, too many arguments, or units that do not fit.
    """
    name = node.function
    if name not in ARGUMENTS:
        hint = did_you_mean(name, ARGUMENTS)
        checker.refuse("unknown_function", f"unknown function {name[:60]!r}{hint.ending}", node, hint.name)
    least, most = ARGUMENTS[name]
    for given in node.named:
        if given not in _NAMED.get(name, ()):
            checker.refuse("bad_formula", f"{name} takes no argument called {given[:40]!r}", node)
    if not least <= len(node.arguments) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        checker.refuse("bad_formula", f"{name} takes {wanted} arguments, not {len(node.arguments)}", node)
    return _CALLS[name](checker, node)


def _keep(checker: Checker, node: Call) -> Expression:
    inside = checker.number(node.arguments[0])
    return Operation(_KEEP_UNIT[node.function], (inside,), inside.unit)


def _plain(checker: Checker, node: Call) -> Expression:
    inside = checker.plain(checker.number(node.arguments[0]), node, node.function)
    return Operation(_PLAIN[node.function], (inside,), inside.unit)


def _alike(checker: Checker, node: Call) -> Expression:
    arguments, unit = checker.unified([checker.number(one) for one in node.arguments], node, "compares")
    return Operation(_ALIKE[node.function], arguments, unit)


def _if(checker: Checker, node: Call) -> Expression:
    condition = checker.boolean(node.arguments[0])
    branches, unit = checker.unified([checker.number(one) for one in node.arguments[1:]], node, "chooses between")
    return Operation("if", (condition, *branches), unit)


def _root(checker: Checker, node: Call) -> Expression:
    inside = checker.number(node.arguments[0])
    try:
        unit = inside.unit and inside.unit.to_power(Fraction(1, 2))
    except RefusalError as refusal:
        checker.refuse(refusal.code, refusal.message, node)
    return Operation("sqrt", (inside,), unit)


def _pi(_checker: Checker, _node: Call) -> Expression:

    return Literal(math.pi)


def _previous(checker: Checker, node: Call) -> Expression:
    arguments = dict(zip(("x", "k", "init"), node.arguments, strict=False))
    for name, given in node.named.items():
        if name in arguments:
            checker.refuse("bad_formula", f"prev is given {name} twice", node)
        arguments[name] = given
    lag = _whole(checker, arguments["k"]) if "k" in arguments else 1
    if "init" not in arguments:
        checker.refuse("bad_formula", "prev has no value before the first period: write prev(x, 1, init=0)", node)
    name, unit = checker.look_at(arguments["x"])
    initial = checker.number(arguments["init"])
    if unit is not None and initial.unit is not None and unit.dimension != initial.unit.dimension:
        checker.refuse("unit_mismatch", f"prev looks back at {unit} and starts with {initial.unit}", node)
    if unit is not None:
        initial = converted(initial, unit)
    return Previous(name, lag, initial, unit if unit is not None else initial.unit)


def _whole(checker: Checker, node: Node) -> int:
    try:
        lag = bare_constant(node)
    except FormulaError:
        lag = 0.0
    if lag != int(lag) or not 1 <= lag <= MAX_LAG:
        checker.refuse("bad_formula", f"prev looks back by a whole number of periods from 1 to {MAX_LAG}", node)
    return int(lag)


def _running_total(checker: Checker, node: Call) -> Expression:

    def inside() -> Expression:
        flow = checker.number(node.arguments[0])
        unit = flow.unit
        if unit is None or unit.is_number:
            return flow
        if unit.power_of("time") != -1:
            flows = f"sum a flow such as {unit.without_time()}/{checker.scope.period}"
            checker.refuse(
                "stock_summed", f"cumsum adds up {unit}, a stock, as if it flowed in every period; {flows}", node
            )
        factor, amount = per_period(unit, checker.scope.period)
        return Operation("multiply", (flow, Literal(factor)), amount)

    part = checker.part(inside)
    checker.current.now.add(part.name)
    checker.current.moves = True
    return RunningTotal(part.name, part.expression.unit)


def _table(checker: Checker, node: Call) -> Expression:
    if len(node.arguments) % 2 == 0:
        checker.refuse("bad_formula", f"{node.function} takes x, then pairs of key and value: (x, 1, 10, 2, 20)", node)
    argument = checker.number(node.arguments[0])
    keys = tuple(_key(checker, one, argument.unit) for one in node.arguments[1::2])
    if any(later <= earlier for earlier, later in pairwise(keys)):
        checker.refuse("bad_formula", f"the keys of {node.function} have to rise", node)
    values, unit = checker.unified([checker.number(one) for one in node.arguments[2::2]], node, "chooses between")
    return Lookup(argument, keys, values, node.function == "interpolate", unit)


def _key(checker: Checker, node: Node, wanted: Unit | None) -> float:
    """A key in the unit of what is looked up."""
    try:
        if not isinstance(node, Quantity):
            return bare_constant(node)
    except FormulaError:
        checker.refuse("bad_formula", "a key of a table is a number written out", node)
    unit = checker.number(node).unit or ONE
    if (wanted or ONE).dimension != unit.dimension:
        checker.refuse("unit_mismatch", f"the key is in {unit}, and what is looked up is in {wanted or ONE}", node)
    return float(node.value) * unit.factor_to(wanted or ONE)


_CALLS: dict[str, Callable[[Checker, Call], Expression]] = {
    **dict.fromkeys(_KEEP_UNIT, _keep),
    **dict.fromkeys(_PLAIN, _plain),
    **dict.fromkeys(_ALIKE, _alike),
    "if": _if,
    "sqrt": _root,
    "prev": _previous,
    "cumsum": _running_total,
    "lookup": _table,
    "interpolate": _table,
    "pi": _pi,
}
