"""No module, of the platform or of its tests, is longer than the limit."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT = 400
"""Lines."""
GENERATED = frozenset(["_generated", "generated"])
"""Folders of code that nobody writes: the clients', from the OpenAPI document (decision 1683)."""


@pytest.mark.parametrize(
    "folder", ["valueverse", "assets", "pipelines", "quality", "serving_api", "clients", "tests", "bench"]
)
def test_no_module_is_longer_than_the_limit(folder: str) -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for suffix in ("py", "ts", "mts")
        for path in (ROOT / folder).rglob(f"*.{suffix}")
        if not GENERATED & set(path.parts)
    }
    assert lengths, "the folder has moved"
    assert {path: lines for path, lines in lengths.items() if lines > LIMIT} == {}, "split it by subject"
