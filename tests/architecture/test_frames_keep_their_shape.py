"""Frames have declared shapes: a missing column fails instead of becoming null."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = [
    path
    for package in ("valueverse", "quality", "assets", "pipelines", "serving_api")
    for path in sorted((ROOT / package).rglob("*.py"))
]


def test_no_concat_fills_missing_columns() -> None:
    assert [f"{path.relative_to(ROOT)}:{line}" for path in MODULES for line in loose(path.read_text())] == []


def test_a_concat_that_fills_missing_columns_is_found() -> None:
    assert loose('pl.concat([a, b])\npl.concat([a], how="diagonal_relaxed")\nhow = "diagonal"') == [2, 3]


def loose(source: str) -> list[int]:
    """Lines that name a way of joining frames which fills missing columns."""
    return sorted(
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("diagonal")
    )
