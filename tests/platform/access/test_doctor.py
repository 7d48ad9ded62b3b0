"""``valueverse doctor`` and the catalogue check find each violation and name it."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import socket
from collections import namedtuple
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest
import typer
from typer.testing import CliRunner

from tests.support.dagster_world import own_instance
from tests.support.violations import SETUP, VIOLATIONS, change
from valueverse.commands.servers import doctor
from valueverse.platform import warehouse
from valueverse.platform.access import manifest
from valueverse.platform.servers import diagnosis
from valueverse.platform.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = pytest.mark.integration


def levels(settings: Settings) -> dict[str, str]:
    return {finding.what: finding.level for finding in diagnosis.examine(settings)}


def test_a_healthy_installation_has_nothing_wrong(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    app = typer.Typer()
    doctor.register(app)
    result = CliRunner().invoke(app)
    assert result.exit_code == 0, result.output
    assert "every right, policy, trigger and bound is as the migrations made it" in result.output


def test_an_installation_nobody_started_has_notes_only(tmp_path: Path) -> None:
    found = levels(Settings(home=tmp_path / "home"))
    assert "wrong" not in found.values()
    assert found["postgres is not started"] == "note"


def test_every_finding_that_is_wrong_has_a_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - what shutil.disk_usage gives
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 0))
    monkeypatch.setattr(diagnosis.sys, "version_info", (3, 9, 0))
    (tmp_path / "secrets").mkdir(mode=0o755)
    (tmp_path / "landing").write_text("a file in the way")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        settings = Settings(home=tmp_path, api_port=port, external_redis_url="redis://127.0.0.1:1")
        wrong = {finding.what: finding for finding in diagnosis.examine(settings) if finding.level == "wrong"}
    assert sorted(wrong) == sorted(
        [
            "0.0 GiB free",
            "Python 3.9.0",
            "landing folder cannot be written: Not a directory",
            "passwords can be read by others",
            f"port {port} for api is held by {psutil.Process().name()} (pid {os.getpid()})",
            "valkey: not answering",
        ]
    )
    assert all(finding.cure for finding in wrong.values())


def test_an_unmigrated_warehouse_is_wrong(settings: Settings) -> None:
    warehouse.downgrade(settings, "base")
    assert levels(settings)[f"the warehouse is at migration None, not {warehouse.latest_revision()}"] == "wrong"


@pytest.fixture(scope="module")
def admin(module_settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    with warehouse.connect(module_settings, "admin", autocommit=True) as connection:
        yield connection


def found(admin: psycopg.Connection[Any]) -> list[str]:
    """What is wrong with the database; roles are the whole server's, and another test may be at work on its analyst."""
    row = admin.execute(manifest.QUERY.encode()).fetchone()
    assert row is not None
    sentences = [f"{violation.what}; {violation.cure}" for violation in manifest.rls_violations(row[0])]
    return [one for one in sentences if not one.startswith("analyst ") or one.startswith("analyst analyst_probe")]


@pytest.mark.security
def test_an_analyst_and_a_mart_as_they_are_made_are_no_violation(admin: psycopg.Connection[Any]) -> None:
    with admin.transaction(force_rollback=True):
        admin.execute(SETUP.encode())
        assert found(admin) == []


@pytest.mark.security
@pytest.mark.parametrize("violation", VIOLATIONS)
def test_every_violation_is_found(admin: psycopg.Connection[Any], violation: str) -> None:
    with admin.transaction(force_rollback=True):
        admin.execute(SETUP.encode())
        admin.execute(change(violation, admin.info.dbname).encode())
        assert any(VIOLATIONS[violation] in sentence for sentence in found(admin)), found(admin)


@pytest.mark.security
@pytest.mark.parametrize("right", ["connect", "temporary", "create"])
@pytest.mark.parametrize("database", ["warehouse", "postgres", "template1"])
@pytest.mark.parametrize("who", ["public", "valueverse_analyst", "valueverse_api"])
def test_a_database_that_is_open_is_found(admin: psycopg.Connection[Any], right: str, database: str, who: str) -> None:
    if (right, database) == ("connect", "warehouse") and who != "public":
        return
    name = admin.info.dbname if database == "warehouse" else database
    with admin.transaction(force_rollback=True):
        admin.execute(f'grant {right} on database "{name}" to {who}'.encode())
        assert any(f"database {database}" in sentence for sentence in found(admin))


@pytest.mark.security
@pytest.mark.parametrize("who", ["public", "valueverse_analyst", "valueverse_api"])
def test_dagsters_database_that_is_open_is_found(settings: Settings, who: str) -> None:
    with own_instance(settings) as own, warehouse.connect(own, "admin") as connection:
        assert found(connection) == []
        connection.execute(f"grant connect on database {own.dagster_database} to {who}".encode())
        assert any(own.dagster_database in sentence for sentence in found(connection))
        connection.rollback()


