"""Tables for people: cells stay in their place, whatever text they hold and however narrow the terminal is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tests.support.terminal import commands
from valueverse.cli import app
from valueverse.commands.output import console, numbers, sentence, show_table
from valueverse.errors import RefusalError
from valueverse.value import library

WITHOUT_JSON = {
    "sql": "a shell: DuckDB's or psql's own output, and CSV with --csv",
}
"""Commands that do not answer in JSON, and why."""

HOSTILE = "a\nacme\tAcme\x1b[31m é"


def test_a_text_in_a_cell_makes_no_rows_or_columns_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(["tenant", "name"], [["acme", HOSTILE]])
    assert capsys.readouterr().out.splitlines()[1].rstrip() == "acme    a\\nacme\\tAcme\\x1b[31m é"


def _options(command: str) -> set[str]:
    found: Any = typer.main.get_command(app)
    for name in command.split():
        found = found.commands[name]
    return {option for parameter in found.params for option in parameter.opts}


def test_every_command_answers_in_json_when_it_is_asked_to() -> None:
    assert {name for name in commands() if "--json" not in _options(name)} == set(WITHOUT_JSON)


@pytest.mark.parametrize(
    ("arguments", "given", "expected"),
    [
        (["price"], '{"price": {"model": "standard", "unit": "2"}, "quantity": "3"}', {"amount": "6"}),
        (["value", "library"], "", {"name": "churn_reduction"}),
        (["value", "library", "churn_reduction"], "", {"model": "churn_reduction"}),
        (["value", "schema"], "", {"title": "Model"}),
        (["init", "mine"], "", {"tenant": "acme", "next": "cd mine && valueverse run"}),
        (["value", "report", "model.yaml", "--draws", "64", "--out", "page.html"], "", {"file": "page.html"}),
        (["ledger", "export", "--from-documents", "none.json", "--out", "x.beancount"], "", {"file": "x.beancount"}),
    ],
)
def test_answers_in_json_are_read_as_such(
    arguments: list[str], given: str, expected: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.yaml").write_text(library.text("developer_time"))
    Path("none.json").write_text("")
    done = CliRunner().invoke(app, [*arguments, "--json"], given, catch_exceptions=False)
    first = json.loads(done.stdout if arguments[-1] == "schema" else done.stdout.splitlines()[0])
    assert (done.exit_code, {name: first.get(name) for name in expected}) == (0, expected), done.output


@pytest.mark.parametrize("arguments", [["document", "x.json"], ["ledger", "export"], ["value", "report", "model.yaml"]])
def test_json_about_a_file_needs_a_file(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert isinstance(done.exception, RefusalError)
    assert (done.exception.code, done.exception.path) == ("bad_option", "--json")
    assert "--out" in done.exception.message


def test_no_line_of_a_table_is_wider_than_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    scopes = "audit:read,billing:read,events:write,usage:read,value:read"
    rows = [["acme", "Acme and Sons " * 9, "Europe/Berlin", "EUR", "k3x9q2m4ab7c", scopes, "x" * 200, "revoked"]]
    show_table(["tenant", "name", "timezone", "currency", "key", "scopes", "purpose", "state"], rows)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "".join(printed.split()).count("x") >= 200


AMOUNTS = [["city-guide", "a sentence of several words", "1,234,567.00 USD"], ["b", "short", "1.00 USD"]]
COLUMNS = ("customer", "what was billed", "amount")


@pytest.mark.parametrize("width", [60, 40, 36])
def test_sentences_wrap_between_words_and_amounts_stay_whole(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    show_table(COLUMNS, AMOUNTS, right=("amount",))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert {"sentence", "several", "city-guide"} <= set(" ".join(lines).split())
    (whole,) = (line for line in lines if "1,234,567.00 USD" in line)
    assert whole.rstrip().endswith("1,234,567.00 USD"), "amounts end at one place"


def test_rows_that_do_not_fit_are_blocks_of_a_line_for_each_column(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "34")
    show_table(COLUMNS, AMOUNTS, right=("amount",))
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "customer         city-guide",
        "what was billed  a sentence of",
        "                 several words",
        "amount           1,234,567.00 USD",
        "",
        "customer         b",
        "what was billed  short",
        "amount           1.00 USD",
    ]


def test_a_line_in_a_pipe_is_as_long_as_its_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    show_table(["what"], [["word " * 100]])
    console().print(sentence("word " * 100))
    assert [len(line.split()) for line in capsys.readouterr().out.splitlines()] == [1, 100, 100]


def test_tables_are_without_colours_where_nobody_wants_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    show_table(["what"], [[sentence("x", "red")]])
    coloured = capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    show_table(["what"], [[sentence("x", "red")]])
    assert ("31m" in coloured, "31m" in capsys.readouterr().out) == (True, False)


def test_numbers_of_a_column_have_the_same_decimals() -> None:
    assert numbers(["1000", None, "2.50", "0.125"]) == ["1,000.000", None, "2.500", "0.125"]
    assert numbers(["1E+3", "7.00"]) == ["1,000", "7"]
    assert numbers(["123456789012.123456789012345678", "1"])[1] == "1.000000000000000000"
    assert numbers([None]) == [None]


def test_only_the_helper_makes_tables_and_consoles() -> None:
    """What prints on its own, and why."""
    own = {
        "fitting_table.py": "the tables of the helper",
        "output.py": "the helper",
        "billing/bars.py": "bars beside amounts, of a fixed width",
    }
    commands = Path(__file__).parents[2] / "valueverse" / "commands"
    found = {
        str(path.relative_to(commands))
        for path in commands.rglob("*.py")
        if re.search(r"\b(Console|Table)\(|Table\.grid\(", path.read_text(encoding="utf-8"))
    }
    assert found == set(own)
