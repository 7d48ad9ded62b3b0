"""What is wrong with a model: every problem at once, each with its place."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from valueverse.value.architect.reading import Source

MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        code: stable word: ``unknown_name``, ``unit_mismatch``, ``cycle``, ``bad_distribution`` ...
        message: one sentence with the cure.
        path: ``inputs.adoption.dist``; empty: the whole document.
        line, column: 1-based; 0 where the document came without text.
    """

    code: str
    message: str
    path: str
    line: int = 0
    column: int = 0

    def as_json(self) -> dict[str, str | int]:
        """As ``valueverse value check --json`` writes it."""
        return {
            "code": self.code,
            "message": self.message,
            "path": self.path,
            "line": self.line,
            "column": self.column,
        }


class ModelError(RefusalError):
    """A model that is refused.

    Attributes:
        problems: all that was found, in the order of the document; code, message and path are those of the first.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        place = f"line {first.line}, column {first.column}: " if first.line else ""
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(first.code, f"{place}{first.message}{more}", first.path)
        self.problems = tuple(problems)


class Problems:
    """Collects what is wrong, and where it stands in the document."""

    def __init__(self, source: Source | None) -> None:
        self.source = source
        self.found: list[Problem] = []

    def add(self, code: str, message: str, path: str, offset: int | None = None) -> None:
        """One more; ``offset`` is the character inside the text that stands at ``path``."""
        line, column = self.source.place(path, offset) if self.source else (0, 0)
        problem = Problem(code, message, path, line, column)
        if problem not in self.found:
            self.found.append(problem)

    def refuse(self) -> None:
        """Raise what was found, if anything.

        Raises:
            ModelError: at least one problem.
        """
        if self.found:
            raise ModelError(sorted(self.found, key=lambda one: (one.line, one.column))[:MOST_SHOWN])


def meant(name: str, known: Collection[str]) -> str:
    """The end of a sentence about an unknown name: what was probably meant, or what there is."""
    near = difflib.get_close_matches(name[:64], sorted(known), n=1)
    if near:
        return f": did you mean {near[0]!r}?"
    listed = ", ".join(sorted(known)[:12])
    return f"; known are {listed}{' ...' if len(known) > 12 else ''}" if listed else "; nothing is declared"
