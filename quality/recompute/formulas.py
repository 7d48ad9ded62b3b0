"""Formulas of meters and prices, worked out by the evaluator of the formula language for the rows that need them.

The evaluator is the one thing that the recomputation shares with the engine (docs/decisions/0507): which events a
formula is asked about, and what becomes of its answers, is decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from quality.recompute.events import FORMULA_EVENTS
from valueverse.formula import compile_amount, compile_condition, compile_member, compile_value, extract, paths_in

if TYPE_CHECKING:
    import duckdb

_EXACT = pl.Decimal(38, 18)
VALUES = pl.Schema(
    {
        "tenant": pl.String(),
        "source": pl.String(),
        "id": pl.String(),
        "rule": pl.UInt32(),
        "value": pl.String(),
        "taken": pl.Boolean(),
    }
)
"""What a meter's formulas say of an event: its value as text (null: none, or the meter's is a path), and whether
``where`` takes it."""
RULE = ["value_formula", "where_formula", "aggregation"]


def with_rules(meters: pl.DataFrame) -> pl.DataFrame:
    """Add ``rule`` to meters: the number of what their formulas say, null where they have none."""
    stated = meters.filter(pl.any_horizontal(pl.col(RULE[:2]).is_not_null())).select(RULE).unique(maintain_order=True)
    numbered = stated.with_row_index("rule")
    return meters.join(numbered, on=RULE, how="left", nulls_equal=True, maintain_order="left")


def register_values(connection: duckdb.DuckDBPyConnection, meters: pl.DataFrame) -> None:
    """Register ``formula_values`` (VALUES) of the events that meters with formulas read."""
    found = [VALUES.to_frame()]
    rules = meters.drop_nulls("rule").select("rule", *RULE).unique("rule")
    if not rules.is_empty():
        events = _frame(connection, FORMULA_EVENTS).cast({"rule": pl.UInt32})
        found += [_values(events.filter(rule=row.pop("rule")), **row) for row in rules.iter_rows(named=True)]
    connection.register("formula_values", pl.concat(found).to_arrow())


def _values(
    events: pl.DataFrame, *, value_formula: str | None, where_formula: str | None, aggregation: str
) -> pl.DataFrame:
    texts = [text for text in (value_formula, where_formula) if text is not None]
    columns = extract("data", [path for text in texts for path in paths_in(text)])
    value = pl.lit(None, pl.String)
    if value_formula is not None:
        member = aggregation == "unique_count"
        value = compile_member(value_formula) if member else compile_value(value_formula).cast(pl.String)
    taken = pl.lit(value=True) if where_formula is None else compile_condition(where_formula)
    return events.select("tenant", "source", "id", "rule", *columns).select(
        "tenant", "source", "id", "rule", value.alias("value"), taken.alias("taken")
    )


def register_amounts(connection: duckdb.DuckDBPyConnection, query: str, name: str) -> None:
    """Register ``name``: line_id, term, bucket and amount (EXACT; null: none) of the rows of a query.

    Args:
        connection: where the query runs.
        query: gives line_id, term, bucket, formula and quantity (decimal text).
        name: of the relation.
    """
    rows = _frame(connection, query)
    parts = [rows.clear().select("line_id", "term", "bucket", pl.lit(None, _EXACT).alias("amount"))]
    for (text,), part in rows.partition_by("formula", as_dict=True).items():
        quantity = pl.col("quantity").cast(_EXACT)
        amount = compile_amount(str(text), {"quantity": quantity}).cast(_EXACT)
        parts.append(part.select("line_id", "term", "bucket", amount.alias("amount")))
    connection.register(name, pl.concat(parts).to_arrow())


def _frame(connection: duckdb.DuckDBPyConnection, query: str) -> pl.DataFrame:
    return pl.DataFrame(connection.sql(query).to_arrow_table())
