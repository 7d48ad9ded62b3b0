"""Processes of the loop that kills: forked from one process that has imported everything, so that each costs little.

``python -m tests.support.forks SOCKET`` imports the code location and dbt, then listens. A request names what to run
(``KINDS``), its arguments, environment and folder, and brings the files for its output. The answer is the pid, and
later the return code. What Dagster starts as ``dbt`` is a script that asks for a fork as well; it joins the process
group of the run that started it, as a real dbt would.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VARIABLE = "VALUEVERSE_TEST_FORKS"
ROOT = Path(__file__).parents[2]
_LONGEST = 1 << 20
_LOOK = 5.0
_SCRIPT = """\
#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as place:
    place.connect({path!r})
    asked = dict(kind="dbt", argv=sys.argv[1:], env=dict(os.environ), cwd=os.getcwd(), group=os.getpgid(0))
    socket.send_fds(place, [json.dumps(asked).encode() + b"\\n"], [1, 2])
    report = place.makefile()
    report.readline()
    code = int(report.readline() or 1)
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


class Forked:
    """A process that was asked for.

    Args:
        path: socket of the process that forks.
        kind: function of ``tests.support.kill_child``.
        argv: its arguments.
        env: its environment.
        output: file that takes its standard output.
        log: file for its standard error.
    """

    def __init__(
        self, path: Path, kind: str, argv: Sequence[str], env: Mapping[str, str], output: int, log: Path
    ) -> None:
        self._log = log
        self._place = socket.socket(socket.AF_UNIX)
        self._place.connect(str(path))
        asked = {"kind": kind, "argv": list(argv), "env": dict(env), "cwd": str(ROOT), "group": 0}
        with log.open("a") as errors:
            socket.send_fds(self._place, [json.dumps(asked).encode() + b"\n"], [output, errors.fileno()])
        self._report = self._place.makefile()
        self.pid = int(self._report.readline())
        self.returncode: int | None = None

    def output(self) -> str:
        """What it wrote for a person."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def kill(self, *, group: bool) -> None:
        """SIGKILL, to the process or to its group; nothing if it has ended."""
        try:
            (os.killpg if group else os.kill)(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self.returncode is not None or bool(select.select([self._place], [], [], 0)[0])

    def wait(self, seconds: float | None = None) -> int:
        """Return code; negative for a signal.

        Raises:
            TimeoutError: it has not ended after ``seconds``.
        """
        if self.returncode is None:
            self._place.settimeout(seconds)
            self.returncode = int(self._report.readline())
            self._place.close()
        return self.returncode


def _serve(path: str) -> None:
    parent = os.getppid()
    script = Path(path).with_name("dbt")
    script.write_text(_SCRIPT.format(python=sys.executable, path=path))
    script.chmod(0o700)
    _import_all(str(script))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as place:
        place.bind(path)
        place.listen(16)
        # Whoever asks for forks may be killed too: then nobody is left to end this process.
        place.settimeout(_LOOK)
        while os.getppid() == parent:
            try:
                client, _ = place.accept()
            except TimeoutError:
                continue
            client.setblocking(True)
            if os.fork() == 0:
                place.close()
                _look_after(client)
            client.close()


def _import_all(script: str) -> None:
    from valueverse.services.marts import dbt_project as marts

    # Before the assets are imported: they read it then.
    marts.DBT = script
    # Whatever a fork would import: the programs, and what they import when they use it.
    programs = ("pipelines.catch_up", "pipelines.dbt_program", "valueverse.cli")
    dbt = ("dbt.cli.main", "dbt.adapters.postgres")
    services = ("valueverse.services.billing.rerate", "valueverse.services.simulation.simulate")
    for name in (*programs, *dbt, *services, "great_expectations", "scipy.stats", "pyarrow.dataset"):
        importlib.import_module(name)


def _look_after(client: socket.socket) -> None:
    """Fork once more, report the pid, wait for the end and report the exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    text, files, _, _ = socket.recv_fds(client, _LONGEST, 2)
    while not text.endswith(b"\n"):
        text += client.recv(_LONGEST)
    asked = json.loads(text)
    pid = os.fork()
    if pid == 0:
        client.close()
        _become(asked, files)
    os.setpgid(pid, asked["group"])
    client.sendall(f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    try:
        client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    finally:
        os._exit(0)


def _become(asked: dict[str, Any], files: list[int]) -> None:
    code = 1
    try:
        os.setpgid(0, asked["group"])
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        for target, file in zip((1, 2), files, strict=True):
            os.dup2(file, target)
        code = _run(asked["kind"], asked["argv"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(kind: str, argv: list[str]) -> int:
    from tests.support import kill_child

    try:
        return int(getattr(kill_child, kind)(argv) or 0)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        # The caller ends the process before Python would show it.
        traceback.print_exc()
        raise


if __name__ == "__main__":
    _serve(sys.argv[1])
