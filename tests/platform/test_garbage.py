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


@pytest.mark.parametrize("package", ["pipelines", "serving_api"])
def test_programs_look_rarely_while_they_load(package: str) -> None:
    code = f"import gc, {package}; print(gc.get_threshold()[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == NEW_OBJECTS


def test_the_api_looks_as_often_as_by_default_once_it_is_loaded() -> None:
    code = "import gc, serving_api.app; print(gc.get_freeze_count() > 100_000, *gc.get_threshold())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    usual = subprocess.run(
        [sys.executable, "-c", "import gc; print(*gc.get_threshold())"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"True {usual.stdout}"
