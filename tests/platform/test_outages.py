"""Postgres or Valkey gone in the middle of a command: one sentence with the cure, whatever library noticed it."""

from __future__ import annotations

import sys

import asyncpg
import psycopg
import psycopg2
import pytest
import redis
import sqlalchemy
from dagster_postgres.utils import DagsterPostgresException

from valueverse import cli
from valueverse.errors import RefusalError
from valueverse.platform.outages import dagster_outage, outage
from valueverse.platform.settings import Settings
from valueverse.platform.warehouse import connect

MESSAGE = "connection to server at 127.0.0.1 failed: FATAL:  the database system is starting up\n[SQL: select 1]"
ERRORS = [
    (psycopg.OperationalError(MESSAGE), "warehouse_unreachable"),
    (psycopg.errors.AdminShutdown("terminating connection due to administrator command"), "warehouse_unreachable"),
    (psycopg2.InterfaceError("connection already closed"), "warehouse_unreachable"),
    (sqlalchemy.exc.OperationalError("select 1", {}, psycopg2.OperationalError(MESSAGE)), "warehouse_unreachable"),
    (asyncpg.ConnectionDoesNotExistError("connection was closed"), "warehouse_unreachable"),
    (DagsterPostgresException("too many retries for DB connection"), "warehouse_unreachable"),
    (redis.ConnectionError("Error 111 connecting to unix socket. Connection refused."), "valkey_unreachable"),
    (redis.BusyLoadingError("Redis is loading the dataset in memory"), "valkey_unreachable"),
]


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda one: one if isinstance(one, str) else repr(one)[:40])
def test_a_server_that_is_gone_is_one_sentence_with_the_cure(
    error: Exception, code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrapped = RuntimeError("could not run the step")
    wrapped.__cause__ = error
    for one in (error, wrapped):

        def fail(*_: object, failing: Exception = one, **__: object) -> None:
            raise failing

        monkeypatch.setattr(cli, "app", fail)
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr().err
        assert end.value.code == 2
        assert printed.count("\n") == 1
        assert printed.rstrip().endswith(f"`valueverse up`, then run this again [{code}]")


def test_an_error_of_our_own_is_not_taken_for_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (ValueError("x"), psycopg.errors.UniqueViolation("twice"), TimeoutError("of the system")):
        assert outage(error) is None
    monkeypatch.setattr(cli, "app", lambda **_: {}["missing"])
    with pytest.raises(KeyError):
        cli.main()


def test_a_step_that_failed_for_an_outage_says_so_in_a_sentence() -> None:
    sentence = dagster_outage("OperationalError", f"psycopg.OperationalError: {MESSAGE}")
    assert sentence.startswith("Postgres does not answer")
    assert "\n" not in sentence
    assert dagster_outage("RefusalError", "valueverse.errors.RefusalError: no such thing\n") == (
        "valueverse.errors.RefusalError: no such thing"
    )


def test_a_refused_connection_keeps_its_own_sentence() -> None:
    settings = Settings(external_postgres_url="postgresql://nobody:x@127.0.0.1:1/none")
    with pytest.raises(RefusalError) as refused:
        connect(settings, "builder")
    assert outage(refused.value) is refused.value
    assert sys.exc_info() == (None, None, None)
