"""What accounting for usage wrote, in Postgres: unbilled usage, days, daily usage, and of which inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
from psycopg import sql

from valueverse.platform.queries import frame_of, value_of
from valueverse.platform.warehouse import copy_frames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import psycopg

ACCOUNTED = pl.Schema({"tenant": pl.String(), "month": pl.Date(), "inputs": pl.String()})
"""What the rows of a tenant's month were worked out from; equal inputs give equal rows."""
UNPLACED = pl.Schema({"tenant": pl.String(), "month": pl.Date(), "customer": pl.String()})


def accounted(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> pl.DataFrame:
    """ACCOUNTED of these tenants."""
    query = "select tenant_id::text as tenant, month, inputs from billing.accounted_month where tenant_id = any(%s)"
    return frame_of(connection, query, [list(tenants)], ACCOUNTED)


def unplaced(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> pl.DataFrame:
    """UNPLACED: customers whose usage of a month met no subscription, so that the reason depends on all they have."""
    query = (
        "select distinct tenant_id::text as tenant, date_trunc('month', day)::date as month, customer "
        "from billing.unbilled_usage where tenant_id = any(%s) and reason in ('no_subscription', 'before_start', "
        "'in_trial', 'after_end')"
    )
    return frame_of(connection, query, [list(tenants)], UNPLACED)


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
    """Record what months (ACCOUNTED) were accounted from."""
    connection.execute(
        "insert into billing.accounted_month (tenant_id, month, inputs) "
        "select * from unnest(%s::text[], %s::date[], %s::text[]) "
        "on conflict (tenant_id, month) do update set inputs = excluded.inputs",
        [months[name].to_list() for name in ACCOUNTED],
    )
