"""A process that judges hostile bodies of events one after another and says how much memory each of them took.

``python -m tests.support.body_peak FOLDER`` also reads a file that it writes there, and prints
``{name: [bytes of the body, most bytes held beyond those before, code]}``; the code is that of the refusal, or nothing
where the events were judged.
"""

from __future__ import annotations

import gc
import json
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from tests.support.parquet_peak import status
from valueverse.errors import RefusalError
from valueverse.landing import one_file, read_file
from valueverse.services.ingestion.receive_events import judge_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from valueverse.landing import Form

FILE = "a file of one long list"

FEW, MANY = 2**21, 2**23
"""Bytes of a body, about: many where lines are read in parts, or values beyond a bound are not decoded."""


def bodies() -> dict[str, tuple[Form, bytes]]:
    """Bodies of which little is left, or of which very much would be made."""

    def of(part: bytes, begin: bytes = b"", end: bytes = b"", most: int = FEW) -> bytes:
        return begin + part * (most // len(part)) + end

    return {
        "line feeds": ("lines", of(b"\n")),
        "carriage returns": ("lines", of(b"\r")),
        "both": ("lines", of(b"\r\n")),
        "blanks and line feeds": ("lines", of(b" \n")),
        "byte order marks": ("lines", of(b"\xef\xbb\xbf")),
        "byte order marks and blanks": ("json", of(b" \xef\xbb\xbf")),
        "blanks": ("json", of(b" ")),
        "lines of one letter": ("lines", of(b"x\n")),
        "line feeds between letters": ("lines", of(b"\n", b"x", b"x")),
        "lines of objects": ("lines", of(b"{}\n")),
        "a list of numbers": ("json", of(b"0,", b"[", b"0]")),
        "a list of objects": ("json", of(b"{},", b"[", b"{}]")),
        "a list of lists": ("json", of(b"[],", b"[", b"[]]")),
        "a list of line feeds": ("json", of(b"\n", b"[", b"]")),
        "an object of line feeds": ("json", of(b"\n", b"{", b"}")),
        "a list of one long list": ("json", of(b"[],", b"[{},[", b"[]]]", MANY)),
        "lists in lists": ("json", of(b"[")),
        "objects in objects": ("json", of(b'{"a":')),
        "an object of lists": ("json", of(b"[],", b'{"data":[', b"[]]}")),
        "lines of many keys": (
            "lines",
            of(b'{"data":{' + b",".join(b'"%d":0' % one for one in range(80)) + b"}}\n", most=MANY),
        ),
        "lines of wide characters": ("lines", of('{"id":"\U0001f600'.encode() + b"x" * 600 + b'"}\n')),
        "an object of wide characters": ("json", of(b" ", '{"id":"\U0001f600"'.encode(), b"}")),
        "a line of lists": ("lines", of(b"[],", b'{"data":[', b"[]]}")),
    }


def main() -> None:
    moment = datetime.now(UTC)
    judge_body(b'{"specversion":"1.0"}', "", "json", "acme", moment)
    peaks = {}
    for name, (form, body) in bodies().items():
        sent = pa.compress(body, codec="gzip", asbytes=True)
        taken, code = _measured(partial(judge_body, sent, "gzip", form, "acme", moment))
        peaks[name] = [len(body), taken, code]
    file = Path(sys.argv[1]) / "list.json"
    file.write_bytes(b"[{},[" + b"[]," * FEW + b"[]]]")
    taken, code = _measured(partial(read_file, one_file(file, "acme", file.name)))
    peaks[FILE] = [file.stat().st_size, taken, code]
    print(json.dumps(peaks))


def _measured(work: Callable[[], object]) -> tuple[int, str]:
    gc.collect()
    pa.default_memory_pool().release_unused()
    before = status("self", "VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    try:
        work()
    except RefusalError as refusal:
        return status("self", "VmHWM") - before, refusal.code
    return status("self", "VmHWM") - before, ""


if __name__ == "__main__":
    main()
