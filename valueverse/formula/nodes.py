"""The tree a formula is read into, and the limits that keep a hostile one small."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from decimal import Decimal

MAX_CHARACTERS = 4_096
MAX_NODES = 1_000
MAX_PARTS = 16
"""Of a path: ``usage.tokens`` has two."""
MAX_DEPTH = 64
"""Of the tree: brackets, and the operators of one chain (a + b + c is three deep)."""


class FormulaError(RefusalError):
    """``bad_formula``.

    Attributes:
        reason: the sentence without place and formula.
        position: of the first character that makes no sense, 0-based.
    """

    def __init__(self, reason: str, text: str, position: int) -> None:
        shown = text if len(text) <= 80 else f"{text[:77]}..."
        super().__init__("bad_formula", f"{reason}, at character {position + 1} of {shown!r}")
        self.reason = reason
        self.position = position


def refusal(message: str, text: str, position: int) -> FormulaError:
    """What is wrong, at which character, and the formula itself."""
    return FormulaError(message, text, position)


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a formula; ``position`` is its first character, 0-based."""

    position: int

    @property
    def children(self) -> tuple[Node, ...]:
        """The parts it is made of."""
        return ()


@dataclass(frozen=True, slots=True)
class Number(Node):
    """An exact number."""

    value: Decimal


@dataclass(frozen=True, slots=True)
class Quantity(Node):
    """An exact number with its unit behind it: ``60000 USD/year``; only where the parser was given the units."""

    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Text(Node):
    """A text in quotes."""

    value: str


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """``true``, ``false`` or ``null``."""

    value: bool | None


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A variable, or a path into an event's data: ``usage.tokens`` has two parts."""

    parts: tuple[str, ...]

    @property
    def dotted(self) -> str:
        """As it is written."""
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """``-x`` or ``not x``."""

    operator: str
    operand: Node

    @property
    def children(self) -> tuple[Node, ...]:
        """The operand."""
        return (self.operand,)


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """``+ - * / ^``, a comparison, ``and`` or ``or``."""

    operator: str
    left: Node
    right: Node

    @property
    def children(self) -> tuple[Node, ...]:
        """Left and right."""
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function with its arguments, by place and by name."""

    function: str
    arguments: tuple[Node, ...]
    named: dict[str, Node] = field(default_factory=dict)

    @property
    def children(self) -> tuple[Node, ...]:
        """All arguments."""
        return (*self.arguments, *self.named.values())


def names_in(root: Node) -> list[Name]:
    """Every name a formula reads, in order of appearance."""
    found: list[Name] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Name):
            found.append(node)
        waiting.extend(reversed(node.children))
    return found
