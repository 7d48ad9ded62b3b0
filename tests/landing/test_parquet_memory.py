"""A few compressed bytes that are long texts are read in bounded memory, by both processes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest

from tests.support import parquet_peak
from valueverse.landing import parquet

if TYPE_CHECKING:
    from pathlib import Path

ROWS, LENGTH = 1_500, 200_000


@pytest.mark.parametrize("dictionary", [True, False])
def test_long_texts_of_few_bytes_come_whole_and_in_small_batches(
    dictionary: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.parquet"
    ids = pl.Series("id", [f"e-{row}" for row in range(ROWS)])
    text = pl.Series("data", ['{"t":"' + "x" * LENGTH + '"}']).new_from_index(0, ROWS)
    # A page is decompressed whole: its writer makes it small or large.
    options = {"use_dictionary": dictionary, "row_group_size": ROWS, "write_batch_size": 16}
    pl.DataFrame([ids, text]).write_parquet(path, use_pyarrow=True, pyarrow_options=options)
    # 300 MB of text where 200 MB may be taken.
    monkeypatch.setattr(parquet, "_MOST_BYTES", 200 * 2**20)
    parquet.end_readers()
    try:
        got = [(batch.nbytes, batch.column("id").to_pylist()) for _, batch in parquet._batches(path)]
    finally:
        parquet.end_readers()
    assert [name.decode() for _, names in got for name in names] == ids.to_list()
    assert max(size for size, _ in got) <= 33 * 2**20


def test_reader_and_writer_together_take_less_than_their_bound(tmp_path: Path) -> None:
    rows = 200_000
    parquet_peak.land(tmp_path, rows, 2_000)
    assert (tmp_path / "landing" / parquet_peak.LARGE).stat().st_size < 4 * 2**20
    command = [sys.executable, "-m", "tests.support.parquet_peak", str(tmp_path)]
    figures = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert figures["accepted"] == rows
    # 400 MB of texts in a few MB: what is read at once is bounded by its bytes, and so is what is settled at once.
    assert figures["reader"] < 400 * 2**20
    assert figures["reader"] + figures["writer"] < 1.25 * 2**30
