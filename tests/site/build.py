"""Build the documentation as one static site (``make docs``).

python -m tests.site.build
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import html5lib

from tests.site import layout, reference

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = layout.ROOT / "mkdocs.yml"
SITE = layout.ROOT / "build" / "site"
_ASSETS = Path(__file__).with_name("assets")
_DBT = """# dbt

Every model with its SQL, columns, tests and lineage, as dbt shows them:
**[open the dbt documentation](dbt-models.html)**.

It is one file, which dbt writes; it needs no server and loads nothing. SQL is shown as it is written: compiled SQL
depends on the tenants and months of a run, and is in the logs of that run.
"""
_LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href", "object": "data"}
_LINKED_ONLY = {"canonical", "alternate", "prev", "next", "license"}


def main() -> None:
    """Write build/site; a broken link or a thing that a page would load from elsewhere ends it with an error."""
    os.environ["DO_NOT_TRACK"] = "1"
    shutil.rmtree(layout.SOURCE, ignore_errors=True)
    layout.stage(layout.SOURCE)
    _write_reference()
    _build()
    foreign = [f"{path.relative_to(SITE)}: {address}" for path in SITE.rglob("*.html") for address in loaded(path)]
    if foreign:
        sys.exit("loaded from elsewhere:\n" + "\n".join(foreign))
    sys.stdout.write(f"the documentation: {(SITE / 'index.html').as_uri()}\n")


def loaded(page: Path) -> Iterator[str]:
    """What a page loads from another host: scripts, styles, images, frames."""
    for element in html5lib.parse(page.read_text(encoding="utf-8"), namespaceHTMLElements=False).iter():
        address = element.get(_LOADED.get(str(element.tag), ""), "")
        relations = set(element.get("rel", "").split())
        if address.startswith(("http:", "https:", "//")) and not (relations and relations <= _LINKED_ONLY):
            yield address


def _write_reference() -> None:
    from serving_api.app import create_app
    from valueverse.platform.settings import Settings

    folder = layout.SOURCE / "reference"
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as home:
        app = create_app(Settings(home=Path(home)))
        manifest = _dbt_documents(Path(home), folder)
    schemas = {path.name: path.read_text("utf-8") for path in sorted((layout.ROOT / "docs" / "schemas").glob("*.json"))}
    written = {
        "commands.md": reference.commands(),
        "api.md": reference.api(app),
        "openapi.json": json.dumps(app.openapi(), indent=1) + "\n",
        "marts.md": reference.marts(manifest),
        "schemas.md": reference.schemas(schemas),
        "dbt.md": _DBT,
    }
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
    shutil.copytree(_ASSETS, layout.SOURCE / "assets", dirs_exist_ok=True)
    # The very script that the wheel draws diagrams with, for browsers.
    script = resources.files("mermaidx").joinpath("assets/mermaid.js").read_bytes()
    (layout.SOURCE / "assets" / "mermaid.js").write_bytes(script)


def _dbt_documents(target: Path, folder: Path) -> dict[str, Any]:
    """Write dbt's own documentation as one file, without a database, and return its manifest."""
    from dbt.cli.main import dbtRunner

    project = str(layout.ROOT / "dbt_project")
    where = [
        "--project-dir",
        project,
        "--profiles-dir",
        project,
        "--target-path",
        str(target),
        "--log-path",
        str(target),
    ]
    for command in (["parse"], ["docs", "generate", "--empty-catalog", "--no-compile"]):
        done = dbtRunner().invoke(["--quiet", *command, *where])
        if not done.success:
            sys.exit(f"dbt {command[0]}: {done.exception}")
    manifest: dict[str, Any] = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    page = (target / "index.html").read_text(encoding="utf-8")
    # As `--static` fills the page, with types from the models' contracts in place of a database's catalog.
    for name, value in (("MANIFEST", manifest), ("CATALOG", reference.dbt_catalog(manifest))):
        page = page.replace(f'"{name}.JSON INLINE DATA"', json.dumps(value))
    (folder / "dbt-models.html").write_text(page, encoding="utf-8")
    return manifest


def _build() -> None:
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    config = load_config(str(CONFIG), nav=layout.navigation())
    build(config)
    for page in SITE.rglob("*.html"):
        page.write_text(_with_own_scripts(page), encoding="utf-8")


def _with_own_scripts(page: Path) -> str:
    """The text of a page whose scripts come with the site, and the one for diagrams only where there are some."""
    text = page.read_text(encoding="utf-8")
    up = os.path.relpath(SITE, page.parent)
    # The theme's plugin for pages without a server names this one at its author's address.
    text = text.replace("https://unpkg.com/iframe-worker/shim", f"{up}/assets/iframe-worker.js")
    if 'class="mermaid"' not in text:
        text = re.sub(r'<script src="[^"]*assets/mermaid.js"></script>', "", text)
    return text


if __name__ == "__main__":
    main()
