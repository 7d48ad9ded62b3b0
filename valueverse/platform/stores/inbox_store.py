"""The inbox: requests of events that the API has stored and no ingestion has taken yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import rows_of, value_of, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    import psycopg

_CLAIM = """
    with waiting as (
        select tenant_id, batch_id,
               (sum(expanded) over (partition by tenant_id order by batch_id) - 1) / %(most)s as part
          from inbox.batch
         where drain_id is null and body is not null),
    parts as (select distinct tenant_id, part from waiting order by tenant_id, part),
    drains as (select tenant_id, part, nextval('inbox.drain') as drain_id from parts)
    update inbox.batch as b
       set drain_id = d.drain_id
      from waiting as w
      join drains as d on d.tenant_id = w.tenant_id and d.part = w.part
     where b.tenant_id = w.tenant_id and b.batch_id = w.batch_id and b.drain_id is null"""

_DRAINS = """
    select tenant_id::text, drain_id
      from inbox.batch
     where drain_id is not null
     group by tenant_id, drain_id
     order by tenant_id, drain_id"""

_BATCHES = """
    select received_at, events, body
      from inbox.batch
     where tenant_id = %s and drain_id = %s
     order by batch_id"""

_WAITING = """
    select tenant_id::text as tenant, count(*) as requests, sum(events)::bigint as events,
           min(received_at) as oldest
      from inbox.batch
     group by tenant_id
     order by tenant_id"""

_SENT = "select distinct application from inbox.batch where application is not null order by 1"
_FORGET = "delete from inbox.batch where application = %s and offsets[cardinality(offsets)] < %s"

_BILLING = """
    select received_at, body
      from inbox.batch
     where tenant_id = %s and has_billing
     order by batch_id"""


def claim(connection: psycopg.Connection[Any], most: int) -> list[tuple[str, int]]:
    """Give every request that waits a drain, ``most`` expanded bytes to one; the drains there are, by tenant and age.

    A drain has the same requests for ever: one that a killed ingestion left is found as it was.
    """
    with connection.transaction():
        connection.execute(_CLAIM, {"most": most})
        return [(tenant, drain) for tenant, drain in connection.execute(_DRAINS)]


def batches(connection: psycopg.Connection[Any], tenant: str, drain: int) -> Iterator[tuple[datetime, int, bytes]]:
    """When each request of a drain was received, its events, and its body; one at a time, the oldest first."""
    with connection.transaction(), connection.cursor("drain") as cursor:
        cursor.itersize = 1
        cursor.execute(_BATCHES, [tenant, drain])
        yield from cursor


def delete_drain(connection: psycopg.Connection[Any], tenant: str, drain: int) -> None:
    """Forget a drain whose events the lake has."""
    connection.execute("delete from inbox.batch where tenant_id = %s and drain_id = %s", [tenant, drain])


def delete_sent(connection: psycopg.Connection[Any], stored: Callable[[str], int | None]) -> None:
    """Forget requests in a topic whose events the lake has, each up to where ``stored`` says of its partition."""
    for application in values_of(connection, _SENT):
        connection.execute(_FORGET, [application, stored(application) or 0])


def waiting(connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """tenant, requests, events and the oldest receipt of what the inbox holds."""
    return rows_of(connection, _WAITING)


def newest(connection: psycopg.Connection[Any]) -> int | None:
    """Number of the newest request in the inbox; None while it is empty."""
    number: int | None = value_of(connection, "select max(batch_id) from inbox.batch")
    return number


def requests_with_billing(connection: psycopg.Connection[Any], tenant: str) -> list[tuple[datetime, bytes]]:
    """When each request of a tenant that may hold billing events was received, and its body; the oldest first."""
    return [(received_at, body) for received_at, body in connection.execute(_BILLING, [tenant])]
