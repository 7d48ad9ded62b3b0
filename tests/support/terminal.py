"""The command line as somebody at a terminal meets it: standard streams on a pty of 80 columns, in this process."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer
from rich.cells import cell_len

from valueverse.cli import app, main

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COLUMNS = 80
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_SPINNER = re.compile(r"\x1b\[\?25[lh]|\x1b\[\??2004[lh]|\x1b\[[0-9]*[AK]|\r")
_TABLE = re.compile("^ *[\u2500-\u257f].*[\u2500-\u257f] *$")
"""A row of a table: a frame on both sides. A tree may be longer, a terminal wraps it."""


@dataclass(frozen=True)
class Shown:
    """What was on the screen, styles taken off, and the exit code."""

    text: str
    code: int


def commands() -> list[str]:
    """Every command of the command line, e.g. ``value report``, from the command line itself."""

    def below(command: object, path: tuple[str, ...]) -> Iterator[str]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield " ".join(path)
            return
        for name, one in inner.items():
            yield from below(one, (*path, name))

    return sorted(below(typer.main.get_command(app), ()))


def at_terminal(
    arguments: Sequence[str], typed: str = "", *, answers: Sequence[str] = (), stdout: bool = True
) -> Shown:
    """Run ``valueverse ARGUMENTS`` on a pty.

    Args:
        arguments: of the command line.
        typed: keys, pressed at once; Ctrl-D is ``\\x04``.
        answers: keys pressed each at the next prompt (``> ``), Enter after all but control characters.
        stdout: False: only standard error is the terminal, as in ``valueverse ... > file``.
    """
    master, slave = opened()
    pieces: list[bytes] = []
    reader = threading.Thread(target=read, args=(master, pieces, list(answers)), daemon=True)
    reader.start()
    os.write(master, typed.encode())
    try:
        with _streams(slave, stdout=stdout):
            code = _run(arguments)
    finally:
        reader.join()
        os.close(master)
    return Shown(plain(b"".join(pieces).decode("utf-8")), code)


def opened() -> tuple[int, int]:
    """The two ends of a terminal of COLUMNS: ours, and the one of whoever runs at it."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    return master, slave


def faults(shown: str) -> list[str]:
    """What nobody should see: a traceback, a control character, a table wider than the screen."""
    found = ["a traceback"] if "Traceback (most recent call last)" in shown else []
    found += [f"the character {one!r}" for one in sorted(set(shown)) if not one.isprintable() and one not in "\n\t"]
    found += [f"too wide: {line}" for line in shown.splitlines() if _TABLE.search(line) and cell_len(line) > COLUMNS]
    return found


def _run(arguments: Sequence[str]) -> int:
    before, sys.argv = sys.argv, ["valueverse", *arguments]
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.argv = before
    return 0


@contextmanager
def _streams(slave: int, *, stdout: bool) -> Iterator[None]:
    """Let the descriptors 0 to 2 and the streams of ``sys`` be the terminal; its end is closed afterwards."""
    saved = [os.dup(one) for one in range(3)]
    names = ("stdin", "stdout", "stderr")
    streams = [getattr(sys, name) for name in names]
    for one in streams[1:]:
        one.flush()
    for one in range(3):
        if one != 1 or stdout:
            os.dup2(slave, one)
    os.close(slave)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
    if stdout:
        sys.stdout = _written(1, "strict")
    sys.stderr = _written(2, "backslashreplace")
    try:
        yield
    finally:
        for one in (sys.stdout, sys.stderr):
            one.flush()
        for name, one in zip(names, streams, strict=True):
            setattr(sys, name, one)
        for one, old in enumerate(saved):
            os.dup2(old, one)
            os.close(old)


def _written(descriptor: int, errors: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False)),
        encoding="utf-8",
        errors=errors,
        line_buffering=True,
    )


def read(master: int, pieces: list[bytes], answers: list[str]) -> None:
    """Until nobody holds the other end any more, which Linux reports as an error."""
    try:
        while piece := os.read(master, 65_536):
            pieces.append(piece)
            if answers and plain(b"".join(pieces).decode("utf-8", "replace")).endswith("> "):
                answer = answers.pop(0)
                os.write(master, answer.encode() if answer < " " else f"{answer}\n".encode())
    except OSError:
        return


def plain(text: str) -> str:
    """What is on the screen, without styles and movements of the cursor."""
    return _SPINNER.sub("", _STYLE.sub("", text))
