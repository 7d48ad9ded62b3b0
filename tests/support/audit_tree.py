"""Merkle trees of audit logs in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.audit import complete_subtrees

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.audit import Node


def tree_over(leaves: Sequence[bytes]) -> dict[Node, bytes]:
    """Every complete subtree over these leaf hashes, they themselves too: all that any proof can need."""
    return {(0, place): leaf for place, leaf in enumerate(leaves)} | dict(complete_subtrees(leaves))
