"""Kill -9 of a run, of its dbt and of Postgres: one run later all is as if nothing had happened.

Few kills, each at a named point; ``make kill-loop`` has 30 at random moments of every stage, with Valkey and a second
writer among the victims.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.kills import Kill, Loop, Run
from tests.support.shared_servers import private_folder
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3600)]

# The first build of the marts, in which dbt has made some tables and not yet the others; and billing that has booked
# invoices and not yet their journal.
DBT = Kill("group", 0, "marts", point=r"sql:create table if not exists .*fct_invoice_line")
SERVER = Kill("postgres", 0, "billing", point="assets.journal:book_journal:before")


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    found = Loop(private_folder(), [DBT, SERVER])
    try:
        found.prepare()
        # Here and not in a test of its own: Postgres forgets its counts when it is killed.
        assert 0 < _sessions(found) < 300, "a run opens few connections to Dagster's database"
        yield found
    finally:
        found.place.down()


@pytest.mark.parametrize("kill", [DBT, SERVER], ids=["dbt", "Postgres"])
def test_after_a_kill_and_one_run_everything_equals_the_undisturbed_run(loop: Loop, kill: Kill) -> None:
    assert loop.round(kill) == []
    assert loop.figures.tracebacks == []


@pytest.mark.parametrize(
    ("arguments", "point"),
    [
        (["up", "--only", "postgres"], "alembic.runtime.environment:EnvironmentContext.run_migrations:before"),
        (["tenants", "list"], "valueverse.platform.warehouse:connect:after"),
    ],
    ids=["migrations of a start", "a command"],
)
def test_postgres_killed_under_a_command_is_one_sentence(loop: Loop, arguments: list[str], point: str) -> None:
    command = loop.place.fork("command", arguments, f"postgres@{point}")
    assert command.wait() == 2, command.output()
    loop.place.up()
    assert command.output().rstrip().endswith("then run this again [warehouse_unreachable]")
    assert "Traceback" not in command.output()


def test_postgres_killed_when_a_run_begins_is_one_sentence(loop: Loop) -> None:
    run = Run(loop.place, "postgres@pipelines.catch_up:end_killed_runs:before")
    assert run.finish() == 1
    loop.place.up()
    (step,) = run.steps
    assert step["stage"] == "servers"
    assert step["error"].startswith("Postgres does not answer, or ended the work")
    assert "\n" not in step["error"]
    assert "Traceback" not in run.process.output()


def _sessions(loop: Loop) -> int:
    with connect(loop.place.settings, "admin") as connection:
        name = [loop.place.settings.dagster_database]
        found = connection.execute("select sessions from pg_stat_database where datname = %s", name).fetchone()
    assert found is not None
    return int(found[0])
