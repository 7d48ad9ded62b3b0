"""What is wrong with a document: every problem at once, each with its place and, where there is one, a suggestion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from valueverse.errors import RefusalError, did_you_mean, joined

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MOST_SHOWN = 200
_LISTED = 20
"""Problems in one sentence."""


class Places(Protocol):
    """A document that knows where its parts stand."""

    def place(self, path: str, offset: int | None = None) -> tuple[int, int]:
        """Line and column, 1-based; (0, 0) where the document came without text."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        code: stable word: ``unknown_field``, ``bad_catalog``, ``unit_mismatch``, ``cycle`` ...
        message: one sentence with the cure.
        path: ``plans[0].charges[1].price``; empty: the whole document.
        line, column: 1-based; 0 where the document came without text.
        suggestion: what could stand there instead, such as the field that was probably meant.
    """

    code: str
    message: str
    path: str
    line: int = 0
    column: int = 0
    suggestion: str | None = None

    def as_json(self) -> dict[str, str | int | None]:
        """As ``valueverse value check --json`` writes it."""
        return {
            "code": self.code,
            "message": self.message,
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "suggestion": self.suggestion,
        }

    @property
    def placed_message(self) -> str:
        """The message behind its line and column, where they are known."""
        return f"line {self.line}, column {self.column}: {self.message}" if self.line else self.message


class DocumentError(RefusalError):
    """A document that is refused.

    Attributes:
        problems: all that was found, in the order of the document; code, path and suggestion are those of the first.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(first.code, f"{first.placed_message}{more}", first.path, first.suggestion)
        self.problems = tuple(problems)

    @property
    def listed(self) -> str:
        """All problems in one text, for places that hold a single message: the first, then the others with paths."""
        first, *others = self.problems
        messages = [first.placed_message, *(f"at {one.path}: {one.placed_message}" for one in others[: _LISTED - 1])]
        more = len(others) + 1 - len(messages)
        return "; also ".join(messages) + (f"; and {more} more" if more else "")

    def below(self, prefix: str) -> DocumentError:
        """The same problems, their paths read from one level further up."""
        return DocumentError([replace(one, path=joined(prefix, one.path)) for one in self.problems])


class Problems:
    """Collects what is wrong, and where it stands in the document."""

    def __init__(self, source: Places | None = None) -> None:
        self.source = source
        self.found: list[Problem] = []

    def add(
        self, code: str, message: str, path: str, offset: int | None = None, *, suggestion: str | None = None
    ) -> None:
        """One more; ``offset`` is the character inside the text that stands at ``path``."""
        line, column = self.source.place(path, offset) if self.source else (0, 0)
        self.append(Problem(code, message, path, line, column, suggestion))

    def append(self, problem: Problem) -> None:
        """One more, once; those beyond ``MOST_SHOWN`` are left out, so that a hostile document costs no time."""
        if not self.full and problem not in self.found:
            self.found.append(problem)

    @property
    def full(self) -> bool:
        """Whether no more are listed."""
        return len(self.found) >= MOST_SHOWN

    def unknown(
        self, code: str, what: str, name: str, known: Collection[str], path: str, offset: int | None = None
    ) -> None:
        """An unknown name: ``what`` says so (``unknown field 'plnas'``), with the known name that is near to it."""
        if self.full:
            return
        hint = did_you_mean(name, known)
        self.add(code, f"{what}{hint.ending}", path, offset, suggestion=hint.name)

    def refuse(self) -> None:
        """Raise what was found, if anything.

        Raises:
            DocumentError: at least one problem.
        """
        if self.found:
            raise DocumentError(sorted(self.found, key=lambda one: (one.line, one.column)))
