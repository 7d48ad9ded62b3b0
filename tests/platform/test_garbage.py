"""Programs that import much look for unreachable objects rarely."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from valueverse.cli import main
from valueverse.platform.garbage import NEW_OBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _threshold() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


def test_the_command_line_looks_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["valueverse", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert gc.get_threshold()[0] == NEW_OBJECTS


def test_the_code_location_and_the_programs_beside_it_look_rarely() -> None:
    code = "import gc, pipelines; print(gc.get_threshold()[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == NEW_OBJECTS
