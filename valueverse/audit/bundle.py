"""A tenant's log as somebody holds it outside of the database, and what does not hold in it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from valueverse.audit.chain import genesis, link
from valueverse.audit.checkpoint import Checkpoint, read_checkpoint
from valueverse.audit.entries import entry_bytes
from valueverse.audit.merkle import complete_subtrees, leaf_hash, roots_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from valueverse.audit.merkle import Node


@dataclass(frozen=True)
class Bundle:
    """What a verification needs.

    Attributes:
        tenant: whose log.
        origin: the name in its checkpoints.
        entries: canonical bytes, in order from sequence 1.
        chain: the chain hash stored beside each entry.
        checkpoints: signed notes, oldest first, as they were found outside of the database.
        nodes: the stored nodes of the tree, by level and place; None: of a log outside of the database.
        stored: signed notes that are in the database too: each was written outside of it first.
    """

    tenant: str
    origin: str
    entries: Sequence[bytes]
    chain: Sequence[bytes]
    checkpoints: Sequence[str]
    nodes: Sequence[tuple[Node, bytes]] | None = None
    stored: Sequence[str] = ()


@dataclass(frozen=True)
class Finding:
    """Something that does not hold.

    Attributes:
        layer: ``entry``, ``chain``, ``tree`` or ``checkpoint``: what shows it.
        sequence: of the entry, from 1; of a checkpoint, its size.
        reason: what is wrong, in words.
    """

    layer: str
    sequence: int
    reason: str


def verify_bundle(bundle: Bundle, key: Ed25519PublicKey) -> list[Finding]:
    """Everything that does not hold, lowest sequence first within each layer; empty: entries, chain, stored nodes and
    checkpoints agree.

    Entries beyond the newest checkpoint are proven by the chain alone, which whoever writes the database can
    recompute.
    """
    return [
        *_entry_findings(bundle),
        *_chain_findings(bundle),
        *_node_findings(bundle),
        *_checkpoint_findings(bundle, bundle.checkpoints, key),
        *_lost_checkpoint_findings(bundle, key),
    ]


def unsigned_entries(bundle: Bundle, key: Ed25519PublicKey) -> int:
    """Entries that no checkpoint of ``key`` covers: the chain alone shows when they are rewritten."""
    sizes = [0]
    for note in bundle.checkpoints:
        with suppress(ValueError):
            sizes.append(read_checkpoint(note, key, bundle.origin).size)
    return max(0, len(bundle.entries) - max(sizes))


def _entry_findings(bundle: Bundle) -> Iterator[Finding]:
    for sequence, entry in enumerate(bundle.entries, start=1):
        try:
            fields = json.loads(entry)
            if entry_bytes(fields) != entry:
                yield Finding("entry", sequence, "its bytes are not in canonical form")
            elif fields["tenant"] != bundle.tenant:
                yield Finding("entry", sequence, f"it is of the tenant {fields['tenant']!r}")
        except (ValueError, TypeError, AttributeError):
            yield Finding("entry", sequence, "it is no entry of an audit log")


def _chain_findings(bundle: Bundle) -> Iterator[Finding]:
    before = genesis(bundle.tenant)
    for sequence, (entry, stored) in enumerate(zip(bundle.entries, bundle.chain, strict=False), start=1):
        if link(before, leaf_hash(entry)) != stored:
            yield Finding("chain", sequence, "the chain hash does not follow from the entry and the one before")
            return
        before = stored
    if len(bundle.entries) != len(bundle.chain):
        yield Finding("chain", min(len(bundle.entries), len(bundle.chain)) + 1, "an entry or its chain hash is missing")


def _node_findings(bundle: Bundle) -> Iterator[Finding]:
    """The first stored node, by level, that is not what the entries below it give: proofs would not hold."""
    if bundle.nodes is None:
        return
    wanted = complete_subtrees([leaf_hash(entry) for entry in bundle.entries])
    for right, found in zip_longest(wanted, bundle.nodes):
        if right != found:
            (level, place), _ = right or found
            first, last = (place << level) + 1, (place + 1) << level
            yield Finding("tree", last, f"the stored node over the entries {first} to {last} is not theirs")
            return


def _lost_checkpoint_findings(bundle: Bundle, key: Ed25519PublicKey) -> Iterator[Finding]:
    """Signed notes of the database that are not outside of it (any more), and what of the entries they do not cover."""
    outside = set(bundle.checkpoints)
    lost = [note for note in bundle.stored if note not in outside]
    if lost:
        sizes = [one.size for note in lost if isinstance(one := _read(note, key, bundle.origin), Checkpoint)]
        reason = f"{len(lost)} checkpoints that were signed are not outside of the database: bring back the file"
        yield Finding("checkpoint", max(sizes, default=0), reason)
        yield from _checkpoint_findings(bundle, lost, key)


def _checkpoint_findings(bundle: Bundle, notes: Sequence[str], key: Ed25519PublicKey) -> Iterator[Finding]:
    leaves = [leaf_hash(entry) for entry in bundle.entries]
    newest = 0
    stated = [_read(note, key, bundle.origin) for note in notes]
    # Together: a log that is signed every few minutes has as many checkpoints as entries.
    roots = roots_at(leaves, [one.size for one in stated if isinstance(one, Checkpoint)])
    for checkpoint in stated:
        if isinstance(checkpoint, str):
            yield Finding("checkpoint", newest, checkpoint)
            continue
        if checkpoint.size < newest:
            yield Finding("checkpoint", checkpoint.size, f"it is older than one of {newest} entries before it")
        elif checkpoint.size > len(leaves):
            yield Finding("checkpoint", checkpoint.size, f"entries are missing: the log has {len(leaves)}")
        elif roots[checkpoint.size] != checkpoint.root:
            yield Finding("checkpoint", checkpoint.size, "the entries are not those that were signed")
        newest = max(newest, checkpoint.size)


def _read(note: str, key: Ed25519PublicKey, origin: str) -> Checkpoint | str:
    """The checkpoint of a note, or why it is none."""
    try:
        return read_checkpoint(note, key, origin)
    except ValueError as error:
        return str(error)
