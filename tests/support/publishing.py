"""dbt as the assets run it, on a test's own warehouse."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from assets.steps.marts import DBT, PROJECT, dbt_environment

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings


def start_dbt(settings: Settings, *arguments: str, **variables: Any) -> subprocess.Popen[str]:
    """Start dbt with its vars; each start has a target folder of its own, as each Dagster run has."""
    folder = settings.home / "dbt" / os.urandom(4).hex()
    with dbt_environment(settings):
        environment = {**os.environ, "DO_NOT_TRACK": "1"}
    command = [
        DBT,
        *arguments,
        "--vars",
        json.dumps(variables),
        "--no-use-colors",
        "--log-level-file",
        "none",
    ]
    command += ["--target-path", str(folder), "--log-path", str(folder)]
    command += ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def dbt(settings: Settings, *arguments: str, **variables: Any) -> str:
    """Run dbt to its end and return what it printed; a failure fails the test."""
    process = start_dbt(settings, *arguments, **variables)
    said = process.communicate()[0]
    assert process.returncode == 0, said
    return said
