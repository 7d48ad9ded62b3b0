"""Reads Python source for frame operations with keys: joins, groups, windows, distinct rows. No code is run."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

KEYED = {
    "join": ("on", "left_on", "right_on"),
    "join_asof": ("by", "by_left", "by_right"),
    "group_by": ("by",),
    "group_by_dynamic": ("group_by",),
    "rolling": ("group_by",),
    "unique": ("subset",),
    "over": ("partition_by",),
    "partition_by": ("by",),
    "pivot": ("on", "index"),
    "merge_sorted": ("key",),
    "update": ("on", "left_on", "right_on"),
}
PASSED = {
    ("valueverse.money", "largest_remainder"): 2,
    ("valueverse.subscriptions.event_fields", "_latest"): 1,
    ("valueverse.subscriptions.zone_changes", "_stated_at"): 2,
}
"""Functions that are given the keys, and the place of the argument: judged where they are called."""
TENANT = {"tenant", "tenant_id"}
UNKNOWN = "?"
"""Stands for keys that the source does not show."""


@dataclass(frozen=True)
class Use:
    """One operation: where it stands, what it does, and the names of its keys."""

    path: str
    line: int
    operation: str
    keys: frozenset[str]

    @property
    def place(self) -> str:
        """Path and line."""
        return f"{self.path}:{self.line}"

    def keeps_tenants_apart(self) -> bool:
        """Whether the tenant is among the keys."""
        return bool(self.keys & TENANT)


class Names:
    """What names of a module stand for, imports followed."""

    def __init__(self, root: Path, path: Path) -> None:
        self._root = root
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self._module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        self._values: dict[str, ast.expr] = {}
        self._imports: dict[str, tuple[str, str]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for name in node.names:
                    self._imports[name.asname or name.name] = (node.module, name.name)
        for node in self.tree.body:
            self._assign(node, self._values)

    @staticmethod
    def _assign(node: ast.stmt, values: dict[str, ast.expr]) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    values[target.id] = node.value
                elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    for name, value in zip(target.elts, node.value.elts, strict=False):
                        if isinstance(name, ast.Name):
                            values[name.id] = value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            values[node.target.id] = node.value

    def origin(self, name: str) -> tuple[str, str]:
        """The module and name under which a name was defined, through the packages that export it."""
        if name not in self._imports:
            return self._module, name
        module, original = self._imports[name]
        package = self._file(module)
        if package is not None and package.name == "__init__.py":
            return names_of(self._root, package).origin(original)
        return module, original

    def _file(self, module: str) -> Path | None:
        place = self._root / Path(*module.split("."))
        return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.exists()), None)

    def locals_of(self, function: ast.AST) -> dict[str, list[ast.expr]]:
        """Every value that a function gives to each of its names."""
        found: dict[str, list[ast.expr]] = {}
        for node in ast.walk(function):
            own: dict[str, ast.expr] = {}
            if isinstance(node, ast.stmt):
                self._assign(node, own)
            for name, value in own.items():
                found.setdefault(name, []).append(value)
        return found

    def resolve(self, name: str) -> tuple[Names, ast.expr] | None:
        """The module and expression that a module-level name stands for."""
        if name in self._values:
            return self, self._values[name]
        if name in self._imports:
            module, original = self._imports[name]
            path = self._file(module)
            if path is not None:
                return names_of(self._root, path).resolve(original)
        return None


@cache
def names_of(root: Path, path: Path) -> Names:
    """The module's names, read once."""
    return Names(root, path)


def _keys(node: ast.expr, names: Names, own: dict[str, list[ast.expr]], depth: int = 0) -> frozenset[str]:
    """The key names that an expression comes to; of alternatives those that all of them have."""
    if depth > 8:
        return frozenset({UNKNOWN})
    again = lambda one: _keys(one, names, own, depth + 1)  # noqa: E731 - short for the cases below
    match node:
        case ast.Constant(value=str(text)):
            return frozenset({text})
        case ast.Constant():
            return frozenset()
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            return frozenset().union(*map(again, parts))
        case ast.Starred(value=inner):
            return again(inner)
        case ast.Dict(keys=parts):
            return frozenset().union(*(again(part) for part in parts if part is not None))
        case ast.BinOp(left=left, right=right, op=ast.Add() | ast.BitOr()):
            return again(left) | again(right)
        case ast.Subscript(value=inner, slice=ast.Slice(lower=lower, upper=upper)):
            whole = _sequence(inner, names, own)
            if whole is not None:
                return frozenset(whole[slice(_number(lower), _number(upper))])
            return frozenset({UNKNOWN})
        case ast.Name(id=name) if name in own:
            found = [_keys(value, names, {k: v for k, v in own.items() if k != name}, depth + 1) for value in own[name]]
            return frozenset.intersection(*found)
        case ast.Name(id=name):
            where = names.resolve(name)
            return _keys(where[1], where[0], {}, depth + 1) if where else frozenset({UNKNOWN})
        case ast.IfExp(body=body, orelse=orelse):
            return again(body) & again(orelse)
        case ast.Call(func=ast.Name(id="list" | "tuple" | "set" | "sorted"), args=[inner]):
            return again(inner)
        case ast.Call(func=ast.Attribute(attr="alias"), args=[ast.Constant(value=str(text))]):
            return frozenset({text})
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="name"))):
            return frozenset({UNKNOWN})
        case ast.Call(func=ast.Attribute(attr="col" | "struct" | "Schema"), args=parts):
            return frozenset().union(*map(again, parts))
        case ast.Call(func=ast.Attribute(value=inner, attr="names" | "cast" | "keys")):
            return again(inner)
        case ast.Attribute(value=ast.Name(id=name), attr="columns") if len(own.get(name, ())) == 1:
            return _shown_columns(own[name][0], names, own)
        case _:
            return frozenset({UNKNOWN})


