"""Endpoints of webhooks and what is delivered to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from valueverse.platform.queries import row_of, rows_of, value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    Connection = psycopg.Connection[Any]

_ENDPOINTS = """
    select tenant_id as tenant, endpoint, url, types, secret_version, previous_until, disabled_at, disabled_reason,
           created_at
      from billing.webhook_endpoint
     where tenant_id = %s
     order by created_at, endpoint"""

_DELIVERIES = """
    select tenant_id as tenant, delivery, endpoint, type, message_id, state, attempts, status, reason, created_at,
           due_at, delivered_at
      from billing.webhook_delivery
     where tenant_id = %(tenant)s and (%(state)s::text is null or state = %(state)s)
     order by delivery desc
     limit %(at_most)s"""

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


def add_endpoint(connection: Connection, tenant: str, endpoint: str, url: str, types: Sequence[str]) -> None:
    """Add an endpoint; the caller commits."""
    connection.execute(
        "insert into billing.webhook_endpoint (tenant_id, endpoint, url, types) values (%s, %s, %s, %s)",
        [tenant, endpoint, url, list(types)],
    )


def endpoints(connection: Connection, tenant: str) -> list[dict[str, Any]]:
    """A tenant's endpoints, the oldest first."""
    return rows_of(connection, _ENDPOINTS, [tenant])


def rotate(connection: Connection, tenant: str, endpoint: str, hours: int) -> int | None:
    """Give an endpoint the next version of its secret; the one before signs for ``hours`` more. None: there is none."""
    version: int | None = value_of(
        connection,
        "update billing.webhook_endpoint set secret_version = secret_version + 1, "
        "previous_until = now() + make_interval(hours => %s) where tenant_id = %s and endpoint = %s "
        "returning secret_version",
        [hours, tenant, endpoint],
    )
    return version


def disable(connection: Connection, tenant: str, endpoint: str, reason: str) -> bool:
    """Send an endpoint nothing more: what waits for it is dead. False: there is no such endpoint."""
    found = connection.execute(
        "update billing.webhook_endpoint set disabled_at = coalesce(disabled_at, now()), "
        "disabled_reason = coalesce(disabled_reason, %s) where tenant_id = %s and endpoint = %s",
        [reason, tenant, endpoint],
    )
    connection.execute(
        "update billing.webhook_delivery set state = 'dead', reason = %s "
        "where tenant_id = %s and endpoint = %s and state = 'waiting'",
        [reason, tenant, endpoint],
    )
    return found.rowcount == 1


def enqueue(
    connection: Connection, tenant: str, endpoint: str, kind: str, message_id: str, body: dict[str, Any]
) -> int:
    """A notification to one endpoint alone; its number."""
    number: int = value_of(
        connection,
        "insert into billing.webhook_delivery (tenant_id, endpoint, type, object, message_id, body) "
        "values (%s, %s, %s, %s, %s, %s::jsonb::text) returning delivery",
        [tenant, endpoint, kind, message_id, message_id, Jsonb(body)],
    )
    return number


def deliveries(connection: Connection, tenant: str, state: str | None, at_most: int) -> list[dict[str, Any]]:
    """A tenant's deliveries, the newest first."""
    return rows_of(connection, _DELIVERIES, {"tenant": tenant, "state": state, "at_most": at_most})


def replay(connection: Connection, tenant: str, delivery: int) -> dict[str, Any] | None:
    """Deliver once more, whatever became of it, with attempts counted from the beginning. None: there is none, or its
    endpoint is disabled."""
    return row_of(
        connection,
        "update billing.webhook_delivery as d set state = 'waiting', attempts = 0, due_at = now(), status = null, "
        "reason = null, delivered_at = null from billing.webhook_endpoint as e where d.tenant_id = %s and "
        "d.delivery = %s and e.tenant_id = d.tenant_id and e.endpoint = d.endpoint and e.disabled_at is null "
        "returning d.tenant_id as tenant, d.delivery, d.endpoint, d.type, d.message_id, d.state",
        [tenant, delivery],
    )


def claim(connection: Connection, most: int, share: int, busy: dict[str, int], lease: int) -> list[dict[str, Any]]:
    """Take what is due: at most ``most``, and of a tenant ``share`` less those that are ``busy``.

    Another process may take it over after ``lease`` seconds.
    """
    values = {"most": most, "share": share, "busy": Jsonb(busy), "lease": lease}
    with connection.transaction():
        return rows_of(connection, _CLAIM, values)


def finish(
    connection: Connection, row: dict[str, Any], state: str, status: int | None, reason: str | None, wait: int
) -> None:
    """Record an attempt: delivered, dead, or waiting for ``wait`` seconds."""
    connection.execute(
        "update billing.webhook_delivery set state = %(state)s, status = %(status)s, reason = %(reason)s, "
        "due_at = now() + make_interval(secs => %(wait)s), "
        "delivered_at = case when %(state)s = 'delivered' then now() end "
        "where tenant_id = %(tenant)s and delivery = %(delivery)s and state = 'waiting' and attempts = %(attempts)s",
        {**row, "state": state, "status": status, "reason": reason, "wait": wait},
    )
