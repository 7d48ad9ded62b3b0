"""A server that went away while we worked, as one sentence: whatever library noticed it, nobody gets a traceback."""

from __future__ import annotations

from valueverse.errors import RefusalError

_POSTGRES = {"psycopg", "psycopg2", "sqlalchemy", "asyncpg", "dagster_postgres"}
_VALKEY = {"redis", "valkey"}
_GONE = {
    *("OperationalError", "InterfaceError", "PostgresConnectionError", "CannotConnectNowError"),
    *("ConnectionError", "TimeoutError", "BusyLoadingError", "DagsterPostgresException"),
}
_LONGEST = 300


def outage(error: BaseException) -> RefusalError | None:
    """The refusal about a server that ended or cannot be reached; None if the error is about something else.

    ``warehouse_unreachable`` or ``valkey_unreachable``, also where the error is the cause of a library's own.
    """
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        if isinstance(one, RefusalError):
            return one
        seen.add(id(one))
        bases = {(base.__module__.partition(".")[0], base.__name__) for base in type(one).__mro__}
        libraries = {library for library, name in bases if name in _GONE}
        details = str(getattr(one, "orig", None) or one) or type(one).__name__
        if libraries & _POSTGRES:
            return unreachable("Postgres", details)
        if libraries & _VALKEY:
            return unreachable("Valkey", details)
        one = one.__cause__ or one.__context__
    return None


def unreachable(server: str, details: str) -> RefusalError:
    """A sentence with the first line of the message of the server or its library, and the cure."""
    first = next((line.strip() for line in details.splitlines() if line.strip()), "no message")[:_LONGEST]
    code = "warehouse_unreachable" if server == "Postgres" else "valkey_unreachable"
    cure = "see `valueverse status`, start it with `valueverse up`, then run this again"
    return RefusalError(code, f"{server} does not answer, or ended the work: {first.rstrip('.')}; {cure}")


def dagster_outage(name: str, message: str) -> str:
    """The reason of a failed step, from the class name and the message of its error as Dagster keeps them."""
    if name in _GONE:
        server = "Valkey" if name in {"ConnectionError", "TimeoutError", "BusyLoadingError"} else "Postgres"
        return unreachable(server, message.partition(": ")[2] or message).message
    return message.strip()
