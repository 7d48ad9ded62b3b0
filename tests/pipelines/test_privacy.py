"""The jobs about one customer, in Dagster, on real Postgres and a real lake."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from pipelines.definitions import defs
from tests.support.landing import NOW, event, founding
from tests.support.protection import own_secrets
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.ingestion.run_ingestion import run_ingestion
from valueverse.services.lake_tables import EVENTS_TABLE
from valueverse.services.usage.refresh_facts import BEGINNING

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def test_a_customer_is_exported_held_released_and_erased_by_jobs_with_evidence(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_secrets(settings, tmp_path)
    for name, value in own.environment().items():
        monkeypatch.setenv(name, value)
    customer = event("c", {"customer": "c1", "name": "Ada Lovelace"}, type="billing.customer.created")
    (own.landing / "acme").mkdir()
    (own.landing / "acme" / "a.ndjson").write_text(f"{json.dumps(founding())}\n{json.dumps(customer)}\n")
    lake = Lake(own.lake_url)
    run_ingestion(own, lake, BEGINNING, NOW)

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
