"""The README as a newcomer follows it: every line of its shell blocks, in order, in one shell on a terminal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.dagster_world import own_instance
from tests.support.forks import forked_commands
from tests.support.terminal import faults
from tests.support.transcript import Line, Played, lines_of, play

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
ELSEWHERE = ("make demo", "make test")
"""Lines that are not run here: ``test_demo.py`` runs the demo, and this is one of the tests."""
BEGUN = ("init", "run", "status", "down")
"""Commands that are begun as a shell begins them: the first, and those of servers. Others are forked from a process
that has imported what they need: tests/commands/test_starting.py judges how they begin."""
PLACES = ("VALUEVERSE_HOME", "VALUEVERSE_PROJECT_FILE")
"""Variables that are left to the project folder's file."""


def test_lines_of_a_document_are_commands_with_the_output_that_is_stated_below_them() -> None:
    document = "text\n```sh\na  # why\n#> one\n#> two ... 3\n\n# a heading\nb \\\n  | c\nd\n```\n```yaml\nno\n```\n"
    assert list(lines_of(document)) == [
        Line("a  # why\n", ("one", "two ... 3")),
        Line("b \\\n  | c\n", ()),
        Line("d\n", ()),
    ]
    played = Played(Line("a", ("one", "two ... 3", "one")), 0, "zero\none\ntwo  and\n3\n")
    assert played.missing() == ["one"], "stated twice, on the screen once"


def test_a_line_that_fails_or_prints_something_else_is_noticed(tmp_path: Path) -> None:
    lines = [Line("cd /\n", ()), Line("(exit 3)\n", ()), Line("pwd\n", ("/home",)), Line("test -t 1\n", ())]
    played = play(lines, tmp_path, {"PATH": os.environ["PATH"]}, 60)
    assert [(one.code, one.missing()) for one in played] == [(0, []), (3, []), (0, ["/home"]), (0, [])]
    assert played[2].shown == "/\n"


@pytest.fixture(scope="module")
def transcript(module_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Played]]:
    """What each line did in a folder that has a checkout's ``.venv``; servers are those of the run."""
    folder = tmp_path_factory.mktemp("tour") / "checkout"
    program = folder / ".venv" / "bin" / "valueverse"
    program.parent.mkdir(parents=True)
    lines = [line for line in lines_of(README) if not line.command.startswith(ELSEWHERE)]
    with own_instance(module_settings) as settings, forked_commands(program, BEGUN):
        given = {name: value for name, value in settings.environment().items() if name not in PLACES}
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}
        yield play(lines, folder, {**inherited, **given, "TERM": "xterm-256color"}, 900)


def test_every_line_ends_well_and_prints_what_the_readme_states(transcript: list[Played]) -> None:
    assert len(transcript) > 20
    wrong = [(one.line.command, one.code, one.missing(), one.shown[-1500:]) for one in transcript]
    assert [one for one in wrong if one[1] or one[2]] == []


def test_nothing_is_garbled_and_nothing_is_a_traceback(transcript: list[Played]) -> None:
    assert [(one.line.command, found) for one in transcript if (found := faults(one.shown))] == []
