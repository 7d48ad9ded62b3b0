"""What of the landing folder is not taken is listed, with the reason."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from valueverse.landing import files_to_take, ignored_files, landing_files
from valueverse.platform.lake import Lake
from valueverse.services.ingestion.landing_state import ignored_lines

if TYPE_CHECKING:
    from pathlib import Path

TAKEN = ("acme/a.ndjson", "acme/b.csv.gz")
FOLDERS = "only folders named like a tenant's key (a-z, 0-9, '_', '.', '-') are looked into"
IGNORED = {
    "Acme/a.ndjson": f"{FOLDERS}: rename it",
    "acme/USAGE.CSV": "its ending is written in capitals: rename it, endings are in small letters",
    "acme/notes.txt": "its ending is none of .ndjson, .json, .csv and .parquet, also with .gz or .zst",
    "acme/2024/a.ndjson": "it is no file but a folder: move its files into the tenant's folder itself",
    "stray.ndjson": f"{FOLDERS}: move it into the folder of its tenant",
}


def test_each_file_that_is_not_taken_has_its_reason_as_ingestion_has_it(tmp_path: Path) -> None:
    for name in (*TAKEN, *IGNORED, "acme/late.ndjson.part", "acme/.hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    found = {one.name: one.reason for one in ignored_files(tmp_path)}
    expected = {
        name.removesuffix("/a.ndjson") if name[0] == "A" or "2024" in name else name: reason
        for name, reason in IGNORED.items()
    }
    assert found == expected
    files, ignored = landing_files(tmp_path)
    assert (sorted(one.name for one in files), ignored) == (sorted(TAKEN), ignored_files(tmp_path))
    assert sorted(files_to_take(tmp_path)) == sorted(TAKEN)


def test_files_of_one_tenant_that_were_not_taken_are_found_and_no_folder_is_no_mistake(tmp_path: Path) -> None:
    assert (files_to_take(tmp_path / "none"), ignored_files(tmp_path / "none")) == ([], [])
    for name in ("acme/a.ndjson", "acme/b.ndjson", "acme2/c.ndjson"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    files, _ = landing_files(tmp_path, "acme", {"acme/a.ndjson"})
    assert [one.name for one in files] == ["acme/b.ndjson"]


def test_what_is_not_taken_is_a_sentence_each_and_many_are_counted(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    assert ignored_lines(tmp_path / "none", lake) == []
    for number in range(13):
        (tmp_path / f"stray{number:02}.csv").write_text("")
    found = ignored_lines(tmp_path, lake)
    assert found[0].startswith("not taken from the landing folder: stray00.csv: only folders named like")
    assert found[-1] == f"... and 3 more in {tmp_path}"


def test_an_unfinished_file_is_named_once_nobody_has_written_to_it_for_a_day(tmp_path: Path) -> None:
    path = tmp_path / "acme" / "a.ndjson.part"
    path.parent.mkdir()
    path.write_text("{}")
    assert ignored_files(tmp_path) == []
    written = time.time() - 25 * 3600
    os.utime(path, (written, written))
    (found,) = ignored_files(tmp_path)
    assert (found.name, "renames a file that is whole" in found.reason) == ("acme/a.ndjson.part", True)
    assert landing_files(tmp_path)[0] == []
