"""docs/features.md names files that exist, so that its claims can be followed."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_path_that_the_feature_table_names_exists() -> None:
    text = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
    paths = set(re.findall(r"`((?:valueverse|assets|quality|pipelines|tests|dbt_project)/[\w./]+)`", text))
    assert len(paths) > 50
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_every_feature_is_in_one_of_three_states() -> None:
    text = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
    rows = [line.split("|")[2].strip() for line in text.splitlines() if line.startswith("| ")][1:]
    assert set(rows) <= {"yes", "partial", "not yet"}
