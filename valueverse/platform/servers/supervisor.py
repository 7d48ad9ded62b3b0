"""Starts, watches and stops the servers of an installation: PostgreSQL, Valkey, Dagster, metrics, worker and API.

There is no resident supervisor: each server's record (pid, start time, address) is in ``run/``, and every
command judges by it. What crashed is shown by ``status`` and started again by ``up``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Literal

from valueverse.errors import RefusalError
from valueverse.platform import warehouse
from valueverse.platform.queries import value_of
from valueverse.platform.servers import (
    api_services,
    dagster_home,
    former_place,
    postgres_server,
    processes,
    valkey_server,
)
from valueverse.platform.servers.postgres_runtime import open_home

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from valueverse.platform.settings import Settings

State = Literal["running", "not answering", "crashed", "stopped", "external"]

DAGSTER = "dagster"
DAEMON = dagster_home.DAEMON
API = api_services.API
METRICS = "metrics"
WORKER = "worker"
NAMES = (postgres_server.NAME, valkey_server.NAME, DAGSTER, DAEMON, METRICS, WORKER, API)
"""Servers in the order they start; they stop in the opposite one."""
EVERY = (*NAMES, *api_services.BESIDE)
"""Also those that run beside the API where each process serves one group of its routes."""

ALREADY = "already"
"""Detail of a server that ran before it was to be started."""
_PATIENCE = 180
"""Seconds a Python server may take to answer: a cold start of Dagster on a busy two-core machine takes most
of it."""


@dataclass(frozen=True)
class Status:
    """What is known of one server."""

    name: str
    state: State
    where: str
    detail: str = ""


@dataclass(frozen=True)
class _Program:
    """A Python server: its command line for a port, the setting of that port, and the path that shows it is
    well."""

    arguments: Callable[[Settings, int], list[str]]
    port: str | None
    health: str = ""


def project() -> Path:
    """Folder of the checkout: ``workspace.yaml`` and the code locations are in it."""
    return Path(__file__).parents[3]


_PROGRAMS = {
    DAGSTER: _Program(
        lambda _settings, port: ["dagster_webserver", "-h", "127.0.0.1", "-p", str(port), "-w", "workspace.yaml"],
        "dagster_port",
        "/server_info",
    ),
    DAEMON: _Program(lambda _settings, _port: ["dagster._daemon", "run", "-w", "workspace.yaml"], None),
    WORKER: _Program(lambda _settings, _port: ["valueverse.services.background.run_worker"], None),
    METRICS: _Program(
        lambda _settings, port: ["valueverse.services.operations.export_metrics", str(port)], "metrics_port", "/metrics"
    ),
    API: _Program(lambda settings, port: api_services.arguments(port, settings.api_workers), f"{API}_port", "/healthz"),
    **{
        name: _Program(lambda _settings, port: api_services.arguments(port, 1), f"{name}_port", "/healthz")
        for name in api_services.BESIDE
    },
}

_BEATS = {
    DAEMON: (
        "daemon_heartbeats",
        "select count(*) from daemon_heartbeats where timestamp at time zone 'UTC' >= to_timestamp(%s)",
    ),
    WORKER: (
        "queue.procrastinate_workers",
        "select count(*) from queue.procrastinate_workers where last_heartbeat >= to_timestamp(%s)",
    ),
}
"""Servers without an address: the table that shows them well, and how many heartbeats of this start it has."""


def up(settings: Settings, only: Collection[str] = NAMES, *, split: bool = False) -> Iterator[Status]:
    """Start what is not running of ``only``, giving each server's status once it answers.

    Servers that were started where the installation's folder lay before it was moved are started again here.

    Args:
        settings: of the installation.
        only: names of servers.
        split: start the API as four processes, one for each group of its routes; once they are started, it is so until
            they are stopped.

    Raises:
        RefusalError: ``unknown_server``, ``nothing_to_split``, ``copied_while_running``, ``moved_while_running``, or
            the reason why a server did not start; those already started go on.
    """
    _known(only)
    open_home(settings.home)
    if split and API not in only:
        raise RefusalError("nothing_to_split", f"--split is of the server {API}, which is not started", "--only")
    with processes.locked(settings.run / "up.lock", 300):
        joined = [API] if split and api_services.is_joined(settings) else []
        split = split or api_services.is_split(settings)
        moved = former_place.servers_left(settings, EVERY)
        for _ in down(settings, {*moved, *joined}):
            pass
        beside = api_services.BESIDE if split and API in only else ()
        for one in _started(settings, {*only, *moved, *beside}, split=split):
            yield replace(one, detail=moved.get(one.name, one.detail))


def _started(settings: Settings, only: Collection[str], *, split: bool) -> Iterator[Status]:
    for name in (postgres_server.NAME, valkey_server.NAME):
        if name in only:
            yield _start_server(settings, name)
    if postgres_server.NAME in only or set(only) & set(_PROGRAMS):
        warehouse.upgrade(settings)
    started = [(name, _start_program(settings, name, split=split)) for name in _PROGRAMS if name in only]
    for name, (record, fresh) in started:
        yield _await(settings, name, record, fresh)


def down(settings: Settings, only: Collection[str] = EVERY) -> Iterator[str]:
    """Stop what runs of ``only``, the last started first; gives the names of those that ran."""
    _known(only)
    folders = {settings.sockets, *former_place.socket_folders(settings)}
    for name in reversed(EVERY):
        if name not in only:
            continue
        if name == postgres_server.NAME:
            ran = postgres_server.stop(settings)
        elif name == valkey_server.NAME:
            ran = valkey_server.stop(settings)
        else:
            record = processes.read_record(settings.run, name)
            ran = processes.alive(record)
            if record is not None:
                processes.stop(record, signal.SIGTERM, 30)
                processes.forget(settings.run, name)
        if ran:
            yield name
    for folder in folders:
        with suppress(OSError):  # it stays while a socket is in it
            folder.rmdir()


def status(settings: Settings) -> list[Status]:
    """The state of every server."""
    return [_status(settings, name) for name in (EVERY if api_services.is_split(settings) else NAMES)]


def url(settings: Settings, name: str) -> str | None:
    """Address of a running web server of ours, e.g. ``http://127.0.0.1:3001``; None if it does not run."""
    record = processes.read_record(settings.run, name)
    port = record.details.get("port") if record is not None and processes.alive(record) else None
    return f"http://127.0.0.1:{port}" if port and name in _PROGRAMS else None


