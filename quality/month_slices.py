"""How the rows of a month are cut out of a table of schema billing, as parts of queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from quality.rules import SCOPES
from valueverse.platform.queries import values_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import LiteralString

    import psycopg

    from quality.period import Month

# An invoice lies in the month of its tenant's calendar in which its period closes (it may end with the month's last
# instant); one made at a subscription's start lies in the month of that start. A time zone nobody knows is a finding
# of its own and must not stop the query: such a month is UTC's.
_CLOSING: LiteralString = (
    "from billing.invoice as closing left join billing.tenant as owner "
    "on closing.tenant_id = owner.tenant_id left join {zones} as zones (name, first, after) "
    "on owner.timezone = zones.name "
    # no calendar is further from UTC than a day
    "where closing.period_to > {first}::timestamp at time zone 'UTC' - interval '1 day' "
    "and closing.period_from < {after}::timestamp at time zone 'UTC' + interval '1 day' "
    "and case closing.invoice_type when 'start' "
    "then closing.period_from >= coalesce(zones.first, {first}::timestamp at time zone 'UTC') "
    "and closing.period_from < coalesce(zones.after, {after}::timestamp at time zone 'UTC') "
    "else closing.period_to > coalesce(zones.first, {first}::timestamp at time zone 'UTC') "
    "and closing.period_to <= coalesce(zones.after, {after}::timestamp at time zone 'UTC') end"
)
_CUTS: dict[str, LiteralString] = {
    "tenant": "true",
    "day": "{table}.day >= {first}::date and {table}.day < {after}::date",
    "period": "{table}.period = {period}",
    "closing": (
        f"({{table}}.tenant_id, {{table}}.invoice_id) in (select closing.tenant_id, closing.invoice_id {_CLOSING})"
    ),
    "booked": (
        "{table}.invoice is null or ({table}.tenant_id, {table}.invoice) in "
        f"(select closing.tenant_id, closing.number {_CLOSING})"
    ),
}
# An orphan line has no invoice whose period could be looked at: it belongs to every month.
_ORPHANS: LiteralString = (
    " or not exists (select from billing.invoice as parent where parent.tenant_id = {table}.tenant_id "
    "and parent.invoice_id = {table}.invoice_id)"
)


def known_zones(connection: psycopg.Connection[Any]) -> list[str]:
    """The time zones of the tenants that Postgres knows. Its list of zones is read from disk whenever it is asked."""
    return values_of(
        connection,
        "select distinct zones.name from billing.tenant inner join pg_timezone_names as zones "
        "on tenant.timezone = zones.name order by 1",
    )


def rows_of(table: str, tenants: Sequence[str] | None) -> sql.Composed:
    """A query of a table's rows of ``tenants`` (None: of all)."""
    chosen: sql.Composable = sql.SQL("true")
    if tenants is not None:
        chosen = sql.SQL("{}.tenant_id = any ({}::text[])").format(sql.Identifier(table), sql.Literal(list(tenants)))
    query = sql.SQL("select {table}.* from billing.{table} as {table} where {chosen}")
    return query.format(table=sql.Identifier(table), chosen=chosen)


def month_of(table: str, month: Month, zones: Sequence[str]) -> sql.Composed:
    """The condition that a row of a table, under the table's own name, belongs to a month.

    Args:
        table: A table of SCOPES.
        month: The month.
        zones: ``known_zones``.
    """
    cut = _CUTS[SCOPES[table]] + (_ORPHANS if table == "invoice_line" else "")
    first, after = sql.Literal(month.first.isoformat()), sql.Literal(month.after.isoformat())
    limits = sql.SQL("({zone}, {first}::timestamp at time zone {zone}, {after}::timestamp at time zone {zone})")
    rows = [limits.format(zone=sql.Literal(zone), first=first, after=after) for zone in dict.fromkeys(("UTC", *zones))]
    return sql.SQL(cut).format(
        table=sql.Identifier(table),
        first=first,
        after=after,
        period=sql.Literal(month.key),
        zones=sql.SQL("(values {})").format(sql.SQL(", ").join(rows)),
    )
