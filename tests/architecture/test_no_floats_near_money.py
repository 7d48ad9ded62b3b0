"""No binary float comes near an amount, a price or a quantity (the rule of the whole product; run by ``make
lint``).

A line that needs a float for something else, say a range check, says so in a comment ``# float: why``.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ROOMS = ("money.py", "formula", "catalog", "subscriptions", "metering", "rating", "invoicing", "ledger")
EDGES = ("assets/steps", "valueverse/platform/billing_store.py")

FLOAT_NAMES = {"Float32", "Float64", "float32", "float64"}
FLOAT_RESULTS = {"mean", "quantile", "std", "var", "rolling_mean", "ewm_mean", "to_float"}
SQL_FLOAT = re.compile(r"\b(double precision|float[48]?|real)\b", re.IGNORECASE)


def sources() -> list[Path]:
    places = [ROOT / "valueverse" / room for room in ROOMS] + [ROOT / edge for edge in EDGES]
    return sorted(
        path
        for place in places
        for path in ([place] if place.suffix == ".py" else place.rglob("*.py"))
        if path.exists()
    )


def sql_sources() -> list[Path]:
    folders = (ROOT / "dbt_project" / "models", ROOT / "valueverse" / "platform" / "migrations")
    return sorted(
        path for folder in folders for pattern in ("*.sql", "*.yml") for path in folder.rglob(pattern)
    )


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
    for node in ast.walk(ast.parse(text)):
        what = complaint(node)
        if what is not None:
            line = node.lineno  # type: ignore[attr-defined]  # every node that complaint() names has one
            if "# float: " not in lines[line - 1]:
                found.append(f"{name}:{line}: {what}")
    return found


def test_python_that_handles_money_uses_no_float() -> None:
    found = [
        one
        for path in sources()
        for one in floats(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    ]
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
