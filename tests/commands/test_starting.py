"""What every command does before it runs: loads little, and knows the project's tenant."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from valueverse.cli import app
from valueverse.services.project.start_project import start_project

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("dagster", "duckdb", "matplotlib", "numpy", "polars", "psycopg", "pydantic", "scipy", "yaml")


def test_the_command_line_starts_without_what_its_commands_work_with() -> None:
    code = f"import sys, valueverse.cli; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of shop; the working folder is one below it."""
    start_project(tmp_path / "project", "shop")
    monkeypatch.chdir(tmp_path / "project" / "landing")
    return tmp_path / "project"


def _publish(*more: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["catalog", "publish", "../catalog.yaml", "--effective", "2026-01-01", *more])
    return result.exit_code, result.stderr


def test_a_command_that_needs_a_tenant_takes_the_projects(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, printed = _publish()
    assert (code, "the catalog of shop from 2026-01-01" in printed) == (0, True)
    assert _publish("--tenant", "other")[0] == 1, "it was not created, and is not the project's"
    assert "the catalog of other from" in _publish("--tenant", "other", "--new-tenant")[1]
    monkeypatch.setenv("VALUEVERSE_TENANT", "third")
    assert "the catalog of third from" in _publish()[1]


def test_without_a_project_the_tenant_has_to_be_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "valueverse.yaml").unlink()
    code, printed = _publish()
    assert code == 2
    assert "Missing option '--tenant'" in printed


def test_a_mistake_in_the_settings_does_not_keep_a_calculator_from_running(folder: Path) -> None:
    (folder / "valueverse.yaml").write_text("tenat: shop\n")
    assert CliRunner().invoke(app, ["price"], input="").exit_code == 0
    assert _publish()[0] == 2
