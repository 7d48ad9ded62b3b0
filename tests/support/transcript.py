"""A document's shell blocks, and what happens when somebody types them, in order, into one shell on a terminal."""

from __future__ import annotations

import os
import re
import select
import subprocess
import termios
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.terminal import opened, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_STATED = "#> "
"""Begins a line of a block that the command above it prints; ``...`` stands for any text."""
_END = re.compile(r"\x02([0-9]+)\x03")


@dataclass(frozen=True)
class Line:
    """A command as the document has it, over several lines perhaps, and the lines of output that it states."""

    command: str
    stated: tuple[str, ...]


@dataclass(frozen=True)
class Played:
    """What a line did: exit code, and what was on the screen."""

    line: Line
    code: int
    shown: str

    def missing(self) -> list[str]:
        """Stated output that is not on the screen below the one stated before it; white space counts as one blank."""
        rest, missing = " ".join(self.shown.split()), []
        for stated in self.line.stated:
            pattern = ".*?".join(re.escape(" ".join(part.split())) for part in stated.split("..."))
            if found := re.search(pattern, rest):
                rest = rest[found.end() :]
            else:
                missing.append(stated)
        return missing


def lines_of(document: str) -> Iterator[Line]:
    """The commands of a document's shell blocks."""
    for block in _BLOCK.findall(document):
        command, stated = "", []
        for text in block.splitlines():
            if text.startswith(_STATED):
                stated.append(text.removeprefix(_STATED))
            elif command.endswith("\\\n"):
                command += f"{text}\n"
            else:
                if command:
                    yield Line(command, tuple(stated))
                command, stated = ("" if not text or text.startswith("#") else f"{text}\n"), []
        if command:
            yield Line(command, tuple(stated))


def play(lines: list[Line], folder: Path, environment: Mapping[str, str], seconds: float) -> list[Played]:
    """Type the lines into one shell that starts in ``folder``; none may take longer than ``seconds``."""
    master, slave = opened()
    silent = termios.tcgetattr(slave)
    silent[3] &= ~(termios.ECHO | termios.ICANON)  # a canonical terminal takes no more than 4,096 bytes at once
    termios.tcsetattr(slave, termios.TCSANOW, silent)
    shell = subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-s"],
        stdin=slave, stdout=slave, stderr=slave, cwd=folder,
        env={**environment, "PS1": "", "PS2": ""}, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    try:
        return [_typed(master, line, seconds) for line in lines]
    finally:
        os.close(master)
        shell.kill()
        shell.wait()


def _typed(master: int, line: Line, seconds: float) -> Played:
    os.write(master, f"{line.command}printf '\\002%s\\003' $?\n".encode())
    pieces, until = b"", time.monotonic() + seconds
    while not (end := _END.search(pieces.decode("utf-8", "replace"))):
        if time.monotonic() > until or not select.select([master], [], [], 1)[0]:
            if time.monotonic() > until:
                raise AssertionError(f"{line.command} did not end: {pieces.decode('utf-8', 'replace')[-2000:]}")
            continue
        pieces += os.read(master, 65_536)
    return Played(line, int(end[1]), plain(pieces.decode("utf-8")[: end.start()]))
