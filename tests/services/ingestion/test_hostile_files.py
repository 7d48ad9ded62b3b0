"""A file that cannot be read is refused whole, with its reason, and the others go on."""

from __future__ import annotations

import gzip
import io
import json
import os
import socket
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import valueverse.landing.parquet as parquet
from tests.support.landing import Harbour, counts, event, founding
from valueverse.landing import LandingFile, streams
from valueverse.platform import spool
from valueverse.services.ingestion import batches as taking
from valueverse.services.ingestion.file_manifest import record_published

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def harbour(tmp_path: Path) -> Harbour:
    made = Harbour(tmp_path)
    made.land("acme/000.ndjson", founding())
    made.land("acme/zzz.ndjson", event("last"))
    return made


def _table(**more: Any) -> pa.Table:
    columns = {name: [value] for name, value in event("e-1").items() if name != "data"}
    return pa.table(columns | {"data": [json.dumps({"n": 1})]} | more)


def _parquet(table: pa.Table) -> bytes:
    target = io.BytesIO()
    pq.write_table(table, target)
    return target.getvalue()


def _csv(*rows: bytes) -> bytes:
    return b"\n".join((b"specversion,id,source,type,subject,time,data", *rows))


ROW = b'1.0,e-1,s,call,c-1,2024-05-01T00:00:00Z,"{""n"": 1}"'
WHOLE = {
    "no-events.csv": b"name,amount\nx,1\n",
    "no-events.parquet": _parquet(pa.table({"name": ["x"]})),
    "long-header.csv": b"x" * 200_000,
    "no-end.ndjson": b"{" * (streams.LONGEST_LINE + streams.BLOCK),
    "cut.parquet": _parquet(_table())[:-20],
    "text.gz.ndjson.gz": b"{}",
    "bytes-in-struct.parquet": _parquet(_table(data=pa.array([{"b": b"\xff"}]))),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_not_what_its_name_says_is_refused_whole(harbour: Harbour, name: str) -> None:
    harbour.land(f"acme/{name}", WHOLE[name])
    assert counts(harbour.take())[f"acme/{name}"] == (1, 0, 0, 1)
    assert harbour.reasons() == [(0, "unreadable_file")]
    assert harbour.ids() == ["last"]


@pytest.mark.parametrize("form", ["csv", "ndjson", "json", "parquet", "csv.gz", "parquet.zst"])
def test_random_bytes_stop_nobody(harbour: Harbour, form: str) -> None:
    harbour.land(f"acme/random.{form}", bytes(range(256)) * 40 + b"\n\r\x00\xff" * 50)
    assert counts(harbour.take())[f"acme/random.{form}"][1] == 0
    assert set(harbour.quarantine()["reason"]) <= {"malformed", "unreadable_file"}
    assert harbour.ids() == ["last"]


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_line_ends_of_an_old_mac_are_read(harbour: Harbour, form: str) -> None:
    lines = [*(json.dumps(event(f"e-{n}")).encode() for n in (1, 2))]
    content = _csv(ROW, ROW.replace(b"e-1", b"e-2")) if form == "csv" else b"\n".join(lines)
    harbour.land(f"acme/mac.{form}", content.replace(b"\n", b"\r"))
    assert counts(harbour.take())[f"acme/mac.{form}"] == (2, 2, 0, 0)
    assert harbour.ids() == ["e-1", "e-2", "last"]


def test_a_decimal_of_seventy_digits_is_read_as_text(harbour: Harbour) -> None:
    digits = Decimal("7" * 70)
    harbour.land(
        "acme/a.parquet", _parquet(_table(data=pa.array([{"n": digits}], pa.struct({"n": pa.decimal256(76)}))))
    )
    harbour.take()
    assert harbour.ids() == ["e-1", "last"]
    assert json.loads(harbour.events().filter(pl.col("id") == "e-1")["data"][0]) == {"n": str(digits)}


FAR = {
    "date32": pa.array([2**31 - 1], pa.int32()).cast(pa.date32()),
    "date64": pa.array([86_400_000 * 10**8], pa.date64()),
}


@pytest.mark.parametrize("kind", FAR)
def test_a_date_outside_the_calendar_spoils_its_row_only(
    harbour: Harbour, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    near = pa.array([19_700], pa.int32()).cast(pa.date32()).cast(FAR[kind].type)
    days = pa.concat_arrays([near, FAR[kind]])
    columns = {name: [value, value] for name, value in event("e-1").items() if name != "data"}
    inside = pa.StructArray.from_arrays([days], ["day"])
    harbour.land("acme/a.parquet", _parquet(pa.table(columns | {"id": ["e-1", "e-2"], "data": inside})))
    harbour.land("acme/b.parquet", _parquet(_table(time=FAR[kind])))
    harbour.take()
    assert harbour.ids() == ["e-1", "e-2", "last"]
    days_read = harbour.events().filter(pl.col("file") == "acme/a.parquet").sort("id")["data"]
    assert json.loads(days_read[0]) == {"day": "2023-12-09"}
    assert json.loads(days_read[1])["day"].startswith("day ")
    (row,) = harbour.quarantine().to_dicts()
    assert (row["file"], row["line"], row["reason"]) == ("acme/b.parquet", 1, "bad_time")
    assert "panicked" not in capfd.readouterr().err


@pytest.mark.parametrize("value", [2**62, -(2**62)])
def test_an_instant_that_nobody_can_write_has_a_plain_message(
    harbour: Harbour, value: int, capfd: pytest.CaptureFixture[str]
) -> None:
    far = pa.array([value], pa.timestamp("ms"))
    harbour.land("acme/a.parquet", _parquet(_table(time=far)))
    harbour.land("acme/b.parquet", _parquet(_table(data=pa.StructArray.from_arrays([far], ["n"]))))
    harbour.take()
    assert set(harbour.quarantine()["message"]) == {
        "the file cannot be read: a column holds a time more than 260,000 years away; send it again, whole"
    }
    assert "panicked" not in capfd.readouterr().err


@pytest.mark.parametrize("zone", ["+05:30", "Asia/Kolkata", "Mars/Olympus"])
def test_an_instant_of_parquet_is_the_same_whatever_zone_stands_beside_it(harbour: Harbour, zone: str) -> None:
    harbour.land("acme/a.parquet", _parquet(_table(time=pa.array([1_700_000_000], pa.timestamp("s", zone)))))
    harbour.take()
    assert harbour.reasons() == []
    time = harbour.events().filter(pl.col("id") == "e-1")["time"]
    assert time.dt.timestamp("ms").to_list() == [1_700_000_000_000]


NESTED = {
    "id": pa.array([["a"]]),
    "source": pa.array([{"a": 1}]),
    "type": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
    "tenant": pa.array([{"a": 1}]),
    "data": pa.array([[1]]),
}


@pytest.mark.parametrize("name", NESTED)
def test_an_attribute_that_is_no_text_in_parquet_is_named(harbour: Harbour, name: str) -> None:
    harbour.land("acme/a.parquet", _parquet(_table(**{name: NESTED[name]})))
    harbour.take()
    (row,) = harbour.quarantine().to_dicts()
    assert (row["line"], row["reason"]) == (0, "unreadable_file")
    assert f"the column {name!r} holds" in row["message"]


def test_utf_16_is_named(harbour: Harbour) -> None:
    harbour.land("acme/a.csv", _csv(ROW).decode().encode("utf-16"))
    harbour.take()
    assert "it is UTF-16, not UTF-8" in harbour.quarantine()["message"][0]


def test_bytes_in_the_columns_of_parquet_spoil_their_row_only(harbour: Harbour) -> None:
    rows = [json.dumps({"n": 1}).encode(), b"\xff\xfe"]
    columns = {name: [value, value] for name, value in event("e-1").items()} | {"id": ["e-1", "e-2"], "data": rows}
    harbour.land("acme/a.parquet", _parquet(pa.table(columns)))
    harbour.take()
    assert harbour.ids() == ["e-1", "last"]
    assert harbour.reasons() == [(2, "malformed")]


def test_a_reader_that_dies_takes_its_file_only(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "dies.py"
    source = parquet._SCRIPT.read_text()
    script.write_text(
        source.replace(
            "    file = pq.", '    os.abort() if b"abort" in source.read() else source.seek(0)\n        file = pq.'
        ).replace("import json\n", "import json\nimport os\n")
    )
    monkeypatch.setattr(parquet, "_SCRIPT", script)
    monkeypatch.setattr(parquet._Worker, "idle", [])
    harbour.land("acme/a.parquet", b"abort")
    harbour.land("acme/b.parquet", _parquet(_table()))
    harbour.take()
    assert harbour.ids() == ["e-1", "last"]
    (row,) = harbour.quarantine().to_dicts()
    assert (row["file"], row["reason"]) == ("acme/a.parquet", "unreadable_file")
    assert "exit -6" in row["message"]


def test_a_reader_takes_bounded_memory(harbour: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_MOST_BYTES", 64 * 2**20)
    monkeypatch.setattr(parquet._Worker, "idle", [])
    # A kibibyte of text, once in the file, stands in every row.
    rows = 200_000
    content = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 2_048]))
    harbour.land("acme/a.parquet", _parquet(pa.table({"id": content, "data": content})))
    harbour.land("acme/b.parquet", _parquet(_table()))
    harbour.take()
    assert harbour.ids() == ["e-1", "last"]
    assert harbour.reasons() == [(0, "unreadable_file")]


def test_a_file_that_expands_beyond_all_measure_is_refused(harbour: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_FREE_EXPANSION", 2**20)
    harbour.land("acme/lines.ndjson.gz", gzip.compress(b"\n" * 2**26))
    harbour.land("acme/zeros.parquet.gz", gzip.compress(bytes(2**26)))
    harbour.take()
    assert harbour.reasons() == [(0, "unreadable_file"), (0, "unreadable_file")]
    assert all("200 times its size" in message for message in harbour.quarantine()["message"])
    assert harbour.ids() == ["last"]


def test_names_that_are_no_text_are_refused_and_what_is_no_file_is_left_alone(harbour: Harbour) -> None:
    folder = harbour.home / "landing" / "acme"
    whole = json.dumps(event("e-1")).encode()
    for name in (b"caf\xe9.ndjson", b"a\nb.ndjson"):
        (folder / os.fsdecode(name)).write_bytes(whole)
    (folder / "folder.csv").mkdir()
    (folder / "notes.txt").write_text("hello")
    os.mkfifo(folder / "pipe.ndjson")
    (folder / "device.ndjson").symlink_to("/dev/zero")
    (folder / "outside.ndjson").symlink_to("/etc/hostname")
    (folder / "nowhere.ndjson").symlink_to("missing")
    (harbour.home / "landing" / "No Tenant").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "s.csv"))
        report = harbour.take()
    assert harbour.ids() == ["last"]
    refused = harbour.quarantine().select("file", "reason").rows()
    assert refused == [("acme/a\\x0ab.ndjson", "unreadable_file"), ("acme/caf\\xe9.ndjson", "unreadable_file")]
    assert {one.name: one.reason.partition(":")[0] for one in report.ignored} == {
        "No Tenant": "only folders named like a tenant's key (a-z, 0-9, '_', '.', '-') are looked into",
        "acme/device.ndjson": "it is no file but a device",
        "acme/folder.csv": "it is no file but a folder",
        "acme/notes.txt": "its ending is none of .ndjson, .json, .csv and .parquet, also with .gz or .zst",
        "acme/nowhere.ndjson": "it is a link to nothing",
        "acme/outside.ndjson": "it is a link to a file outside of its tenant's folder",
        "acme/pipe.ndjson": "it is no file but a pipe",
        "acme/s.csv": "it is no file but a socket",
    }


