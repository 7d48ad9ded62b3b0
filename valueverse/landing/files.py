"""Which files of a landing folder are taken, and which are left alone for a reason."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valueverse.errors import RefusalError
from valueverse.events import TENANT_KEY
from valueverse.landing.streams import most_expanded, open_regular

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime
    from pathlib import Path

FORMATS = re.compile(r"\.(ndjson|json|csv|parquet)(?:\.(?:gz|zst))?\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NOWHERE = "it is a link to nothing: bring back the file that it names, or remove it"
_UNFINISHED = ".part"
_FORGOTTEN = 24 * 3600
"""Seconds after which an unfinished file is no longer left alone without a word."""
_BLOCK = 2**20
_STORED_BLOCK = 512
"""Bytes of one of ``st_blocks``, whatever the file system."""


@dataclass(frozen=True)
class LandingFile:
    """A file to take: the tenant of its folder, its name below the landing folder, and its content's SHA-256.

    Attributes:
        name: characters that no text can hold are written out (``\\xff``, ``\\x0a``).
        stamp: size and times; another stamp means that the file has changed since it was hashed.
        refused: why it is refused before it is read; empty for most.
        receipts: from which line on its events were received when, of a file that was put together of requests; empty:
            all of them are received as it is taken.
        offsets: from which line on its events are which messages of a partition, of a file that was put together of
            messages; empty for others.
    """

    tenant: str
    name: str
    path: Path
    file_hash: str
    size: int
    stamp: tuple[int, ...] = ()
    refused: str = ""
    receipts: tuple[tuple[int, datetime], ...] = ()
    offsets: tuple[tuple[int, int], ...] = ()

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
        left = found.st_size
        # No further than it reaches now: one that grows all the while would never end. It counts as changed.
        while left > 0 and (block := stream.read(min(left, _BLOCK))):
            digest.update(block)
            left -= len(block)
    return LandingFile(tenant, name, path, digest.hexdigest(), found.st_size, _stamp(found))


def landing_files(
    landing: Path, tenant: str | None = None, taken: Collection[str] = ()
) -> tuple[list[LandingFile], list[Ignored]]:
    """Whole files of ``landing/<tenant>/`` in order of name, and what else lies there.

    Hidden files, and ``.part`` files that were written to within a day, are left alone without a word.

    Args:
        landing: the landing folder.
        tenant: only files of this tenant's folder; None: of all folders.
        taken: names of files that are not looked at.

    Raises:
        RefusalError: ``landing_unreadable`` when the folder itself may not be read.
    """
    files: list[LandingFile] = []
    ignored: list[Ignored] = []
    wanted = (one for one in _candidates(landing, tenant) if not isinstance(one, tuple) or _name(*one) not in taken)
    for found in (_found(*one) if isinstance(one, tuple) else one for one in wanted):
        (files if isinstance(found, LandingFile) else ignored).append(found)  # type: ignore[arg-type]  # distinct types
    return files, ignored


def ignored_files(landing: Path) -> list[Ignored]:
    """What lies in the landing folder and is not taken, and why, without reading any file.

    Raises:
        RefusalError: as ``landing_files``.
    """
    judged = (_ignored(*one) if isinstance(one, tuple) else one for one in _candidates(landing))
    return [one for one in judged if one is not None]


def files_to_take(landing: Path) -> list[str]:
    """Names of the files that ``landing_files`` would look into, as far as that shows without reading any.

    Raises:
        RefusalError: as ``landing_files``.
    """
    return [_name(*one) for one in _candidates(landing) if isinstance(one, tuple) and _ignored(*one) is None]


def _name(own: Path, path: Path) -> str:
    return f"{own.name}/{shown(path.name)}"


def _candidates(landing: Path, tenant: str | None = None) -> Iterator[tuple[Path, Path] | Ignored]:
    """Each name in a tenant's folder, with that folder, links resolved; and folders that are not looked into."""
    try:
        entries = _entries(landing)
    except FileNotFoundError:
        return
    except OSError as error:
        raise RefusalError(
            "landing_unreadable", f"{error.filename}: {error.strerror}; give this user the right to read it"
        ) from error
    home = landing.resolve()
    for folder in entries:
        name = shown(folder.name)
        if tenant not in {None, folder.name}:
            continue
        if not _is_folder(folder) or not re.match(TENANT_KEY, folder.name):
            yield Ignored(name, _no_tenants_folder(folder))
            continue
        try:
            inside = _entries(folder)
        except OSError as error:
            yield Ignored(name, f"the folder cannot be read: {error.strerror}; give this user the right to")
            continue
        yield from ((home / folder.name, path) for path in inside)


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and not _is_being_written(path))


