"""``billing.held_tenant``: which tenant is held in which stage, since when and why; cleared by the next success."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import frame_of, rows_of
from valueverse.schemas.operations import HELD_PARTITIONS, HELD_TENANTS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    import polars as pl
    import psycopg

    from valueverse.platform.isolation import Failure

WHOLE = date(1970, 1, 1)
"""Period of a stage that is not partitioned."""
_ASKED = (
    "(%s::text[] is null or stage = any(%s::text[])) and (%s::timestamptz is null or tried_at + "
    "least(interval '1 day', interval '1 hour' * power(2, least(attempts - 1, 10))) <= %s)"
)
_BY_A_STAGE = "held_in_"
"""How a reason in ``billing.release`` begins that names a stage before the release (``quality.gate``)."""
CURE = (
    "correct or void the event that the reason names (docs/events.md); the next run tries again, or "
    "`python -m pipelines.catch_up` at once"
)


MONTH_CURE = "docs/runbooks/held-tenant.md says where to look, and how the month is judged again once that is corrected"


def record(
    connection: psycopg.Connection[Any],
    stage: str,
    periods: Collection[date],
    failures: Sequence[Failure],
    *,
    tenants: Sequence[str] | None,
    run_id: str,
    at: datetime,
) -> None:
    """Hold who failed and clear who did not, in these partitions of a stage; the caller commits.

    Args:
        connection: as builder.
        stage: the stage's name.
        periods: first days of the partitions that the run covered.
        failures: who failed, and why.
        tenants: whom the run was for; None: everybody.
        run_id: recorded with the rows.
        at: when it was tried.
    """
    failed = [failure.tenant for failure in failures]
    days = sorted(periods)
    chosen = None if tenants is None else list(tenants)
    connection.execute(
        "delete from billing.held_tenant where stage = %s and period = any(%s) and not tenant_id = any(%s::text[]) "
        "and (%s::text[] is null or tenant_id = any(%s::text[]))",
        [stage, days, failed, chosen, chosen],
    )
    connection.execute(
        "insert into billing.held_tenant "
        "(tenant_id, stage, period, code, message, run_id, held_at, tried_at, attempts) "
        "select f.tenant_id, %s, p.period, f.code, f.message, %s, %s, %s, 1 "
        "from unnest(%s::text[], %s::text[], %s::text[]) as f(tenant_id, code, message) "
        "cross join unnest(%s::date[]) as p(period) "
        "on conflict (tenant_id, stage, period) do update set code = excluded.code, message = excluded.message, "
        "run_id = excluded.run_id, tried_at = excluded.tried_at, attempts = held_tenant.attempts + 1",
        [
            *(stage, run_id, at, at),
            *(failed, [failure.code for failure in failures], [failure.message for failure in failures]),
            days,
        ],
    )


def held(
    connection: psycopg.Connection[Any], stages: Collection[str] | None = None, due_at: datetime | None = None
) -> pl.DataFrame:
    """Who is held (HELD_TENANTS), by tenant and stage.

    Args:
        connection: as builder.
        stages: of these stages; None: of all.
        due_at: only what is to be tried again by this instant: an hour after the first attempt, then twice as long
            after each, a day at most.
    """
    return frame_of(
        connection,
        "select tenant_id::text as tenant, stage, min(period) as first, max(period) as last, code, message, "  # noqa: S608 - constants
        f"min(held_at) as since, max(attempts) as attempts, max(run_id) as run_id from billing.held_tenant "
        f"where {_ASKED} group by tenant_id, stage, code, message order by tenant_id, stage, min(period), code",
        _asked(stages, due_at),
        HELD_TENANTS,
    )


def _asked(stages: Collection[str] | None, due_at: datetime | None) -> list[Any]:
    return [*[None if stages is None else sorted(stages)] * 2, due_at, due_at]


def held_periods(
    connection: psycopg.Connection[Any], stages: Collection[str] | None = None, due_at: datetime | None = None
) -> pl.DataFrame:
    """HELD_PARTITIONS: every partition that is held, by tenant; arguments as for ``held``."""
    return frame_of(
        connection,
        "select tenant_id::text as tenant, stage, period, code, message, attempts from billing.held_tenant "  # noqa: S608 - constants
        f"where {_ASKED} order by 1, 2, 3",
        _asked(stages, due_at),
        HELD_PARTITIONS,
    )


def newest_months(connection: psycopg.Connection[Any], rows: pl.DataFrame) -> pl.DataFrame:
    """The rows (HELD_PARTITIONS) with the month in which each tenant's newest invoice closes as their period."""
    months = frame_of(
        connection,
        "select tenant_id::text as tenant, "
        "date_trunc('month', max(period_to) - interval '1 microsecond')::date as period "
        "from billing.invoice where tenant_id = any(%s::text[]) group by 1",
        [rows["tenant"].to_list()],
        HELD_PARTITIONS.part("tenant", "period"),
    )
    return rows.drop("period").join(months, on="tenant").select(HELD_PARTITIONS.names())


def undecided(connection: psycopg.Connection[Any]) -> pl.DataFrame:
    """HELD_PARTITIONS of months whose release is held for the sake of a stage that holds the tenant no more."""
    return frame_of(
        connection,
        "select r.tenant_id::text as tenant, 'release' as stage, (r.period || '-01')::date as period, "
        "'held_before' as code, '' as message, 0 as attempts from billing.release r "
        "where r.status = 'held' and strpos(r.reason, %s) > 0 and not exists "
        "(select from billing.held_tenant h where h.tenant_id = r.tenant_id and h.stage <> 'marts') order by 1, 3",
        [_BY_A_STAGE],
        HELD_PARTITIONS,
    )


def released_since(connection: psycopg.Connection[Any], stage: str) -> pl.DataFrame:
    """HELD_PARTITIONS of a stage whose tenant was released after the last attempt: their cause may be fixed."""
    return frame_of(
        connection,
        "select h.tenant_id::text as tenant, h.stage, h.period, h.code, h.message, h.attempts from billing.held_tenant "
        "h "
        "where h.stage = %s and exists (select from billing.release r where r.tenant_id = h.tenant_id "
        "and r.status = 'released' and r.decided_at > h.tried_at) order by 1, 3",
        [stage],
        HELD_PARTITIONS,
    )


def held_months(connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """tenant, month and reason of months that the release holds, by tenant and month; without those that a stage before
    it holds, which ``held`` has."""
    return rows_of(
        connection,
        "select tenant_id::text as tenant, period as month, reason from billing.release "
        "where status = 'held' and strpos(reason, %s) = 0 order by 1, 2",
        [_BY_A_STAGE],
    )


def month_sentence(row: Mapping[str, Any]) -> str:
    """``tenant acme is held in 2024-03: lines_add_up: 1 row(s) break ...``, of a row of ``held_months``."""
    return f"tenant {row['tenant']} is held in {row['month']}: {row['reason']}"


def sentence(tenant: str, stage: str, code: str, message: str) -> str:
    """``tenant acme is held in billing: ... [out_of_range]``."""
    return f"tenant {tenant} is held in {stage}: {message} [{code}]"


def row_sentence(row: Mapping[str, Any]) -> str:
    """``sentence`` of a row of HELD_TENANTS."""
    return sentence(row["tenant"], row["stage"], row["code"], row["message"])


def since(row: Mapping[str, Any]) -> str:
    """Since when a row of HELD_TENANTS is held, and by which run."""
    return f"since {row['since']:%Y-%m-%d %H:%M} UTC, run {row['run_id']}"