def test_a_link_never_leads_to_another_tenants_events(harbour: Harbour) -> None:
    landing = harbour.home / "landing"
    birch = json.dumps(event("secret", {"n": 7}))
    harbour.land("birch/a.ndjson", founding("birch"), birch)
    (landing / "acme" / "relative.ndjson").symlink_to("../birch/a.ndjson")
    (landing / "acme" / "absolute.ndjson").symlink_to(landing / "birch" / "a.ndjson")
    (landing / "acme" / "own.ndjson").symlink_to("zzz.ndjson")
    (landing / "cedar").symlink_to("birch")
    (landing / "up").symlink_to("..")
    (harbour.home / "beside.ndjson").write_text(birch)
    report = harbour.take()
    assert set(harbour.events().select("tenant", "id").rows()) == {
        ("acme", "founding"), ("acme", "last"), ("birch", "founding"), ("birch", "secret"),
    }  # fmt: skip
    outside = {one.name for one in report.ignored if "outside of its tenant's folder" in one.reason}
    assert outside == {"acme/relative.ndjson", "acme/absolute.ndjson", "cedar/a.ndjson", "up/beside.ndjson"}


def test_a_sparse_file_is_left_alone_unread(harbour: Harbour) -> None:
    hollow = harbour.home / "landing" / "acme" / "hollow.ndjson"
    hollow.touch()
    os.truncate(hollow, 2**42)
    report = harbour.take()
    assert {one.name for one in report.ignored if "sparse" in one.reason} == {"acme/hollow.ndjson"}
    assert harbour.ids() == ["last"]