def _is_being_written(path: Path) -> bool:
    if path.suffix != _UNFINISHED:
        return False
    try:
        return time.time() - path.lstat().st_mtime < _FORGOTTEN
    except OSError:
        return True


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _no_tenants_folder(path: Path) -> str:
    if _leads_nowhere(path):
        return _NOWHERE
    cure = "rename it" if _is_folder(path) else "move it into the folder of its tenant"
    return f"only folders named like a tenant's key (a-z, 0-9, '_', '.', '-') are looked into: {cure}"


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _found(own: Path, path: Path) -> LandingFile | Ignored:
    """What a name in the folder ``own`` of a tenant, links resolved, is."""
    if ignored := _ignored(own, path):
        return ignored
    tenant, name = own.name, _name(own, path)
    try:
        file = one_file(path, tenant, name)
    except OSError as error:
        return Ignored(name, _unreadable(path, error))
    if shown(path.name) != path.name:
        refused = "its name holds bytes that are no UTF-8, or control characters: rename it"
        return LandingFile(tenant, name, path, file.file_hash, file.size, file.stamp, refused)
    return file


def _ignored(own: Path, path: Path) -> Ignored | None:
    """Why a name is no file to take, as far as that shows without reading it."""
    name = _name(own, path)
    try:
        if path.is_dir():
            return Ignored(name, "it is no file but a folder: move its files into the tenant's folder itself")
        if not FORMATS.search(path.name):
            return Ignored(name, _wrong_ending(path.name))
        problem = _no_file(own, path)
    except OSError as error:
        return Ignored(name, _unreadable(path, error))
    return Ignored(name, problem) if problem else None


def _unreadable(path: Path, error: OSError) -> str:
    return _NOWHERE if _leads_nowhere(path) else f"it cannot be read: {error.strerror}; give this user the right to"


def name_problem(name: str) -> str:
    """Why a file of this name is not taken; empty: it is."""
    if name.endswith(_UNFINISHED) or name.startswith("."):
        return "names that end in .part or begin with a dot are of files that are not whole yet: rename it once it is"
    return "" if FORMATS.search(name) else _wrong_ending(name)


def _wrong_ending(name: str) -> str:
    if name.endswith(_UNFINISHED):
        return "nobody has written to it for a day: its writer renames a file that is whole, without .part"
    if FORMATS.search(name.lower()):
        return "its ending is written in capitals: rename it, endings are in small letters"
    return "its ending is none of .ndjson, .json, .csv and .parquet, also with .gz or .zst"


def _no_file(own: Path, path: Path) -> str:
    kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        return f"it is no file but {kinds.get(stat.S_IFMT(found.st_mode), 'a device')}: remove it, and deliver a file"
    if own not in path.resolve().parents:
        # Another tenant's folder is outside too: a link would bill this tenant for that one's events.
        return "it is a link to a file outside of its tenant's folder: copy the file instead"
    # Unallocated blocks cost their sender nothing, and every run would hash them.
    if found.st_size > most_expanded(found.st_blocks * _STORED_BLOCK):
        return "the file is sparse (nearly all of it is unallocated): send it without gaps, or in parts of 1 GiB"
    return ""
