"""Endpoints of webhooks and what is delivered to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

from psycopg.types.json import Jsonb

from valueverse.platform.queries import rows_of
from valueverse.platform.stores.functions import Functions

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[Any]

# A tenant gets no more at once than its share, so that endpoints that hang delay nobody else's. Who takes a delivery
# and dies is followed by the next one, once the lease is over.
_CLAIM = """
    with ranked as (
        select d.tenant_id, d.delivery,
               row_number() over (partition by d.tenant_id order by d.due_at, d.delivery) as place
          from billing.webhook_delivery as d
         where d.state = 'waiting' and d.due_at <= now()),
    picked as (
        select d.tenant_id, d.delivery
          from billing.webhook_delivery as d
          join ranked as r on r.tenant_id = d.tenant_id and r.delivery = d.delivery
         where r.place <= %(share)s - coalesce((%(busy)s::jsonb ->> d.tenant_id)::integer, 0) and d.state = 'waiting'
         order by r.place, d.due_at
         limit %(most)s
           for update of d skip locked)
    update billing.webhook_delivery as d
       set attempts = d.attempts + 1, due_at = now() + make_interval(secs => %(lease)s)
      from picked as p
      join billing.webhook_endpoint as e on e.tenant_id = p.tenant_id
     where d.tenant_id = p.tenant_id and d.delivery = p.delivery and e.endpoint = d.endpoint
    returning d.tenant_id as tenant, d.delivery, d.endpoint, d.message_id, d.body, d.attempts, e.url, e.secret_version,
              coalesce(e.previous_until > now(), false) as signs_previous"""


def call(connection: Connection, function: LiteralString, *arguments: object) -> list[dict[str, Any]]:
    """Rows of a function of schema ``api``, the tenant first; the connection is the API's login, the caller commits."""
    return rows_of(connection, Functions(connection, "api").query(function, len(arguments)), list(arguments))


def disable(connection: Connection, tenant: str, endpoint: str, reason: str) -> None:
    """Send an endpoint nothing more, as the builder; a trigger ends what waits for it."""
    connection.execute(
        "update billing.webhook_endpoint set disabled_at = now(), disabled_reason = %s "
        "where tenant_id = %s and endpoint = %s and disabled_at is null",
        [reason, tenant, endpoint],
    )


def claim(connection: Connection, most: int, share: int, busy: dict[str, int], lease: int) -> list[dict[str, Any]]:
    """Take what is due: at most ``most``, and of a tenant ``share`` less those that are ``busy``.

    Another process may take it over after ``lease`` seconds.
    """
    values = {"most": most, "share": share, "busy": Jsonb(busy), "lease": lease}
    with connection.transaction():
        return rows_of(connection, _CLAIM, values)


def finish(connection: Connection, row: dict[str, Any], outcome: dict[str, Any]) -> None:
    """Record an attempt and what becomes of the delivery.

    Args:
        connection: the builder's; the caller commits.
        row: as ``claim`` gave it.
        outcome: state (delivered, dead, or waiting for ``wait`` seconds), status, reason, milliseconds.
    """
    values = {**row, **outcome}
    connection.execute(
        "insert into billing.webhook_attempt (tenant_id, delivery, status, reason, milliseconds) "
        "values (%(tenant)s, %(delivery)s, %(status)s, %(reason)s, %(milliseconds)s)",
        values,
    )
    connection.execute(
        "update billing.webhook_delivery set state = %(state)s, status = %(status)s, reason = %(reason)s, "
        "due_at = now() + make_interval(secs => %(wait)s), "
        "delivered_at = case when %(state)s = 'delivered' then now() end "
        "where tenant_id = %(tenant)s and delivery = %(delivery)s and state = 'waiting' and attempts = %(attempts)s",
        values,
    )
