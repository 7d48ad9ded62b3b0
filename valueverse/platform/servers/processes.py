"""Background processes that outlive the command that started them, known by pid *and* start time."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}
"""Processes this very process started: polled, so that one that ended is no zombie that looks alive."""

_BEGINNING = "-----"
_INDICATIVE = re.compile(r"FATAL|PANIC|\b\w*Error\b|\bERROR:|could not|invalid|No space|No such")
_LOG_LIMIT = 20_000_000


@dataclass(frozen=True)
class Record:
    """A started process, as its file in ``run/`` records it for later commands."""

    name: str
    pid: int
    started: float
    """Start time in seconds since the epoch: a reused pid has another one."""
    log: str
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Launch:
    """How to start a process: command line, environment, folder, user."""

    command: Sequence[str]
    environment: Mapping[str, str] | None = None
    directory: Path | None = None
    user: tuple[int, int] | None = None
    """(uid, gid) to become; None: stay who we are."""


def read_record(directory: Path, name: str) -> Record | None:
    """What the file of ``name`` says, dead or alive; None without one, with a torn one, and with one that was copied
    here with the folder of another installation: it records nothing of this one."""
    record = _stored(directory, name)
    return None if record is None or copied_from(directory, record) else record


def _stored(directory: Path, name: str) -> Record | None:
    with suppress(OSError, ValueError, TypeError):
        return Record(**json.loads((directory / f"{name}.json").read_text(encoding="utf-8")))
    return None


def former_home(directory: Path, record: Record) -> Path | None:
    """Where the installation lay when a process was started, if it was not where ``directory`` (its ``run``) is now."""
    home = Path(record.log).parent.parent
    if home == directory.parent or (home.exists() and home.samefile(directory.parent)):
        return None
    return home


def copied_from(directory: Path, record: Record) -> Path | None:
    """The installation that a record is of, if its file was copied from there."""
    home = former_home(directory, record)
    other = None if home is None else _stored(home / "run", record.name)
    return home if other is not None and (other.pid, other.started) == (record.pid, record.started) else None


def living_copies(directory: Path) -> list[Path]:
    """Installations whose folders were copied to this one, and whose servers run."""
    stored = [_stored(directory, path.stem) for path in sorted(directory.glob("*.json"))]
    homes = [copied_from(directory, record) for record in stored if record is not None and alive(record)]
    return [home for home in homes if home is not None]


def records(directory: Path) -> list[Record]:
    """All records of a folder, dead or alive."""
    found = (read_record(directory, path.stem) for path in sorted(directory.glob("*.json")))
    return [record for record in found if record is not None]


def write_record(directory: Path, record: Record) -> None:
    """Write the file of ``record`` so that a reader sees the old one or the new one, never half of it."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = directory / f".{record.name}.{os.getpid()}"
    draft.write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")
    draft.replace(directory / f"{record.name}.json")


def forget(directory: Path, name: str) -> None:
    """Remove the file of ``name``."""
    (directory / f"{name}.json").unlink(missing_ok=True)


def start_time(pid: int) -> float | None:
    """Start time of a living process; None if there is none (a zombie is none)."""
    child = _CHILDREN.get(pid)
    if child is not None and child.poll() is not None:
        del _CHILDREN[pid]
        return None
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def alive(record: Record | None) -> bool:
    """Whether the very process of ``record`` runs; another one with its pid does not count."""
    if record is None:
        return False
    started = start_time(record.pid)
    return started is not None and abs(started - record.started) < 1.0


def ports(directory: Path) -> set[int]:
    """Ports of the living servers of a folder, also of those that do not listen yet."""
    found = (record.details.get("port", "") for record in records(directory) if alive(record))
    return {int(port) for port in found if port.isdigit()}


def works_in(pid: int, folder: Path) -> bool:
    """Whether the working folder of a process is this one, wherever it was when the process entered it."""
    with suppress(OSError, psutil.Error):
        return folder.samefile(psutil.Process(pid).cwd())
    return False


