"""Every form of event file, whole and broken."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest

from tests.support.landing import Harbour, counts, event, founding
from valueverse.landing import Ignored
from valueverse.services.ingestion.landing_state import files_without_events

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def harbour(tmp_path: Path) -> Harbour:
    made = Harbour(tmp_path)
    made.land("acme/000.ndjson", founding())
    return made


def _frame(*events: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([one | {"data": json.dumps(one["data"])} for one in events])


def _zst(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


def _parquet(frame: pl.DataFrame) -> bytes:
    target = io.BytesIO()
    frame.write_parquet(target)
    return target.getvalue()


EVENTS = [event("e-1"), event("e-2", {"t": 'two\nlines, "quoted"'})]
NDJSON = "".join(json.dumps(one) + "\n" for one in EVENTS).encode()
CSV = _frame(*EVENTS).write_csv().encode()
FORMS = {
    "plain.ndjson": NDJSON,
    "lines.json": NDJSON,
    "list.json": json.dumps(EVENTS, indent=2).encode(),
    "list.json.gz": gzip.compress(json.dumps(EVENTS).encode()),
    "bom.ndjson": b"\xef\xbb\xbf" + NDJSON,
    "crlf.ndjson": NDJSON.replace(b"\n", b"\r\n"),
    "cr.ndjson": NDJSON.replace(b"\n", b"\r"),
    "cr.json": json.dumps(EVENTS, indent=2).replace("\n", "\r").encode(),
    "cr.csv": CSV.replace(b"\n", b"\r"),
    "crlf.csv": CSV.replace(b"\n", b"\r\n"),
    "no-end.ndjson": NDJSON.rstrip(),
    "a.ndjson.gz": gzip.compress(NDJSON),
    "a.ndjson.zst": _zst(NDJSON),
    "rows.csv": CSV,
    "bom.csv": b"\xef\xbb\xbf" + CSV,
    "rows.csv.gz": gzip.compress(CSV),
    "rows.parquet": _parquet(_frame(*EVENTS)),
    "rows.parquet.gz": gzip.compress(_parquet(_frame(*EVENTS))),
    "struct.parquet": _parquet(pl.DataFrame(EVENTS)),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_format_has_the_same_events(harbour: Harbour, name: str) -> None:
    harbour.land(f"acme/{name}", FORMS[name])
    assert counts(harbour.take())[f"acme/{name}"] == (2, 2, 0, 0)
    stored = harbour.events().filter(pl.col("type") == "call")
    assert [json.loads(data) for data in stored["data"]] == [one["data"] for one in EVENTS]


def test_the_same_events_in_all_forms_are_duplicates(harbour: Harbour) -> None:
    for name, content in FORMS.items():
        harbour.land(f"acme/{name}", content)
    report = counts(harbour.take())
    assert harbour.ids() == ["e-1", "e-2"]
    assert sum(accepted for _, accepted, _, _ in report.values()) == 3
    assert harbour.quarantine().is_empty()


def test_one_event_over_several_lines_is_one_json_file(harbour: Harbour) -> None:
    harbour.land("acme/one.json", json.dumps(event("e-1"), indent=2).encode())
    harbour.take()
    assert harbour.ids() == ["e-1"]


def test_a_list_is_judged_element_by_element(harbour: Harbour) -> None:
    long = json.dumps(event("e-2")).replace('"n": 1', '"n": 0.12345678901234567')
    harbour.land("acme/a.json", f"[{json.dumps(event('e-1'))}, {long}, 5, {json.dumps(event('e-4'))}]".encode())
    harbour.take()
    assert harbour.ids() == ["e-1", "e-4"]
    assert harbour.reasons() == [(2, "inexact_number"), (3, "malformed")]


@pytest.mark.parametrize("tail", [",", ", {", " x", "", "] trailing", ", ]"])
def test_a_list_that_breaks_off_keeps_what_was_whole(harbour: Harbour, tail: str) -> None:
    harbour.land("acme/a.json", f"[{json.dumps(event('e-1'))}{tail}".encode())
    harbour.take()
    assert harbour.ids() == ["e-1"]
    assert harbour.reasons() == [(2, "malformed")]


def test_broken_files_are_one_refused_line_each_and_others_go_on(harbour: Harbour) -> None:
    whole = gzip.compress(NDJSON * 1000)
    harbour.land("acme/cut.ndjson.gz", whole[: len(whole) // 2])
    harbour.land("acme/cut.csv.gz", gzip.compress(CSV)[:-9])
    harbour.land("acme/no.parquet", b"PAR1 and nothing else")
    harbour.land("acme/z.ndjson", event("e-9"))
    report = counts(harbour.take())
    for name in ("cut.ndjson.gz", "cut.csv.gz", "no.parquet"):
        assert report[f"acme/{name}"] == (1, 0, 0, 1)
    assert harbour.ids() == ["e-9"]
    assert set(harbour.quarantine()["line"]) == {0}
    assert all("the file cannot be read" in message for message in harbour.quarantine()["message"])


@pytest.mark.parametrize("name", ["a.ndjson", "a.json", "a.csv", "a.ndjson.gz"])
@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_empty_files_hold_nothing(harbour: Harbour, name: str, content: bytes) -> None:
    harbour.land(f"acme/{name}", gzip.compress(content) if name.endswith("gz") else content)
    assert counts(harbour.take())[f"acme/{name}"] == (0, 0, 0, 0)
    found = files_without_events(harbour.home / "landing", harbour.lake)
    assert found == [Ignored(f"acme/{name}", "it holds no event: write one on each line, or remove it")]


def test_bytes_that_are_no_utf_8_spoil_their_line_only(harbour: Harbour) -> None:
    spoilt = json.dumps(event("e-2")).encode().replace(b"c-1", b"c-\xff")
    harbour.land("acme/a.ndjson", NDJSON + spoilt + b"\n" + json.dumps(event("e-3")).encode())
    harbour.take()
    assert harbour.ids() == ["e-1", "e-2", "e-3"]
    (row,) = harbour.quarantine().to_dicts()
    assert (row["line"], row["reason"], row["id"], row["source"]) == (3, "malformed", "e-2", "s")
    assert "UTF-8" in row["message"]


def test_csv_rows_that_cannot_be_read_are_refused_by_themselves(harbour: Harbour) -> None:
    head, one, *_ = CSV.split(b"\n")
    rows = [head, one, one + b",more", b"only", one.replace(b"e-1", b"e-\xff"), one.replace(b"e-1", b"e-5")]
    harbour.land("acme/a.csv", b"\n".join(rows))
    harbour.take()
    assert harbour.ids() == ["e-1", "e-5"]
    assert harbour.reasons() == [(3, "malformed"), (4, "malformed"), (5, "malformed")]


def test_columns_may_be_decimals_floats_and_datetimes(harbour: Harbour) -> None:
    frame = pl.DataFrame(
        {
            "specversion": ["1.0"] * 2, "id": [1, 2], "source": ["s"] * 2, "type": ["call"] * 2,
            "time": [datetime(2024, 5, 1, tzinfo=UTC)] * 2,
            "data": [{"price": Decimal("1.10"), "f": 0.5}, {"price": Decimal("2.20"), "f": 0.1 + 0.2}],
        }
    )  # fmt: skip
    harbour.land("acme/a.parquet", _parquet(frame))
    harbour.take()
    stored = harbour.events().filter(pl.col("id") == "1")
    assert stored["time"].to_list() == [datetime(2024, 5, 1, tzinfo=UTC)]
    assert json.loads(stored["data"][0]) == {"price": "1.10", "f": 0.5}
    assert harbour.reasons() == [(2, "inexact_number")]


def test_events_over_a_mebibyte_are_refused_by_themselves(harbour: Harbour) -> None:
    free = 2**20 - len(json.dumps(event("full", {"t": ""})))
    most, big = event("full", {"t": "x" * free}), event("big", {"t": "x" * 5_000_000})
    harbour.land("acme/a.ndjson", most, big, event("e-1"))
    harbour.land("acme/b.csv", _frame(big, event("e-2")).write_csv().encode())
    harbour.land("acme/c.parquet", _parquet(_frame(big, event("e-3"))))
    harbour.take()
    assert harbour.ids() == ["e-1", "e-2", "e-3", "full"]
    refused = harbour.quarantine().select("file", "line", "id", "reason", pl.col("raw").str.len_chars() <= 2_000)
    places = [("acme/a.ndjson", 2), ("acme/b.csv", 2), ("acme/c.parquet", 1)]
    assert refused.rows() == [(file, line, "big", "too_long", True) for file, line in places]


def test_what_is_still_written_or_foreign_is_left_alone(harbour: Harbour) -> None:
    for name in ("acme/a.ndjson.part", "acme/.hidden.ndjson", "acme/a.txt", "No Tenant/a.ndjson"):
        harbour.land(name, event("e-1"))
    assert list(counts(harbour.take())) == ["acme/000.ndjson"]
    (harbour.home / "landing/acme/a.ndjson.part").rename(harbour.home / "landing/acme/a.ndjson")
    assert list(counts(harbour.take())) == ["acme/000.ndjson", "acme/a.ndjson"]


def test_only_times_that_can_be_billed_are_taken(harbour: Harbour) -> None:
    times = {
        "first": "1970-01-01T00:00:00Z", "early": "1969-12-31T23:59:59Z", "year-1": "0001-01-01T00:00:00Z",
        "late": "9999-12-31T23:59:59Z", "beyond": "9999-12-31T23:59:59-01:00",
    }  # fmt: skip
    harbour.land("acme/a.ndjson", *(event(key, time=time) for key, time in times.items()))
    harbour.take()
    assert harbour.ids() == ["first"]
    assert harbour.reasons() == [(line, "bad_time") for line in (2, 3, 4, 5)]
