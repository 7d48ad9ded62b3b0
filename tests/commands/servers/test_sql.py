"""``valueverse sql``: the lake in DuckDB with every digit, the marts in psql as an analyst."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import psycopg
import pytest
import typer
from deltalake import write_deltalake
from typer.testing import CliRunner

from valueverse.commands.servers import analysts as analysts_command
from valueverse.commands.servers import sql as sql_command
from valueverse.commands.servers.lake_shell import Shell
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


def test_the_lake_is_closed_when_a_query_is_answered(
    run: Callable[..., Result], usage: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[duckdb.DuckDBPyConnection] = []
    connect = duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda: opened.append(connect()) or opened[-1])
    for query in ("select count(*) from usage", "select nothing"):
        run("sql", "-c", query)
    assert len(opened) == 2
    for one in opened:
        with pytest.raises(duckdb.ConnectionException, match="closed"):
            one.execute("select 1")


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
    assert result.exit_code == 1
    assert 'Referenced column "nonsense" was not found' in result.stderr
    assert "rows" in result.stdout
    assert "last_without_semicolon" in result.stdout


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("select 1 as a; select 2 as b;", ["  a  ", "  b  "]),
        ("select ';\n' as words; -- done;\nselect 3 as c; -- and more", ["words", "  c  "]),
        (".tables\n.tables bill%", ["usage\n", "\n"]),
        (".schema usage", ["usage (\n  tenant VARCHAR,\n  value DECIMAL(38,18)\n);"]),
        (".mode line\nselect 1 as long_name, null as b;", ["long_name = 1\n        b = NULL"]),
        (".mode markdown\nselect 'a|b' as c;", ["| c |\n| --- |\n| a\\|b |"]),
        (".mode json\nfrom range(2);", ['[{"range":0},\n{"range":1}]']),
        (".mode jsonlines\nselect value from usage;", [f'{{"value":{DIGITS}}}\n']),
        (".mode csv\nselect 1 as a, '' as b, null as c;\nselect 2 as d;", ['a,b,c\n1,"",\nd\n2\n']),
        (".mode csv\n.mode", ["current output mode: csv"]),
        (".maxrows 4\nfrom range(20);", ["(4 shown)"]),
        (".timer on\nselect 1;", ["Run Time (s): real 0."]),
        (".version\n.exit\nselect 'unseen';", ["DuckDB v"]),
        (".help", [".mode MODE", "A statement ends with ;"]),
        ("create table mine (a int);\ninsert into mine values (1);\nfrom mine;", ["Count", "  a  "]),
    ],
)
def test_the_shell_answers_as_duckdbs_own(
    run: Callable[..., Result], usage: None, typed: str, printed: list[str]
) -> None:
    result = run("sql", input=typed)
    assert (result.exit_code, result.stderr) == (0, "")
    at = 0
    for text in printed:
        assert text in result.stdout[at:]
        at = result.stdout.index(text, at)
    assert "unseen" not in result.stdout


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (".tabels", "unknown command .tabels: did you mean .tables? .help lists them"),
        (".mode pretty", ".mode takes one of: duckbox"),
        (".maxrows some", "give a number"),
        (".timer maybe", "give on or off"),
        (".read", ".read takes the name of a file"),
        (".read missing.sql", "missing.sql"),
        ("select 'open", "unterminated"),
        ("select 1\nfrom;", "LINE 2: from;"),
    ],
)
def test_a_wrong_line_is_named_and_the_shell_goes_on(
    run: Callable[..., Result], usage: None, typed: str, message: str
) -> None:
    result = run("sql", input=f"{typed}\n" + ("" if "open" in typed else "select 'after' as it;"))
    assert (result.exit_code, message in result.stderr) == (1, True)
    assert "open" in typed or "after" in result.stdout


def test_after_bail_the_first_error_ends_the_shell(run: Callable[..., Result], usage: None) -> None:
    result = run("sql", input=".bail on\nselect nonsense;\nselect 'after' as it;")
    assert (result.exit_code, "after" in result.stdout) == (1, False)


def test_statements_of_a_file_write_their_results_to_another(
    run: Callable[..., Result], usage: None, tmp_path: Path
) -> None:
    (tmp_path / "some.sql").write_text("select tenant\nfrom usage;\nselect 2 as b;", encoding="utf-8")
    typed = f".mode csv\n.output {tmp_path}/found.csv\n.read {tmp_path}/some.sql\n.output\nselect 3 as c;"
    result = run("sql", input=typed)
    assert (result.exit_code, result.stdout) == (0, "c\n3\n")
    assert (tmp_path / "found.csv").read_text(encoding="utf-8") == "tenant\nacme\nb\n2\n"


def test_a_limit_on_a_table_of_many_files_ends_well(settings: Settings) -> None:
    days = [f"2024-01-{day:02}" for day in range(1, 29)]
    frame = pl.DataFrame({"tenant": ["it's"] * 28, "value": [DIGITS] * 28, "event_date": days}).with_columns(
        pl.col("event_date").str.to_date(), pl.col("value").cast(pl.Decimal(38, 18))
    )
    write_deltalake(f"{settings.lake_url}/usage", frame.drop("value").to_arrow(), partition_by="event_date")
    write_deltalake(f"{settings.lake_url}/usage", frame.to_arrow(), mode="append", schema_mode="merge")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            CODE,
            "sql",
            "--csv",
            "-c",
            "from usage limit 1; select count(value), max(event_date) from usage",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **settings.environment()},
        check=True,
    )
    assert done.stdout.splitlines()[0] == "tenant,value,event_date"
    assert done.stdout.endswith("28,2024-01-28\n")


def test_an_empty_table_has_its_columns(settings: Settings, run: Callable[..., Result]) -> None:
    write_deltalake(f"{settings.lake_url}/usage", pl.DataFrame({"tenant": ["x"]}).clear().to_arrow())
    assert "tenant" in run("sql", "-c", "from usage").output


def test_words_are_completed_from_tables_columns_and_commands(usage: None, settings: Settings) -> None:
    connection = duckdb.connect()
    connection.execute("create table usage (tenant_key varchar)")
    shell = Shell(connection)
    assert (shell.completions("us"), shell.completions("ten"), shell.completions(".ta")) == (
        ["usage"],
        ["tenant_key"],
        [".tables"],
    )


@pytest.mark.parametrize("command", ["select 1; select nonsense", ".nonsense"])
def test_a_wrong_query_is_one_sentence(run: Callable[..., Result], usage: None, command: str) -> None:
    error = run("sql", "-c", command).exception
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
    password = re.findall("shown this once.: (.*)", printed)[0]
    assert printed.count(password) == 1
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
    listed = psql("--as", name, "-c", r"\d").stdout
    assert "marts,fct," in listed
    assert "billing" not in listed
    line = re.findall('psql "(.*)"', printed)[0]
    with psycopg.connect(line, password=password) as connection:
        assert connection.execute("select * from fct").fetchall() == [("acme",)]
    again = json.loads(run("analysts", "add", name, "--tenant", "acme", "--json").output)
    assert (again["url"], again["password"], again["tenants"]) == (line, None, ["acme"])
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
