"""The jobs about one customer, in Dagster, on real Postgres and a real lake."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from pipelines.definitions import defs
from tests.support.protection import own_environment, take_in_customer
from valueverse.platform.warehouse import connect
from valueverse.services.lake_tables import EVENTS_TABLE

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def test_a_customer_is_exported_held_released_and_erased_by_jobs_with_evidence(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_environment(settings, tmp_path, monkeypatch)
    lake = take_in_customer(own, "Ada Lovelace")

    def ran(job: str, op: str, **config: str) -> bool:
        run_config: dict[str, Any] = {"ops": {op: {"config": {"tenant": "acme", "customer": "c1", **config}}}}
        found = defs.resolve_job_def(job)
        with dg.DagsterInstance.ephemeral() as instance:
            return found.execute_in_process(run_config, instance=instance, raise_on_error=False).success

    out = tmp_path / "c1.zip"
    assert ran("privacy_restrict_job", "restrict_customer", reason="dispute 17")
    assert not ran("privacy_erase_job", "erase_customer"), "on hold"
    assert ran("privacy_export_job", "export_customer", out=str(out))
    assert ran("privacy_restrict_job", "restrict_customer")
    assert ran("privacy_erase_job", "erase_customer")
    with zipfile.ZipFile(out) as archive:
        assert b"Ada Lovelace" in archive.read("lake.events.ndjson")
    assert "Ada" not in str(lake.scan(EVENTS_TABLE).collect().rows())
    with dg.DagsterInstance.ephemeral() as instance:
        assert defs.resolve_job_def("end_retention_job").execute_in_process(instance=instance).success
    with connect(own, "builder") as connection:
        actions = connection.execute("select action from vault.privacy_action order by action_id").fetchall()
    assert [action for (action,) in actions] == ["restricted", "exported", "released", "erased"]
