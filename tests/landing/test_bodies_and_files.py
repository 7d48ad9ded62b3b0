"""A body of a request and a file of the landing folder with the same bytes hold the same events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from valueverse.errors import RefusalError
from valueverse.events import read_lines
from valueverse.landing import event_texts, one_file, read_file

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.landing import Form

BOM = b"\xef\xbb\xbf"
EVENT = (
    b'{"specversion":"1.0","id":"e-%d","source":"s","type":"t","subject":"c","time":"2024-01-01T00:00:00Z","data":{}}'
)
ONE, TWO, THREE = (EVENT % number for number in (1, 2, 3))
BOTH = ["e-1", "e-2"]
LINES: dict[str, tuple[bytes, list[str | None]]] = {
    "line feeds": (ONE + b"\n" + TWO + b"\n", BOTH),
    "no last line end": (ONE + b"\n" + TWO, BOTH),
    "carriage return and line feed": (ONE + b"\r\n" + TWO + b"\r\n", BOTH),
    "carriage returns alone": (ONE + b"\r" + TWO + b"\r", BOTH),
    "carriage returns, no last line end": (ONE + b"\r" + TWO, BOTH),
    "blank lines of carriage returns": (b"\r \r" + ONE + b"\r\r\t\r" + TWO, BOTH),
    "both kinds with a line feed": (ONE + b"\r\n" + TWO + b"\n" + THREE, ["e-1", "e-2", "e-3"]),
    "a carriage return alone among line feeds": (ONE + b"\r" + TWO + b"\n" + THREE, [None, "e-3"]),
    "carriage returns inside of an event": (ONE.replace(b",", b",\r") + b"\n" + TWO, BOTH),
    "a byte order mark": (BOM + ONE + b"\r\n" + TWO, BOTH),
    "a byte order mark before carriage returns": (BOM + ONE + b"\r" + TWO, BOTH),
    "two byte order marks": (BOM + BOM + ONE + b"\n" + TWO, BOTH),
    "a byte order mark after a blank line": (b"\n" + BOM + ONE + b"\n" + TWO, BOTH),
    "a byte order mark before a later line": (ONE + b"\n" + BOM + TWO, ["e-1", None]),
    "an event over several lines": (ONE.replace(b",", b",\r"), [None] * 7),
}
DOCUMENTS: dict[str, tuple[bytes, list[str | None]]] = {
    f"{name}, {place}": (mark + text.replace(b"\n", end), ids)
    for name, (text, ids) in {
        "an event over several lines": (ONE.replace(b",", b",\n"), ["e-1"]),
        "a list over several lines": (b"[\n" + ONE + b",\n" + TWO.replace(b",", b",\n") + b"\n]\n", BOTH),
    }.items()
    for place, mark, end in (
        ("line feeds", b"", b"\n"),
        ("carriage return and line feed", BOM, b"\r\n"),
        ("carriage returns alone", BOM + b"\r" + BOM, b"\r"),
    )
}
CASES = [("lines", "ndjson", *case) for case in LINES.values()] + [
    ("json", "json", *case) for case in DOCUMENTS.values()
]


@pytest.mark.parametrize(("form", "ending", "content", "ids"), CASES, ids=[*LINES, *DOCUMENTS])
def test_a_body_and_a_file_with_the_same_bytes_hold_the_same_events(
    tmp_path: Path, form: Form, ending: str, content: bytes, ids: list[str | None]
) -> None:
    (file := tmp_path / f"events.{ending}").write_bytes(content)
    of_file = read_file(one_file(file, "acme", file.name))
    texts = event_texts(content, form)
    of_body = read_lines(pl.DataFrame({"line": range(1, len(texts) + 1), "raw": texts}))
    for read in (of_file, of_body):
        assert [None if reason else key for key, reason in read.select("id", "reason").iter_rows()] == ids
    assert of_file["message"].to_list() == of_body["message"].to_list()


def test_a_line_with_two_kinds_of_ends_names_the_cure() -> None:
    [text, _] = event_texts(ONE + b"\r" + TWO + b"\n" + THREE, "lines")
    [message] = read_lines(pl.DataFrame({"line": [1], "raw": [text]}))["message"]
    assert "end every line with a line feed, or every one with a carriage return" in message


def test_lines_that_are_sent_as_a_document_name_their_media_type() -> None:
    with pytest.raises(RefusalError, match=r"an event on each line is application/x-ndjson"):
        event_texts(ONE + b"\r\n" + TWO, "json")
