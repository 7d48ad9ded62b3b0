"""What ``valueverse run`` does around Dagster: publish the catalog once, and say what became of every event."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.commands.billing.test_simulate import CATALOG, EARLY, STARTED
from valueverse.catalog import parse_catalog
from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.platform.settings import Settings
from valueverse.platform.warehouse import connect
from valueverse.services.catalogs.publish_catalog import catalog_published
from valueverse.services.lake_tables import EVENTS_TABLE
from valueverse.services.project.run_project import publish_project_catalog, require_project
from valueverse.services.project.used_events import used_events
from valueverse.services.simulation.simulate import parsed, read_log
from valueverse.services.usage.derive_usage import derive_facts

if TYPE_CHECKING:
    from pathlib import Path

EFFECTIVE = datetime(2023, 11, 1, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path) -> Settings:
    """A project of acme, without servers."""
    (tmp_path / "catalog.yaml").write_text(json.dumps(CATALOG))
    return Settings(
        home=tmp_path / ".valueverse", tenant="acme", catalog=tmp_path / "catalog.yaml", catalog_from="2023-11-01"
    )


def _published(settings: Settings) -> list[str]:
    return sorted(path.name for path in (settings.landing / "acme").glob("*"))


def test_the_catalog_is_published_once_and_an_edit_of_it_is_not_used_in_silence(project: Settings) -> None:
    first = publish_project_catalog(project)
    assert (first.is_new, first.sentence) == (True, "catalog.yaml, to hold from 2023-11-01 on")
    (name,) = _published(project)
    assert name.endswith("-20231101T000000.ndjson")
    assert publish_project_catalog(project).sentence == ""
    assert project.catalog is not None
    project.catalog.write_text(json.dumps(CATALOG).replace('"0.001"', '"0.002"'))
    edited = publish_project_catalog(project)
    assert not edited.is_new
    assert edited.sentence == (
        "catalog.yaml differs from the catalog that is published and is not used: "
        "`valueverse catalog publish catalog.yaml --tenant acme --effective DATE`, then run again"
    )
    assert _published(project) == [name]


def test_a_catalog_that_was_taken_into_the_lake_is_known_without_its_file(project: Settings, tmp_path: Path) -> None:
    path = tmp_path / "published.ndjson"
    path.write_text(json.dumps(catalog_published("acme", parse_catalog(json.dumps(CATALOG)), EFFECTIVE)))
    Lake(project.lake_url).append(EVENTS_TABLE, read_log(parsed([path], None))[0])
    assert publish_project_catalog(project).sentence == ""
    assert _published(project) == []
    other = project.model_copy(update={"tenant": "beta"})
    assert publish_project_catalog(other).is_new, "another tenant's catalog is not this one's"


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"tenant": None}, "`catalog` needs `tenant`"),
        ({"catalog_from": None}, "say from when on catalog.yaml holds: `catalog_from: 2026-01-01`"),
    ],
)
def test_a_setting_that_is_missing_or_wrong_is_named(
    project: Settings, update: dict[str, str | None], message: str
) -> None:
    with pytest.raises(RefusalError, match=message):
        publish_project_catalog(project.model_copy(update=update))
    assert _published(project) == []


def test_a_catalog_that_is_wrong_or_missing_is_named_and_published_nowhere(project: Settings) -> None:
    assert project.catalog is not None
    project.catalog.write_text("schema: valueverse.catalog/v1\ncurency: USD\n")
    with pytest.raises(RefusalError, match="line 2, column 1: unknown field 'curency'") as refused:
        publish_project_catalog(project)
    assert refused.value.path.startswith(str(project.catalog))
    project.catalog.unlink()
    with pytest.raises(RefusalError, match=r"catalog\.yaml: No such file"):
        publish_project_catalog(project)
    assert _published(project) == []


def test_without_a_catalog_nothing_is_published(project: Settings) -> None:
    assert publish_project_catalog(project.model_copy(update={"catalog": None})).sentence == ""
    assert not project.landing.exists()


def test_no_installation_is_started_in_a_folder_that_has_none(tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match="`valueverse init DIR` starts a project"):
        require_project(Settings(home=tmp_path / "new"))
    require_project(Settings(home=tmp_path))
    require_project(Settings(home=tmp_path / "new", project_file=tmp_path / "valueverse.yaml"))


VOIDED = json.dumps(json.loads(STARTED) | {"id": "void", "replaces": json.loads(STARTED)["id"], "data": None})
NEVER = json.dumps(json.loads(EARLY) | {"id": "never"})

_ROWS = """
    insert into billing.tenant (tenant_id, name, timezone, currency, created_at) values
        ('acme', 'Acme', 'UTC', 'USD', now()), ('beta', 'Beta', 'UTC', 'USD', now());
    insert into billing.ingestion_file
        (tenant_id, file, file_hash, day, received, accepted, duplicate, quarantined, ingested_at) values
        ('acme', 'a.ndjson', 'a', '2023-11-01', 1500, 1400, 60, 40, now()),
        ('acme', 'b.ndjson', 'b', '2023-11-02', 10, 10, 0, 0, now()),
        ('beta', 'a.ndjson', 'a', '2023-11-01', 2, 2, 0, 0, now());
    insert into billing.quarantine_summary (tenant_id, file_hash, file, reason, events, example) values
        ('acme', 'a', 'a.ndjson', 'bad_time', 30, 'line 3: no time'), ('acme', 'a', 'a.ndjson', 'malformed', 10, null);
    insert into billing.unbilled_usage (tenant_id, day, reason, customer, meter, events) values
        ('acme', '2023-11-01', 'no_charge', 'c1', 'm', 3), ('acme', '2023-11-02', 'no_charge', 'c2', 'n', 4);
    insert into billing.event_day (tenant_id, day, accepted, billed, unbilled) values
        ('acme', '2023-11-01', 1, 1, 0);
    insert into billing.rejected_event (tenant_id, source, event_id, type, reason, message, decided_at) values
        ('acme', 's', 'e', 'billing.coupon.applied', 'unknown_coupon', 'there is none', now())"""


@pytest.mark.integration
def test_every_event_is_used_or_has_a_reason_tenant_by_tenant(settings: Settings, tmp_path: Path) -> None:
    lake = Lake(settings.lake_url)
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join([STARTED, VOIDED, EARLY, NEVER]))
    lake.append(EVENTS_TABLE, read_log(parsed([path], None))[0])
    derive_facts(lake)
    with connect(settings, "builder") as connection:
        connection.execute(_ROWS)
        found = used_events(connection, lake)
    assert list(found["beta"].sentences()) == ["used 2 of 2 events"]
    assert list(found["acme"].sentences()) == [
        "used 1,399 of 1,510 events, 111 not, because:",
        "not used: 60 duplicate (the same event again)",
        "not used: 30 bad_time, e.g. a.ndjson: line 3: no time",
        "not used: 10 malformed, e.g. a.ndjson:",
        "not used: 7 no_charge (no charge of the plan takes its meter), e.g. customer 'c1' on 2023-11-01",
        "not used: 2 void (voids another event, or is voided or amended by one)",
        "not used: 1 not_derived (no run has derived its usage yet)",
        "not used: 1 unknown_coupon, e.g. billing.coupon.applied 'e' of source 's': there is none",
    ]
    document = found["acme"].document()
    assert (document["received"], document["used"]) == (1510, 1399)
    assert sum(one["events"] for one in document["not_used"]) == 111