@pytest.mark.security
def test_an_administrators_own_objects_are_no_violation(admin: psycopg.Connection[Any]) -> None:
    with admin.transaction(force_rollback=True):
        admin.execute("create schema scratch; create table scratch.copy as select * from billing.invoice")
        admin.execute("create table scratch.numbers (x int)")
        admin.execute("alter role valueverse_api set work_mem = '8MB'")
        assert found(admin) == []


@pytest.mark.security
def test_nothing_that_an_analyst_may_do_keeps_the_api_from_starting(admin: psycopg.Connection[Any]) -> None:
    with admin.transaction(force_rollback=True):
        admin.execute(SETUP.encode())
        admin.execute("set local session authorization analyst_probe")
        own = ["alter role analyst_probe set statement_timeout = 0", "alter role analyst_probe set search_path = marts"]
        own += [f"alter role analyst_probe in database {admin.info.dbname} set idle_in_transaction_session_timeout = 0"]
        own += [
            "alter default privileges grant select on tables to public",
            "alter role analyst_probe set role = other",
        ]
        for statement in own:
            admin.execute(statement.encode())
        admin.execute("reset role; reset session authorization")
        row = admin.execute(manifest.QUERY.encode()).fetchone()
    assert row is not None
    violations = manifest.rls_violations(row[0])
    assert {violation.by_analyst for violation in violations} == {True}
    assert len(violations) == 3


@pytest.mark.security
@pytest.mark.parametrize("setting", ["session_replication_role=replica", "event_triggers=off"])
def test_a_server_that_switches_triggers_off_is_found(settings: Settings, setting: str) -> None:
    url = settings.postgres_url("admin")
    with psycopg.connect(url, options=f"-c {setting}") as connection:
        name = setting.partition("=")[0]
        assert any(f"setting server, {name}" in sentence for sentence in found(connection))


@pytest.mark.security
@pytest.mark.parametrize(
    "violation",
    [
        "alter role valueverse_api in database {database} set statement_timeout = 0",
        "alter database {database} set search_path = public, pg_catalog",
        "alter role analyst_probe in database {database} set statement_timeout = 0",
        "alter role analyst_probe connection limit -1",
        "alter role analyst_probe reset statement_timeout",
        "grant valueverse_analyst to analyst_probe with admin true",
    ],
)
def test_the_cure_cures(admin: psycopg.Connection[Any], violation: str) -> None:
    with admin.transaction(force_rollback=True):
        admin.execute(SETUP.encode())
        admin.execute(change(violation, admin.info.dbname).encode())
        (sentence,) = found(admin)
        admin.execute(sentence.split("`")[1].encode())
        assert found(admin) == []


@pytest.mark.security
def test_a_missing_guard_is_wrong(settings: Settings) -> None:
    with warehouse.connect(settings, "admin") as connection:
        connection.execute("drop event trigger valueverse_guard")
    assert levels(settings)["no event trigger puts new tables behind row-level security"] == "wrong"


@pytest.mark.security
def test_without_a_superuser_what_needs_one_is_not_asked_of_the_api() -> None:
    fresh = [fact for fact in manifest.expected() if fact.kind != "server function" and fact.kind != "event trigger"]
    facts = [fact for fact in fresh if fact.aspect != "temp_file_limit"]
    catalogue = {"superuser": False, "database": "valueverse", "harmless_settings": [], "facts": facts}
    assert manifest.rls_violations(json.dumps(catalogue)) == []
    assert len(manifest.rls_violations(json.dumps({**catalogue, "superuser": True}))) > 100


@pytest.mark.security
@pytest.mark.parametrize("kind", ["policy", "trigger"])
def test_the_cure_of_a_foreign_rule_drops_it(kind: str) -> None:
    foreign = manifest.Fact(kind, "billing.invoice", "foreign", "as somebody made it")
    facts = [*manifest.expected(), foreign]
    catalogue = {"superuser": True, "database": "valueverse", "harmless_settings": [], "facts": facts}
    found = manifest.rls_violations(json.dumps(catalogue))
    assert [one.cure for one in found] == [f"`drop {kind} foreign on billing.invoice`"]


@pytest.mark.security
def test_the_manifest_is_what_the_migrations_make(admin: psycopg.Connection[Any]) -> None:
    row = admin.execute(manifest.QUERY.encode()).fetchone()
    assert row is not None
    made = manifest.rendered(manifest.facts_of(row[0])).splitlines()
    stored = ["\t".join(fact) for fact in manifest.expected()]
    changes = [line for line in difflib.unified_diff(stored, made, lineterm="", n=0) if not line.startswith("@@")]
    assert made == stored, "run `make security-manifest`, read what changed and commit it:\n" + "\n".join(changes)
