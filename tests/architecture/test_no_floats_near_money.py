"""No binary float comes near an amount, a price or a quantity: the rule of the whole product, run by lint.

One use is right: Decimal overflow raises for a whole frame, so a size is estimated in floats to decide
*whether* to compute; no digit of the estimate reaches a result. Where that is done is listed below, by name.
Any other line that needs a float says why in a comment ``# float: why``.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

PURE_MODULES = ("money.py", "formula", "catalog", "subscriptions", "metering", "rating", "invoicing", "ledger")
EDGES = ("valueverse/services", "valueverse/platform/stores/billing_store.py")

IN_FLOATS = ("valueverse/services/calculators/finance_input.py",)
"""Rates of return and annuities are floats by contract; the one amount among them, ``outcome_fee``, is not."""

SIZE_ESTIMATES = {
    "valueverse/formula/compiling.py": ("_VARIABLE_BOUND", "_from_data"),
    "valueverse/formula/exact.py": (
        *("_RANGE", "_guarded", "_quotient", "Part.bound", "ExactCompiler._number", "ExactCompiler._power"),
    ),
    "valueverse/metering/stateful_aggregations.py": ("_in_range", "_weighted_sum", "_prorated_sum"),
    "valueverse/metering/additive_aggregations.py": ("RANGE", "_combined"),
}

FLOAT_NAMES = {"Float32", "Float64", "float32", "float64"}
FLOAT_RESULTS = {"mean", "quantile", "std", "var", "rolling_mean", "ewm_mean", "to_float"}
SQL_FLOAT = re.compile(r"\b(double precision|float[48]?|real)\b", re.IGNORECASE)


def sources() -> list[Path]:
    places = [ROOT / "valueverse" / module for module in PURE_MODULES] + [ROOT / edge for edge in EDGES]
    return sorted(
        path
        for place in places
        for path in ([place] if place.suffix == ".py" else place.rglob("*.py"))
        if path.exists() and str(path.relative_to(ROOT)) not in IN_FLOATS
    )


def sql_sources() -> list[Path]:
    folders = (ROOT / "dbt_project" / "models", ROOT / "valueverse" / "platform" / "migrations")
    found = (path for folder in folders for pattern in ("*.sql", "*.yml") for path in folder.rglob(pattern))
    # A library's own schema, word for word: seconds between heartbeats.
    return sorted(path for path in found if path.name != "0043_procrastinate.sql")


def complaint(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=float()):
            return f"the literal {node.value!r}"
        case ast.Call(func=ast.Name(id="float")):
            return "float(...)"
        case ast.keyword(arg="parse_float", value=ast.Name(id="float")):
            return "parse_float=float"
        case ast.Attribute(attr=name) if name in FLOAT_NAMES:
            return name
        case ast.Call(func=ast.Attribute(attr=name)) if name in FLOAT_RESULTS:
            return f".{name}() (it answers in floats)"
    return None


def floats(text: str, name: str) -> list[str]:
    lines = text.splitlines()
    found = []
    for place, statement in places(ast.parse(text).body):
        if place in SIZE_ESTIMATES.get(name, ()):
            continue
        for node in ast.walk(statement):
            what = complaint(node)
            if what is not None:
                line = node.lineno  # type: ignore[attr-defined]  # every node that complaint() names has one
                if "# float: " not in lines[line - 1]:
                    found.append(f"{name}:{line}: {what} in {place or 'a statement'}")
    return found


def places(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """Every statement of a module or class body with its qualified name (empty if it defines nothing)."""
    for statement in body:
        match statement:
            case ast.ClassDef(name=name, body=inner):
                yield from ((f"{name}.{place}", one) for place, one in places(inner))
            case ast.FunctionDef(name=name):
                yield name, statement
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name, statement
            case _:
                yield "", statement


def test_python_that_handles_money_uses_no_float() -> None:
    found = [one for path in sources() for one in floats(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))]
    assert not found, "\n".join(found)


def test_sql_that_handles_money_uses_no_float() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sql_sources()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if SQL_FLOAT.search(line.partition("--")[0]) and "description" not in line
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "x = amount * 0.5",
        "x = float(amount)",
        "json.loads(t, parse_float=float)",
        "e.cast(pl.Float64)",
        "pl.col('a').mean()",
    ],
)
def test_the_check_itself_sees_floats(line: str) -> None:
    assert floats(line, "probe")
    assert not floats(f"{line}  # float: a reason", "probe")
