"""Which pages the site has, in which order, and how files outside docs/ become pages."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from tests.decision_index import AREAS

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "build" / "site-source"

TOP = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Files at the top of the repository and the pages that they become."""

HANDBOOK: dict[str, list[str]] = {
    "Billing": ["catalog.md", "events.md", "formats.md", "explain.md", "ledger.md", "finance.md"],
    "Value": ["value-models.md", "tutorial-value.md"],
    "Use": [
        "settings.md",
        "cookbook.md",
        "api.md",
        "kafka.md",
        "clients.md",
        "people.md",
        "migrate.md",
        "audit.md",
        "privacy.md",
        "webhooks.md",
        "observability.md",
        "performance.md",
        "exit-codes.md",
        "glossary.md",
        "features.md",
    ],
}
"""Pages of docs/ itself, by what somebody wants to know; docs/testing.md is for those who change the code."""

REFERENCE = {
    "Command line": "reference/commands.md",
    "API": "reference/api.md",
    "Marts": "reference/marts.md",
    "JSON Schemas": "reference/schemas.md",
}
"""Pages that are made from the code (``tests/site/reference.py``)."""

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def navigation() -> list[Any]:
    """The navigation as MkDocs takes it: sections of pages, each by its path among the pages."""
    decisions = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    areas = {
        f"{AREAS[number]}": [f"decisions/{name}" for name in decisions if name.startswith(number)]
        for number in sorted(AREAS)
    }
    return [
        {"Start": ["index.md"]},
        {"Handbook": [{title: pages} for title, pages in HANDBOOK.items()]},
        {"Reference": [{title: page} for title, page in REFERENCE.items()] + [{"dbt": "reference/dbt.md"}]},
        {"Runbooks": _folder("runbooks")},
        {"Architecture": _folder("architecture")},
        {"Decisions": ["decisions/README.md", *({title: pages} for title, pages in areas.items() if pages)]},
        {"Project": ["changelog.md", "contributing.md", "testing.md", "security.md"]},
    ]


def pages_of(entries: Any) -> list[str]:
    """Every page that a navigation holds."""
    if isinstance(entries, str):
        return [entries]
    inner = entries.values() if isinstance(entries, dict) else entries
    return [page for one in inner for page in pages_of(one)]


def stage(into: Path) -> None:
    """Copy docs/ and the files at the top to an empty folder, with links that lead to pages of the site."""
    for path in sorted((ROOT / "docs").rglob("*")):
        if path.is_dir():
            continue
        target = into / path.relative_to(ROOT / "docs")
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            target.write_text(relinked(path, into), encoding="utf-8")
        else:
            shutil.copyfile(path, target)
    for name, page in TOP.items():
        (into / page).write_text(relinked(ROOT / name, into), encoding="utf-8")


def relinked(path: Path, into: Path) -> str:
    """The text of a Markdown file with its links as seen from its page.

    A link to a file that is no page becomes a link to a copy of that file in ``into``; one to a folder without a page
    becomes plain text.
    """
    here = _page(path)
    assert here is not None

    def link(found: re.Match[str]) -> str:
        image, text, address = found.groups()
        target, mark, anchor = address.partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return found[0]
        file = Path(os.path.normpath(path.parent / target))
        page = _page(file) or _copied(file, into)
        if page is None:
            return text
        return f"{image}[{text}]({os.path.relpath(page, PurePosixPath(here).parent)}{mark}{anchor})"

    # A fence holds no links; what looks like one is an example.
    parts = re.split(r"(^```.*?^```)", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else _LINK.sub(link, part) for part in parts)


def _page(file: Path) -> str | None:
    """Where a file of the repository is among the pages, or None."""
    if file.parent == ROOT and file.name in TOP:
        return TOP[file.name]
    if file.is_relative_to(ROOT / "docs"):
        if file.is_dir():
            return _page(file / "README.md") if (file / "README.md").exists() else None
        return file.relative_to(ROOT / "docs").as_posix()
    return None


def _copied(file: Path, into: Path) -> str | None:
    """A copy of a file that is no page, as text that a browser shows."""
    if not file.is_file():
        return None
    name = f"files/{file.relative_to(ROOT).as_posix()}.txt"
    (into / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, into / name)
    return name


def _folder(name: str) -> list[str]:
    pages = sorted(path.name for path in (ROOT / "docs" / name).glob("*.md") if path.name != "README.md")
    return [f"{name}/README.md", *(f"{name}/{page}" for page in pages)]
