"""A document that was read: its tree, and where each key and value stands in the text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from valueverse.documents.problems import Problems

Tree = Any
"""dict, list, str, bool, None or number, nested. Which numbers stands in the ``Format``."""


def child_path(path: str, key: str) -> str:
    """The path of a key's value."""
    return f"{path}.{key}" if path else key


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something stands, 1-based; ``characters``: its characters stand there one by one (no escapes, one line)."""

    line: int
    column: int
    characters: bool = False


@dataclass(frozen=True, slots=True)
class Marks:
    """Places of the parts of a document: of keys by the path of their value, of values by their path."""

    keys: dict[str, Mark] = field(default_factory=dict)
    values: dict[str, Mark] = field(default_factory=dict)

    def place(self, path: str, offset: int | None = None) -> tuple[int, int]:
        """Line and column of a path (of its key, where it has one), or of the nearest one above that is known."""
        if offset is not None:
            # A short form stands one level up: `ramp: min(1, t / 6)` is variables.ramp.expr.
            found = self.values.get(path) or self.values.get(path.rpartition(".")[0])
            if found is not None and (found.characters or path in self.values):
                return found.line, found.column + (offset if found.characters else 0)
        while path and path not in self.keys and path not in self.values:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        known = self.keys.get(path) or self.values.get(path) or Mark(1, 1)
        return known.line, known.column


class Source:
    """A document with its places.

    Attributes:
        tree: what it says.
        problems: what reading found wrong without having to stop; users of the tree add theirs and refuse.
    """

    def __init__(self, tree: Tree, problems: Problems, marks: Callable[[], Marks] | None = None) -> None:
        self.tree = tree
        self.problems = problems
        self._read_marks = marks
        self._marks: Marks | None = None
        problems.source = self

    def place(self, path: str, offset: int | None = None) -> tuple[int, int]:
        """Line and column, 1-based; (0, 0) where the document came without text."""
        if self._read_marks is None:
            return 0, 0
        if self._marks is None:
            self._marks = self._read_marks()
        return self._marks.place(path, offset)
