"""Invoices that are held back because a line of theirs has no amount."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.platform.queries import frame_of, rows_of
from valueverse.platform.warehouse import copy_frame
from valueverse.schemas.invoicing import HELD_LINES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import psycopg

_TABLE = "billing.held_invoice_line"
_ALL = """
    select tenant_id::text as tenant, customer, subscription, invoice_type, period_from, period_to, revision, key,
           problem, month
      from billing.held_invoice_line order by tenant_id, month, place"""
_SUMMARY = """
    select tenant_id::text as tenant, month, problem, count(*) as lines,
           (array_agg(customer order by place))[1] as customer, (array_agg(key order by place))[1] as key
      from billing.held_invoice_line group by tenant_id, month, problem order by tenant_id, month, problem"""


def replace_held(
    connection: psycopg.Connection[Any], tenants: Sequence[str], first: date, after: date, lines: pl.DataFrame, run: str
) -> None:
    """Write what a billing run holds back in place of what was held in its months.

    Args:
        connection: the caller commits.
        tenants: those that were billed.
        first: first day of the first month.
        after: first day after the last month.
        lines: HELD_LINES.
        run: the run's id.
    """
    connection.execute(
        "delete from billing.held_invoice_line where tenant_id = any(%s) and month >= %s and month < %s",
        [list(tenants), first, after],
    )
    place = pl.int_range(pl.len(), dtype=pl.Int32).over("tenant", "month").alias("place")
    copy_frame(connection, _TABLE, lines.with_columns(place, run_id=pl.lit(run)).rename({"tenant": "tenant_id"}))


def held_invoice_lines(connection: psycopg.Connection[Any]) -> pl.DataFrame:
    """HELD_LINES of all tenants and months."""
    return frame_of(connection, _ALL, [], HELD_LINES)


def held_invoices(connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """tenant, month, problem, lines, and customer and key of the first line."""
    return rows_of(connection, _SUMMARY)


def held_invoice_sentence(row: dict[str, Any]) -> str:
    """``tenant acme: 2 lines without an amount hold back invoices of 2026-01: bad_overrides, e.g. ...``."""
    lines = "1 line without an amount holds" if row["lines"] == 1 else f"{row['lines']:,} lines without an amount hold"
    example = f"customer {row['customer']}, line {row['key']}"
    return f"tenant {row['tenant']}: {lines} back invoices of {row['month']:%Y-%m}: {row['problem']}, e.g. {example}"
