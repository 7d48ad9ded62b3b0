"""Bytes of a file in blocks, decompressed, within bounds; and the one way in which reading a file fails."""

from __future__ import annotations

import os
import re
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = 16 * 2**20
"""Bytes read at once: what bounds memory, with the number of cores."""
LONGEST_LINE = 4 * BLOCK
"""Bytes without a line end after which a file is no file of lines."""
_FREE_EXPANSION = 2**30
_MOST_EXPANSION = 200
"""Decompressed bytes: the first are always taken, and then so many times the file's size. Event files reach 50."""
_CODECS = {".gz": "gzip", ".zst": "zstd"}
_BEGINS = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
"""The first bytes of a compressed file."""
_BEFORE = re.compile(rb"\A(?:\xef\xbb\xbf|[ \t\r\n]++)++")
"""Possessive: a repetition that could be taken back remembers each round, some hundred bytes for every character."""
_SKIPPABLE = b"\x2a\x4d\x18"
"""Bytes 2 to 4 of a skippable frame, with which a Zstandard file may begin."""


def most_expanded(stored: int) -> int:
    """How many bytes may be read of a file that takes so many on disk."""
    return max(_FREE_EXPANSION, _MOST_EXPANSION * stored)


def unreadable(message: str, *, damaged: bool = False) -> RefusalError:
    """The refusal of a whole file; one that is damaged is worth sending again."""
    reason = " ".join(message.encode("utf-8", "replace").decode().split())[:240].replace("\x00", "?")
    return RefusalError("unreadable_file", f"the file cannot be read: {reason}{'; send it again, whole' * damaged}")


@contextmanager
def guarded() -> Iterator[None]:
    """Whatever goes wrong with one file is that file's alone, a panic of a native reader included.

    Raises:
        RefusalError: ``unreadable_file``.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except RefusalError as refusal:
        if refusal.code == "unreadable_file":
            raise
        raise unreadable(refusal.message) from refusal
    except BaseException as error:  # a Rust panic is no Exception
        raise unreadable(str(error) or type(error).__name__, damaged=True) from error


def open_regular(path: Path) -> BinaryIO:
    """The file opened for reading; never waits for a writer as opening a pipe does.

    Raises:
        OSError: also for what is no regular file.
    """
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(0, "no regular file", str(path))
    return os.fdopen(number, "rb")


def blocks(path: Path) -> Iterator[bytes]:
    """The decompressed content, BLOCK bytes at a time.

    Raises:
        RefusalError: ``unreadable_file`` for a file that expands beyond all measure.
        OSError, pa.ArrowException: for a damaged one.
    """
    with open_regular(path) as raw:
        most = most_expanded(os.fstat(raw.fileno()).st_size)
        codec = _CODECS.get(path.suffix)
        if codec:
            _check_compression(raw, path.suffix)
        stream = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), codec) if codec else raw
        done = 0
        while block := stream.read(BLOCK):
            done += len(block)
            if done > most:
                raise unreadable(f"it expands to more than {most} bytes, {_MOST_EXPANSION} times its size")
            yield bytes(block)


def _check_compression(raw: BinaryIO, suffix: str) -> None:
    """Refuse a file that is not compressed as its name says; an empty one holds nothing either way."""
    begin = raw.read(4)
    raw.seek(0)
    if begin and not begin.startswith(_BEGINS[suffix]) and begin[1:] != _SKIPPABLE:
        raise unreadable(f"its name ends in {suffix} and its content is not {_CODECS[suffix]}: rename or compress it")


def whole_content(path: Path, most: int) -> bytes:
    """The decompressed content of a file that cannot be read in parts.

    Raises:
        RefusalError: ``unreadable_file`` for more than ``most`` bytes.
    """
    parts, size = [], 0
    for block in blocks(path):
        size += len(block)
        if size > most:
            raise unreadable(f"it holds more than {most >> 20} MiB as one document: send one event per line")
        parts.append(block)
    return b"".join(parts)


def with_line_ends(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes; texts of an old Mac, which end lines with a carriage return alone, get line feeds."""
    old = None
    for part in parts:
        if old is None:
            old = part.find(b"\n", 0, BLOCK) < 0 and part.find(b"\r", 0, BLOCK) >= 0
        yield part.replace(b"\r", b"\n") if old else part


def without_marks(text: bytes) -> bytes:
    """The same bytes from the first character on: byte order marks and space before it are dropped, line ends stay, so
    that lines keep their numbers."""
    return _BEFORE.sub(lambda found: b"\n" * found[0].count(b"\n"), text)


def whole_lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, cut at line ends.

    Raises:
        RefusalError: ``unreadable_file`` where no line ends within LONGEST_LINE bytes.
    """
    left: list[bytes] = []
    size = 0
    for part in parts:
        cut = part.rfind(b"\n") + 1
        if cut:
            yield b"".join([*left, part[:cut]])
            left, size = [], 0
        left.append(part[cut:])
        size += len(part) - cut
        if size > LONGEST_LINE:
            raise unreadable(f"no line ends within {LONGEST_LINE >> 20} MiB")
    if size:
        yield b"".join(left)
