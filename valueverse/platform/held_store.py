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
_PERIODS = {
    "tenant": pl.String(),
    "stage": pl.String(),
    "period": pl.Date(),
    "code": pl.String(),
    "message": pl.String(),
}
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
        run_id: stands on the rows.
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
        "select tenant_id::text, stage, min(period), max(period), code, message, min(held_at), max(attempts), "
        "max(run_id) from billing.held_tenant where (%s::text[] is null or stage = any(%s::text[])) "
        "and (%s::timestamptz is null or tried_at + least(interval '1 day', "
        " interval '1 hour' * power(2, least(attempts - 1, 10))) <= %s) "
        "group by tenant_id, stage, code, message order by tenant_id, stage, min(period), code",
        [*[None if stages is None else sorted(stages)] * 2, due_at, due_at],
    ).fetchall()
    return pl.DataFrame(rows, schema=HELD, orient="row")


def held_periods(connection: psycopg.Connection[Any]) -> pl.DataFrame:
    """tenant, stage, period, code, message: every partition that is held, by tenant."""
    rows = connection.execute(
        "select tenant_id::text, stage, period, code, message from billing.held_tenant order by 1, 2, 3"
    ).fetchall()
    return pl.DataFrame(rows, schema=_PERIODS, orient="row")


def sentence(tenant: str, stage: str, code: str, message: str) -> str:
    """``tenant acme is held in billing: ... [out_of_range]``."""
    return f"tenant {tenant} is held in {stage}: {message} [{code}]"
