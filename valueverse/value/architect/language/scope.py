"""What an expression may name, what it is found to read, and how it is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, Protocol

from valueverse.errors import RefusalError
from valueverse.value.architect.language.expressions import Expression, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from valueverse.formula import Node
    from valueverse.value.architect.language.units import Unit, UnitSystem

_NOTHING = Literal(0.0)


class TypingError(RefusalError):
    """An expression that means nothing; ``position`` is the character it starts at, 0-based."""

    def __init__(self, code: str, message: str, position: int, suggestion: str | None = None) -> None:
        super().__init__(code, message, suggestion=suggestion)
        self.position = position


@dataclass
class Part:
    """An expression that ``prev`` or ``cumsum`` looks at, which gets a node of its own; and every node in the making.

    Attributes:
        name: of the node.
        now: names it reads in the same period.
        lagged: names it reads in earlier ones.
        moves: it looks at ``t`` or at other periods.
    """

    name: str
    expression: Expression = _NOTHING
    now: set[str] = field(default_factory=set)
    lagged: set[str] = field(default_factory=set)
    moves: bool = False


@dataclass(frozen=True)
class Scope:
    """What expressions of one model may name.

    Attributes:
        units: its units.
        known: unit of every input and variable that is known so far; None: bare. A name that is missing here is typed
            later: it is taken as bare.
        names: every name there is.
        period: the unit of time as long as a period.
    """

    units: UnitSystem
    known: Mapping[str, Unit | None]
    names: Collection[str]
    period: Unit


class Checker(Protocol):
    """What the functions of the language ask of the type checker that reads their arguments."""

    scope: Scope
    current: Part

    def refuse(self, code: str, message: str, node: Node, suggestion: str | None = None) -> NoReturn:
        """Raise at the place of ``node``."""

    def number(self, root: Node) -> Expression:
        """The expression as a number."""

    def boolean(self, root: Node) -> Expression:
        """The expression as a condition."""

    def unified(self, parts: Sequence[Expression], node: Node, verb: str) -> tuple[tuple[Expression, ...], Unit | None]:
        """The parts in one unit."""

    def plain(self, part: Expression, node: Node, what: str) -> Expression:
        """The part without a unit."""

    def look_at(self, node: Node) -> tuple[str, Unit | None]:
        """The node that ``prev`` or ``cumsum`` looks at, and its unit."""

    def part(self, compile_inside: Callable[[], Expression]) -> Part:
        """A node of its own for an inner expression."""
