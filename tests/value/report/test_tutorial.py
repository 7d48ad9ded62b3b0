"""docs/tutorial-value.md: its commands on files are run as they are written; what it says of numbers holds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from tests.support.pages import read_page, texts
from valueverse.catalog.document import parse_catalog
from valueverse.catalog.prices import Outcome
from valueverse.cli import app
from valueverse.value.architect.document.canonical import canonical_tree
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.committer.commits import Frozen
from valueverse.value.executor.binding import read_metrics
from valueverse.value.realisation.case_runs import Commitment, run_cases
from valueverse.value.realisation.fees import FeeTerms, fee_of

ROOT = Path(__file__).parents[3]
TUTORIAL = (ROOT / "docs" / "tutorial-value.md").read_text(encoding="utf-8")
FILES, SERVERS = TUTORIAL.split("## 3. Send it")


def commands(text: str) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder after the commands on files, and what each block printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    tools = folder / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name, call in (("python", ""), ("valueverse", "-m valueverse")):
        tool = tools / name
        tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" {call} "$@"\n')
        tool.chmod(0o755)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    printed = []
    for block in commands(FILES):
        run = subprocess.run(
            ["bash", "-e", "-c", block], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        printed.append(run.stdout + run.stderr)
    return folder, printed


def test_the_first_model_is_refused_with_its_place_and_the_second_is_sound(done: tuple[Path, list[str]]) -> None:
    _, printed = done
    assert "pilot/model.yaml:10:45: 'resolved + handling' adds" in printed[0]
    assert "driver.saved [USD] = resolved * handling" in printed[1]


def test_the_case_is_a_page_and_the_catalog_bills_the_fee_alone(done: tuple[Path, list[str]]) -> None:
    folder, printed = done
    assert "Tickets that nobody had to answer" in texts(
        read_page((folder / "pilot" / "case.html").read_text(encoding="utf-8"))
    )
    assert json.loads((folder / "pilot" / "run.json").read_text())["scenarios"]["agreed"]["outputs"]["npv"] > 0
    invoice = json.loads(next(line for line in printed[-1].splitlines() if line.startswith("{")))
    assert invoice["total"] == "400.00"


def test_the_fee_is_what_the_text_says(done: tuple[Path, list[str]]) -> None:
    folder, _ = done
    model = parse_model((folder / "pilot" / "model.yaml").read_text())
    document = Frozen(
        canonical_tree(model), "agreed", {}, None, 1, "ann", customer="globex", start="2024-01-01"
    ).canonical()  # fmt: skip
    commitment = Commitment.read("ab" * 32, document)
    used = [
        json.loads(line)["data"]["tickets"] for line in (folder / "pilot" / "usage.ndjson").read_text().splitlines()
    ]
    rows = [("usage.resolved", "globex", "2024-01", sum(used)), ("billing.invoiced_net", "globex", "2024-01", 400)]
    frame = pl.DataFrame(rows, schema=["metric", "customer", "period", "value"], orient="row")
    realised = run_cases(commitment, read_metrics(frame), date(2024, 1, 1))[0]
    (plan,) = parse_catalog((folder / "pilot" / "catalog.yaml").read_text()).plans
    price = plan.charges[0].price
    assert isinstance(price, Outcome)
    fee = fee_of(FeeTerms.of(price, commitment.program), commitment.program, realised.series, {"to_date": 0})
    assert fee is not None
    assert (f"{fee.realised:,.2f} USD" in TUTORIAL, f"{fee.amount:,.2f} USD" in TUTORIAL) == (True, True)
    assert f"{sum(used):,} tickets were resolved" in TUTORIAL


def test_every_command_that_needs_servers_exists_with_its_options() -> None:
    calls = re.findall(r"\.venv/bin/valueverse ((?:[a-z]+ ?)+)(.*)", "\n".join(commands(SERVERS)))
    assert len(calls) >= 9
    for command, rest in calls:
        names = command.split()[:2] if command.startswith(("value", "explain")) else command.split()[:1]
        help_text = CliRunner().invoke(app, [*names, "--help"], env={"COLUMNS": "200"}).stdout
        for option in re.findall(r"(?<= )--[a-z]+", rest):
            assert option in help_text, (names, option)
