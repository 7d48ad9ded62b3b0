"""``valueverse.yaml``: found from below, weaker than the environment, and its mistakes are named with their place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from valueverse.errors import RefusalError
from valueverse.platform.project_file import FIELDS
from valueverse.platform.settings import Settings, get_settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder; a folder two levels below it is the working folder."""
    below = tmp_path / "project" / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    return tmp_path / "project"


def _written(folder: Path, text: str) -> Path:
    path = folder / "valueverse.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_it_holds_in_every_folder_below_and_paths_are_those_of_its_folder(folder: Path) -> None:
    path = _written(folder, "tenant: acme\nlanding: in\nlake: s3://bucket/lake\ncatalog: c.yaml\napi_port: 9000\n")
    found = get_settings()
    assert (found.tenant, found.landing, found.lake_url) == ("acme", folder / "in", "s3://bucket/lake")
    assert (found.catalog, found.api_port, found.project_file) == (folder / "c.yaml", 9000, path)
    assert found.home == folder / ".valueverse"


def test_every_key_and_variable_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(VALUEVERSE_\w+)` \|", text, re.MULTILINE)
    stated = {key: f"VALUEVERSE_{name.removeprefix('external_').upper()}" for key, name in FIELDS.items()}
    assert dict(rows) == stated
    variables = {f"VALUEVERSE_{name.removeprefix('external_').upper()}" for name in Settings.model_fields}
    assert variables <= set(re.findall(r"VALUEVERSE_\w+", text))


def test_the_nearest_file_is_taken(folder: Path) -> None:
    _written(folder, "tenant: outer\n")
    _written(folder / "a", "tenant: inner\n")
    assert get_settings().tenant == "inner"


def test_without_a_file_the_home_is_in_the_working_folder(folder: Path) -> None:
    assert get_settings().project_file is None
    assert get_settings().home == folder / "a" / "b" / ".valueverse"


def test_an_argument_wins_over_the_environment_that_over_the_file_and_that_over_the_default(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _written(folder, "api_port: 9000\ndagster_port: 9001\n")
    monkeypatch.setenv("VALUEVERSE_API_PORT", "9100")
    found = get_settings()
    assert (found.api_port, found.dagster_port, found.postgres_port) == (9100, 9001, 54320)
    assert Settings(api_port=9200).api_port == 9200


def test_a_child_process_has_the_same_settings_wherever_it_works(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _written(folder, "tenant: acme\nlanding: in\n")
    given = get_settings()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    _written(elsewhere, "tenant: other\napi_port: 1\n")
    monkeypatch.chdir(elsewhere)
    for name, value in given.environment().items():
        monkeypatch.setenv(name, value)
    assert get_settings().model_dump() == given.model_dump()
    monkeypatch.setenv("VALUEVERSE_PROJECT_FILE", Settings(home=elsewhere).environment()["VALUEVERSE_PROJECT_FILE"])
    assert get_settings().api_port == 8000, "settings without a file are passed on without one"


@pytest.mark.parametrize(
    ("text", "place", "cure"),
    [
        ("# a\ntenat: acme\n", "line 2", "unknown key 'tenat': did you mean 'tenant'?"),
        ("api_port: high\n", "line 1", "api_port: 'high': Input should be a valid integer"),
        ("home: x\n\napi_port: 70000\n", "line 3", "api_port: 70000: Input should be less than or equal to 65535"),
        (
            "api_groups: architect, sales\n",
            "line 1",
            "'architect, sales' has no group of routes 'sales'; there are billing",
        ),
        (
            "events_a_minute_of: acme=5, birch=0\n",
            "line 1",
            "'acme=5, birch=0' has 'birch=0': write tenant=number, the number from 1 to 6000000",
        ),
        ("events_a_minute_of: acme\n", "line 1", "'acme' has 'acme': write tenant=number"),
        ("tenant: A b\n", "line 1", "tenant: 'A b': String should match pattern"),
        (
            "tenant: a\ncatalog_from: yesterday\n",
            "line 2",
            "catalog_from: 'yesterday' is not an instant: write '2026-01-31T00:00:00Z', or a date for local midnight",
        ),
        ("home:\n", "line 1", "home has no value: give it one, or remove the line"),
        ("home: [a]\n", "line 1", "home is one text or whole number, e.g. `home: .valueverse`"),
        ("api_port: 1.5\n", "line 1", "the number 1.5 is no whole number"),
        ("home: a\nhome: b\n", "line 2", "the key 'home' stands twice"),
        ("home: a\n\tlanding: b\n", "line 2", "a tab cannot indent: write blanks in its place"),
        ("- home\n", "line 1", "a settings file is one mapping with the keys tenant, home"),
    ],
)
def test_a_mistake_is_named_with_file_line_key_and_cure(folder: Path, text: str, place: str, cure: str) -> None:
    path = _written(folder, text)
    with pytest.raises(RefusalError) as refused:
        get_settings()
    assert refused.value.code == "bad_setting"
    assert refused.value.message.startswith(f"{path}, {place}: ")
    assert cure in refused.value.message


def test_a_mistake_of_a_variable_names_the_variable_beside_a_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _written(folder, "api_port: 9000\n")
    monkeypatch.setenv("VALUEVERSE_API_PORT", "eighty")
    with pytest.raises(RefusalError, match=r"^VALUEVERSE_API_PORT='eighty'"):
        get_settings()


def test_a_link_to_nothing_and_a_folder_of_its_name_are_not_passed_over(folder: Path) -> None:
    _written(folder, "tenant: outer\n")
    path = folder / "a" / "valueverse.yaml"
    path.symlink_to("moved.yaml")
    with pytest.raises(RefusalError, match=re.escape(f"{path} is a link to moved.yaml, where nothing is")) as refused:
        get_settings()
    assert refused.value.code == "bad_setting"
    path.unlink()
    path.mkdir()
    with pytest.raises(RefusalError, match=re.escape(f"{path} is a folder: write the settings into a file")):
        get_settings()


def test_a_named_file_that_is_missing_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUEVERSE_PROJECT_FILE", str(folder / "gone.yaml"))
    with pytest.raises(RefusalError, match=r"gone\.yaml cannot be read: No such file"):
        get_settings()
