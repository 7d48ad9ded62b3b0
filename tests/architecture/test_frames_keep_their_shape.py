"""No step of billing joins frames of different columns: a missing column fails instead of becoming null."""

import ast
from pathlib import Path

import valueverse.invoicing
import valueverse.services

PACKAGES = [Path(package.__file__).parent for package in (valueverse.invoicing, valueverse.services)]


def test_no_concat_of_invoicing_or_a_service_fills_missing_columns() -> None:
    modules = [path for package in PACKAGES for path in sorted(package.rglob("*.py"))]
    assert [f"{path.name}:{line}" for path in modules for line in loose(path.read_text())] == []


def test_a_concat_that_fills_missing_columns_is_found() -> None:
    assert loose('pl.concat([a, b])\npl.concat([a], how="diagonal_relaxed")\nhow = "diagonal"') == [2, 3]


def loose(source: str) -> list[int]:
    """Lines that name a way of joining frames which fills missing columns."""
    return sorted(
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("diagonal")
    )
