"""The chain of commits: an edit, a missing row and a rewritten tail all show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from valueverse.value.committer.chain import Link, chain_breaks
from valueverse.value.committer.commits import Frozen, chain_hash, commit_id


def chain(*seeds: int) -> list[Link]:
    found: list[Link] = []
    for seed in seeds:
        document = Frozen({"model": "m"}, "base", {}, None, seed, "ann").canonical()
        commit, previous = commit_id(document), found[-1].chain if found else None
        link = chain_hash(commit, len(found) + 1, previous)
        found.append(Link(commit, len(found) + 1, previous, link, document, "m", "ann", None))
    return found


def test_a_chain_that_nobody_touched_is_whole() -> None:
    links = chain(1, 2, 3)
    assert chain_breaks(links) == []
    assert chain_breaks([]) == []


def test_a_missing_row_shows() -> None:
    first, _, third = chain(1, 2, 3)
    assert chain_breaks([first, third]) == [(2, "missing")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"document": chain(9)[0].document}, "document_edited"),
        ({"author": "eve"}, "columns_edited"),
        ({"chain": "0" * 64}, "chain_broken"),
        ({"previous": "0" * 64}, "chain_broken"),
    ],
)
def test_an_edited_row_shows(change: dict[str, str], reason: str) -> None:
    links = chain(1, 2, 3)
    links[2] = replace(links[2], **change)
    assert chain_breaks(links) == [(3, reason)]


def test_a_row_put_in_place_of_another_breaks_the_chain_behind_it() -> None:
    links = chain(1, 2, 3)
    links[1] = chain(1, 8)[1]
    assert chain_breaks(links) == [(3, "chain_broken")]


def test_a_rewritten_tail_is_whole_and_shows_by_its_head_alone() -> None:
    assert chain_breaks(chain(1, 2, 4)) == []
    assert chain(1, 2, 4)[-1].chain != chain(1, 2, 3)[-1].chain
