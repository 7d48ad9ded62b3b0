"""What may be wrong with an installation, each finding with its place and its cure."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psycopg

from valueverse.errors import RefusalError
from valueverse.platform import warehouse
from valueverse.platform.access import manifest
from valueverse.platform.queries import value_of
from valueverse.platform.servers import api_services, former_place, postgres_server, processes, supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

_ENOUGH_DISK = 2 * 2**30
_SOCKET_LIMIT = 107

_GUARD = "select 1 from pg_event_trigger where evtname = 'valueverse_guard' and evtenabled in ('O', 'A')"
_TRUSTING = "select file_name, line_number from pg_hba_file_rules where auth_method = 'trust'"


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis: ``note`` is something that is not wrong, e.g. a server nobody started."""

    level: Literal["ok", "note", "wrong"]
    what: str
    where: str
    cure: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Run every check; none changes anything."""
    yield _python()
    yield from _folders(settings)
    yield from _ports(settings)
    yield from _servers(settings)
    yield from _definitions(settings)
    yield from _warehouse(settings)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info < (3, 14):
        return Finding("ok", f"Python {version}", sys.executable)
    return Finding(
        "wrong",
        f"Python {version}",
        sys.executable,
        "use Python 3.11 to 3.13: `make clean ALL=1 setup PYTHON=...`",
    )


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _folders(settings: Settings) -> Iterator[Finding]:
    place = _existing(settings.home)
    free = shutil.disk_usage(place).free
    gibibytes = f"{free / 2**30:.1f} GiB free"
    if free < _ENOUGH_DISK:
        yield Finding("wrong", gibibytes, str(place), "free at least 2 GiB or set VALUEVERSE_HOME to a larger disk")
    else:
        yield Finding("ok", gibibytes, str(place))
    yield _writable("home", settings.home, "VALUEVERSE_HOME")
    yield _writable("Dagster home", settings.dagster_home, "VALUEVERSE_HOME")
    yield _writable("landing folder", settings.landing, "VALUEVERSE_LANDING")
    if "://" in settings.lake_url:
        yield Finding("note", "lake in an object store", settings.lake_url, "its rights show at the first write")
    else:
        yield _writable("lake", Path(settings.lake_url), "VALUEVERSE_LAKE_URL")
    yield from _privacy(settings)


def _writable(what: str, folder: Path, variable: str) -> Finding:
    place = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"x")
    except OSError as error:
        cure = f"give this user the right to write there, or set {variable}"
        return Finding("wrong", f"{what} cannot be written: {error.strerror}", str(place), cure)
    return Finding("ok", f"{what} can be written", str(folder))


def _privacy(settings: Settings) -> Iterator[Finding]:
    if settings.secrets_dir.exists():
        if settings.secrets_dir.stat().st_mode & 0o077:
            cure = f"chmod 700 {settings.secrets_dir}"
            yield Finding("wrong", "passwords can be read by others", str(settings.secrets_dir), cure)
        else:
            yield Finding("ok", "passwords are readable by their owner alone", str(settings.secrets_dir))
    socket = settings.sockets / f".s.PGSQL.{settings.postgres_port or 5432}.lock"
    if len(os.fsencode(socket)) > _SOCKET_LIMIT:
        yield Finding("wrong", "the Unix socket's path is too long", str(socket), "set TMPDIR to a short folder")
    closed = [str(parent) for parent in settings.home.parents if parent.exists() and not parent.stat().st_mode & 0o001]
    if os.geteuid() == 0 and closed:
        how = "PostgreSQL refuses root and no other user passes: it runs in a user namespace or from a copy"
        yield Finding("note", how, closed[-1])


def _ports(settings: Settings) -> Iterator[Finding]:
    wanted = {
        "postgres": ("postgres_port", settings.postgres_port if not settings.external_postgres_url else 0),
        supervisor.DAGSTER: ("dagster_port", settings.dagster_port),
        supervisor.API: ("api_port", settings.api_port),
        supervisor.METRICS: ("metrics_port", settings.metrics_port),
    }
    if api_services.is_split(settings):
        wanted |= {name: (f"{name}_port", getattr(settings, f"{name}_port")) for name in api_services.BESIDE}
    for name, (field, port) in wanted.items():
        if not port or processes.alive(processes.read_record(settings.run, name)):
            continue
        holder = processes.holder_of(port)
        if holder is None:
            yield Finding("ok", f"port {port} is free for {name}", "127.0.0.1")
        elif field in settings.model_fields_set:
            cure = f"stop it or set VALUEVERSE_{field.upper()} to a free port"
            yield Finding("wrong", f"port {port} for {name} is held by {holder}", "127.0.0.1", cure)
        else:
            yield Finding(
                "note", f"port {port} is held by {holder}", "127.0.0.1", f"{name} will take the next free one"
            )


def _servers(settings: Settings) -> Iterator[Finding]:
    for one in supervisor.status(settings):
        if one.state in {"running", "external"}:
            yield Finding("ok", f"{one.name} answers", one.where)
        elif one.state == "stopped":
            yield Finding("note", f"{one.name} is not started", str(settings.home), one.detail)
        else:
            yield Finding("wrong", f"{one.name}: {one.state}", one.where, one.detail)


def _definitions(settings: Settings) -> Iterator[Finding]:
    address = supervisor.url(settings, supervisor.DAGSTER)
    if address is None:
        return
    reason = supervisor.code_location_error(settings)
    if reason is None:
        yield Finding("ok", "Dagster has loaded the project's definitions", address)
    else:
        cure = "`make validate` shows the whole story; then `valueverse down` and `up`"
        yield Finding("wrong", f"Dagster did not load the project's definitions: {reason}", address, cure)


def _warehouse(settings: Settings) -> Iterator[Finding]:
    # One that was started where the folder lay before answers without the files that it is asked about.
    if former_place.left_at(settings, postgres_server.NAME) or not postgres_server.answers(settings):
        yield Finding(
            "note", "rights in the warehouse were not checked", "PostgreSQL does not answer", "`valueverse up`"
        )
        return
    with suppress(RefusalError):
        current, latest = warehouse.revision(settings), warehouse.latest_revision()
        if current != latest:
            yield Finding(
                "wrong",
                f"the warehouse is at migration {current}, not {latest}",
                settings.database_name,
                "`valueverse up`",
            )
            return
        yield Finding("ok", f"the warehouse is at migration {latest}", settings.database_name)
        with warehouse.connect(settings, "admin") as connection:
            yield from _rights(settings, connection)
        return
    yield Finding("wrong", "the warehouse does not open", settings.database_name, "`valueverse up` makes it")


def _rights(settings: Settings, connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    found = manifest.rls_violations(str(value_of(connection, manifest.QUERY)))
    for violation in found:
        yield Finding("wrong", violation.what, settings.database_name, violation.cure)
    if not found:
        yield Finding(
            "ok",
            "every right, policy, trigger and bound is as the migrations made it, and every mart is behind forced"
            " row-level security",
            settings.database_name,
        )
    if not connection.execute(_GUARD).fetchone():
        yield Finding(
            "wrong",
            "no event trigger puts new tables behind row-level security",
            settings.database_name,
            "let a superuser run the migrations, or run `valueverse doctor` after each `dbt build`",
        )
    yield from _logins(connection)


def _logins(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    """Lines of pg_hba.conf that let somebody in without a password; only an administrator may read them."""
    with suppress(psycopg.errors.InsufficientPrivilege):
        for file, line in connection.execute(_TRUSTING).fetchall():
            yield Finding(
                "wrong",
                "the server asks for no password",
                f"{file}, line {line}",
                "write scram-sha-256 for trust there",
            )
