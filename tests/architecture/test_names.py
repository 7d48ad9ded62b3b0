"""Names and texts are terms of the field: ``docs/glossary.md`` lists them, and the words that are not used."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[2]
PACKAGES = ("valueverse", "assets", "pipelines", "quality", "serving_api")
REFUSED = [
    "told",
    "tell",
    "tells",
    "telling",
    "untold",
    "spoken",
    "speak",
    "speaks",
    "deed",
    "deeds",
    "ground",
    "grounds",
    "wall",
    "walls",
    "walled",
    "room",
    "rooms",
    "kit",
    "kept",
    "anew",
    "bereft",
    "borne",
    "bore",
    "bear",
    "bears",
    "bearers",
    "gist",
    "sole",
    "laid",
    "takers",
    "hole",
    "holes",
    "sameness",
    "said",
]
"""Words that architecture.md and the glossary refuse, in names and in texts: they say nothing to look up."""
REFUSED_IN_NAMES = ["say", "words", "house", "stands", "stood", "behind"]
"""Words that are plain in a sentence and say nothing in a name."""
PLACES = (
    *PACKAGES,
    "bench",
    "clients",
    "tests",
    "dbt_project",
    "docs",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "Makefile",
)
KINDS = frozenset([".py", ".ts", ".mts", ".sql", ".yml", ".yaml", ".md", ".typ", ""])
HISTORY = ("docs/decisions/", "valueverse/platform/migrations/", "tests/recorded/", "dbt_project/target/")
"""What was decided, migrated or recorded stays as it was written."""
GENERATED = (
    "clients/python/src/valueverse_client/_generated/",
    "clients/typescript/src/generated/",
    "clients/typescript/dist/",
)
"""Clients have the names that the API's contract has."""
DEFINED_HERE = ("docs/glossary.md", "tests/architecture/test_names.py")
VERDICT = frozenset(["said"])
"""``said_at`` and ``said_by`` of a verdict are columns of Postgres and keys of the output of ``value proposals``."""
ALLOWED = {
    "dbt_project/models/marts/fct_commitment.sql": VERDICT,
    "dbt_project/models/staging/stg_value_verdicts.sql": VERDICT,
    "dbt_project/models/staging/stg_value_verdicts.yml": VERDICT,
    "docs/architecture/tables.md": VERDICT,
    "tests/platform/stores/test_query_plans.py": VERDICT | {"tell"},
    "tests/services/value/test_value_step.py": VERDICT,
    "valueverse/platform/stores/proposal_store.py": VERDICT,
    "serving_api/routes/value/schemas.py": frozenset(["deeds"]),
    "serving_api/routes/value/work.py": VERDICT,
    "valueverse/services/value/commits/fee_proposals.py": VERDICT,
    "valueverse/value/realisation/proposal_status.py": VERDICT,
    "docs/value-models.md": frozenset(["deeds", "told"]),
    "tests/value/committer/test_commit_log.py": frozenset(["deeds", "told"]),
    "tests/value/committer/test_commits.py": frozenset(["deeds"]),
    "valueverse/services/value/commits/verify_commits.py": frozenset(["deeds"]),
    "valueverse/commands/value/verify.py": frozenset(["deeds"]),
    "valueverse/value/committer/commit_log.py": frozenset(["deed", "told"]),
    # the explanation of a line is part of a document's hash
    "valueverse/invoicing/lines/thresholds.py": frozenset(["bore"]),
    "tests/platform/migrations/test_migrations.py": frozenset(["bore"]),
    # variables of a published model, and of models that tests make
    "valueverse/value/library/churn_reduction.yaml": frozenset(["kept"]),
    "valueverse/value/library/support_deflection.yaml": frozenset(["told"]),
    "tests/value/executor/test_portfolio.py": frozenset(["kept"]),
    # names of tables and cursors in SQL that tests write
    "tests/isolation/test_analyst_removal.py": frozenset(["kept"]),
    "tests/isolation/test_bounds.py": frozenset(["kept"]),
    "tests/platform/servers/test_servers.py": frozenset(["kept"]),
    # the position in an open file
    "valueverse/platform/servers/processes.py": frozenset(["tell"]),
}
"""By file the refused words that it holds."""
TERM = re.compile(r"^\| ([^|]+?) \|", re.MULTILINE)


@cache
def refused(words: tuple[str, ...]) -> re.Pattern[str]:
    """Finds a word by itself, as a part of a snake_case or CONSTANT name, and in CamelCase."""
    small, capital, large = ("|".join(form(word) for word in words) for form in (str.lower, str.capitalize, str.upper))
    return re.compile(
        rf"(?<![A-Za-z])(?:{small}|{capital})(?![a-z])|(?<![A-Za-z])(?:{large})(?![A-Za-z])|(?<=[a-z])(?:{capital})(?![a-z])"
    )


def found(text: str, words: Iterable[str] = REFUSED) -> frozenset[str]:
    return frozenset(hit.lower() for hit in refused(tuple(words)).findall(text))


def texts() -> Iterator[tuple[str, str]]:
    """Code, SQL and documents, by their path: with them names, columns, comments, messages and help texts."""
    for place in PLACES:
        path = ROOT / place
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            name = str(file.relative_to(ROOT))
            if file.suffix in KINDS and file.is_file() and not name.startswith((*HISTORY, *GENERATED, *DEFINED_HERE)):
                yield name, file.read_text(encoding="utf-8")


def names_in(source: str) -> Iterator[str]:
    """What a module names: classes, functions, parameters, attributes, variables, keyword arguments."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.keyword(arg=str(name)):
                yield name


def test_names_and_texts_use_no_word_that_the_glossary_refuses() -> None:
    """Columns of Postgres are among them: docs/architecture/tables.md lists those of a migrated database."""
    assert {name: words for name, text in texts() if (words := found(text))} == ALLOWED


@pytest.mark.parametrize("package", PACKAGES)
def test_names_of_a_package_are_terms_of_the_field(package: str) -> None:
    wrong = set()
    for path in (ROOT / package).rglob("*.py"):
        if "migrations" in path.parts:
            continue
        source = path.read_text(encoding="utf-8")
        names = names_in(source) if found(source, REFUSED_IN_NAMES) else ()
        wrong |= {f"{path.relative_to(ROOT)}: {one}" for one in (path.stem, *names) if found(one, REFUSED_IN_NAMES)}
    assert wrong == set()


@pytest.mark.parametrize(
    "text", ["read_told", "StandingGround", "TOLD_LATE", "a wall", "told: list[str]", "x.kept", "# Rooms", "_told_at"]
)
def test_a_refused_word_is_noticed(text: str) -> None:
    assert found(text)


@pytest.mark.parametrize(
    "text", ["PriorState", "wallet", "WALLETS", "bearer", "foretold", "a_bearer_token", "groundwork"]
)
def test_a_part_of_another_word_is_none(text: str) -> None:
    assert not found(text)


def test_every_kind_of_name_is_read() -> None:
    source = "class A:\n    b: int\ndef c(d, *, e):\n    f = g.h(i=1)\n    for j in d: pass\n"
    assert set(names_in(source)) >= {"A", "b", "c", "d", "e", "f", "g", "h", "i", "j"}


def test_the_glossary_has_each_term_once() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    terms = [term for term in TERM.findall(text) if term != "Term" and not term.startswith("---")]
    assert len(terms) == len(set(terms)) > 60
