"""Runs of value models at a terminal are tables, and JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from tests.support.terminal import at_terminal
from valueverse.cli import app
from valueverse.value import library

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    path = tmp_path / "model.yaml"
    path.write_text(library.text("support_deflection"))
    return path


def test_a_run_shows_outputs_their_range_and_what_moves_them(ready: Path) -> None:
    shown = at_terminal(["value", "run", str(ready), "--scenario", "base", "--draws", "64"])
    assert shown.code == 0
    lines = [line.split() for line in shown.text.splitlines()]
    assert ["output", "value", "5", "%", "50", "%", "95", "%"] in lines
    assert next(line for line in lines if line[:1] == ["npv"])[1] == "189,175.47"
    assert "of all draws" in shown.text
    assert any(line[:1] == ["deflected_share"] and len(line) == 4 for line in lines)


def test_programs_get_the_object_that_they_got_before(ready: Path) -> None:
    command = ["value", "run", str(ready), "--scenario", "base", "--draws", "64"]
    asked, piped = (json.loads(CliRunner().invoke(app, [*command, *more]).stdout) for more in (["--json"], []))
    assert asked == piped
    assert asked["scenarios"]["base"]["series"].keys() > {"cost.licence"}


def test_a_portfolio_has_a_row_for_each_customer_and_output(ready: Path, tmp_path: Path) -> None:
    data = tmp_path / "metrics.csv"
    data.write_text("metric,customer,period,value\nusage.x,c1,2024-01-01,5\nusage.x,c2,2024-01-01,7\n")
    command = ["value", "portfolio", str(ready), "--data", str(data), "--scenario", "base", "--draws", "64"]
    shown = at_terminal([*command, "--output", "npv"])
    assert shown.code == 0
    rows = [line.split()[:3] for line in shown.text.splitlines()]
    assert [row for row in rows if row[2:] == ["npv"]] == [["c1", "base", "npv"], ["c2", "base", "npv"]]
    assert len(CliRunner().invoke(app, command).stdout.splitlines()) == 2
