"""The Merkle tree of RFC 6962 (section 2.1), and its proofs as RFC 9162 (section 2.1) verifies them.

Leaves and nodes are hashed with different first bytes, so that no node can pass for a leaf. All hashes are 32 bytes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_LENGTH = 32
Node = tuple[int, int]
"""A complete subtree: its level, which is 0 for leaves (2**level leaves are below it), and its place in it, from 0."""
EMPTY = hashlib.sha256(b"").digest()
"""Root of the tree without leaves."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash of the leaf that holds ``entry``."""
    return hashlib.sha256(b"\x00" + entry).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_hash(leaves: Sequence[bytes]) -> bytes:
    """Root of the tree over these leaf hashes, in their order."""
    level = list(leaves)
    if not level:
        return EMPTY
    # Pairs from the left; what is left over at the end of a level goes up unchanged: the tree that RFC 6962 defines
    # by splitting at the largest power of two.
    while len(level) > 1:
        pairs = [_node(level[place], level[place + 1]) for place in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def roots_at(leaves: Sequence[bytes], sizes: Iterable[int]) -> dict[int, bytes]:
    """Size -> root of the tree of the first ``size`` leaves, for those of ``sizes`` that the log has.

    Each leaf is hashed into its trees once, however many roots are asked for.
    """
    wanted = sorted({size for size in sizes if 0 <= size <= len(leaves)})
    found: dict[int, bytes] = {}
    complete: list[tuple[int, bytes]] = []  # (leaves below, root) of complete trees, the largest first
    done = 0
    for size in wanted:
        for leaf in leaves[done:size]:
            complete.append((1, leaf))
            while len(complete) > 1 and complete[-2][0] == complete[-1][0]:
                count, right = complete.pop()
                complete[-1] = (2 * count, _node(complete[-1][1], right))
        done = size
        found[size] = _joined([root for _, root in complete])
    return found


def _joined(roots: Sequence[bytes]) -> bytes:
    """Root over complete trees, the largest first."""
    root = roots[-1] if roots else EMPTY
    for left in reversed(roots[:-1]):
        root = _node(left, root)
    return root


def complete_subtrees(leaves: Sequence[bytes]) -> Iterator[tuple[Node, bytes]]:
    """Nodes above these leaf hashes: level by level from 1, each from the left. A log stores them beside its leaves."""
    level, row = 0, list(leaves)
    while len(row) > 1:
        level += 1
        row = [_node(row[place], row[place + 1]) for place in range(0, len(row) - 1, 2)]
        yield from (((level, place), found) for place, found in enumerate(row))


def root_nodes(size: int) -> list[Node]:
    """Nodes that the root of the first ``size`` leaves is hashed from: complete subtrees, the largest first."""
    return _covering(0, size)


def root_from(size: int, nodes: Mapping[Node, bytes]) -> bytes:
    """Root of the first ``size`` leaves, from ``root_nodes`` of it.

    Raises:
        KeyError: a node is missing.
    """
    return _root_of(0, size, nodes)


def inclusion_nodes(index: int, size: int) -> list[Node]:
    """Nodes that ``inclusion_proof`` needs: some two for each doubling of the log.

    Raises:
        ValueError: there is no such leaf in a tree of ``size``.
    """
    return [node for start, end in _beside_leaf(index, size) for node in _covering(start, end)]


def inclusion_proof(index: int, size: int, nodes: Mapping[Node, bytes]) -> list[bytes]:
    """Hashes that lead from leaf ``index`` to the root of the tree of the first ``size`` leaves, lowest first.

    Args:
        index: of the leaf, from 0.
        size: of the tree.
        nodes: at least ``inclusion_nodes``.

    Raises:
        ValueError: there is no such leaf.
        KeyError: a node is missing.
    """
    return [_root_of(start, end, nodes) for start, end in _beside_leaf(index, size)]


def consistency_nodes(earlier: int, later: int) -> list[Node]:
    """Nodes that ``consistency_proof`` needs: some two for each doubling of the log.

    Raises:
        ValueError: sizes are not 1 <= earlier <= later.
    """
    return [node for start, end in _beside_past(earlier, later) for node in _covering(start, end)]


def consistency_proof(earlier: int, later: int, nodes: Mapping[Node, bytes]) -> list[bytes]:
    """Hashes that show that the tree of the first ``later`` leaves continues that of the first ``earlier``.

    Args:
        earlier: size of the tree before.
        later: size of the tree after.
        nodes: at least ``consistency_nodes``.

    Raises:
        ValueError: sizes are not 1 <= earlier <= later.
        KeyError: a node is missing.
    """
    return [_root_of(start, end, nodes) for start, end in _beside_past(earlier, later)]


def _beside_leaf(index: int, size: int) -> list[tuple[int, int]]:
    """PATH of RFC 6962, section 2.1.1, as the leaves (start, end) below each of its hashes."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    start, end, found = 0, size, []
    while end - start > 1:
        split = start + _split(end - start)
        found.append((split, end) if index < split else (start, split))
        start, end = (start, split) if index < split else (split, end)
    return found[::-1]


def _beside_past(earlier: int, later: int) -> list[tuple[int, int]]:
    """PROOF of RFC 6962, section 2.1.2, as the leaves (start, end) below each of its hashes."""
    if not 1 <= earlier <= later:
        raise ValueError(f"no proof leads from {earlier} to {later} entries")
    start, end, found = 0, later, []
    while earlier != end:
        split = start + _split(end - start)
        found.append((split, end) if earlier <= split else (start, split))
        start, end = (start, split) if earlier <= split else (split, end)
    # The verifier has the earlier root; where that is a node of the later tree, it is not sent.
    return [*([(start, end)] if start else []), *found[::-1]]


def _covering(start: int, end: int) -> list[Node]:
    """Complete subtrees over the leaves from ``start`` to before ``end``, the largest first; a subtree begins there."""
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append((level, start >> level))
        start += 1 << level
    return found


def _root_of(start: int, end: int, nodes: Mapping[Node, bytes]) -> bytes:
    return _joined([nodes[node] for node in _covering(start, end)])


def _are_hashes(*values: bytes) -> bool:
    return all(len(value) == _LENGTH for value in values)


def _split(size: int) -> int:
    """The largest power of two below ``size``, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def verify_inclusion(root: bytes, size: int, index: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Whether ``leaf`` (its hash) is at ``index`` of the tree with this root and size (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or not _are_hashes(leaf, *proof):
        return False
    place, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = _node(step, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = _node(found, step)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(
    earlier_root: bytes, earlier: int, later_root: bytes, later: int, proof: Sequence[bytes]
) -> bool:
    """Whether the later tree continues the earlier one (RFC 9162, 2.1.4.2). An empty earlier tree proves nothing."""
    if not 1 <= earlier <= later or not _are_hashes(*proof):
        return False
    if earlier == later:
        return not proof and earlier_root == later_root
    # An earlier tree that is complete is a node of the later one: it is not sent.
    path = [earlier_root, *proof] if earlier & (earlier - 1) == 0 else list(proof)
    if not path:
        return False
    place, last = earlier - 1, later - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = path[0]
    for step in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            before, after = _node(step, before), _node(step, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = _node(after, step)
        place, last = place >> 1, last >> 1
    return last == 0 and before == earlier_root and after == later_root
