"""``valueverse catalog check | diff | publish``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tests.support.ledger import World
from valueverse.catalog import catalog_hash, parse_catalog
from valueverse.cli import app
from valueverse.documents import tree_changes
from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.services.catalogs.check_catalog import check_catalog, comparable
from valueverse.services.catalogs.publish_catalog import catalog_published, publish_catalog
from valueverse.services.ingestion.check_file import check_file
from valueverse.services.lake_tables import BILLING_FACTS_TABLE

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
schema: valueverse.catalog/v1
currency: EUR
meters:
  - {key: tokens, event_type: request, aggregation: sum, value: n}
plans:
  - key: pro
    version: 2
    fees: [{key: platform, amount: "49.00"}]
    charges: [{key: usage, meter: tokens, price: {model: standard, unit: "0.5"}}]
"""
NOON = datetime(2024, 2, 1, 12, tzinfo=UTC)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["catalog", *arguments], env={"COLUMNS": "200"})


def test_a_checked_catalog_says_what_it_sells() -> None:
    answer = check_catalog(TEXT)
    assert answer["ok"]
    assert answer["meters"] == ["tokens"]
    assert answer["plans"] == [{"key": "pro", "version": 2, "fees": ["platform"], "charges": ["usage"]}]
    assert answer["hash"] == catalog_hash(parse_catalog(TEXT))


def test_every_mistake_is_shown_below_its_line(tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(TEXT.replace("currency", "curency").replace("meter: tokens", "meter: token"))
    shown = run("check", str(path))
    assert shown.exit_code == 1
    assert f"{path}:3:1: unknown field 'curency': did you mean 'currency'?" in shown.stdout
    assert "plans[0].charges[0].meter" in shown.stdout
    assert shown.stdout.endswith("2 problems\n")
    assert len(json.loads(run("check", str(path), "--json").stdout)["problems"]) == 2


def test_two_catalogs_are_compared_by_keys_not_by_places() -> None:
    other = TEXT.replace('"0.5"', '"0.6"').replace("fees: [", 'fees: [{key: support, amount: "9"}, ')
    changes = tree_changes(comparable(parse_catalog(TEXT)), comparable(parse_catalog(other)))
    assert [(one.kind, one.path) for one in changes] == [
        ("changed", "plans.pro@2.charges.usage.price.unit"), ("added", "plans.pro@2.fees.support"),
    ]  # fmt: skip
    respelled = parse_catalog(TEXT.replace('"0.5"', "0.50"))
    assert tree_changes(comparable(parse_catalog(TEXT)), comparable(respelled)) == []


def test_a_published_catalog_is_one_event_that_ingestion_takes_and_is_written_once(tmp_path: Path) -> None:
    catalog = parse_catalog(TEXT)
    lake, landing = Lake(str(tmp_path / "lake")), tmp_path / "landing"
    path, written = publish_catalog(lake, landing, "acme", catalog, NOON, new_tenant=True)
    assert written
    assert publish_catalog(lake, landing, "acme", catalog, NOON) == (path, False)
    found = check_file(path, None, NOON)
    assert (found.is_clean, found.tenant, found.lines) == (True, "acme", 1)
    event = json.loads(path.read_text())
    assert event["time"] == "2024-02-01T12:00:00Z"
    assert catalog_hash(parse_catalog(event["data"])) == catalog_hash(catalog)
    assert list(path.parent.iterdir()) == [path]


def test_a_second_catalog_from_the_same_instant_on_is_refused(tmp_path: Path) -> None:
    lake, landing = Lake(str(tmp_path / "lake")), tmp_path / "landing"
    first, other = parse_catalog(TEXT), parse_catalog(TEXT.replace("49.00", "59.00"))
    path, _ = publish_catalog(lake, landing, "acme", first, NOON, new_tenant=True)
    with pytest.raises(RefusalError, match="is there already") as refused:
        publish_catalog(lake, landing, "acme", other, NOON)
    assert (refused.value.code, refused.value.path) == ("already_stated", "--effective")
    assert list(path.parent.iterdir()) == [path]
    assert publish_catalog(lake, landing, "acme", first, NOON) == (path, False)
    assert publish_catalog(lake, landing, "acme", other, NOON.replace(hour=13))[1]
    assert publish_catalog(lake, landing, "other", other, NOON, new_tenant=True)[1]
    void = catalog_published("acme", first, NOON)
    void |= {"id": "void", "replaces": void["id"], "data": None}
    (landing / "acme" / "void.ndjson").write_text(json.dumps(void))
    once_more, written = publish_catalog(lake, landing, "acme", first, NOON)
    assert (written, once_more.name) == (True, path.name.replace(".ndjson", "-2.ndjson"))
    assert publish_catalog(lake, landing, "acme", first, NOON) == (once_more, False)
    once_more.unlink()
    assert publish_catalog(lake, landing, "acme", other, NOON)[1]


def test_a_tenant_key_that_cannot_be_one_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match="not a tenant key"):
        publish_catalog(Lake(str(tmp_path / "lake")), tmp_path / "landing", "../acme", parse_catalog(TEXT), NOON)
    assert list(tmp_path.iterdir()) == []


