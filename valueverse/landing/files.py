"""Which files of a landing folder are taken, and which are left alone for a reason."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valueverse.errors import RefusalError
from valueverse.events.validation import TENANT_KEY
from valueverse.landing.streams import open_regular

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = re.compile(r"\.(ndjson|json|csv|parquet)(?:\.(?:gz|zst))?\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BLOCK = 2**20


@dataclass(frozen=True)
class LandingFile:
    """A file to take: the tenant of its folder, its name below the landing folder, and its content's SHA-256.

    Attributes:
        name: characters that no text can hold are written out (``\\xff``, ``\\x0a``).
        stamp: what tells whether the file has changed since it was hashed.
        refused: why it is refused before it is read; empty for most.
    """

    tenant: str
    name: str
    path: Path
    file_hash: str
    size: int
    stamp: tuple[int, ...] = ()
    refused: str = ""

    def changed(self) -> bool:
        """Whether the file is another one than the one hashed."""
        try:
            return bool(self.stamp) and _stamp(self.path.stat()) != self.stamp
        except OSError:
            return True


@dataclass(frozen=True)
class Ignored:
    """A name in the landing folder that is no file to take, and why."""

    name: str
    reason: str


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def shown(name: str) -> str:
    """A file's name as text that can be stored and printed: other bytes and control characters written out."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def one_file(path: Path, tenant: str, name: str) -> LandingFile:
    """A file by its path.

    Raises:
        OSError: also for what is no regular file.
    """
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        found = os.fstat(stream.fileno())
        while block := stream.read(_BLOCK):
            digest.update(block)
    return LandingFile(tenant, name, path, digest.hexdigest(), found.st_size, _stamp(found))


def landing_files(landing: Path) -> tuple[list[LandingFile], list[Ignored]]:
    """Whole files of ``landing/<tenant>/`` in order of name, and what else lies there.

    ``.part`` files and hidden ones are left alone without a word.

    Raises:
        RefusalError: ``landing_unreadable`` when the folder itself may not be read.
    """
    try:
        entries = _entries(landing)
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise RefusalError(
            "landing_unreadable", f"{error.filename}: {error.strerror}; give this user the right to read it"
        ) from error
    files: list[LandingFile] = []
    ignored: list[Ignored] = []
    home = landing.resolve()
    for folder in entries:
        name = shown(folder.name)
        if not _is_folder(folder) or not re.match(TENANT_KEY, folder.name):
            ignored.append(Ignored(name, "only folders named like a tenant's key are looked into"))
            continue
        try:
            inside = _entries(folder)
        except OSError as error:
            ignored.append(Ignored(name, f"the folder cannot be read: {error.strerror}; give this user the right to"))
            continue
        for found in (_found(home, folder.name, path) for path in inside):
            (files if isinstance(found, LandingFile) else ignored).append(found)  # type: ignore[arg-type]  # told apart
    return files, ignored


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.suffix != ".part")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _found(home: Path, tenant: str, path: Path) -> LandingFile | Ignored:
    name = f"{tenant}/{shown(path.name)}"
    if not FORMATS.search(path.name):
        return Ignored(name, "its ending is none of .ndjson, .json, .csv and .parquet, also with .gz or .zst")
    try:
        problem = _no_file(home, path)
        if problem:
            return Ignored(name, problem)
        file = one_file(path, tenant, name)
    except OSError as error:
        return Ignored(name, f"it cannot be read: {error.strerror}")
    if shown(path.name) != path.name:
        refused = "its name holds bytes that are no UTF-8, or control characters: rename it"
        return LandingFile(tenant, name, path, file.file_hash, file.size, file.stamp, refused)
    return file


def _no_file(home: Path, path: Path) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        return f"it is no file but {kinds.get(stat.S_IFMT(mode), 'a device')}"
    if home not in path.resolve().parents:
        return "it is a link to a file outside of the landing folder: copy the file instead"
    return ""
