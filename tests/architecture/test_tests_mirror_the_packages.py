"""A test is found where its package is: tests/<package>, with ``valueverse`` left out of the path."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
CROSS_CUTTING = {
    "architecture": "rules about the tree itself",
    "attacks": "a tenant, an analyst or the API's login against the rules of the database",
    "documentation": "documents that are made from code",
    "end_to_end": "the platform as a user runs it, and runs that are killed",
    "isolation": "what the logins of a warehouse may see and do",
    "recorded": "answers of commands as they were recorded",
    "reference_cases": "numeric cases of others",
    "support": "what tests share",
}
"""Folders that stand for no package, and what each holds."""


def test_every_folder_of_tests_mirrors_a_package_or_is_listed() -> None:
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    strays = [
        str(folder)
        for folder in sorted(folders)
        if folder.parts[0] not in CROSS_CUTTING
        and not any((base / folder).is_dir() or (base / folder).with_suffix(".py").is_file() for base in BASES)
    ]
    assert strays == [], "move these tests to tests/<package>, or say here what else they show"


def test_every_listed_folder_exists() -> None:
    assert [name for name in CROSS_CUTTING if not (TESTS / name).is_dir()] == []


def test_no_folder_of_tests_has_more_files_than_one_can_look_through() -> None:
    counts = {folder: len(list(folder.glob("test_*.py"))) for folder in TESTS.rglob("*") if folder.is_dir()}
    assert [str(folder) for folder, count in counts.items() if count > LIMIT] == []


BASES = (ROOT, ROOT / "valueverse")
LIMIT = 15
