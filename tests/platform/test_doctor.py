"""``valueverse doctor`` and the catalogue check find each hole and name it."""

from __future__ import annotations

import os
import shutil
import socket
from collections import namedtuple
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import typer
from typer.testing import CliRunner

from valueverse.commands import doctor
from valueverse.platform import diagnosis, walls, warehouse
from valueverse.platform.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg

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
    assert "every table with a tenant is behind forced row-level security" in result.output


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


NO_GUARD = "drop event trigger valueverse_guard; "
HOLES = {
    "marts.probe: row-level security": NO_GUARD + "alter table marts.probe no force row level security",
    "billing.invoice: row-level security": NO_GUARD + "alter table billing.invoice disable row level security",
    "marts.probe: analysts have no policy": "drop policy analyst_tenant on marts.probe",
    "marts.probe: policy support": "create policy support on marts.probe using (true)",
    "marts.glass: the view": NO_GUARD + "create view marts.glass as select * from marts.probe",
    "valueverse_api can become valueverse_builder": "grant valueverse_builder to valueverse_api",
    "valueverse_reader can become valueverse_reader": "alter role valueverse_reader bypassrls",
    "valueverse_analyst may write": "grant insert on guard.analyst_tenant to valueverse_analyst",
}


@pytest.mark.security
@pytest.mark.parametrize("expected", HOLES)
def test_every_hole_in_the_walls_is_found(admin: psycopg.Connection[Any], expected: str) -> None:
    with admin.transaction(force_rollback=True):
        admin.execute("create table marts.probe (tenant_id text)")
        assert walls.breaches(admin) == []
        admin.execute(HOLES[expected])  # type: ignore[call-overload]
        assert any(sentence.startswith(expected) for sentence in walls.breaches(admin)), walls.breaches(admin)


@pytest.mark.security
def test_a_missing_guard_is_found(admin: psycopg.Connection[Any]) -> None:
    assert walls.guarded(admin)
    with admin.transaction(force_rollback=True):
        admin.execute("drop event trigger valueverse_guard")
        assert not walls.guarded(admin)
