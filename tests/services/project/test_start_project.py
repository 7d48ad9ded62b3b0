"""``valueverse init``: the folder is valid as it is, and nothing that lies in a folder is overwritten."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import jsonschema
import polars as pl
import pytest
import yaml

from valueverse.errors import RefusalError
from valueverse.platform.settings import get_settings
from valueverse.services.catalogs.check_catalog import check_catalog
from valueverse.services.ingestion.check_file import check_file
from valueverse.services.project.start_project import start_project
from valueverse.value import library

if TYPE_CHECKING:
    from pathlib import Path


def test_settings_catalogs_and_every_event_file_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "shop"
    written = start_project(folder, "shop")
    assert {path for path in folder.rglob("*") if path.is_file()} == set(written)
    monkeypatch.chdir(folder / "landing")
    settings = get_settings()
    assert (settings.tenant, settings.landing, settings.catalog) == (
        "shop",
        folder / "landing",
        folder / "catalog.yaml",
    )
    for name in ("catalog.yaml", "dearer.yaml"):
        text = (folder / name).read_text()
        assert check_catalog(text)["ok"]
        schema = validator_of(folder / name)
        assert list(schema.iter_errors(yaml.safe_load(text))) == []
        assert list(schema.iter_errors(yaml.safe_load(text) | {"metres": []}))
    checked = [check_file(path, "shop", datetime.now(UTC)) for path in (folder / "landing" / "shop").iterdir()]
    assert len(checked) == 4
    assert all(one.is_clean for one in checked)
    usage = pl.concat([one.types for one in checked]).filter(pl.col("type") == "api.usage")
    assert (usage["first"].min(), usage["last"].max()) == (
        datetime(2025, 12, 31, 12, tzinfo=UTC),
        datetime(2026, 1, 31, 12, tzinfo=UTC),
    )
    assert "acme" not in "".join(path.read_text() for path in written)


@pytest.mark.parametrize("name", library.names())
def test_a_ready_model_names_the_schema_that_lies_in_the_project(tmp_path: Path, name: str) -> None:
    start_project(tmp_path, "acme")
    text = library.text(name)
    (tmp_path / "model.yaml").write_text(text)
    schema = validator_of(tmp_path / "model.yaml")
    assert list(schema.iter_errors(yaml.safe_load(text))) == []
    assert list(schema.iter_errors(yaml.safe_load(text) | {"axs": {}}))


def validator_of(path: Path) -> jsonschema.Draft202012Validator:
    """Of the schema that the first line of a file names, as an editor finds it."""
    found = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text())
    assert found is not None
    return jsonschema.Draft202012Validator(json.loads((path.parent / found[1]).read_text()))


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("mine")
    with pytest.raises(RefusalError, match="is not empty: name a new folder, or empty this one"):
        start_project(tmp_path, "acme")
    with pytest.raises(RefusalError, match="is not empty"):
        start_project(note, "acme")
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    start_project(tmp_path, "acme")
    assert (tmp_path / ".gitignore").read_text() == ".valueverse/\n*.part\n"


@pytest.mark.parametrize("tenant", ["", "A b", "../up"])
def test_a_tenant_key_that_can_be_none_is_refused(tmp_path: Path, tenant: str) -> None:
    with pytest.raises(RefusalError, match="is not a tenant key") as refused:
        start_project(tmp_path / "new", tenant)
    assert refused.value.path == "--tenant"
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RefusalError, match="file/new: Not a directory"):
        start_project(tmp_path / "file" / "new", "acme")
