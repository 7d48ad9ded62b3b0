"""``valueverse sql``: the lake in DuckDB with every digit, the marts in psql as an analyst."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
import typer
from deltalake import write_deltalake
from typer.testing import CliRunner

from valueverse.commands.servers import analysts as analysts_command
from valueverse.commands.servers import sql as sql_command
from valueverse.errors import RefusalError
from valueverse.platform import warehouse

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
# In a process of its own: psql takes the process over, and CSV goes to its very standard output.
CODE = (
    "import typer; from valueverse.commands.servers import sql, analysts\n"
    "app = typer.Typer(); sql.register(app); analysts.register(app); app()"
)
DIGITS = Decimal("12345678901234567890.123456789012345678")


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    app = typer.Typer()
    sql_command.register(app)
    analysts_command.register(app)
    return lambda *arguments, **given: CliRunner().invoke(app, arguments, **given)


@pytest.fixture
def usage(settings: Settings) -> None:
    frame = pl.DataFrame({"tenant": ["acme"], "value": [DIGITS]}, schema_overrides={"value": pl.Decimal(38, 18)})
    write_deltalake(f"{settings.lake_url}/usage", frame.to_arrow())


def test_a_query_on_the_lake_keeps_every_digit(run: Callable[..., Result], usage: None) -> None:
    assert f"{DIGITS}" in run("sql", "-c", "select * from usage").output


def test_csv_is_for_other_programs(settings: Settings, usage: None) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, "sql", "--csv", "-c", "select tenant, value from usage"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **settings.environment()},
        check=True,
    )
    assert done.stdout == f"tenant,value\nacme,{DIGITS}\n"


def test_a_piped_script_runs_statement_by_statement_past_a_wrong_one(run: Callable[..., Result], usage: None) -> None:
    result = run(
        "sql",
        input="select nonsense;\nselect count(*)\n  as rows from usage;\nselect 7 as last_without_semicolon",
    )
    assert result.exit_code == 0
    assert "nonsense" in result.stderr
    assert "rows" in result.stdout
    assert "last_without_semicolon" in result.stdout


def test_a_wrong_query_is_one_sentence(run: Callable[..., Result], usage: None) -> None:
    error = run("sql", "-c", "select nonsense from usage").exception
    assert isinstance(error, RefusalError)
    assert (error.code, "\n" in error.message) == ("bad_query", False)


def test_an_empty_lake_says_what_fills_it(run: Callable[..., Result]) -> None:
    error = run("sql", "-c", "select 1").exception
    assert isinstance(error, RefusalError)
    assert "valueverse demo" in error.message


def test_an_analyst_needs_the_marts_option(run: Callable[..., Result]) -> None:
    error = run("sql", "--as", "ada").exception
    assert isinstance(error, RefusalError)
    assert error.path == "--as"


@pytest.mark.security
def test_psql_on_the_marts_shows_an_analyst_their_tenant_only(settings: Settings, run: Callable[..., Result]) -> None:
    with warehouse.connect(settings, "builder") as builder:
        builder.execute("create table marts.fct (tenant_id text)")
        builder.execute("insert into marts.fct values ('acme'), ('other')")
    name = f"t{secrets.token_hex(4)}"
    printed = run("analysts", "add", name, "--tenant", "acme").output
    password = printed.rpartition(": ")[2].strip()
    assert f"{name}  acme" in run("analysts", "list").output

    def psql(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", CODE, "sql", "--marts", "--csv", *arguments],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, **settings.environment(), "PGPASSWORD": password},
            check=False,
        )

    assert psql("--as", name, "-c", "select * from fct").stdout == "tenant_id\nacme\n"
    assert psql("-c", "select count(*) from fct").stdout == "count\n2\n"
    assert "read-only" in psql("-c", "delete from fct").stderr
    assert run("analysts", "remove", name).exit_code == 0
    error = run("analysts", "remove", name).exception
    assert isinstance(error, RefusalError)
    assert error.code == "unknown_analyst"


@pytest.mark.parametrize(
    ("arguments", "code"), [(("A b", "-t", "acme"), "bad_name"), (("ada", "-t", "../x"), "bad_tenant")]
)
def test_odd_names_make_no_login(run: Callable[..., Result], arguments: tuple[str, ...], code: str) -> None:
    error = run("analysts", "add", *arguments).exception
    assert isinstance(error, RefusalError)
    assert error.code == code