def _shown_columns(rows: ast.expr, names: Names, own: dict[str, list[ast.expr]]) -> frozenset[str]:
    """The columns of an expression that ends in ``select``."""
    match rows:
        case ast.Call(func=ast.Attribute(attr="select"), args=parts, keywords=columns):
            return frozenset().union(
                *(_keys(part, names, own) for part in parts), (word.arg or UNKNOWN for word in columns)
            )
        case ast.Call(func=ast.Attribute(value=inner, attr="unique" | "filter")):
            return _shown_columns(inner, names, own)
        case _:
            return frozenset({UNKNOWN})


def _number(node: ast.expr | None) -> int | None:
    return None if node is None else int(ast.literal_eval(node))


def _sequence(node: ast.expr, names: Names, own: dict[str, list[ast.expr]]) -> list[str] | None:
    """A tuple or list of texts in its order."""
    match node:
        case ast.Name(id=name):
            values = own.get(name)
            if values is not None:
                return _sequence(values[0], names, {}) if len(values) == 1 else None
            where = names.resolve(name)
            return _sequence(where[1], where[0], {}) if where else None
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            found: list[str] = []
            for part in parts:
                inner = _sequence(part.value if isinstance(part, ast.Starred) else part, names, own)
                if inner is None:
                    return None
                found += inner
            return found
        case ast.Constant(value=str(text)):
            return [text]
        case _:
            return None


def _is_text_join(call: ast.Call) -> bool:
    return len(call.args) == 1 and not call.keywords


def _asked(call: ast.Call, operation: str) -> list[list[ast.expr]] | None:
    """The key expressions of a call, one list per side; None: it is no operation on rows with keys."""
    named = {word.arg: word.value for word in call.keywords}
    if operation == "join":
        if _is_text_join(call) or getattr(named.get("how"), "value", None) == "cross":
            return None
        if "on" in named:
            return [[named["on"]]]
        sides = [[named[side]] for side in ("left_on", "right_on") if side in named]
        return sides or ([[call.args[1]]] if len(call.args) > 1 else None)
    if operation == "update" and not {"on", "left_on"} & set(named):
        return None
    if operation == "unique":
        subset = named.get("subset") or (call.args[0] if call.args else None)
        return [[subset]] if subset is not None else None
    if operation in {"group_by", "over", "partition_by"}:
        more = [named[word] for word in KEYED[operation] if word in named]
        return [[*call.args, *more]]
    if operation == "merge_sorted":
        return [[call.args[1] if len(call.args) > 1 else named["key"]]]
    return [[named[word]] for word in KEYED[operation] if word in named] or [[ast.Constant(value=None)]]


def _selected(call: ast.Call, names: Names, own: dict[str, list[ast.expr]]) -> frozenset[str] | None:
    """The columns of ``rows.select(...).unique()``; None: not shown, or whole rows."""
    inner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr == "select":
        columns = [word.arg for word in inner.keywords if word.arg]
        found = frozenset().union(*(_keys(part, names, own) for part in inner.args), columns)
        return None if UNKNOWN in found and not found & TENANT else found
    return None


def uses(root: Path, path: Path) -> list[Use]:
    """Every keyed operation of a module."""
    names = names_of(root, path)
    shown = str(path.relative_to(root))
    found: list[Use] = []
    inside: dict[ast.AST, dict[str, list[ast.expr]]] = {}
    for function in ast.walk(names.tree):
        if isinstance(function, ast.FunctionDef):
            inside |= dict.fromkeys(ast.walk(function), names.locals_of(function))
    for node in ast.walk(names.tree):
        if isinstance(node, ast.Call):
            own = inside.get(node, {})
            operation, keys = _judged(node, names, own)
            if keys is not None:
                found.append(Use(shown, node.lineno, operation, keys))
    return found


def _judged(call: ast.Call, names: Names, own: dict[str, list[ast.expr]]) -> tuple[str, frozenset[str] | None]:
    match call.func:
        case ast.Name(id=name) if (origin := names.origin(name)) in PASSED:
            return name, _keys(call.args[PASSED[origin]], names, own)
        case ast.Attribute(attr=operation) if operation in KEYED:
            sides = _asked(call, operation)
            if sides is None:
                return operation, _selected(call, names, own) if operation == "unique" else None
            keys = [frozenset().union(*(_keys(part, names, own) for part in side)) for side in sides]
            both = frozenset().union(*keys)
            # The tenant is a key where it is one on both sides.
            return operation, both if all(side & TENANT for side in keys) else both - TENANT
        case _:
            return "", None
