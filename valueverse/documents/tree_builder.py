"""A tree with places, built node by node as a YAML or JSON text is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.documents.problems import DocumentError, Problem
from valueverse.documents.source import Mark, Marks, Tree, child_path

if TYPE_CHECKING:
    from valueverse.documents.formats import Format
    from valueverse.documents.problems import Problems

START = Mark(1, 1)


def refusal(code: str, message: str, mark: Mark = START, path: str = "") -> DocumentError:
    """What stops the reading, at its place."""
    return DocumentError([Problem(code, message, path, mark.line, mark.column)])


class TreeBuilder:
    """One level of nesting per entry of the stack.

    A key that stands twice and a number that cannot be taken are collected, and reading goes on; limits stop it.
    """

    def __init__(self, form: Format, problems: Problems) -> None:
        self.form = form
        self.problems = problems
        self.root: Tree = None
        self.marks = Marks()
        self._stack: list[tuple[Any, str, Mark]] = []
        self._keys: list[str | None] = []
        self._count = 0

    @property
    def wants_key(self) -> bool:
        """Whether the next scalar is a key."""
        return bool(self._stack) and isinstance(self._stack[-1][0], dict) and self._keys[-1] is None

    def path(self) -> str:
        """Of the value that comes next; of the object itself where its next key comes."""
        if not self._stack:
            return ""
        container, above, _ = self._stack[-1]
        if isinstance(container, list):
            return f"{above}[{len(container)}]"
        key = self._keys[-1]
        return above if key is None else child_path(above, key)

    def stop(self, message: str, mark: Mark) -> DocumentError:
        """What stops the reading at this point."""
        return refusal(self.form.code, message, mark, self.path())

    def open(self, container: Any, mark: Mark) -> None:
        """A list or an object begins."""
        if len(self._stack) >= self.form.depth:
            raise self.stop(f"nested deeper than {self.form.depth} levels; flatten it", mark)
        if self.wants_key:
            raise self.stop("a key must be plain text", mark)
        self._stack.append((container, self.path(), mark))
        self._keys.append(None)

    def close(self) -> None:
        """The innermost list or object ends."""
        container, _, mark = self._stack.pop()
        self._keys.pop()
        self.add(container, mark)

    def key(self, key: str, mark: Mark) -> None:
        """A key of the innermost object; of two values of one key the first counts."""
        if key in self._stack[-1][0]:
            self._problem(f"the key {key[:80]!r} stands twice in one object; keep one", mark)
        self._keys[-1] = key
        self.marks.keys.setdefault(self.path(), mark)

    def number(self, text: str, mark: Mark) -> None:
        """A JSON number."""
        try:
            self.add(self.form.number(text), mark)
        except ValueError as error:
            self._problem(str(error), mark)
            self.add(None, mark)

    def add(self, value: Tree, mark: Mark) -> None:
        """A value."""
        self._count += 1
        if self._count > self.form.total:
            raise self.stop(f"more than {self.form.total} entries; leave some out", mark)
        self.marks.values.setdefault(self.path(), mark)
        if not self._stack:
            self.root = value
            return
        container = self._stack[-1][0]
        if isinstance(container, list):
            container.append(value)
        else:
            container.setdefault(self._keys[-1], value)
            self._keys[-1] = None

    def _problem(self, message: str, mark: Mark) -> None:
        self.problems.append(Problem(self.form.code, message, self.path(), mark.line, mark.column))
