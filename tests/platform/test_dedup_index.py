"""The dedup index finds what was added, through merges, and knows when it is not whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.platform.dedup_index import DedupIndex

if TYPE_CHECKING:
    from pathlib import Path


def _hashes(*values: int) -> pl.Series:
    return pl.Series("hash", values, dtype=pl.UInt128)


def test_what_was_added_is_found_through_many_runs_and_their_merge(tmp_path: Path) -> None:
    index = DedupIndex(tmp_path / "keys")
    index.ensure("", _hashes)
    for number in range(30):
        index.expect(_hashes(number * 2**64 + 7, number))
        index.add(f"table@{number}")
    assert index.state == "table@29"
    assert index.hits(_hashes(29 * 2**64 + 7, 3, 29, 30, 7)).tolist() == [True, True, True, False, True]
    assert len(list((tmp_path / "keys").glob("run-*.npy"))) <= 9


def test_what_is_expected_is_found_until_it_is_forgotten(tmp_path: Path) -> None:
    index = DedupIndex(tmp_path / "keys")
    index.ensure("t@1", lambda: _hashes(1))
    index.expect(_hashes(5, 3))
    before = index.expected
    index.expect(_hashes(9))
    assert index.hits(_hashes(1, 3, 5, 9, 4)).tolist() == [True, True, True, True, False]
    index.forget(before)
    index.expect(_hashes(4))
    index.add("t@2")
    assert index.hits(_hashes(1, 3, 5, 9, 4)).tolist() == [True, True, True, False, True]
    assert DedupIndex(tmp_path / "keys").hits(_hashes(5, 9, 4)).tolist() == [True, False, True]


def test_hashes_that_share_a_half_are_distinct(tmp_path: Path) -> None:
    index = DedupIndex(tmp_path / "keys")
    index.ensure("t@1", lambda: _hashes(2**64 + 1, 2**64 + 2, 2**64 + 3, 2**128 - 1))
    asked = _hashes(2**64 + 3, 2**64 + 4, 2**64, 2**128 - 1, 2 * 2**64 + 1)
    assert index.hits(asked).tolist() == [True, False, False, True, False]


def test_an_index_of_another_state_is_rebuilt(tmp_path: Path) -> None:
    index = DedupIndex(tmp_path / "keys")
    index.ensure("t@1", lambda: _hashes(1))
    index.ensure("t@1", lambda: _hashes(2))
    assert index.hits(_hashes(1, 2)).tolist() == [True, False]
    index.ensure("other@1", lambda: _hashes(2))
    assert index.hits(_hashes(1, 2)).tolist() == [False, True]


def test_a_run_that_is_cut_short_is_noticed(tmp_path: Path) -> None:
    index = DedupIndex(tmp_path / "keys")
    index.ensure("t@1", lambda: _hashes(*range(100)))
    run = next((tmp_path / "keys").glob("run-*.npy"))
    run.write_bytes(run.read_bytes()[:-8])
    assert index.state == ""
