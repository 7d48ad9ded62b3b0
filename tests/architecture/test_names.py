"""Names are terms of the field: ``docs/glossary.md`` lists them, and the words that are no names here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("valueverse", "assets", "pipelines", "quality", "serving_api")
METAPHORS = frozenset(
    [
        "told",
        "tell",
        "untold",
        "spoken",
        "say",
        "said",
        "words",
        "deed",
        "deeds",
        "ground",
        "wall",
        "walls",
        "room",
        "rooms",
        "kit",
        "kept",
        "behind",
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
        "holes",
        "house",
        "sameness",
    ]
)
"""Words that architecture.md and the glossary refuse: they say nothing that a reader could look up."""
TERM = re.compile(r"^\| ([^|]+?) \|", re.MULTILINE)


def words_of(name: str) -> set[str]:
    return set(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_"))


def names_in(path: Path) -> list[str]:
    """The module, its classes and its functions; not the columns of published documents, which stay as they are."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [path.stem, *(node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds))]


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_classes_and_functions_are_named_by_terms_of_the_field(package: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / package).rglob("*.py")
        if "migrations" not in path.parts
        for name in names_in(path)
        if words_of(name) & METAPHORS
    }
    assert found == set()


def test_a_metaphor_in_a_name_is_noticed() -> None:
    assert words_of("read_told") & METAPHORS
    assert words_of("StandingGround") & METAPHORS
    assert not words_of("PriorState") & METAPHORS


def test_the_glossary_has_each_term_once() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    terms = [term for term in TERM.findall(text) if term != "Term" and not term.startswith("---")]
    assert len(terms) == len(set(terms)) > 60
