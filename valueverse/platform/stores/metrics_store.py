"""Numbers about the whole installation, of all tenants together, for its operators' metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import row_of, rows_of, value_of

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[Any]

_INBOX = """
    select count(*) filter (where drain_id is null) as waiting,
           count(*) filter (where drain_id is not null) as draining,
           coalesce(sum(events), 0)::bigint as events, coalesce(sum(octet_length(body)), 0)::bigint as bytes,
           coalesce(extract(epoch from now() - min(received_at)), 0)::float8 as oldest
      from inbox.batch"""

_AUDIT = """
    select count(*) as waiting,
           coalesce(extract(epoch from now() - min((entry::json ->> 'at')::timestamptz)), 0)::float8 as oldest
      from audit.submitted"""

_WEBHOOKS = """
    select count(*) as waiting, coalesce(greatest(extract(epoch from now() - min(due_at)), 0), 0)::float8 as overdue
      from billing.webhook_delivery
     where state = 'waiting'"""

_QUEUES = """
    select queue, count(*) filter (where status = 'todo') as waiting,
           count(*) filter (where status = 'doing') as working, count(*) filter (where status = 'failed') as failed,
           greatest(coalesce(extract(epoch from now() - min(due) filter (where status = 'todo')), 0), 0)::float8
               as overdue
      from (select queue_name as queue, null as status, null::timestamptz as due from queue.tenant_share
             union all
            select queue_name, status::text, scheduled_at from queue.procrastinate_jobs) as known
     group by queue"""

_HELD = """
    select stage, count(distinct tenant_id) as tenants
      from billing.held_tenant
     group by stage
     union all
    select 'release', count(distinct tenant_id) from billing.release where status = 'held'"""

_RUNS = """
    select pipeline_name as job, status, count(*) as runs, max(end_time)::float8 as ended
      from runs
     group by pipeline_name, status"""

_LAST_RUNS = """
    select distinct on (pipeline_name) pipeline_name as job, status, (end_time - start_time)::float8 as seconds
      from runs
     where end_time is not null
     order by pipeline_name, end_time desc"""

_BEATS = """
    select daemon_type as daemon, extract(epoch from (now() at time zone 'UTC') - max(timestamp))::float8 as seconds
      from daemon_heartbeats
     group by daemon_type"""


def inbox(connection: Connection) -> dict[str, Any]:
    """waiting and draining requests of the inbox, events and bytes of both, and seconds since the oldest came."""
    return row_of(connection, _INBOX) or {}


def drains(connection: Connection) -> int:
    """Drains that were ever begun."""
    begun: int | None = value_of(
        connection, "select last_value from pg_sequences where schemaname = 'inbox' and sequencename = 'drain'"
    )
    return begun or 0


def submitted(connection: Connection) -> dict[str, Any]:
    """waiting entries of the audit log, which have no place in it yet, and seconds since the oldest was submitted."""
    return row_of(connection, _AUDIT) or {}


def webhooks(connection: Connection) -> dict[str, Any]:
    """waiting deliveries of webhooks, and seconds for which the oldest has been due."""
    return row_of(connection, _WEBHOOKS) or {}


def queues(connection: Connection) -> list[dict[str, Any]]:
    """queue of background work, jobs waiting, working and failed, seconds for which the oldest has been due."""
    return rows_of(connection, _QUEUES)


def log_sizes(connection: Connection) -> dict[str, int]:
    """tenant -> entries of its audit log."""
    query = "select tenant_id as tenant, max(sequence) as entries from audit.entry group by tenant_id"
    return {row["tenant"]: row["entries"] for row in rows_of(connection, query)}


def held(connection: Connection) -> list[dict[str, Any]]:
    """stage, tenants that are held in it."""
    return rows_of(connection, _HELD)


def runs(connection: Connection) -> list[dict[str, Any]]:
    """job, status, runs of Dagster and when the last of them ended (seconds since the epoch); its database's."""
    return rows_of(connection, _RUNS) if _has(connection, "runs") else []


def last_runs(connection: Connection) -> list[dict[str, Any]]:
    """job, status and seconds of the run of each job that ended last; of Dagster's database."""
    return rows_of(connection, _LAST_RUNS) if _has(connection, "runs") else []


def heartbeats(connection: Connection) -> list[dict[str, Any]]:
    """daemon, seconds since its last heartbeat; of Dagster's database."""
    return rows_of(connection, _BEATS) if _has(connection, "daemon_heartbeats") else []


def _has(connection: Connection, table: str) -> bool:
    return bool(value_of(connection, "select to_regclass(%s) is not null", [table]))