def code_location_error(settings: Settings) -> str | None:
    """Why Dagster could not load the project's definitions; None if it did, or does not run."""
    address = url(settings, DAGSTER)
    if address is None:
        return None
    query = (
        "{ workspaceOrError { ... on PythonError { message } ... on Workspace { locationEntries {"
        " locationOrLoadError { ... on PythonError { message } } } } } }"
    )
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        f"{address}/graphql", json.dumps({"query": query}).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            found = json.load(answer)["data"]["workspaceOrError"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"it does not say: {error}"
    messages = [found, *(entry["locationOrLoadError"] or {} for entry in found.get("locationEntries", []))]
    summary = next((str(one["message"]) for one in messages if "message" in one), None)
    return None if summary is None else shorten(summary, 300)


def _known(only: Collection[str]) -> None:
    if unknown := sorted(set(only) - set(EVERY)):
        raise RefusalError("unknown_server", f"{unknown[0]!r} is no server; there are {', '.join(EVERY)}", "--only")


def _external(settings: Settings, name: str) -> str | None:
    return {
        postgres_server.NAME: "VALUEVERSE_POSTGRES_URL" if settings.external_postgres_url else None,
        valkey_server.NAME: "VALUEVERSE_REDIS_URL" if settings.external_redis_url else None,
    }.get(name)


def _start_server(settings: Settings, name: str) -> Status:
    if variable := _external(settings, name):
        return Status(name, "external", f"at {variable}")
    before = processes.alive(processes.read_record(settings.run, name))
    (postgres_server if name == postgres_server.NAME else valkey_server).start(settings)
    return Status(name, "running", _status(settings, name).where, ALREADY if before else "")


def _start_program(settings: Settings, name: str, *, split: bool) -> tuple[processes.Record, bool]:
    record = processes.read_record(settings.run, name)
    if record is not None and processes.alive(record):
        return record, False
    program = _PROGRAMS[name]
    module = program.arguments(settings, 0)[0].partition(".")[0]
    if importlib.util.find_spec(module) is None:
        raise RefusalError("not_installed", f"the package {module} is missing: run `make setup`")
    details = {}
    if name in {API, *api_services.BESIDE}:
        details["groups"] = api_services.groups(settings, name, split=split)
        environment = api_services.environment(settings, details["groups"]) | api_services.counts(settings, name)
    elif name in {METRICS, WORKER}:
        environment = settings.environment()
    else:
        environment = dagster_home.environment(settings)
        dagster_home.prepare(settings)
    if name == DAEMON:
        dagster_home.end_stray_code_servers(settings)
        _end_orphaned_runs(environment)
    if program.port:
        port = processes.free_port(
            getattr(settings, program.port),
            f"VALUEVERSE_{program.port.upper()}",
            program.port in settings.model_fields_set,
            processes.ports(settings.run),
        )
        details["port"] = str(port)
    command = [sys.executable, "-m", *program.arguments(settings, int(details.get("port", "0")))]
    record = processes.spawn(
        name, processes.Launch(command, environment, project()), settings.logs / f"{name}.log", details
    )
    processes.write_record(settings.run, record)
    return record, True


def _end_orphaned_runs(environment: dict[str, str]) -> None:
    # In a process of its own: Dagster reads its instance from the environment, and ours stays as it is.
    code = "from valueverse.platform.servers.dagster_home import end_orphaned_runs; end_orphaned_runs()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        cwd=project(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        summary = processes.error_summary(done.stderr.splitlines())
        raise RefusalError("dagster_unusable", f"Dagster's instance does not open: {summary}; try `valueverse doctor`")


def _await(settings: Settings, name: str, record: processes.Record, fresh: bool) -> Status:
    def running() -> bool:
        return processes.alive(record)

    if not processes.wait_until(lambda: _well(settings, name, record), running, _PATIENCE):
        log = Path(record.log)
        summary = processes.error_summary(processes.last_output(log))
        if not running():
            processes.forget(settings.run, name)
        what = "did not answer in time" if running() else "ended at once"
        raise RefusalError(
            "server_did_not_start",
            f"{name} {what}: {summary}; see `valueverse logs {name}`, then `valueverse up`",
            str(log),
        )
    return Status(name, "running", _where(settings, name, record), "" if fresh else ALREADY)


def _well(settings: Settings, name: str, record: processes.Record) -> bool:
    health = _PROGRAMS[name].health
    if health:
        return _answers(f"http://127.0.0.1:{record.details['port']}{health}")
    table, beats = _BEATS[name]
    database = settings.dagster_database if name == DAEMON else settings.database_name
    with suppress(RefusalError), warehouse.connect(settings, "builder", database=database) as connection:
        if not value_of(connection, "select to_regclass(%s) is not null", (table,)):
            return False
        return bool(value_of(connection, beats, (record.started,)))
    return False


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _where(settings: Settings, name: str, record: processes.Record) -> str:
    if name == postgres_server.NAME:
        tcp = f"127.0.0.1:{record.details['port']}, " if settings.postgres_port else ""
        return f"{tcp}socket in {record.details['sockets']}, data in {record.details['data']}"
    if name == valkey_server.NAME:
        return f"socket {record.details['socket']}"
    return f"http://127.0.0.1:{record.details['port']}" if "port" in record.details else ""


def _status(settings: Settings, name: str) -> Status:
    if variable := _external(settings, name):
        reached = postgres_server.answers(settings) if name == postgres_server.NAME else valkey_server.answers(settings)
        return Status(
            name,
            "external" if reached else "not answering",
            f"at {variable}",
            "" if reached else f"check {variable}",
        )
    record = processes.read_record(settings.run, name)
    if record is None:
        return Status(name, "stopped", "", "start it with `valueverse up`")
    where = _where(settings, name, record)
    if not processes.alive(record):
        summary = processes.error_summary(processes.last_output(Path(record.log)))
        return Status(name, "crashed", where, f"ended without `down`: {summary}; start it again with `valueverse up`")
    if former := former_place.left_at(settings, name):
        detail = f"it runs for {former}, from where this folder was moved: `valueverse up` starts it again here"
        return Status(name, "not answering", where, detail)
    if name == postgres_server.NAME:
        well = postgres_server.answers(settings)
    elif name == valkey_server.NAME:
        well = valkey_server.answers(settings)
    else:
        well = _well(settings, name, record)
    if well:
        more = [text for text in (record.details.get("runs"), api_services.shown(record)) if text]
        return Status(name, "running", where, ", ".join([f"pid {record.pid}", *more]))
    return Status(
        name, "not answering", where, f"see `valueverse logs {name}`; restart with `valueverse down` and `up`"
    )
