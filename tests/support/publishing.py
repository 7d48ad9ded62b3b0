"""dbt as the assets run it, on a test's own warehouse."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from dbt.cli.main import dbtRunner

from valueverse.services.marts.dbt_project import DBT, PROJECT, dbt_environment
from valueverse.services.marts.prepared_dbt import prepared

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings


def start_dbt(settings: Settings, *arguments: str, **variables: Any) -> subprocess.Popen[str]:
    """Start dbt in a process of its own: for two at once."""
    with dbt_environment(settings):
        environment = {**os.environ, "DO_NOT_TRACK": "1"}
    command = [DBT, *_arguments(settings, arguments, variables)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def dbt(settings: Settings, *arguments: str, **variables: Any) -> str:
    """Run dbt in this process to its end and return what it printed; a failure fails the test."""
    success, printed = _run(settings, arguments, variables)
    assert success, printed
    return printed


def refused_dbt(settings: Settings, *arguments: str, **variables: Any) -> str:
    """Run dbt in this process and return what it printed; a success fails the test."""
    success, printed = _run(settings, arguments, variables)
    assert not success, printed
    return printed


def _run(settings: Settings, arguments: tuple[str, ...], variables: dict[str, Any]) -> tuple[bool, str]:
    printed = io.StringIO()
    with dbt_environment(settings), contextlib.redirect_stdout(printed):
        parsed = prepared(os.environ["VALUEVERSE_DBT_DBNAME"])
        done = dbtRunner(manifest=parsed).invoke(_arguments(settings, arguments, variables))
    return bool(done.success), printed.getvalue() + str(done.exception or "")


def _arguments(settings: Settings, arguments: tuple[str, ...], variables: dict[str, Any]) -> list[str]:
    """Each start has a target folder of its own, as each Dagster run has."""
    folder = settings.home / "dbt" / os.urandom(4).hex()
    quiet = ["--no-use-colors", "--log-level-file", "none", "--target-path", str(folder), "--log-path", str(folder)]
    return [
        *arguments,
        "--vars",
        json.dumps(variables),
        *quiet,
        "--project-dir",
        str(PROJECT),
        "--profiles-dir",
        str(PROJECT),
    ]
