"""Frames have declared shapes: each contract once, in ``valueverse/schemas``, and a missing column fails.

What a function makes and joins within itself may be a frame of up to three columns without a contract.
"""

import ast
import pkgutil
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import polars as pl

import valueverse.schemas
from valueverse.schemas.contract import Contract

ROOT = Path(__file__).parents[2]
MODULES = {
    str(path.relative_to(ROOT)): path
    for package in ("valueverse", "quality", "assets", "pipelines", "serving_api")
    for path in sorted((ROOT / package).rglob("*.py"))
}
DECLARED_ELSEWHERE = {
    # The recomputation is independent of the product's code, its frames too (decision 0507).
    "quality/recompute/columns.py",
    "quality/recompute/formulas.py",
    "quality/recompute/states.py",
    # Types of columns by name, whichever query gives them: no frame.
    "quality/reconciliation.py",
}
WITHOUT_CONTRACT = 3
"""Columns of a frame that needs none."""
TYPES = {"TEXT", "EXACT", "INSTANT", "MINOR"}


def test_no_concat_fills_missing_columns() -> None:
    assert [f"{name}:{line}" for name, path in MODULES.items() for line in loose(path.read_text())] == []


def test_a_concat_that_fills_missing_columns_is_found() -> None:
    assert loose('pl.concat([a, b])\npl.concat([a], how="diagonal_relaxed")\nhow = "diagonal"') == [2, 3]


def test_frames_are_declared_in_schemas_alone() -> None:
    found = {name for name, path in MODULES.items() if declarations(path.read_text())}
    assert {name for name in found if not name.startswith("valueverse/schemas/")} == DECLARED_ELSEWHERE


def test_a_frame_that_is_declared_is_found() -> None:
    four = '{"a": pl.Int64(), "b": pl.List(pl.String), "c": EXACT, "d": pl.Date}'
    assert declarations(f"A = pl.Schema([])\nB = {four}\nC = {{**B, 'd': 'text'}}\nD = Contract(B)") == [1, 2, 4]
    assert declarations("dict.fromkeys((1, 2, 3, 4), pl.String)\ndict.fromkeys((1, 2, 3), pl.String)") == [1]
    assert declarations('A = {"a": pl.Int64(), "b": TEXT, "c": EXACT}\nB = A.part("a", "b")') == []


def test_no_contract_is_declared_twice() -> None:
    names, shapes = defaultdict(set), defaultdict(set)
    for module in pkgutil.iter_modules(valueverse.schemas.__path__):
        declared = import_module(f"valueverse.schemas.{module.name}")
        for name, contract in vars(declared).items():
            if isinstance(contract, Contract):
                names[name].add(module.name)
                shapes[frozenset(contract.items())].add(name)
    assert [name for name, homes in names.items() if len(homes) > 1] == []
    assert [alike for alike in shapes.values() if len(alike) > 1] == []


def loose(source: str) -> list[int]:
    """Lines that name a way of joining frames which fills missing columns."""
    return sorted(
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("diagonal")
    )


def declarations(source: str) -> list[int]:
    """Lines that declare a schema, or list the types of more columns than WITHOUT_CONTRACT."""
    return sorted(node.lineno for node in ast.walk(ast.parse(source)) if _declares(node))


def _declares(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "dict.fromkeys" and isinstance(node.args[0], ast.Tuple):
        return _is_type(node.args[-1]) and len(node.args[0].elts) > WITHOUT_CONTRACT
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) in {"pl.Schema", "Contract"}
    return isinstance(node, ast.Dict) and sum(map(_is_type, node.values)) > WITHOUT_CONTRACT


def _is_type(node: ast.expr) -> bool:
    inner = node.func if isinstance(node, ast.Call) else node
    if isinstance(inner, ast.Attribute) and ast.unparse(inner.value) == "pl":
        found = getattr(pl, inner.attr, None)
        return isinstance(found, type) and issubclass(found, pl.DataType)
    return isinstance(inner, ast.Name) and inner.id in TYPES
