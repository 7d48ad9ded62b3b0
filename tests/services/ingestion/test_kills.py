"""Killed at any point, ingestion goes on as if nothing had happened; what it cannot do, it says with the cure."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.forking import Forks
from tests.support.landing import NOW, Harbour, counts, event, founding
from valueverse.errors import RefusalError
from valueverse.services.ingestion.file_manifest import MANIFEST_TABLE, record_published, taken_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KILLED = """
import os, signal
from pathlib import Path
import valueverse.services.ingestion.ingest as step
import valueverse.services.ingestion.file_manifest as manifest
from tests.support.landing import Harbour
from valueverse.platform.dedup_index import DedupIndex
from valueverse.platform.lake import Lake

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def after(function):
    def run(*arguments, **named):
        function(*arguments, **named)
        die()
    return run

def main(folder, where):
    if where == "before quarantine":
        step._write_quarantine = die
    elif where == "after quarantine":
        step._write_quarantine = after(step._write_quarantine)
    elif where == "after events":
        DedupIndex.add = die
    elif where == "after index":
        DedupIndex.add = after(DedupIndex.add)
    elif where == "within index":
        import numpy
        numpy.save = after(numpy.save)
    harbour = Harbour(Path(folder))
    harbour.take()
    if where == "before manifest":
        die()
    manifest.record_published(harbour.lake)
    die()
"""
POINTS = [
    "before quarantine", "after quarantine", "after events", "within index", "after index", "before manifest",
    "after manifest",
]  # fmt: skip


def _laden(home: Path) -> Harbour:
    harbour = Harbour(home)
    harbour.land("acme/a.ndjson", founding(), event("e-1"), event("e-1"), "{", event("e-1", {"n": 2}))
    harbour.land("acme/b.ndjson", event("e-1"), event("e-2"), event("e-3", time="no"))
    return harbour


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    found = Forks(KILLED)
    yield found
    found.close()


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_ingestion_is_taken_up_without_loss_or_doubling(forks: Forks, tmp_path: Path, point: str) -> None:
    harbour = _laden(tmp_path)
    assert forks.wait(forks.start(str(tmp_path), point)) == -signal.SIGKILL
    report = harbour.take()
    expected = {"acme/a.ndjson": (5, 2, 1, 2), "acme/b.ndjson": (3, 1, 1, 1)}
    assert counts(report) == ({} if point == "after manifest" else expected)
    record_published(harbour.lake)
    record_published(harbour.lake)
    assert harbour.ids() == ["e-1", "e-2"]
    assert sorted(harbour.quarantine()["reason"]) == ["bad_time", "conflict", "malformed"]
    assert counts(harbour.take()) == {}
    assert taken_files(harbour.lake).height == harbour.lake.scan(MANIFEST_TABLE).collect().height == 2


def test_a_second_ingestion_at_once_is_refused(tmp_path: Path) -> None:
    harbour = _laden(tmp_path)
    (tmp_path / "index").mkdir()
    with (tmp_path / "index/ingestion.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RefusalError) as refusal:
            harbour.take()
    assert refusal.value.code == "ingestion_running"
    assert counts(harbour.take(NOW))


def test_a_lake_that_cannot_be_written_is_reported_with_the_cure(tmp_path: Path) -> None:
    harbour = _laden(tmp_path)
    # A file where the folder should be stops every user, root too.
    (tmp_path / "lake").write_text("")
    with pytest.raises(RefusalError) as refusal:
        harbour.take()
    assert refusal.value.code.startswith("lake_")
    assert str(tmp_path / "lake") in refusal.value.message


def test_a_disk_without_space_is_reported_and_nothing_is_lost(tmp_path: Path) -> None:
    harbour = _laden(tmp_path)
    code = (
        "import sys; from pathlib import Path; import numpy; from tests.support.landing import Harbour\n"
        "from valueverse.errors import RefusalError\n"
        "def full(*_): raise OSError(28, 'No space left on device')\n"
        "numpy.save = full\n"
        "try: Harbour(Path(sys.argv[1])).take()\n"
        "except RefusalError as refusal: print(refusal.code, refusal.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, timeout=800, capture_output=True, text=True
    )
    assert "index_unwritable" in done.stdout
    assert "No space left" in done.stdout
    assert set(counts(harbour.take())) == {"acme/a.ndjson", "acme/b.ndjson"}
    assert harbour.ids() == ["e-1", "e-2"]
