"""Processes that are forked from one that has imported everything, so that each costs little.

``python -m tests.support.forks SOCKET`` imports the code location and dbt, then listens: for the loop that kills. With
names of modules behind SOCKET it imports these instead: for commands at a terminal. A request names what to run (a
function of ``tests.support.kill_child``), its arguments, environment and folder, and brings the files for its output,
and that of its input if it has one. The answer is the pid, and later the return code. What Dagster starts as ``dbt`` is
a script that asks for a fork as well; it joins the process group of the run that started it, as a real dbt would.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valueverse.platform.servers.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

VARIABLE = "VALUEVERSE_TEST_FORKS"
ROOT = Path(__file__).parents[2]
_LONGEST = 1 << 20
_LOOK = 5.0
_SCRIPT = """\
#!{python} -SE
import json, os, socket, sys
{first}
with socket.socket(socket.AF_UNIX) as place:
    place.connect({path!r})
    asked = dict(kind={kind!r}, argv=sys.argv[1:], env=dict(os.environ), cwd=os.getcwd(), group={group})
    socket.send_fds(place, [json.dumps(asked).encode() + b"\\n"], {files})
    report = place.makefile()
    report.readline()
    code = int(report.readline() or 1)
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


_COMMANDS = (
    *("valueverse.cli", "deltalake", "duckdb", "matplotlib.figure", "polars", "psycopg", "scipy.stats", "typst"),
    *("valueverse.services.billing.invoices", "valueverse.services.billing.rerate"),
    *("valueverse.services.catalogs.check_catalog", "valueverse.services.ingestion.check_file"),
    *("valueverse.services.simulation.simulate", "valueverse.services.value.value_report"),
)
"""What most commands import when they run."""


@contextmanager
def forked_commands(program: Path, begun: Collection[str]) -> Iterator[None]:
    """A program ``valueverse`` that asks for a fork; commands of ``begun`` are processes from the beginning."""
    path, log = program.with_name("forks.sock"), program.with_name("forks.log")
    argv = [sys.executable, "-W", "ignore", "-m", "tests.support.forks", str(path), *_COMMANDS]
    with log.open("w") as errors:
        server = subprocess.Popen(argv, cwd=ROOT, stderr=errors, start_new_session=True)
    real = str(Path(sys.prefix) / "bin" / "valueverse")
    first = f"if sys.argv[1] in {sorted(begun)}: os.execv({real!r}, [{real!r}, *sys.argv[1:]])"
    _write(program, first=first, path=str(path), kind="command", group=0, files=[1, 2, 0])
    try:
        assert wait_until(path.exists, lambda: server.poll() is None, 600), log.read_text()
        yield
    finally:
        server.kill()
        server.wait()


def _write(program: Path, **values: object) -> None:
    program.write_text(_SCRIPT.format(python=sys.executable, **values))
    program.chmod(0o700)


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


def _serve(path: str, modules: Sequence[str]) -> None:
    parent = os.getppid()
    for name in modules:
        importlib.import_module(name)
    if not modules:
        script = Path(path).with_name("dbt")
        _write(script, first="", path=path, kind="dbt", group="os.getpgid(0)", files=[1, 2])
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
    text, files, _, _ = socket.recv_fds(client, _LONGEST, 3)
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
        for target, file in zip((1, 2, 0), files, strict=False):
            os.dup2(file, target)
        if len(files) == 3:
            # As Python does it at its start: a line at a time on a terminal.
            sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
            sys.stdout = os.fdopen(1, "w", 1 if os.isatty(1) else -1, "utf-8", closefd=False)
            sys.stderr = os.fdopen(2, "w", 1, "utf-8", "backslashreplace", closefd=False)
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
    _serve(sys.argv[1], sys.argv[2:])
