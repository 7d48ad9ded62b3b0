"""``valueverse value check | diff | library | schema`` as a user meets them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from tests.support.value_models import EXAMPLE
from valueverse.cli import app
from valueverse.errors import RefusalError
from valueverse.value.architect.document.schema import json_schema_text

if TYPE_CHECKING:
    from pathlib import Path

RUNNER = CliRunner()
BAD = "schema: valueverse.value_model/v1\nmodel: tried\ninputs:\n  a: {unit: USD, value: 1}\n"
BAD += "variables:\n  b: {expr: a + 1 EUR}\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.yaml"
    path.write_text(EXAMPLE, encoding="utf-8")
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.yaml"
    path.write_text(BAD, encoding="utf-8")
    return path


def test_check_shows_the_tree_with_units(model: Path):
    result = RUNNER.invoke(app, ["value", "check", str(model)])
    assert result.exit_code == 0
    assert "support_deflection: 36 x month, USD" in result.output
    assert "avoided [ticket/month] = max(tickets_0 - tickets, 0) * adoption" in result.output
    assert "cost_tick [USD/ticket] pert: beta(" in result.output
    assert "risk 0.2, attribution 0.8" in result.output


def test_check_points_at_the_place(bad: Path):
    result = RUNNER.invoke(app, ["value", "check", str(bad)])
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0].startswith(f"{bad}:6:15: 'a + 1 EUR' adds 'a' in USD and '1' in EUR")
    assert lines[1] == "  at variables.b.expr"
    assert lines[2].index("+ 1 EUR") == lines[3].index("^")
    assert lines[-1] == "1 problem"


def test_check_answers_in_json(model: Path, bad: Path):
    good = json.loads(RUNNER.invoke(app, ["value", "check", str(model), "--json"]).output)
    assert good["ok"]
    assert good["nodes"][0]["reads"] == ["adoption", "tickets", "tickets_0"]
    result = RUNNER.invoke(app, ["value", "check", "--json", str(bad)])
    assert result.exit_code == 1
    found = json.loads(result.output)
    assert not found["ok"]
    assert {key: found["problems"][0][key] for key in ("code", "path", "line", "column")} == {
        "code": "unit_mismatch", "path": "variables.b.expr", "line": 6, "column": 15,
    }  # fmt: skip


def test_check_reads_standard_input():
    assert RUNNER.invoke(app, ["value", "check", "-"], input=EXAMPLE).exit_code == 0


def test_check_survives_what_a_terminal_would_not():
    result = RUNNER.invoke(app, ["value", "check", "-"], input='schema: valueverse.value_model/v1\nmodel: "\\e[31mx"\n')
    assert result.exit_code == 1
    assert "\x1b" not in result.output


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str):
    result = RUNNER.invoke(app, ["value", "check", str(tmp_path / name)])
    assert isinstance(result.exception, RefusalError)
    assert result.exception.code == "unreadable"


def test_diff_lists_what_changed(model: Path, tmp_path: Path, bad: Path):
    other = tmp_path / "other.yaml"
    other.write_text(EXAMPLE.replace("risk: 0.2", "risk: 0.3"), encoding="utf-8")
    diff_lines = RUNNER.invoke(app, ["value", "diff", str(model), str(other)]).output.splitlines()
    assert diff_lines[0] == "~ drivers.deflection.risk: 0.2 -> 0.3"
    assert diff_lines[1].startswith("not expressed in money: the input 'licence' is bound to a metric: give data")
    assert RUNNER.invoke(app, ["value", "diff", str(model), str(model)]).output == "no difference\n"
    found = json.loads(RUNNER.invoke(app, ["value", "diff", str(model), str(other), "--json"]).output)
    assert found["changes"] == [{"path": "drivers.deflection.risk", "kind": "changed", "before": 0.2, "after": 0.3}]
    assert found["before"] != found["after"]
    refused = RUNNER.invoke(app, ["value", "diff", str(model), str(bad)]).exception
    assert isinstance(refused, RefusalError)
    assert "bad.yaml: line 6, column 15" in refused.message


def test_diff_shows_what_the_change_is_worth_in_money(tmp_path: Path):
    model = "schema: valueverse.value_model/v1\nmodel: m\ncurrency: USD\naxis: {periods: 2}\n"
    before, after = tmp_path / "before.yaml", tmp_path / "after.yaml"
    before.write_text(model + "drivers: {saved: 100 USD/month}\ncosts: {licence: 40 USD/month}\n", encoding="utf-8")
    after.write_text(model + "drivers: {saved: 130 USD/month}\ncosts: {licence: 40 USD/month}\n", encoding="utf-8")
    diff_lines = RUNNER.invoke(app, ["value", "diff", str(before), str(after)]).output.splitlines()
    assert "  base: total_benefit 200.00 -> 260.00 (+60.00)" in diff_lines
    assert "  base: roi 1.50 -> 2.25 (+0.75)" in diff_lines
    assert not any("total_cost" in line for line in diff_lines)
    found = json.loads(RUNNER.invoke(app, ["value", "diff", str(before), str(after), "--json"]).output)
    assert found["money"]["base"]["npv"] == {"before": 120.0, "after": 180.0, "difference": 60.0}


def test_library_lists_and_prints():
    listed = RUNNER.invoke(app, ["value", "library"]).output
    assert "developer_time" in listed
    printed = RUNNER.invoke(app, ["value", "library", "developer_time"]).output
    assert RUNNER.invoke(app, ["value", "check", "-"], input=printed).exit_code == 0


def test_schema_is_printed():
    assert RUNNER.invoke(app, ["value", "schema"]).output == json_schema_text()
