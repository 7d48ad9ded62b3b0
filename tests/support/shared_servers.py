"""One embedded Postgres and Valkey for a whole test run, shared by its parallel workers.

The first worker that needs them starts them; the process that began the run stops them. A run that was killed
leaves servers behind: the next run sees that their owner is gone and removes them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import certifi
import psutil
from psycopg import sql

from valueverse.platform import warehouse
from valueverse.platform.servers import postgres_server, processes, supervisor, valkey_server
from valueverse.platform.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "VALUEVERSE_TEST_SERVERS"
PREFIX = "valueverse-tests-"
TEMPLATE = "valueverse_template"
OWNER = "owner"
MEMORY = Path("/dev/shm")
_ENOUGH_MEMORY = 6 * 2**30


def begin() -> None:
    """Called once per run, before workers exist: choose the folder and clean up after killed runs."""
    places = [place for place in (MEMORY, Path(tempfile.gettempdir())) if place.is_dir()]
    for folder in (folder for place in places for folder in place.glob(f"{PREFIX}*")):
        # An owner record comes right after the folder: without one it is being made, or is not ours.
        owner = processes.read_record(folder, OWNER)
        if owner is not None and not processes.alive(owner):
            _remove(folder)
    # Each test copies the 500 files of the migrated database: in memory, that takes a third of the time.
    place = next(place for place in places if place != MEMORY or _much_memory())
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    started = processes.start_time(os.getpid())
    processes.write_record(folder, processes.Record(OWNER, os.getpid(), started or 0, ""))
    os.environ[VARIABLE] = str(folder)


def one_authority() -> Path:
    """A file with a single authority for certificates, beside the servers of this run."""
    end = "-----END CERTIFICATE-----\n"
    found = Path(os.environ[VARIABLE]) / "authority.pem"
    found.write_text(certifi.contents().partition(end)[0] + end, encoding="utf-8")
    return found


def _much_memory() -> bool:
    return min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available) > _ENOUGH_MEMORY


def end() -> None:
    """Called once per run, after all workers: stop what was started."""
    if folder := os.environ.pop(VARIABLE, None):
        _remove(Path(folder))


def started() -> Settings:
    """The running servers, with a migrated database ``valueverse_template`` to copy."""
    settings = Settings(home=Path(os.environ[VARIABLE]) / "home", postgres_port=0, database=TEMPLATE)
    with processes.locked(settings.home.parent / "start.lock", 1000):
        ready = settings.home / "ready"
        if not ready.exists():
            postgres_server.start(settings, durable=False)
            valkey_server.start(settings, durable=False)
            warehouse.upgrade(settings)
            ready.touch()
    return settings


def fresh(servers: Settings, name: str, folder: Path, valkey_database: int) -> Iterator[Settings]:
    """Settings with an own database copied from the template, own Valkey database, lake and landing
    folder."""
    warehouse.create_database(servers, name, template=TEMPLATE)
    redis_url = servers.redis_url.replace("db=0", f"db={valkey_database}")
    settings = Settings(
        home=folder / "home",
        external_postgres_url=servers.postgres_url("admin", name),
        external_redis_url=redis_url,
        external_secrets_dir=servers.secrets_dir,
    )
    settings.landing.mkdir(parents=True)
    _flush(redis_url)
    yield settings
    warehouse.drop_database(servers, name)


def _flush(redis_url: str) -> None:
    import redis

    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()


@contextmanager
def refusing_connections(settings: Settings) -> Iterator[None]:
    """The warehouse takes no connection, as during an outage; other databases of the server do."""

    def allow(connections: bool) -> None:
        with warehouse.connect(settings, "admin", database="postgres", autocommit=True) as connection:
            name = sql.Identifier(settings.database_name)
            connection.execute(sql.SQL("alter database {} with allow_connections {}").format(name, connections))

    allow(False)
    try:
        yield
    finally:
        allow(True)


def private_folder() -> Path:
    """A folder for servers of a test's own, in reach of the clean-up after a killed run."""
    return Path(tempfile.mkdtemp(dir=os.environ[VARIABLE]))


@contextmanager
def own_cluster() -> Iterator[Settings]:
    """A Postgres server of a test's own with a migrated warehouse: for whatever changes roles, databases or other
    sessions, which all tests of a run share."""
    settings = Settings(home=private_folder() / "home", postgres_port=0)
    try:
        postgres_server.start(settings, durable=False)
        warehouse.upgrade(settings)
        yield settings
    finally:
        _remove(settings.home.parent)


def _remove(folder: Path) -> None:
    for home in [folder / "home", *folder.glob("*/home")]:
        settings = Settings(home=home, postgres_port=0)
        with suppress(Exception):
            list(supervisor.down(settings))
        shutil.rmtree(settings.sockets, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
