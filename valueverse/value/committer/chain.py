"""A tenant's hash chain of commits, recomputed from its rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valueverse.value.committer.commits import chain_hash, commit_id

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Link:
    """A commit as it is stored.

    Attributes:
        commit: its id.
        sequence: its place in the chain, from 1.
        previous: chain hash of the one before; None: the first.
        chain: chain hash of its own.
        document: canonical JSON.
        model, author, parent: the columns beside the document.
    """

    commit: str
    sequence: int
    previous: str | None
    chain: str
    document: str
    model: str
    author: str
    parent: str | None


def chain_breaks(links: Sequence[Link]) -> list[tuple[int, str]]:
    """What does not hold, as (sequence, reason); empty: the chain is whole.

    A chain alone does not show rows deleted or rewritten at its end: compare its head with a copy stored elsewhere.

    Args:
        links: of one tenant, by ascending sequence.
    """
    found: list[tuple[int, str]] = []
    previous: str | None = None
    for place, link in enumerate(links, start=1):
        if link.sequence != place:
            found.append((place, "missing"))
            break
        found += [(place, reason) for reason in _wrong(link, previous)]
        previous = link.chain
    return found


def _wrong(link: Link, previous: str | None) -> list[str]:
    found = []
    if commit_id(link.document) != link.commit:
        found.append("document_edited")
    elif _beside(link.document) != (link.model, link.author, link.parent):
        found.append("columns_edited")
    if link.previous != previous or chain_hash(link.commit, link.sequence, previous) != link.chain:
        found.append("chain_broken")
    return found


def _beside(document: str) -> tuple[str, str, str | None]:
    found = json.loads(document)
    return found["model"]["model"], found["author"], found["parent"]