def spawn(name: str, launch: Launch, log: Path, details: dict[str, str]) -> Record:
    """Start a process of its own session, its output appended to ``log``."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".old.log"))
    uid, gid = launch.user or (None, None)
    with log.open("ab") as output:
        output.write(f"{_BEGINNING} {name} starts {datetime.now(UTC).isoformat(timespec='seconds')}\n".encode())
        output.flush()
        child = subprocess.Popen(
            list(launch.command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if launch.environment is None else {**os.environ, **launch.environment},
            cwd=launch.directory,
            start_new_session=True,
            user=uid,
            group=gid,
            extra_groups=[] if launch.user else None,
        )
    _CHILDREN[child.pid] = child
    return Record(name, child.pid, start_time(child.pid) or time.time(), str(log), details)


def wait_until(ready: Callable[[], bool], running: Callable[[], bool], seconds: float) -> bool:
    """Poll until ``ready``; False when ``running`` ends or the time is over first."""
    deadline = time.monotonic() + seconds
    pause = 0.01
    while time.monotonic() < deadline:
        if ready():
            return True
        if not running():
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
    return False


def stop(record: Record, signal: int, seconds: float) -> bool:
    """Send ``signal`` and wait; after ``seconds`` kill the process and all it started. True if it went on the
    signal."""
    if not alive(record):
        return True
    process = psutil.Process(record.pid)
    family = process.children(recursive=True)
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signal)
    gone = wait_until(lambda: not alive(record), lambda: True, seconds)
    # Grandchildren that outlive their parent (a worker, a code server) would keep ports and locks.
    if gone:
        wait_until(lambda: not any(map(_lives, family)), lambda: True, 2)
    for left in [process, *family]:
        with suppress(psutil.NoSuchProcess):
            if _lives(left):
                left.kill()
    wait_until(lambda: not alive(record), lambda: True, 5)
    return gone


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a log; nothing if there is none."""
    with suppress(OSError), path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 400 * lines))
        return file.read().decode("utf-8", "replace").splitlines()[-lines:]
    return []


def last_output(path: Path) -> list[str]:
    """The last lines that the latest start wrote; what an earlier one left is not its story."""
    log_lines = tail(path, 200)
    starts = [number for number, line in enumerate(log_lines) if line.startswith(_BEGINNING)]
    return log_lines[starts[-1] + 1 if starts else 0 :]


def error_summary(lines: list[str]) -> str:
    """The two lines that most likely say why a server ended, as one sentence."""
    indicative = [line.strip() for line in lines if _INDICATIVE.search(line)]
    return "; ".join((indicative or [line.strip() for line in lines if line.strip()])[-2:]) or "no output"


def holder_of(port: int) -> str | None:
    """Who listens on a loopback port, e.g. ``python (pid 42)``; None if nobody does."""
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            if connection.pid is None:
                return "a process of another user"
            with suppress(psutil.Error):
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            return f"pid {connection.pid}"
    return None


def free_port(port: int, variable: str, chosen: bool, reserved: Collection[int] = ()) -> int:
    """``port`` if nobody listens on it; else the next free one, unless a person chose this very port.

    Args:
        port: wanted.
        variable: the setting that chooses it.
        chosen: a person did.
        reserved: ports of processes that may not listen yet.

    Raises:
        RefusalError: ``port_taken``, naming who holds it and the variable that would choose another.
    """
    for candidate in [port] if chosen else range(port, min(port + 50, 65_536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", candidate))
                if candidate not in reserved:
                    return candidate
    raise RefusalError(
        "port_taken",
        f"port {port} is held by {holder_of(port) or 'a process'}; stop it or set {variable} to a free port",
        variable,
    )


@contextmanager
def locked(path: Path, seconds: float = 60) -> Iterator[None]:
    """Hold a lock file; the kernel drops it with its holder, so a killed command leaves none behind.

    Raises:
        RefusalError: ``busy`` when another command holds it longer than ``seconds``.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a+") as file:

        def taken() -> bool:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            return False

        if not wait_until(taken, lambda: True, seconds):
            raise RefusalError("busy", f"another command has held {path} for {seconds:.0f} s; wait for it or end it")
        yield
