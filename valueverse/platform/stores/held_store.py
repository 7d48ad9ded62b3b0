"""``billing.held_tenant``: which tenant is held in which stage, since when and why; cleared by the next success."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    import psycopg

    from valueverse.platform.isolation import Failure

WHOLE = date(1970, 1, 1)
"""Period of a stage that is not partitioned."""
HELD = pl.Schema(
    {
        "tenant": pl.String(),
        "stage": pl.String(),
        "first": pl.Date(),
        "last": pl.Date(),
        "code": pl.String(),
        "message": pl.String(),
        "since": pl.Datetime("us", "UTC"),
        "attempts": pl.Int32(),
        "run_id": pl.String(),
    }
)
"""One row per tenant, stage and reason: the first and last partition that is held for it, and since when."""
PERIODS = pl.Schema(
    {
        "tenant": pl.String(),
        "stage": pl.String(),
        "period": pl.Date(),
        "code": pl.String(),
        "message": pl.String(),
        "attempts": pl.Int32(),
    }
)
"""One row per tenant, stage and partition (its first day) that is held."""
_ASKED = (
    "(%s::text[] is null or stage = any(%s::text[])) and (%s::timestamptz is null or tried_at + "
    "least(interval '1 day', interval '1 hour' * power(2, least(attempts - 1, 10))) <= %s)"
)
CURE = "correct or void the event that the reason names; the next run tries again"


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
    """Who is held (HELD), by tenant and stage.

    Args:
        connection: as builder.
        stages: of these stages; None: of all.
        due_at: only what is to be tried again by this instant: an hour after the first attempt, then twice as long
            after each, a day at most.
    """
    rows = connection.execute(
        "select tenant_id::text, stage, min(period), max(period), code, message, min(held_at), max(attempts), "  # noqa: S608 - constants
        f"max(run_id) from billing.held_tenant where {_ASKED} "
        "group by tenant_id, stage, code, message order by tenant_id, stage, min(period), code",
        _asked(stages, due_at),
    ).fetchall()
    return pl.DataFrame(rows, schema=HELD, orient="row")


def _asked(stages: Collection[str] | None, due_at: datetime | None) -> list[Any]:
    return [*[None if stages is None else sorted(stages)] * 2, due_at, due_at]


def held_periods(
    connection: psycopg.Connection[Any], stages: Collection[str] | None = None, due_at: datetime | None = None
) -> pl.DataFrame:
    """PERIODS: every partition that is held, by tenant; arguments as for ``held``."""
    rows = connection.execute(
        "select tenant_id::text, stage, period, code, message, attempts from billing.held_tenant "  # noqa: S608 - constants
        f"where {_ASKED} order by 1, 2, 3",
        _asked(stages, due_at),
    ).fetchall()
    return pl.DataFrame(rows, schema=PERIODS, orient="row")


def newest_months(connection: psycopg.Connection[Any], rows: pl.DataFrame) -> pl.DataFrame:
    """The rows (PERIODS) with the month in which each tenant's newest invoice closes as their period."""
    found = connection.execute(
        "select tenant_id::text, date_trunc('month', max(period_to) - interval '1 microsecond')::date "
        "from billing.invoice where tenant_id = any(%s::text[]) group by 1",
        [rows["tenant"].to_list()],
    ).fetchall()
    months = pl.DataFrame(found, schema={"tenant": pl.String, "period": pl.Date}, orient="row")
    return rows.drop("period").join(months, on="tenant").select(PERIODS.names())


def undecided(connection: psycopg.Connection[Any]) -> pl.DataFrame:
    """PERIODS of months whose release is held for the sake of a stage that holds the tenant no more."""
    rows = connection.execute(
        "select r.tenant_id::text, 'release', (r.period || '-01')::date, 'held_before', '', 0 from billing.release r "
        "where r.status = 'held' and r.reason like '%%held_in_%%' and not exists "
        "(select from billing.held_tenant h where h.tenant_id = r.tenant_id and h.stage <> 'marts') order by 1, 3",
        [],
    ).fetchall()
    return pl.DataFrame(rows, schema=PERIODS, orient="row")


def released_since(connection: psycopg.Connection[Any], stage: str) -> pl.DataFrame:
    """PERIODS of a stage whose tenant was released after the last attempt: what it failed for may be fixed."""
    rows = connection.execute(
        "select h.tenant_id::text, h.stage, h.period, h.code, h.message, h.attempts from billing.held_tenant h "
        "where h.stage = %s and exists (select from billing.release r where r.tenant_id = h.tenant_id "
        "and r.status = 'released' and r.decided_at > h.tried_at) order by 1, 3",
        [stage],
    ).fetchall()
    return pl.DataFrame(rows, schema=PERIODS, orient="row")


def sentence(tenant: str, stage: str, code: str, message: str) -> str:
    """``tenant acme is held in billing: ... [out_of_range]``."""
    return f"tenant {tenant} is held in {stage}: {message} [{code}]"
