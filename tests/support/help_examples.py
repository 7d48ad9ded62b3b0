"""The examples in the help of commands: lines that can be pasted into a shell, read and run without one."""

from __future__ import annotations

import re
import shlex
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tests.support.terminal import Shown, at_terminal
from valueverse.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_EXAMPLE = re.compile(r"\[dim\](.*?)\[/dim\]", re.DOTALL)
_PIPED = re.compile(r"printf '(?P<typed>.*)\\n' \| (?P<rest>.*)\Z")
_KEYS = "\n\x04"


@dataclass(frozen=True)
class Step:
    """One command line of an example: its words, what a pipe gives it, and the file that takes its output."""

    words: tuple[str, ...]
    typed: str = ""
    into: str = ""


def examples() -> dict[str, list[str]]:
    """Command -> the examples of its help."""
    return {name: [_line(one) for one in _EXAMPLE.findall(text)] for name, text in _helps(typer.main.get_command(app))}


def _helps(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path), str(getattr(command, "help", "") or "")
        return
    for name, one in inner.items():
        yield from _helps(one, (*path, name))


def _line(text: str) -> str:
    return " ".join(text.replace(r"\[", "[").split())


def steps(line: str) -> list[Step]:
    """The command lines of an example, one after the other; a change of folder is none."""
    return [_step(part.strip()) for part in line.split(" && ") if not part.startswith("cd ")]


def _step(part: str) -> Step:
    piped = _PIPED.match(part)
    typed = f"{piped['typed']}{_KEYS}" if piped else ""
    words, into = shlex.split(piped["rest"] if piped else part), ""
    if ">" in words:
        words, into = words[:-2], words[-1]
    assert words[0] == "valueverse", f"not a command of ours: {part}"
    return Step(tuple(words[1:]), typed, into)


def run_example(line: str, meant: Mapping[str, str]) -> Shown:
    """What the example shows on a terminal, and its last exit code.

    Args:
        line: the example.
        meant: a word of the example -> what it is where the example is run.
    """
    shown, code = "", 0
    for step in steps(line):
        words = [meant.get(word, word) for word in step.words]
        if step.into:
            written = StringIO()
            with redirect_stdout(written):
                done = at_terminal(words, step.typed, stdout=False)
            Path(step.into).write_text(written.getvalue(), encoding="utf-8")
        else:
            done = at_terminal(words, step.typed)
        shown, code = shown + done.text, done.code
        if code:
            break
    return Shown(shown, code)
