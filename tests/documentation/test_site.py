"""The documentation site: every page is in the navigation, and pages that are made from code know all of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from serving_api.app import create_app
from tests.site import layout, reference, screenshots
from tests.site.build import loaded
from tests.site.screenshots import MOST_BYTES, PICTURES
from tests.support.terminal import commands
from valueverse.platform.settings import Settings

ROOT = Path(__file__).parents[2]
_MADE = {*layout.REFERENCE.values(), "reference/dbt.md"}


def test_every_page_is_in_the_navigation_once() -> None:
    pages = layout.pages_of(layout.navigation())
    docs = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(pages) == sorted(docs | set(layout.TOP.values()) | _MADE)


def test_every_link_of_every_page_leads_to_a_page_or_a_file(tmp_path: Path) -> None:
    layout.stage(tmp_path)
    broken = []
    for page in tmp_path.rglob("*.md"):
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        targets = re.findall(r"\]\(([^)#\s]+)", re.sub(r"`[^`\n]*`", "", text))
        here = [one for one in targets if not re.match(r"[a-z]+:", one)]
        broken += [f"{page.relative_to(tmp_path)}: {one}" for one in here if not (page.parent / one).is_file()]
    assert broken == []


def test_links_out_of_the_documents_lead_to_copies_and_those_to_folders_are_words(tmp_path: Path) -> None:
    page = ROOT / "docs" / "runbooks" / "x.md"
    page_text = "[a](../catalog.md#meters) [b](../../README.md) [c](../../Makefile) [d](../../tests) [e](https://x.org)"
    before = Path.read_text

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_text", lambda self, **given: page_text if self == page else before(self, **given))
        shown = layout.relinked(page, tmp_path)
    assert shown == ("[a](../catalog.md#meters) [b](../index.md) [c](../files/Makefile.txt) d [e](https://x.org)")
    assert (tmp_path / "files" / "Makefile.txt").is_file()


def test_the_reference_of_the_command_line_knows_every_command() -> None:
    page = reference.commands()
    assert [name for name in commands() if not re.search(rf"^#+ `valueverse {name}`$", page, re.MULTILINE)] == []
    assert not re.search(r"\[/?(dim|bold|italic)\]", page)
    assert "```sh\nvalueverse analysts list\n```" in page


def test_the_reference_of_the_api_knows_every_route_and_shape(tmp_path: Path) -> None:
    app = create_app(Settings(home=tmp_path))
    page = reference.api(app)
    described = app.openapi()
    routes = [f"### `{method.upper()} {path}`" for path, item in described["paths"].items() for method in item]
    shapes = [f"### {name}" for name in described["components"]["schemas"]]
    assert [line for line in routes + shapes if line not in page.splitlines()] == []
    anchors = {line.removeprefix("### ").lower() for line in shapes}
    assert set(re.findall(r"\(#([^)]+)\)", page)) <= anchors


def test_the_data_dictionary_has_every_column_of_a_mart_and_draws_what_joins() -> None:
    def mart(name: str, key: list[str], *more: str) -> dict[str, object]:
        columns = {
            column: {"name": column, "data_type": "text", "description": f"{column} of\n{name} | x"}
            for column in (*key, *more)
        }
        return {
            "resource_type": "model",
            "fqn": ["valueverse", "marts", name],
            "name": name,
            "schema": "marts",
            "description": f"About {name}.",
            "constraints": [{"type": "primary_key", "columns": key}],
            "columns": columns,
        }

    nodes = {
        "a": mart("fct_invoice", ["tenant_id", "invoice_id"], "total"),
        "b": mart("fct_line", ["tenant_id", "invoice_id", "line_no"]),
        "c": mart("dim_tenant", ["tenant_id"]),
    }
    page = reference.marts({"nodes": nodes})
    assert '    fct_invoice ||--o{ fct_line : "invoice_id"' in page
    assert "dim_tenant ||" not in page
    assert "| `total` | text |  | total of fct_invoice \\| x |" in page
    assert "| `line_no` | text | key | line_no of fct_line \\| x |" in page
    assert "One row per `tenant_id`, `invoice_id`." in page
    assert reference.dbt_catalog({"nodes": nodes})["nodes"]["a"]["columns"]["total"]["type"] == "text"


def test_the_page_of_schemas_lists_each() -> None:
    found = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "schemas").glob("*.json")}
    page = reference.schemas(found)
    assert [name for name in found if f"(../schemas/{name})" not in page] == []
    assert all(json.loads(text)["title"] in page for text in found.values())


def test_what_a_page_would_load_from_elsewhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        '<!doctype html><title>x</title><link rel="stylesheet" href="https://a.org/x.css">'
        '<link rel="canonical" href="https://b.org/"><link rel="icon" href="//c.org/i.png"><script src="http://d.org/x.js">'
        '</script><img src="https://e.org/x.png"><img src="x.png"><a href="https://f.org">f</a>',
        encoding="utf-8",
    )
    assert list(loaded(page)) == [
        "https://a.org/x.css",
        "//c.org/i.png",
        "http://d.org/x.js",
        "https://e.org/x.png",
    ]


def test_the_pictures_of_the_dagster_ui_are_shown_small_and_named() -> None:
    folder = ROOT / "docs" / "images"
    taken = {f"dagster-{name}.png" for name in PICTURES}
    assert {path.name for path in folder.iterdir()} == taken
    assert [path.name for path in folder.iterdir() if path.stat().st_size > MOST_BYTES] == []
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "runbooks").glob("*.md")]
    shown = {name: text for text in texts for text, name in re.findall(r"!\[(.+)\]\(\.\./images/(.+?)\)", text)}
    assert shown.keys() == taken


@pytest.mark.parametrize(
    ("browser", "message"), [(None, "no browser: install one of"), ("/bin/true", "the Dagster UI does not run")]
)
def test_without_a_browser_or_a_running_ui_no_picture_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: str | None, message: str
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: browser)
    monkeypatch.setenv("VALUEVERSE_HOME", str(tmp_path))
    with pytest.raises(SystemExit, match=message):
        screenshots.main()
