"""The Merkle tree of RFC 6962 (section 2.1), and its proofs as RFC 9162 (section 2.1) verifies them.

Leaves and nodes are hashed with different first bytes, so that no node can pass for a leaf. All hashes are 32 bytes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LENGTH = 32
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


def inclusion_proof(leaves: Sequence[bytes], index: int, size: int) -> list[bytes]:
    """Hashes that lead from leaf ``index`` to the root of the tree of the first ``size`` leaves, lowest first.

    Raises:
        ValueError: there is no such leaf, or the log is shorter than ``size``.
    """
    if not 0 <= index < size <= len(leaves):
        raise ValueError(f"leaf {index} of a tree of {size}: the log has {len(leaves)} entries")
    return _path(index, leaves[:size])


def _path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*_path(index, leaves[:split]), root_hash(leaves[split:])]
    return [*_path(index - split, leaves[split:]), root_hash(leaves[:split])]


def consistency_proof(leaves: Sequence[bytes], earlier: int, later: int) -> list[bytes]:
    """Hashes that show that the tree of the first ``later`` leaves continues that of the first ``earlier``.

    Raises:
        ValueError: sizes are not 1 <= earlier <= later <= the log's.
    """
    if not 1 <= earlier <= later <= len(leaves):
        raise ValueError(f"from {earlier} to {later} entries: the log has {len(leaves)}")
    return _continued(earlier, leaves[:later], whole=True)


def _continued(earlier: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if earlier == len(leaves):
        return [] if whole else [root_hash(leaves)]
    split = _split(len(leaves))
    if earlier <= split:
        return [*_continued(earlier, leaves[:split], whole=whole), root_hash(leaves[split:])]
    return [*_continued(earlier - split, leaves[split:], whole=False), root_hash(leaves[:split])]


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
