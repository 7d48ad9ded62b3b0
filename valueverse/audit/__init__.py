"""The audit log: entries in canonical bytes, a hash chain, an RFC 6962 Merkle tree, signed checkpoints. No I/O.

The chain orders a tenant's entries; the tree proves to somebody who holds a checkpoint that an entry is in the log, or
that a later log continues an earlier one, without showing the rest.
"""

from valueverse.audit.bundle import Bundle, Finding, unsigned_entries, verify_bundle
from valueverse.audit.chain import genesis, link
from valueverse.audit.checkpoint import Checkpoint, read_checkpoint, sign_checkpoint, signature_of
from valueverse.audit.entries import entry_bytes
from valueverse.audit.merkle import (
    Node,
    complete_subtrees,
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

__all__ = [
    "Bundle",
    "Checkpoint",
    "Finding",
    "Node",
    "complete_subtrees",
    "consistency_nodes",
    "consistency_proof",
    "entry_bytes",
    "genesis",
    "inclusion_nodes",
    "inclusion_proof",
    "leaf_hash",
    "link",
    "read_checkpoint",
    "root_from",
    "root_hash",
    "root_nodes",
    "sign_checkpoint",
    "signature_of",
    "unsigned_entries",
    "verify_bundle",
    "verify_consistency",
    "verify_inclusion",
]
