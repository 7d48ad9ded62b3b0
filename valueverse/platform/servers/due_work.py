"""Whatever is due, run by Dagster in a process of its own: each step once it has ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.platform.servers import dagster_home
from valueverse.platform.servers.supervisor import project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from valueverse.platform.settings import Settings


@dataclass(frozen=True, slots=True)
class DoneStep:
    """One run of a stage that succeeded.

    Attributes:
        stage: its name.
        what: what it does, and the partitions that it covered.
        run_id: of Dagster's run.
        seconds: that it took.
    """

    stage: str
    what: str
    run_id: str
    seconds: float


def run_due(
    settings: Settings, until: str | None = None, begins: Callable[[str], object] = lambda _: None
) -> Iterator[DoneStep]:
    """Run what is pending, stage by stage (``pipelines.catch_up``), up to the stage ``until``; None: all stages.

    Postgres runs. ``begins`` is called with what a step is about to do. What the process prints besides its steps is in
    ``catch-up.log``.

    Raises:
        RefusalError: ``run_failed``, naming the stage, the partitions and the reason.
    """
    settings.logs.mkdir(parents=True, exist_ok=True)
    log = settings.logs / "catch-up.log"
    command = [sys.executable, "-m", "pipelines.catch_up", *(("--until", until) if until else ())]
    environment = {**os.environ, **dagster_home.environment(settings)}
    with (
        log.open("a", encoding="utf-8") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=project(), env=environment
        ) as process,
    ):
        for line in process.stdout or ():
            step = json.loads(line)
            covers = f": {step['partitions'].replace('...', ' to ')}" if step["partitions"] else ""
            what = f"{step['summary']}{covers}"
            if "begins" in step:
                begins(what)
            elif step["ok"]:
                yield DoneStep(step["stage"], what, step["run_id"], step["seconds"])
            else:
                raise _failed(step, log)
    if process.returncode:
        raise RefusalError("run_failed", f"Dagster ended with exit code {process.returncode}; see {log}", str(log))


def _failed(step: dict[str, Any], log: Path) -> RefusalError:
    where = " ".join(filter(None, (step["stage"], step["partitions"])))
    run = step["run_id"] or "none"
    return RefusalError("run_failed", f"{where}: {step['error']} (run {run}, log {log}); fix it and run again")
