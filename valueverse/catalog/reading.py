"""Catalog text (YAML or JSON) as a plain tree whose numbers are Decimals read from their text.

YAML is read from its events, because a loader would turn ``0.0030`` into a float, ``NO`` into false and
expand aliases without end. What is understood is YAML 1.2's JSON schema: ``null``, ``true``, ``false``, JSON
numbers; every other plain scalar is text.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import yaml

from valueverse.errors import RefusalError

MAX_CHARACTERS = 4 * 1024 * 1024
MAX_DEPTH = 32
MAX_ITEMS = 10_000
"""Longest list taken: tiers, cells, charges."""
MAX_KEYS = 10_000

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_CONSTANTS = {"": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "false": False}

Tree = Any
"""dict, list, str, bool, None or Decimal, nested."""


def read_tree(document: str | bytes | dict[str, Any]) -> dict[str, Tree]:
    """The document as nested dicts and lists, numbers as Decimal, within the limits of this module.

    Raises:
        RefusalError: ``bad_catalog``, with the path of what is wrong.
    """
    if isinstance(document, bytes):
        try:
            document = document.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _refusal("a catalog is UTF-8 text; save it as such") from error
    if isinstance(document, str):
        if len(document) > MAX_CHARACTERS:
            raise _refusal(f"{len(document)} characters are too long: at most {MAX_CHARACTERS} are read")
        tree = _read_json(document) if document.lstrip().startswith("{") else None
        document = tree if tree is not None else _read_yaml(document)
    checked = _checked(document, "", 0)
    if not isinstance(checked, dict):
        raise _refusal("a catalog is one mapping with the keys schema, meters, plans ...")
    return checked


def _refusal(message: str, path: str = "") -> RefusalError:
    return RefusalError("bad_catalog", message, path)


class _RepeatedKeyError(ValueError):
    pass


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _RepeatedKeyError(repeated)
    return found


def _read_json(text: str) -> Tree | None:
    """The tree, or None for the YAML reader: its flow style starts with a brace too, and it can place a bad number."""
    try:
        return json.loads(
            text, parse_float=_number, parse_int=_number, parse_constant=str, object_pairs_hook=_unique_keys
        )
    except _RepeatedKeyError as error:
        raise _refusal(f"the key {error} stands twice in one object; keep one of them") from error
    except RecursionError as error:
        raise _refusal(f"the document is nested deeper than {MAX_DEPTH} levels; flatten it") from error
    except (json.JSONDecodeError, RefusalError):
        return None


def _number(text: str) -> Decimal:
    digits = text.lower().partition("e")[0].replace("-", "").replace(".", "").lstrip("0")
    if len(digits) > 15:
        raise _refusal(f"the number {text[:40]} has more than 15 significant digits: write it as a string")
    number = Decimal(text)
    if number and not -40 < number.adjusted() < 40:
        raise _refusal(f"the number {text[:40]} is out of range: at most 1e12, and 18 decimals")
    return number


class _Builder:
    """Builds the tree from YAML events, one level of nesting per entry of the stack."""

    def __init__(self) -> None:
        self.stack: list[tuple[Any, str]] = []
        self.key: list[str | None] = []
        self.root: Tree = None

    def path(self) -> str:
        parts = []
        for (container, _), key in zip(self.stack, self.key, strict=True):
            parts.append(f"[{len(container)}]" if isinstance(container, list) else f".{key}" if key else "")
        return "".join(parts).lstrip(".")

    def open(self, container: Any, where: str) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise _refusal(f"nested deeper than {MAX_DEPTH} levels ({where}); flatten it", self.path())
        if self.stack and isinstance(self.stack[-1][0], dict) and self.key[-1] is None:
            raise _refusal(f"a key must be plain text ({where})", self.path())
        self.stack.append((container, where))
        self.key.append(None)

    def close(self) -> None:
        container, _ = self.stack.pop()
        self.key.pop()
        self.add(container)

    def add(self, value: Tree) -> None:
        if not self.stack:
            self.root = value
            return
        container = self.stack[-1][0]
        if isinstance(container, list):
            container.append(value)
        else:
            container[self.key[-1]] = value
            self.key[-1] = None

    def scalar(self, event: yaml.ScalarEvent, where: str) -> None:
        container = self.stack[-1][0] if self.stack else None
        if isinstance(container, dict) and self.key[-1] is None:
            if event.value in container:
                raise _refusal(f"the key {event.value!r} stands twice ({where}); keep one", self.path())
            self.key[-1] = event.value
            return
        if not event.implicit[0]:
            self.add(event.value)
        elif event.value in _CONSTANTS:
            self.add(_CONSTANTS[event.value])
        elif _JSON_NUMBER.match(event.value):
            try:
                self.add(_number(event.value))
            except RefusalError as refusal:
                raise _refusal(f"{refusal.message} ({where})", self.path()) from refusal
        else:
            self.add(event.value)


def _read_yaml(text: str) -> Tree:
    builder = _Builder()
    documents = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            mark = event.start_mark
            where = f"line {mark.line + 1}" if mark else ""
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _refusal(f"one catalog per file: a second document starts at {where}")
            elif isinstance(event, yaml.NodeEvent):
                _node(builder, event, where)
            elif isinstance(event, yaml.CollectionEndEvent):
                builder.close()
    except (yaml.YAMLError, ValueError) as error:
        problem = " ".join(str(error).split())[:300]
        raise _refusal(f"not readable as YAML: {problem}", builder.path()) from error
    return builder.root


def _node(builder: _Builder, event: yaml.NodeEvent, where: str) -> None:
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        problem = f"anchors and aliases (& and *) are not taken ({where}); write the value out or quote it"
        raise _refusal(problem, builder.path())
    tag = getattr(event, "tag", None)
    if tag not in {None, "!"}:
        raise _refusal(f"the tag {tag} is not taken ({where}); remove it", builder.path())
    if isinstance(event, yaml.ScalarEvent):
        builder.scalar(event, where)
    else:
        builder.open({} if isinstance(event, yaml.MappingStartEvent) else [], where)


def _checked(value: Tree, path: str, depth: int) -> Tree:
    """The same tree with its limits proved; a document that came as a dict has met none of them yet."""
    if depth > MAX_DEPTH:
        raise _refusal(f"nested deeper than {MAX_DEPTH} levels; flatten it", path)
    if isinstance(value, dict):
        if len(value) > MAX_KEYS:
            raise _refusal(f"{len(value)} keys in one object: at most {MAX_KEYS} are taken", path)
        return {_key(key, path): _checked(item, f"{path}.{key}".lstrip("."), depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if len(value) > MAX_ITEMS:
            raise _refusal(f"{len(value)} entries in one list: at most {MAX_ITEMS} are taken", path)
        return [_checked(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    return _leaf(value, path)


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str):
        raise _refusal(f"the key {key!r} is not text; quote it", path)
    return str(_leaf(key, path))


def _leaf(value: Any, path: str) -> Tree:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        # Postgres stores no NUL and UTF-8 no lone surrogate: such a catalog could be read and kept nowhere.
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise _refusal(f"{value[:40]!r} holds a character that cannot be stored; remove it", path)
        return value
    if isinstance(value, float):
        raise _refusal(f"{value!r} came as a binary float: write the number as a string", path)
    if isinstance(value, int | Decimal):
        try:
            return _number(str(value))
        except (RefusalError, ArithmeticError) as error:
            raise _refusal(getattr(error, "message", f"{value} is not a number"), path) from error
    raise _refusal(f"a {type(value).__name__} cannot stand in a catalog", path)
