"""The tree and its proofs: RFC 6962's own vectors, other people's cases, and a second implementation by definition."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.audit_tree import tree_over
from valueverse.audit import (
    consistency_nodes,
    consistency_proof,
    inclusion_nodes,
    inclusion_proof,
    leaf_hash,
    root_from,
    root_hash,
    root_nodes,
    verify_consistency,
    verify_inclusion,
)

if TYPE_CHECKING:
    from valueverse.audit import Node

# The leaves of the reference set of Certificate Transparency, and the roots of its first 0 to 8.
LEAVES = (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)  # fmt: skip
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
CASES = json.loads((Path(__file__).parent / "rfc6962_cases.json").read_text(encoding="utf-8"))
HASHED = [leaf_hash(bytes.fromhex(one)) for one in LEAVES]


def _bytes(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def _named(case: dict[str, Any]) -> str:
    return str(case["desc"])


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_reference_set(size: int) -> None:
    assert root_hash(HASHED[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize("case", CASES["inclusion"], ids=_named)
def test_inclusion_proofs_of_others_are_judged_as_they_say(case: dict[str, Any]) -> None:
    proof = [_bytes(one) for one in case["proof"] or []]
    holds = verify_inclusion(_bytes(case["root"]), case["treeSize"], case["leafIdx"], _bytes(case["leafHash"]), proof)
    assert holds is not case["wantErr"]


@pytest.mark.parametrize("case", CASES["consistency"], ids=_named)
def test_consistency_proofs_of_others_are_judged_as_they_say(case: dict[str, Any]) -> None:
    proof = [_bytes(one) for one in case["proof"] or []]
    holds = verify_consistency(_bytes(case["root1"]), case["size1"], _bytes(case["root2"]), case["size2"], proof)
    assert holds is not case["wantErr"]


def test_nothing_is_proven_of_an_empty_log() -> None:
    assert not verify_consistency(root_hash([]), 0, root_hash(HASHED), 8, [])
    with pytest.raises(ValueError, match="from 0 to 8 entries"):
        consistency_nodes(0, 8)
    with pytest.raises(ValueError, match="leaf 8 in a tree of 8"):
        inclusion_nodes(8, 8)
    assert root_from(0, {}) == root_hash([])


def _by_definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else hashlib.sha256().digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + _by_definition(leaves[:split]) + _by_definition(leaves[split:])).digest()


def _needed(leaves: list[bytes], nodes: list[Node]) -> dict[Node, bytes]:
    """What a proof may read: these nodes and no other."""
    tree = tree_over(leaves)
    return {node: tree[node] for node in nodes}


_LOGS = st.integers(1, 70).map(lambda size: [leaf_hash(str(one).encode()) for one in range(size)])


@given(_LOGS)
def test_the_root_is_that_of_the_definition(leaves: list[bytes]) -> None:
    assert root_hash(leaves) == _by_definition(leaves)
    assert root_from(len(leaves), _needed(leaves, root_nodes(len(leaves)))) == root_hash(leaves)


@given(st.integers(1, 2**62), st.data())
def test_a_proof_needs_two_nodes_at_most_for_each_doubling_of_the_log(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    for nodes in (inclusion_nodes(index, size), consistency_nodes(index + 1, size)):
        assert len(nodes) == len(set(nodes)) <= 2 * size.bit_length()
    assert len(root_nodes(size)) <= size.bit_length()


@given(_LOGS, st.data())
def test_an_entry_is_proven_in_each_log_that_holds_it_and_no_other_entry_is(
    leaves: list[bytes], data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, len(leaves)))
    index = data.draw(st.integers(0, size - 1))
    proof, root = inclusion_proof(index, size, _needed(leaves, inclusion_nodes(index, size))), root_hash(leaves[:size])
    assert verify_inclusion(root, size, index, leaves[index], proof)
    assert not verify_inclusion(root, size, index, leaf_hash(b"another"), proof)
    assert not any(verify_inclusion(root, size, other, leaves[index], proof) for other in range(size) if other != index)


@given(_LOGS, st.data())
def test_a_log_is_proven_to_continue_its_past_and_no_other_past(leaves: list[bytes], data: st.DataObject) -> None:
    earlier = data.draw(st.integers(1, len(leaves)))
    proof = consistency_proof(earlier, len(leaves), _needed(leaves, consistency_nodes(earlier, len(leaves))))
    past, now = root_hash(leaves[:earlier]), root_hash(leaves)
    assert verify_consistency(past, earlier, now, len(leaves), proof)
    rewritten = [leaf_hash(b"rewritten"), *leaves[1:]]
    assert not verify_consistency(root_hash(rewritten[:earlier]), earlier, now, len(leaves), proof)
    assert not verify_consistency(past, earlier, root_hash(rewritten), len(leaves), proof)
