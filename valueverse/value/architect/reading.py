"""The text of a model (YAML or JSON) as a tree, with the line and column of every key and value.

YAML is read from its events: a loader would turn ``NO`` into false, expand aliases without end and forget the places.
What is understood is YAML 1.2's JSON schema: ``null``, ``true``, ``false``, JSON numbers; every other plain scalar is
text.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from valueverse.value.architect.problems import ModelError, Problem

MAX_CHARACTERS = 1_048_576
MAX_DEPTH = 24
MAX_ITEMS = 200_000
"""Keys and entries of the whole document."""

JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_CONSTANTS = {"": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "false": False}
_UNSTORED = re.compile("[\x00\ud800-\udfff]")
_NOT_STORED = "a character that cannot be stored stands here; remove it"

Tree = Any
"""dict, list, str, bool, None, int or float, nested."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something stands, 1-based; ``characters``: its characters stand there one by one (no escapes, one line)."""

    line: int
    column: int
    characters: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A document with its places.

    Attributes:
        text: as written.
        tree: what it says.
        keys: of a key, by the path of its value.
        values: of a value, by its path.
    """

    text: str
    tree: Tree
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


def read_source(text: str | bytes) -> Source:
    """A document as a tree with places.

    Raises:
        ModelError: ``bad_document``: no YAML or JSON, or beyond the limits of this module.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _refusal("a model is UTF-8 text; save it as such") from error
    if len(text) > MAX_CHARACTERS:
        raise _refusal(f"{len(text)} characters are too long: at most {MAX_CHARACTERS} are read")
    unstored = _UNSTORED.search(text)
    if unstored:
        line = text.count("\n", 0, unstored.start()) + 1
        column = unstored.start() - text.rfind("\n", 0, unstored.start())
        raise _refusal(_NOT_STORED, Mark(line, column))
    source = _read_yaml(text)
    if isinstance(source, ModelError):
        tree = _read_json(text) if text.lstrip().startswith("{") else None
        if tree is None:
            raise source
        source = Source(text, tree)
    if not isinstance(source.tree, dict):
        raise _refusal("a model is one mapping with the keys schema, model, inputs ...")
    return source


def _refusal(message: str, mark: Mark | None = None, path: str = "") -> ModelError:
    mark = mark or Mark(1, 1)
    return ModelError([Problem("bad_document", message, path, mark.line, mark.column)])


def _read_json(text: str) -> Tree | None:
    """JSON that YAML does not take (tabs); None where it is no JSON, has a key twice, or cannot be stored."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError
        return dict(pairs)

    try:
        tree = json.loads(text, object_pairs_hook=unique, parse_constant=str, parse_int=_number, parse_float=_number)
    except (ValueError, RecursionError):
        return None
    return tree if _shallow(tree) else None


def _shallow(tree: Tree) -> bool:
    """Within the limits, and of characters that can be stored."""
    waiting, count = [(tree, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_ITEMS:
            return False
        if isinstance(node, str) and _UNSTORED.search(node):
            return False
        inside = [*node, *node.values()] if isinstance(node, dict) else node if isinstance(node, list) else ()
        waiting.extend((child, depth + 1) for child in inside)
    return True


def _number(text: str) -> int | float:
    """Raises ValueError: beyond the range of floats."""
    if len(text) <= 15 and text.lstrip("-").isdigit():
        return int(text)
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is out of range")
    return number


class _Builder:
    """Builds the tree from YAML events, one level of nesting per entry of the stack."""

    def __init__(self) -> None:
        self.stack: list[tuple[Any, str, Mark]] = []
        self.key: list[str | None] = []
        self.root: Tree = None
        self.keys: dict[str, Mark] = {}
        self.values: dict[str, Mark] = {}
        self.count = 0

    def path(self) -> str:
        """Of the value that comes next."""
        if not self.stack:
            return ""
        container, above, _ = self.stack[-1]
        if isinstance(container, list):
            return f"{above}[{len(container)}]"
        return f"{above}.{self.key[-1]}".lstrip(".") if self.key[-1] is not None else above

    def open(self, container: Any, mark: Mark) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise _refusal(f"nested deeper than {MAX_DEPTH} levels; flatten it", mark, self.path())
        if self.stack and isinstance(self.stack[-1][0], dict) and self.key[-1] is None:
            raise _refusal("a key must be plain text", mark, self.path())
        self.stack.append((container, self.path(), mark))
        self.key.append(None)

    def close(self) -> None:
        container, _, mark = self.stack.pop()
        self.key.pop()
        self.add(container, mark)

    def add(self, value: Tree, mark: Mark) -> None:
        self.count += 1
        if self.count > MAX_ITEMS:
            raise _refusal(f"more than {MAX_ITEMS} entries; leave some out", mark)
        self.values[self.path()] = mark
        if not self.stack:
            self.root = value
            return
        container = self.stack[-1][0]
        if isinstance(container, list):
            container.append(value)
        else:
            container[self.key[-1]] = value
            self.key[-1] = None

    def scalar(self, event: yaml.ScalarEvent, mark: Mark) -> None:
        container = self.stack[-1][0] if self.stack else None
        if _UNSTORED.search(event.value):
            raise _refusal(_NOT_STORED, mark, self.path())
        if isinstance(container, dict) and self.key[-1] is None:
            if event.value in container:
                raise _refusal(f"the key {event.value[:80]!r} stands twice in one mapping; keep one", mark, self.path())
            self.key[-1] = event.value
            self.keys[self.path()] = mark
        elif event.implicit[0] and event.value in _CONSTANTS:
            self.add(_CONSTANTS[event.value], mark)
        elif event.implicit[0] and JSON_NUMBER.match(event.value):
            try:
                self.add(_number(event.value), mark)
            except ValueError as error:
                raise _refusal(str(error), mark, self.path()) from error
        else:
            self.add(event.value, mark)


def _read_yaml(text: str) -> Source | ModelError:
    builder = _Builder()
    documents = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    return _refusal("one model per file: a second document starts here", _mark(event))
            elif isinstance(event, yaml.NodeEvent):
                _node(builder, event)
            elif isinstance(event, yaml.CollectionEndEvent):
                builder.close()
    except ModelError as error:
        return error
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        problem = " ".join(filter(None, [error.context, error.problem]))
        return _refusal(f"not readable as YAML: {problem}", Mark(at.line + 1, at.column + 1) if at else None)
    except (yaml.YAMLError, ValueError) as error:
        return _refusal(f"not readable as YAML: {' '.join(str(error).split())[:200]}")
    return Source(text, builder.root, builder.keys, builder.values)


def _mark(event: Any) -> Mark:
    start, end = event.start_mark, event.end_mark
    if not isinstance(event, yaml.ScalarEvent):
        return Mark(start.line + 1, start.column + 1)
    quotes = 1 if event.style in {"'", '"'} else 0
    exact = start.line == end.line and end.column - start.column == len(event.value) + 2 * quotes
    return Mark(start.line + 1, start.column + 1 + (quotes if exact else 0), exact)


def _node(builder: _Builder, event: yaml.NodeEvent) -> None:
    mark = _mark(event)
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise _refusal("anchors and aliases (& and *) are not taken; write the value out", mark, builder.path())
    tag = getattr(event, "tag", None)
    if tag not in {None, "!"}:
        raise _refusal(f"the tag {str(tag)[:40]} is not taken; remove it", mark, builder.path())
    if isinstance(event, yaml.ScalarEvent):
        builder.scalar(event, mark)
    else:
        builder.open({} if isinstance(event, yaml.MappingStartEvent) else [], mark)
