"""Ends sessions of analysts and of the API that outlast their limits."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

# Above the login's own limits, so that a session that keeps them meets a cancelled query and not a lost connection.
AT_MOST_QUERY = timedelta(minutes=6)
AT_MOST_TRANSACTION = timedelta(minutes=15)


def end_long_sessions(
    connection: psycopg.Connection[Any],
    at_most_query: timedelta = AT_MOST_QUERY,
    at_most_transaction: timedelta = AT_MOST_TRANSACTION,
) -> list[str]:
    """End what takes longer, in every database of the server; gives one line for each session that was ended."""
    rows = connection.execute(
        "select role_name, pid, seconds from guard.end_long_sessions(%s, %s)", (at_most_query, at_most_transaction)
    ).fetchall()
    connection.commit()
    return [f"{role} (process {pid}), {seconds} s in one transaction" for role, pid, seconds in rows]
