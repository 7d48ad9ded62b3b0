"""``make`` targets that delete something ask first."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("typed", "arguments", "deleted"),
    [("n\n", (), False), ("", (), False), ("y\n", (), True), ("", ("YES=1",), True)],
)
def test_clean_deletes_data_only_when_that_is_confirmed(
    tmp_path: Path, typed: str, arguments: tuple[str, ...], deleted: bool
) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".valueverse").mkdir()
    (tmp_path / ".venv").mkdir()
    done = subprocess.run(
        ["make", "clean", *arguments], cwd=tmp_path, input=typed, capture_output=True, text=True, check=False
    )
    assert (tmp_path / ".valueverse").exists() is not deleted
    assert (tmp_path / ".venv").exists()
    assert ("Delete .valueverse" in done.stdout) is not bool(arguments)
    assert ("deleted; .venv stays" if deleted else "Nothing was deleted") in done.stdout
    assert (done.returncode == 0) is deleted
