"""npm packages are locked by their hashes, and come from wherever npm is configured to look."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.node import ROOT, locked_folders, run_package

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = locked_folders()


@pytest.mark.parametrize("folder", FOLDERS, ids=[str(folder.relative_to(ROOT)) for folder in FOLDERS])
def test_every_package_of_a_lock_has_a_hash_and_no_address(folder: Path) -> None:
    text = (folder / "package-lock.json").read_text(encoding="utf-8")
    packages = {name: one for name, one in json.loads(text)["packages"].items() if name}
    assert packages
    assert [name for name, one in packages.items() if not one.get("integrity", "").startswith("sha512-")] == []
    assert "resolved" not in text
    assert (folder / ".npmrc").read_text(encoding="utf-8").startswith("omit-lockfile-registry-resolved=true\n")


def test_a_command_of_a_locked_package_runs_with_the_node_of_the_wheel() -> None:
    folder = ROOT / "clients" / "typescript"
    locked = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
    version = locked["packages"]["node_modules/typescript"]["version"]
    assert run_package("tsc", "--version", folder=folder).strip() == f"Version {version}"
