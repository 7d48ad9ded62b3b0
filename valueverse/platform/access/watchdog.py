"""Ends sessions of analysts and of the API that go beyond bounds which a login may lift by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    import psycopg

    from valueverse.platform.settings import Settings

# Above the login's own limits, so that a session that keeps them meets a cancelled query and not a lost connection.
AT_MOST_QUERY = timedelta(minutes=6)
AT_MOST_TRANSACTION = timedelta(minutes=15)
AT_MOST_WAIT = timedelta(seconds=30)
"""How long the builder or an administrator waits for a lock that such a session holds."""
AT_MOST_BYTES = 2**30
"""Of memory of one session's process; a server that `valueverse up` starts refuses twice as much at once."""
AT_MOST_PERCENT = 5
"""Of the queue of notifications; when it is full, nobody on the server notifies, Dagster's events included."""


def end_long_sessions(
    connection: psycopg.Connection[Any],
    at_most_query: timedelta = AT_MOST_QUERY,
    at_most_transaction: timedelta = AT_MOST_TRANSACTION,
    at_most_wait: timedelta = AT_MOST_WAIT,
    at_most_bytes: int = AT_MOST_BYTES,
    at_most_percent: int = AT_MOST_PERCENT,
) -> list[str]:
    """End what goes beyond a bound, in every database of the server; gives one line for each session that was ended."""
    rows = connection.execute(
        "select role_name, pid, reason from guard.end_long_sessions(%s, %s, %s, %s, %s)",
        (at_most_query, at_most_transaction, at_most_wait, at_most_bytes, at_most_percent),
    ).fetchall()
    connection.commit()
    return [f"{role} (process {pid}): {reason}" for role, pid, reason in rows]


def end_all_long_sessions(settings: Settings) -> list[str]:
    """``end_long_sessions`` with the usual bounds, on the installation's server."""
    with connect(settings, "builder") as connection:
        return end_long_sessions(connection)
