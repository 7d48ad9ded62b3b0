"""Whatever is due, run by Dagster in a process of its own: each step once it has ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.platform.servers.postgres_runtime import open_home
from valueverse.platform.servers.supervisor import project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Self

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


class DueWork:
    """Dagster in a process of its own, which runs what is pending as often as it is asked (``pipelines.catch_up``).

    It starts at once and gets ready while its caller does something else; Postgres has to run once it is asked. What
    the process prints besides its steps is in ``catch-up.log``. At the end of the context it is closed.
    """

    def __init__(self, settings: Settings) -> None:
        open_home(settings.home)
        settings.logs.mkdir(parents=True, exist_ok=True)
        self._log = settings.logs / "catch-up.log"
        with self._log.open("a", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pipelines.catch_up", "--asked"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=project(),
                env={**os.environ, **settings.environment(), "DO_NOT_TRACK": "1"},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # The end of its input ends the process, once it has ended what it does.
        with self._process:
            self._close()

    def run(self, until: str | None = None, begins: Callable[[str], object] = lambda _: None) -> Iterator[DoneStep]:
        """Run what is pending, stage by stage, up to the stage ``until`` (None: all stages); each step that succeeded.

        ``begins`` is called with what a step is about to do.

        Raises:
            RefusalError: ``run_failed``, naming the stage, the partitions and the reason; the process has ended then.
        """
        self._ask(until or "")
        for line in self._process.stdout or ():
            step = json.loads(line)
            if "reached" in step:
                return
            covers = f": {step['partitions'].replace('...', ' to ')}" if step["partitions"] else ""
            what = f"{step['summary']}{covers}"
            if "begins" in step:
                begins(what)
            elif step["ok"]:
                yield DoneStep(step["stage"], what, step["run_id"], step["seconds"])
            else:
                raise _failed(step, self._log)
        code = self._process.wait()
        raise RefusalError("run_failed", f"Dagster ended with exit code {code}; see {self._log}", str(self._log))

    def _ask(self, until: str) -> None:
        # One that has ended has no reader; its output, which ends too, says so.
        with suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.write(f"{until}\n")
                self._process.stdin.flush()

    def _close(self) -> None:
        with suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()


def _failed(step: dict[str, Any], log: Path) -> RefusalError:
    where = " ".join(filter(None, (step["stage"], step["partitions"])))
    run = step["run_id"] or "none"
    return RefusalError("run_failed", f"{where}: {step['error']} (run {run}, log {log}); fix it and run again")
