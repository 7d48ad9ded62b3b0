"""Simulations and re-ratings that were asked for: what a worker takes, how far it is, what it came to.

An attempt writes as long as it is the newest one of a computation that nobody has cancelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import row_of

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[Any]

_BEGIN = """
    update billing.computation
       set state = case when state = 'applying' then state else 'running' end, attempt = attempt + 1
     where tenant_id = %(tenant)s and computation = %(computation)s and state = any(%(states)s)
    returning kind, request, attempt, result"""
_END = """
    update billing.computation
       set state = %(state)s, result = coalesce(%(result)s, result), problem_code = %(code)s,
           problem_message = %(message)s, problem_path = %(path)s, applied_invoices = %(invoices)s,
           steps_done = case when %(state)s = 'done' then steps else steps_done end, step = null,
           ended_at = coalesce(ended_at, now()), applied_at = case when %(state)s = 'applied' then now() end
     where tenant_id = %(tenant)s and computation = %(computation)s
       and state in ('waiting', 'running', 'applying') and (%(attempt)s::integer is null or attempt = %(attempt)s)"""


def begin(connection: Connection, tenant: str, computation: str, *, applies: bool) -> dict[str, Any] | None:
    """Begin an attempt: kind, request, attempt, and result where there is one. None: nothing is to be done any more."""
    states = ["applying"] if applies else ["waiting", "running"]
    return row_of(connection, _BEGIN, {"tenant": tenant, "computation": computation, "states": states})


def progress(connection: Connection, tenant: str, computation: str, attempt: int, step: str, done: int) -> None:
    """Note which step is under way, and how many are done; ``done`` is at most the computation's ``steps``."""
    connection.execute(
        "update billing.computation set step = %s, steps_done = least(%s, steps) "
        "where tenant_id = %s and computation = %s and attempt = %s and state = 'running'",
        [step, done, tenant, computation, attempt],
    )


def end(
    connection: Connection,
    tenant: str,
    computation: str,
    state: str,
    *,
    attempt: int | None = None,
    result: str | None = None,
    problem: tuple[str, str, str] | None = None,
    invoices: int | None = None,
) -> bool:
    """Record what it came to; the caller commits. False: another attempt goes on, or it is over.

    Args:
        connection: of the builder.
        tenant, computation: which one.
        state: ``done``, ``failed``, ``applied``, ``stale``; ``done`` again where it could not be applied for now.
        attempt: that came to it; None: whichever it was.
        result: JSON text.
        problem: code, message and place.
        invoices: that a plan was applied to.
    """
    code, message, path = problem or (None, None, None)
    values = {
        "tenant": tenant,
        "computation": computation,
        "state": state,
        "attempt": attempt,
        "result": result,
        "code": code,
        "message": message,
        "path": path,
        "invoices": invoices,
    }
    return connection.execute(_END, values).rowcount == 1
