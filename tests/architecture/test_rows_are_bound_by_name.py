"""Rows that a query gives are bound by the names of their columns: a column that moves in a select moves no number."""

import ast
from pathlib import Path

import assets
import pipelines
import quality
import serving_api
import valueverse

PACKAGES = [Path(package.__file__).parent for package in (valueverse, assets, pipelines, quality, serving_api)]
BINDS = "valueverse/platform/queries.py"
"""Makes frames of fetched rows, with the names that the cursor gives."""
FETCHES = {"fetchone", "fetchall", "fetchmany", "execute"}


def test_no_row_of_a_query_is_read_by_position() -> None:
    root = Path(valueverse.__file__).parents[1]
    modules = {str(path.relative_to(root)): path for package in PACKAGES for path in sorted(package.rglob("*.py"))}
    found = {name: by_position(path.read_text()) for name, path in modules.items()}
    assert {name: lines for name, lines in found.items() if lines and name != BINDS} == {}
    assert found[BINDS]  # else the test sees nothing


def test_rows_read_by_position_are_found() -> None:
    for source in (
        "row = connection.execute(query).fetchone()\nrow[0]",
        "connection.execute(query).fetchone()[0]",
        "[row[1] for row in connection.execute(query)]",
        "{str(row[-1]) for row in rows}\nrows = connection.execute(query).fetchall()",
        "rows = connection.execute(query).fetchall()\npl.DataFrame(rows, schema=SCHEMA, orient='row')",
        "pl.DataFrame(connection.execute(query).fetchall(), orient='row')",
        "(connection.execute(query).fetchone() or (0,))[0]",
        "last = connection.execute(query).fetchone() or (0, None)\nlast[1]",
        "for row in cursor.fetchall():\n    row[0]",
    ):
        assert by_position(f"def function():\n    {source.replace(chr(10), chr(10) + '    ')}") != [], source
    for source in (
        "row = row_of(connection, query)\nrow['tenant']",
        "parts = text.split()\nparts[0]",
        "pl.DataFrame([(1, 2)], schema=SCHEMA, orient='row')",
        "[name for (name,) in connection.execute(query)]",
    ):
        assert by_position(f"def function():\n    {source.replace(chr(10), chr(10) + '    ')}") == [], source


def by_position(source: str) -> list[int]:
    """Lines that take a column of a fetched row by its place, or make a frame of fetched rows by the order of a
    schema."""
    scopes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return sorted({line for scope in scopes for line in _lines(scope)})


def _lines(scope: ast.AST) -> set[int]:
    fetched: set[str] = set()
    while found := _names_bound_to(scope, fetched) - fetched:
        fetched |= found
    taken = {
        node.lineno
        for node in ast.walk(scope)
        if isinstance(node, ast.Subscript) and _is_place(node.slice) and _is_fetched(node.value, fetched)
    }
    framed = {
        node.lineno
        for node in ast.walk(scope)
        if isinstance(node, ast.Call)
        and any(word.arg == "orient" for word in node.keywords)
        and any(_is_fetched(argument, fetched) for argument in node.args)
    }
    return taken | framed


def _names_bound_to(scope: ast.AST, fetched: set[str]) -> set[str]:
    """Names assigned from fetched rows, or that run over them."""
    pairs: list[tuple[ast.expr, ast.expr]] = []
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign):
            pairs += [(target, node.value) for target in node.targets]
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            pairs.append((node.target, node.value))
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            pairs.append((node.target, node.iter))
    return {target.id for target, value in pairs if isinstance(target, ast.Name) and _is_fetched(value, fetched)}


def _is_fetched(value: ast.expr, fetched: set[str]) -> bool:
    if isinstance(value, ast.BoolOp):
        return any(_is_fetched(one, fetched) for one in value.values)
    if isinstance(value, ast.Name):
        return value.id in fetched
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in FETCHES


def _is_place(index: ast.expr) -> bool:
    if isinstance(index, ast.UnaryOp):
        index = index.operand
    return isinstance(index, ast.Constant) and isinstance(index.value, int)
