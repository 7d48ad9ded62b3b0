"""The API as one process, or as one process for each group of its routes."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from valueverse.platform import descriptors
from valueverse.platform.servers import processes
from valueverse.platform.settings import API_GROUPS
from valueverse.platform.telemetry import FOLDER_VARIABLE

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

API = "api"
"""Name of the server that serves every group, or billing alone while others run beside it."""
BESIDE = API_GROUPS[1:]
"""Names of the servers that serve the group of their name."""
MOST_CONNECTIONS = 12_288
"""Connections of one process, silent ones too, or what the limit of open files allows; the kernel queues others."""
HEAD_SECONDS = 30
"""A request's head comes within so many, from the connection's start or the answer before; else the connection ends."""
_LEAST = 128
_OWN = 512
"""Open files that a process needs besides connections of clients."""
_BUFFER = 2**16
"""Bytes of a head, and of what is read of a connection at once."""
_BACKLOG = 4096


def arguments(port: int, workers: int) -> list[str]:
    """Command line of a server with so many processes that answer."""
    return [
        *("granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", str(workers), "--no-ws"),
        # A connection whose protocol is still to be found out may stay silent for ever.
        *("--http", "1", "--http1-header-read-timeout", str(HEAD_SECONDS * 1000)),
        *("--http1-buffer-size", str(_BUFFER), "--backlog", str(_BACKLOG)),
        *("--backpressure", str(max(_LEAST, descriptors.usable(MOST_CONNECTIONS + _OWN) - _OWN))),
        "serving_api.app:app",
    ]


def environment(settings: Settings, groups: str) -> dict[str, str]:
    """Settings of a process of the API, with its own login alone: of an external server's address it must not inherit
    the administrator's."""
    found = settings.environment() | {"VALUEVERSE_API_GROUPS": groups}
    if settings.external_postgres_url:
        found["VALUEVERSE_POSTGRES_URL"] = settings.postgres_url("api")
    return found


def counts(settings: Settings, name: str) -> dict[str, str]:
    """The variable that names the folder which the processes of a server count into: it is there, and empty.

    What the processes before have counted is not added to the new ones': counters begin again.
    """
    folder = settings.metrics_dir / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return {FOLDER_VARIABLE: str(folder)}


def groups(settings: Settings, name: str, *, split: bool) -> str:
    """Groups that a server is to serve, comma-separated."""
    if name in BESIDE:
        return name
    return API_GROUPS[0] if split else ",".join(settings.groups)


def is_split(settings: Settings) -> bool:
    """Whether servers were started beside the API and not stopped since; they may have crashed."""
    return any(processes.read_record(settings.run, name) for name in BESIDE)


def is_joined(settings: Settings) -> bool:
    """Whether the API runs with other groups than billing alone."""
    record = processes.read_record(settings.run, API)
    return record is not None and processes.alive(record) and record.details.get("groups") != API_GROUPS[0]


def address(settings: Settings, group: str) -> str | None:
    """Where a group is served on this machine, e.g. ``http://127.0.0.1:8001``; None: by no server of ours."""
    for name in (API, *BESIDE):
        record = processes.read_record(settings.run, name)
        if record is not None and group in record.details.get("groups", "").split(",") and processes.alive(record):
            return f"http://127.0.0.1:{record.details['port']}"
    return None


def shown(record: processes.Record) -> str:
    """The groups of a server, where they are not all."""
    served = record.details.get("groups", "")
    return f"serves {served}" if served and served != ",".join(API_GROUPS) else ""