def test_a_file_that_grows_all_the_while_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from valueverse.landing import files, one_file

    path = tmp_path / "a.ndjson"
    path.write_bytes(b"x" * 10)

    class Digest:
        """Appends to the file whenever a part of it is hashed."""

        def update(self, block: bytes) -> None:
            with path.open("ab") as stream:
                stream.write(b"y" * len(block))

        def hexdigest(self) -> str:
            return ""

    monkeypatch.setattr(files.hashlib, "sha256", Digest)
    file = one_file(path, "acme", "a.ndjson")
    assert path.stat().st_size == 20
    assert file.changed()


def test_a_panic_below_a_reader_is_the_files_alone(harbour: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        """As pyo3 has it: no Exception."""

    def panics(path: Path) -> object:
        raise PanicException("index out of bounds")

    from valueverse.landing import reading

    monkeypatch.setitem(reading._READERS, "csv", panics)
    harbour.land("acme/a.csv", _csv(ROW))
    harbour.take()
    (row,) = harbour.quarantine().to_dicts()
    assert (row["line"], row["reason"]) == (0, "unreadable_file")
    assert "index out of bounds" in row["message"]
    assert harbour.ids() == ["last"]


def test_an_interrupt_is_no_fault_of_the_file(harbour: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    from valueverse.landing import reading

    def interrupted(path: Path) -> object:
        raise KeyboardInterrupt

    monkeypatch.setitem(reading._READERS, "csv", interrupted)
    harbour.land("acme/a.csv", _csv(ROW))
    with pytest.raises(KeyboardInterrupt):
        harbour.take()


@pytest.fixture
def tiny_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every frame is settled by itself and spooled to disk, as those of huge files are."""
    monkeypatch.setattr(taking, "_PART_BYTES", 0)
    monkeypatch.setattr(spool, "_IN_MEMORY", 0)
    for module in ("lines", "streams"):
        monkeypatch.setattr(f"valueverse.landing.{module}.BLOCK", 256, raising=False)


@pytest.mark.usefixtures("tiny_parts")
def test_a_file_larger_than_a_part_is_one_commit_and_settled_with_itself(harbour: Harbour) -> None:
    lines = [event(f"e-{n % 70}", {"n": n // 140}) for n in range(210)]
    harbour.land("acme/a.ndjson", *lines)
    harbour.land("acme/b.ndjson", event("e-5", {"n": 0}), event("b-1"))
    report = harbour.take()
    assert counts(report)["acme/a.ndjson"] == (210, 70, 70, 70)
    assert counts(report)["acme/b.ndjson"] == (2, 1, 1, 0)
    assert set(harbour.quarantine()["reason"]) == {"conflict"}
    assert len(harbour.ids()) == 72
    assert not (harbour.home / "index" / "spool").exists()
    record_published(harbour.lake)
    assert counts(harbour.take()) == {}


@pytest.mark.usefixtures("tiny_parts")
def test_a_file_that_breaks_off_after_parts_were_settled_leaves_nothing(harbour: Harbour) -> None:
    broken = gzip.compress(b"".join(json.dumps(event(f"e-{n}")).encode() + b"\n" for n in range(200)), 0)
    harbour.land("acme/a.ndjson.gz", broken[:-30])
    harbour.land("acme/b.ndjson", event("e-1", {"n": 2}))
    report = counts(harbour.take())
    assert report["acme/a.ndjson.gz"] == (1, 0, 0, 1)
    assert report["acme/b.ndjson"] == (1, 1, 0, 0)
    assert harbour.ids() == ["e-1", "last"]
    assert harbour.reasons() == [(0, "unreadable_file")]


def test_a_file_that_changes_while_it_is_read_waits_for_the_next_run(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    harbour.land("acme/a.ndjson", event("e-1"))
    unpatched = LandingFile.changed
    monkeypatch.setattr(LandingFile, "changed", lambda file: file.name == "acme/a.ndjson")
    report = harbour.take()
    assert harbour.ids() == ["last"]
    assert [(one.name, one.reason.partition(":")[0]) for one in report.ignored] == [
        ("acme/a.ndjson", "it changed while it was read")
    ]
    monkeypatch.setattr(LandingFile, "changed", unpatched)
    record_published(harbour.lake)
    assert counts(harbour.take()) == {"acme/a.ndjson": (1, 1, 0, 0)}


def test_a_file_is_seen_to_have_changed(harbour: Harbour) -> None:
    from valueverse.landing import landing_files

    file = landing_files(harbour.home / "landing")[0][0]
    assert not file.changed()
    file.path.write_text("{}")
    assert file.changed()
    file.path.unlink()
    assert file.changed()
