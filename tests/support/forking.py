"""Processes that a test kills, forked from one that has imported what they need: imports are paid for once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
_LOOP = """
import json, os, sys, traceback
for line in sys.stdin:
    asked = json.loads(line)
    if "wait" in asked:
        print(os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1]), flush=True)
        continue
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.dup2(2, 1)
            os.environ.update(asked["env"])
            main(*asked["argv"])
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    print(pid, flush=True)
"""


class Forks:
    """A process that has run ``script`` up to its end, and forks for each call of the function ``main`` that it has.

    The script imports and defines; threads of Polars that it started would not survive a fork.
    """

    def __init__(self, script: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", script + _LOOP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def start(self, *argv: str, env: Mapping[str, str] | None = None) -> int:
        """Call ``main`` with these arguments in a process of its own; its pid."""
        return self._ask({"argv": argv, "env": dict(env or {})})

    def wait(self, pid: int) -> int:
        """Exit code of a call, negative for a signal."""
        return self._ask({"wait": pid})

    def close(self) -> None:
        """End the process that forks."""
        self._process.communicate()

    def _ask(self, what: Mapping[str, object]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())
