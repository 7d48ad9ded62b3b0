"""What CONTRIBUTING and SECURITY name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_every_file_and_target_that_is_named_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    paths = [one for one in re.findall(r"`([\w./-]+/[\w./-]+)`", text) if not one.startswith((".venv/", "build/"))]
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert paths
    assert [one for one in paths + links if not (ROOT / one).exists()] == []
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets


def test_every_folder_has_an_owner() -> None:
    text = (ROOT / ".github" / "CODEOWNERS").read_text(encoding="utf-8")
    patterns = [line.split()[0] for line in text.splitlines() if line and not line.startswith("#")]
    # The app comes later; its team owns it from the first file on.
    missing = [one for one in patterns if one != "*" and not (ROOT / one.strip("/")).exists()]
    assert missing == ["/frontend/"]
    assert patterns[0] == "*"


def test_ci_and_workflows_run_make_targets_and_nothing_else() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^ci: lint type validate scan test\b", makefile, re.MULTILINE)
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1] == "make ci"
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for path in sorted((ROOT / ".github").rglob("*.yml")):
        runs = re.findall(r"^\s*(?:- )?run: (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert runs, path.name
        assert {run.split()[0] for run in runs} == {"make"}, path.name
        assert {run.split()[1] for run in runs} <= targets, path.name
