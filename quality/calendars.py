"""The instants between which each tenant's month lies, as a part of queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import LiteralString

CALENDARS: LiteralString = """
calendars as (
    select
        tenant_id as tenant,
        %(first)s::timestamp at time zone coalesce(zones.name, 'UTC') as first,
        %(after)s::timestamp at time zone coalesce(zones.name, 'UTC') as after
    from billing.tenant
    left join pg_timezone_names as zones on tenant.timezone = zones.name
    where tenant_id = any(%(tenants)s)
)"""
"""A part of a query: first and after, the instants between which each tenant's month lies."""
