"""A few compressed bytes that are long texts are read in bounded memory, by both processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

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
