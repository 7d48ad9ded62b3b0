"""What accounting for usage wrote, in Postgres: unbilled usage, days, daily usage, and of which inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from valueverse.platform.queries import frame_of, value_of
from valueverse.platform.warehouse import copy_frames
from valueverse.schemas.usage_accounting import ACCOUNTED_MONTHS, UNPLACED_CUSTOMERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import polars as pl
    import psycopg


def accounted(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> pl.DataFrame:
    """ACCOUNTED_MONTHS of these tenants."""
    query = "select tenant_id::text as tenant, month, inputs from billing.accounted_month where tenant_id = any(%s)"
    return frame_of(connection, query, [list(tenants)], ACCOUNTED_MONTHS)


def unplaced(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> pl.DataFrame:
    """UNPLACED_CUSTOMERS: the reason of their usage depends on all they have."""
    query = (
        "select distinct tenant_id::text as tenant, date_trunc('month', day)::date as month, customer "
        "from billing.unbilled_usage where tenant_id = any(%s) and reason in ('no_subscription', 'before_start', "
        "'in_trial', 'after_end')"
    )
    return frame_of(connection, query, [list(tenants)], UNPLACED_CUSTOMERS)


def last_day(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> date | None:
    """The last day that was accounted for, of any of these tenants."""
    found: date | None = value_of(
        connection, "select max(day) from billing.event_day where tenant_id = any(%s)", [list(tenants)]
    )
    return found


def replace_days(
    connection: psycopg.Connection[Any],
    table: str,
    frame: pl.DataFrame,
    *,
    tenants: Sequence[str],
    first: date,
    last: date,
) -> None:
    """Replace the tenants' rows of the days from ``first`` to ``last`` in a table keyed by tenant_id and day."""
    connection.execute(
        sql.SQL("delete from {} where tenant_id = any(%s) and day between %s and %s").format(
            sql.Identifier(*table.split("."))
        ),
        [list(tenants), first, last],
    )
    copy_frames(connection, {table: frame})


def mark(connection: psycopg.Connection[Any], months: pl.DataFrame) -> None:
    """Record what months (ACCOUNTED_MONTHS) were accounted from."""
    connection.execute(
        "insert into billing.accounted_month (tenant_id, month, inputs) "
        "select * from unnest(%s::text[], %s::date[], %s::text[]) "
        "on conflict (tenant_id, month) do update set inputs = excluded.inputs",
        [months[name].to_list() for name in ACCOUNTED_MONTHS],
    )
