"""Columns of marts, aggregated per tenant, customer and calendar month: what the last release published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from valueverse.platform.queries import frame_of, value_of
from valueverse.schemas.value import MART_COLUMNS, MART_VALUES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    import psycopg

    Connection = psycopg.Connection[Any]


_VALUE = {
    "sum": "sum({column}::numeric)",
    # The zero makes the quotient carry 18 decimals at least: Postgres keeps 16 digits of a mean of whole numbers.
    "mean": "avg({column}::numeric + 0::numeric(38, 18))",
    "min": "min({column}::numeric)",
    "max": "max({column}::numeric)",
    "last": "(array_agg({column}::numeric order by {month} desc, {column} desc))[1]",
    "count": "count(*)::numeric",
}
_INSIDE = "{month} >= wanted.begins and {month} < wanted.ends"
_INSIDE_LOCAL = "{month} >= wanted.month and {month} < (wanted.month + interval '1 month')::date"


@dataclass(frozen=True)
class MartColumn:
    """What is read of a mart; its names have been found among ``columns_of``.

    Attributes:
        mart: table or view of the schema ``marts`` with a column ``tenant_id``.
        column: what is aggregated, where it is not null.
        month: column that places a row in time.
        instants: whether ``month`` holds instants; else it holds local days or local times.
        customer: column of the customer; None: values are the tenant's own (customer '').
        currency: column of the currency; None: the values are no money.
        aggregation: sum, mean, min, max, last or count.
    """

    mart: str
    column: str
    month: str
    instants: bool
    customer: str | None
    currency: str | None
    aggregation: str


def columns_of(connection: Connection, marts: Sequence[str]) -> pl.DataFrame:
    """MART_COLUMNS of those of the marts that exist; a partition of a mart is none."""
    return frame_of(
        connection,
        """
        select c.table_name::text as mart, c.column_name::text as column, c.data_type::text as type
          from information_schema.columns c
         where c.table_schema = 'marts' and c.table_name = any(%s)
           and not exists (select from pg_catalog.pg_class r
                            where r.oid = to_regclass(format('marts.%%I', c.table_name)) and r.relispartition)
         order by c.table_name, c.ordinal_position
        """,
        [list(marts)],
        MART_COLUMNS,
    )


def count_rows(connection: Connection, mart: str) -> int:
    """Rows of a mart, of all tenants; ``connection`` as builder, who sees them all."""
    query = sql.SQL("select count(*) from {}").format(sql.Identifier("marts", mart))
    return int(value_of(connection, query))


def read_mart(connection: Connection, of: MartColumn, wanted: pl.DataFrame) -> pl.DataFrame:
    """The aggregated values of a column; a month without one has no row.

    Args:
        connection: as builder, who sees every tenant's rows: only those of ``wanted`` are read.
        of: what is read.
        wanted: tenant, month (first day), and the instants [begins, ends) of the month in the tenant's zone.

    Returns:
        MART_VALUES, by tenant, customer, month and currency.
    """

    def column(name: str | None, missing: str) -> sql.Composable:
        return sql.SQL(missing) if name is None else sql.Identifier("mart", name)

    names = {"column": sql.Identifier("mart", of.column), "month": sql.Identifier("mart", of.month)}
    query = sql.SQL(
        """
        select tenant_id as tenant, customer, month, currency,
               case when abs(round(value, 18)) < 1e20 then round(value, 18) end as value
          from (select wanted.tenant_id, coalesce({customer}::text, '') as customer, wanted.month,
                       {currency}::text as currency, {value} as value
                  from unnest(%(tenant)s::text[], %(month)s::date[], %(begins)s::timestamptz[],
                              %(ends)s::timestamptz[]) as wanted (tenant_id, month, begins, ends)
                  join {mart} as mart on mart.tenant_id = wanted.tenant_id and {inside}
                 where mart.tenant_id = any(%(tenant)s) and {column} is not null
                 group by 1, 2, 3, 4) as found
         order by tenant_id, customer, month, currency
        """
    ).format(
        mart=sql.Identifier("marts", of.mart),
        customer=column(of.customer, "''"),
        currency=column(of.currency, "null"),
        value=sql.SQL(_VALUE[of.aggregation]).format(**names),
        inside=sql.SQL(_INSIDE if of.instants else _INSIDE_LOCAL).format(month=names["month"]),
        column=names["column"],
    )
    months = wanted.select("tenant", "month", "begins", "ends").to_dict(as_series=False)
    return frame_of(connection, query, months, MART_VALUES)