def test_a_tenant_that_nobody_created_is_refused_with_the_nearest_one_and_the_cure(tmp_path: Path) -> None:
    lake, landing, catalog = Lake(str(tmp_path / "lake")), tmp_path / "landing", parse_catalog(TEXT)
    lake.overwrite(BILLING_FACTS_TABLE, World({"currency": "EUR"}).lake_facts())
    with pytest.raises(RefusalError) as refused:
        publish_catalog(lake, landing, "acmee", catalog, NOON)
    assert (refused.value.code, refused.value.path, refused.value.suggestion) == ("unknown_tenant", "--tenant", "acme")
    assert "did you mean 'acme'? (`valueverse tenants add` makes one, and so does --new-tenant)" in str(refused.value)
    assert not landing.exists()
    assert publish_catalog(lake, landing, "acme", catalog, NOON)[1]


def test_a_file_that_is_missing_is_named_by_the_argument_that_named_it(tmp_path: Path) -> None:
    there, missing = tmp_path / "a.yaml", str(tmp_path / "none.yaml")
    there.write_text(TEXT)
    asked = (("diff", str(there), missing), ("diff", missing, str(there)), ("publish", missing, "--tenant", "acme"))
    refusals = [run(*one).exception for one in asked]
    assert [(one.code, one.path) for one in refusals] == [
        ("unreadable_file", place) for place in ("AFTER", "BEFORE", "FILE")
    ]


def test_the_commands_write_and_compare_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUEVERSE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("VALUEVERSE_LANDING", raising=False)
    (tmp_path / "a.yaml").write_text(TEXT)
    (tmp_path / "b.yaml").write_text(TEXT.replace("49.00", "59.00"))
    assert (
        '~ plans.pro@2.fees.platform.amount: "49" -> "59"'
        in run("diff", *(str(tmp_path / f"{x}.yaml") for x in "ab")).stdout
    )
    assert run("diff", str(tmp_path / "a.yaml"), str(tmp_path / "a.yaml")).stdout == "the catalogs say the same\n"
    publish = ("publish", str(tmp_path / "a.yaml"), "--tenant", "acme", "--effective", "2024-02-01")
    assert run(*publish).exception.code == "unknown_tenant"
    assert run(*publish, "--new-tenant").exit_code == 0
    [path] = (tmp_path / "home" / "landing" / "acme").iterdir()
    again = {"tenant": "acme", "effective": "2024-02-01T00:00:00Z", "file": str(path), "delivered": False}
    assert json.loads(run(*publish, "--json").stdout) == again
    assert json.loads(path.read_text())["time"] == "2024-02-01T00:00:00Z"
    assert isinstance(run("check", str(tmp_path / "none.yaml")).exception, RefusalError)
