"""The strict reader: YAML, JSON or the object itself -> a tree within the limits of its format, with places."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.documents.formats import UNSTORABLE, Format
from valueverse.documents.json_reader import OddJsonError, decode_json, read_json
from valueverse.documents.problems import Problems
from valueverse.documents.source import Mark, Source, Tree, child_path
from valueverse.documents.tree_builder import refusal
from valueverse.documents.yaml_reader import read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from valueverse.documents.tree_builder import TreeBuilder


def read_document(document: str | bytes | dict[str, Any], form: Format) -> Source:
    """A document as a tree with places; an object (numbers as str, int or Decimal) has none.

    What is wrong with single values is in the ``problems`` of the answer; whoever judges the tree refuses with them.

    Raises:
        DocumentError: with the format's code: no YAML or JSON, beyond its limits, or no object.
    """
    if isinstance(document, bytes):
        try:
            document = document.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise refusal(form.code, f"a {form.name} is UTF-8 text; save it as such") from error
    source = _read_text(document, form) if isinstance(document, str) else Source(document, Problems())
    source.tree = _Checker(form, source, given=not isinstance(document, str)).checked(source.tree, "", 0)
    if not isinstance(source.tree, dict):
        source.problems.add(form.code, f"a {form.name} is one mapping with the keys {form.keys} ...", "")
        source.problems.refuse()
    return source


def _read_text(text: str, form: Format) -> Source:
    if len(text) > form.characters:
        raise refusal(form.code, f"{len(text)} characters are too long: at most {form.characters} are read")
    unstored = UNSTORABLE.search(text)
    if unstored:
        line = text.count("\n", 0, unstored.start()) + 1
        column = unstored.start() - text.rfind("\n", 0, unstored.start())
        message = "a character that cannot be stored stands here; remove it"
        raise refusal(form.code, message, Mark(line, column))
    if text.lstrip().startswith("{"):
        try:
            return Source(decode_json(text, form), Problems(), lambda: read_json(text, form, Problems()).marks)
        except OddJsonError:
            return _built(read_json, text, form)
        except json.JSONDecodeError:
            pass  # YAML's flow style starts with a brace too
    return _built(read_yaml, text, form)


def _built(read: Callable[[str, Format, Problems], TreeBuilder], text: str, form: Format) -> Source:
    problems = Problems()
    builder = read(text, form, problems)
    return Source(builder.root, problems, lambda: builder.marks)


class _Checker:
    """Proves the limits of a tree; one that came as an object has met none of them yet."""

    def __init__(self, form: Format, source: Source, *, given: bool) -> None:
        self.form = form
        self.problems = source.problems
        self.given = given
        self.count = 0

    def checked(self, value: Tree, path: str, depth: int) -> Tree:
        """The tree; numbers of an object are read as those of a text."""
        self.count += 1
        if self.count > self.form.total:
            self._stop(f"more than {self.form.total} entries; leave some out", path)
        if depth > self.form.depth:
            self._stop(f"nested deeper than {self.form.depth} levels; flatten it", path)
        if isinstance(value, dict):
            self._measure(len(value), "keys in one object", path)
            return {
                self._key(key, path): self.checked(item, child_path(path, str(key)), depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            self._measure(len(value), "entries in one list", path)
            return [self.checked(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
        return self._leaf(value, path)

    def _measure(self, count: int, what: str, path: str) -> None:
        if count > self.form.entries:
            self._stop(f"{count} {what}: at most {self.form.entries} are taken", path)

    def _add(self, message: str, path: str) -> None:
        self.problems.add(self.form.code, message, path)

    def _stop(self, message: str, path: str) -> None:
        self._add(message, path)
        self.problems.refuse()

    def _key(self, key: Any, path: str) -> str:
        if not isinstance(key, str):
            self._add(f"the key {key!r} is not text; quote it", path)
            return str(key)
        return str(self._leaf(key, path))

    def _leaf(self, value: Any, path: str) -> Tree:
        if isinstance(value, str):
            if UNSTORABLE.search(value):
                self._add(f"{value[:40]!r} holds a character that cannot be stored; remove it", path)
            return value
        if not self.given or value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | Decimal):
            try:
                return self.form.number(str(value))
            except (ValueError, ArithmeticError) as error:
                self._add(str(error), path)
        elif isinstance(value, float):
            self._add(f"{value!r} came as a binary float: write the number as a string", path)
        else:
            self._add(f"a {type(value).__name__} cannot stand in a {self.form.name}", path)
        return None
