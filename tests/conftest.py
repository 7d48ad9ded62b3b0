"""Fixtures of all tests: real servers, a fresh migrated database per test, nothing of this machine's
environment."""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer.main

from tests.support import shared_servers
from tests.support.broker import Broker
from valueverse.platform.garbage import collect_rarely

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

_LARGE = ("pipelines.definitions", "serving_api.app", "dbt.cli.main")
"""Modules that load most of what tests load."""


def pytest_configure(config: pytest.Config) -> None:
    """Start from a known environment; the process that begins the run owns the shared servers."""
    gc.disable()  # until all is collected: a fifth of the time that it takes
    # Each call of the command line makes the tree of all commands, in 80 ms of processor time. Tests make it once:
    # they are imported later, and take this function.
    typer.main.get_command = functools.cache(typer.main.get_command)
    if hasattr(config, "workerinput"):
        _load_in_turn(int(config.workerinput["workerid"].removeprefix("gw")))
        return
    for name in [name for name in os.environ if name.startswith(("VALUEVERSE_", "DAGSTER_", "DBT_"))]:
        del os.environ[name]
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")])
    )
    os.environ["DO_NOT_TRACK"] = "1"
    # As many processes as processors would take as long again to start, each time that a test starts the API.
    os.environ["VALUEVERSE_API_WORKERS"] = "1"
    shared_servers.begin()
    # No test asks a public server, and each client reads all authorities that it trusts: one takes a fortieth.
    os.environ["SSL_CERT_FILE"] = str(shared_servers.one_authority())


def _load_in_turn(worker: int) -> None:
    """Where no package has been compiled yet, workers that load all in one order compile each of them at once."""
    first = worker % len(_LARGE)
    for name in (*_LARGE[first:], *_LARGE[:first]):
        importlib.import_module(name)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with real servers come first: the last ones are short then, and no worker waits long for another."""
    slow = {item.path for item in items if item.get_closest_marker("integration")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are no name of a case: compressed ones carry the time, and two workers would collect different tests."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was imported and collected stays to the end: the garbage collector need not look at it again and again."""
    gc.freeze()
    collect_rarely()
    gc.enable()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the shared servers after the last test of the last worker."""
    # Else the binding of DuckDB reports as leaked, when the process ends, what is frozen. Not now: pytest looks for
    # unreachable objects five times after this, each time among all that the process holds.
    atexit.register(gc.unfreeze)
    if not hasattr(config, "workerinput"):
        shared_servers.end()


@pytest.fixture(scope="session")
def servers() -> Settings:
    """Embedded Postgres and Valkey of this run, with a migrated template database."""
    return shared_servers.started()


@pytest.fixture
def settings(servers: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Settings of a fresh world: migrated database, empty Valkey, no lake, empty landing folder.

    ``settings.environment()`` hands the same world to a subprocess.
    """
    yield from shared_servers.fresh(servers, _database_name(request), tmp_path, _worker(request))


@pytest.fixture(scope="module")
def module_settings(
    servers: Settings, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Settings]:
    """As ``settings``, once for all tests of a module that only read it."""
    folder = tmp_path_factory.mktemp("module")
    yield from shared_servers.fresh(servers, _database_name(request), folder, 32 + _worker(request))


def _database_name(request: pytest.FixtureRequest) -> str:
    # The test's name is in the name for whoever reads the server's log; random letters make it unique.
    readable = re.sub(r"[^a-z0-9]+", "_", request.node.name.lower())[:40]
    return f"t_{secrets.token_hex(4)}_{readable}"


def _worker(request: pytest.FixtureRequest) -> int:
    name = getattr(request.config, "workerinput", {}).get("workerid", "gw0")
    return int(name.removeprefix("gw")) % 32


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """A broker of Kafka of the module's own: each test names a topic."""
    found = Broker()
    yield found
    found.stop()
