"""The instants between which each tenant's month lies, as a part of queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import LiteralString

    import psycopg

    from quality.period import Month

CALENDARS: LiteralString = """
calendars as (
    select *
    from unnest(%(tenants)s::text[], %(firsts)s::timestamptz[], %(afters)s::timestamptz[])
        as months (tenant, first, after)
)"""
"""A part of a query with ``parameters``: first and after, the instants between which each tenant's month lies."""


def parameters(connection: psycopg.Connection[Any], month: Month, tenants: Sequence[str]) -> dict[str, Any]:
    """Parameters of queries about a month of these tenants: tenants, firsts, afters (side by side), first, after.

    A time zone that Postgres does not know counts as UTC. Its list of zones is read from disk whenever it is asked,
    so it is asked once for all queries.
    """
    rows = rows_of(
        connection,
        """
        select
            tenant.tenant_id::text as tenant,
            %(first)s::timestamp at time zone coalesce(zones.name, 'UTC') as first,
            %(after)s::timestamp at time zone coalesce(zones.name, 'UTC') as after
        from billing.tenant as tenant
        left join pg_timezone_names as zones on tenant.timezone = zones.name
        where tenant.tenant_id = any(%(tenants)s)
        order by 1
        """,
        {"first": month.first, "after": month.after, "tenants": list(tenants)},
    )
    known, firsts, afters = ([row[name] for row in rows] for name in ("tenant", "first", "after"))
    return {"tenants": known, "firsts": firsts, "afters": afters, "first": month.first, "after": month.after}
