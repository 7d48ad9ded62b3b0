"""Reads SQL (dbt models, migrations, texts in Python) for joins and windows of tenants' tables. No query is run."""

from __future__ import annotations

import ast
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
TENANT = {"tenant", "tenant_id"}
_PLACE = " placeholder "
_STATEMENT = re.compile(r"\b(select|with|insert|update|delete)\b", re.IGNORECASE)
_JOINS = re.compile(r"\bjoin\b|\bpartition\s+by\b", re.IGNORECASE)
_BEGINS = re.compile(
    r"\s*(--[^\n]*\n\s*)*(select|with|insert|update|delete|create|(left |inner )?join)\b", re.IGNORECASE
)


def in_python(path: Path) -> Iterator[tuple[str, str]]:
    """Place and text of every SQL statement with a join or window in a module; what is put in stands as a name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = _imported(tree) | _constants(tree)
    parts = {
        part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node) if part != node
    }
    for node in ast.walk(tree):
        if node not in parts and isinstance(node, ast.JoinedStr | ast.Constant):
            text = _text(node, constants)
            if _JOINS.search(text) and _BEGINS.match(text):
                yield f"{path}:{node.lineno}", _plain(text)


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    return {
        name.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for name in (node.targets[:1] if isinstance(node, ast.Assign) else [node.target])
        if isinstance(name, ast.Name)
    }


def _imported(tree: ast.Module) -> dict[str, ast.expr]:
    """Constants that a module of queries takes from another one of package ``quality``."""
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("quality."):
            path = (ROOT / str(node.module).replace(".", "/")).with_suffix(".py")
            if path.exists():
                theirs = _constants(ast.parse(path.read_text(encoding="utf-8")))
                found |= {name.name: theirs[name.name] for name in node.names if name.name in theirs}
    return found


def _text(node: ast.expr, constants: dict[str, ast.expr]) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(value, constants) for value in values)
        case ast.FormattedValue(value=ast.Name(id=name)) if name in constants:
            return _text(constants[name], constants) or _PLACE
        case ast.FormattedValue():
            return _PLACE
        case _:
            return ""


def _plain(text: str) -> str:
    values = re.sub(r"%\(\w+\)s|%s", "'x'", text).replace("%%", "%")
    # A macro of DuckDB's with the name of a keyword.
    values = re.sub(r"([^)\s]\s*)\bover\(", r"\1over_macro(", values)
    # The parser does not distinguish it from a join's condition.
    values = re.sub(r"\bon conflict\b.*", "", values, flags=re.DOTALL)
    named = re.sub(r"(?<!\{)\{[\w ]*\}(?!\})", _PLACE, values)
    return f"select 1 from outer_rows as i {named}" if re.match(r"\s*(left |inner )?join\b", named) else named


def in_dbt(path: Path) -> tuple[str, str]:
    """Place and text of a dbt model or test, references by name."""
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    named = re.sub(r"\{\{\s*(?:ref|source)\((?:'[^']*',\s*)?'(\w+)'\)\s*\}\}", r"\1", text)
    return str(path), re.sub(r"\{\{.*?\}\}", _PLACE, named, flags=re.DOTALL)


def in_migration(path: Path) -> Iterator[tuple[str, str]]:
    """Place and text of every statement with a join or window, those inside functions included."""
    bare = re.sub(r"--[^\n]*|with \(security_invoker = true\)", "", path.read_text(encoding="utf-8"))
    for statement in re.split(r";|\$\$|\bbegin\b|\bthen\s*\n|\bloop\b|\breturn query\b|\bif exists \(|\bas \$", bare):
        found = _STATEMENT.search(statement)
        if found and _JOINS.search(statement):
            yield str(path), statement[found.start() :]


def judged(text: str, dialect: str, without: set[str]) -> list[str]:
    """The joins and windows of a statement whose keys lack the tenant.

    Args:
        text: the statement.
        dialect: sqlglot's name.
        without: relations that have no tenant, and numbers that no two rows have.

    Raises:
        sqlglot.errors.SqlglotError: it is no SQL.
    """
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    odd = []
    for tree in sqlglot.parse(text, read=dialect):
        if tree is None:
            continue
        odd += [join.sql() for join in tree.find_all(exp.Join) if not _join_keeps_apart(join, without)]
        odd += [window.sql() for window in tree.find_all(exp.Window) if not _window_keeps_apart(window, without)]
    return odd


def _window_keeps_apart(window: exp.Window, without: set[str]) -> bool:
    query = window.find_ancestor(exp.Select)
    named = query.args.get("windows") if query is not None else None
    defined = [one for one in named or () if one.name == window.alias] if window.alias else []
    parts = [part for one in (window, *defined) for part in one.args.get("partition_by") or ()]
    keys = {column.name for part in parts for column in part.find_all(exp.Column)}
    if keys:
        return bool(keys & (TENANT | without))
    # A number for every row there is puts no rows together; nor do the rows of one tenant.
    where = query.args.get("where") if query is not None else None
    equations = where.find_all(exp.EQ) if where is not None else ()
    return isinstance(window.this, exp.RowNumber) or any(_ties(TENANT, one) for one in equations)


def _join_keeps_apart(join: exp.Join, without: set[str]) -> bool:
    if {name.name for name in join.args.get("using") or ()} & (TENANT | without):
        return True
    joined = join.this
    if isinstance(joined, exp.Table) and (joined.name.startswith("pg_") or joined.name in without):
        return True
    # A row of its own for each row: what it reads is tied to that row's tenant inside.
    inside = joined.find_all(exp.EQ, exp.NullSafeEQ) if isinstance(joined, exp.Lateral | exp.Subquery) else ()
    on = join.args.get("on")
    stated = on.find_all(exp.EQ, exp.NullSafeEQ) if on is not None else ()
    return (
        any(_ties(TENANT, one) for one in inside)
        or any(_ties(TENANT, one) or _ties(without, one) for one in stated)
        or joined.find(exp.Table) is None
        or (isinstance(joined, exp.Subquery) and all(table.db == "pg_catalog" for table in joined.find_all(exp.Table)))
    )


def _ties(wanted: set[str], equation: exp.Expression) -> bool:
    """Whether an equation is one of these columns of two relations."""
    columns = list(equation.find_all(exp.Column))
    names, tables = {column.name for column in columns}, {column.table for column in columns}
    return bool(names) and names <= wanted and len(tables) > 1
