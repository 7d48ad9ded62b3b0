"""What operators look at: quarantined lines and rejected billing events, counted by tenant and reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import rows_of

if TYPE_CHECKING:
    import psycopg

_QUARANTINED = """
    select q.tenant_id as tenant, q.reason, sum(q.events)::bigint as lines, count(*) as files,
           max(f.day) as newest_day, (array_agg(q.file order by f.ingested_at desc, q.file))[1] as newest_file,
           (array_agg(q.example order by f.ingested_at desc, q.file))[1] as example
      from billing.quarantine_summary as q
      join billing.ingestion_file as f
        on f.tenant_id = q.tenant_id and f.file_hash = q.file_hash and f.file = q.file
     where %(tenant)s::text is null or q.tenant_id = %(tenant)s
     group by q.tenant_id, q.reason
     order by lines desc, q.tenant_id, q.reason"""

_REJECTED = """
    select tenant_id::text as tenant, reason, count(*) as events, max(event_time) as newest_time,
           (array_agg(source order by event_time desc, source, event_id))[1] as source,
           (array_agg(event_id order by event_time desc, source, event_id))[1] as event_id,
           (array_agg(message order by event_time desc, source, event_id))[1] as message
      from billing.rejected_event
     where %(tenant)s::text is null or tenant_id = %(tenant)s
     group by tenant_id, reason
     order by events desc, tenant_id, reason"""


_JOBS = """
    select task_name as kind, queue_name as queue, count(*) filter (where status = 'todo') as waiting,
           count(*) filter (where status = 'doing') as running, count(*) filter (where status = 'failed') as failed
      from queue.procrastinate_jobs
     where status in ('todo', 'doing', 'failed')
     group by task_name, queue_name
     order by queue_name, task_name"""


def jobs(connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """kind and queue of background work, jobs waiting, running, and given up in the last 30 days."""
    return rows_of(connection, _JOBS)


def quarantined(connection: psycopg.Connection[Any], tenant: str | None = None) -> list[dict[str, Any]]:
    """Quarantined lines by tenant and reason, with the newest file and an example; the most frequent first."""
    return rows_of(connection, _QUARANTINED, {"tenant": tenant})


def rejected(connection: psycopg.Connection[Any], tenant: str | None = None) -> list[dict[str, Any]]:
    """Billing events that could not be applied, by tenant and reason, with the newest one; the most frequent first."""
    return rows_of(connection, _REJECTED, {"tenant": tenant})
