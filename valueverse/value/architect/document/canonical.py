"""One text and one hash per model, and what differs between two.

The canonical form keeps what was written, with short forms written out and numbers as numbers; defaults that nobody
wrote are not in it, so that a new option later changes no old hash. It is RFC 8785 JSON and a model document itself:
``model_from(canonical(model))`` is the same model.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import rfc8785

from valueverse.documents import Change, tree_changes

if TYPE_CHECKING:
    from valueverse.value.architect.document.model import Model


def canonical_tree(model: Model) -> dict[str, Any]:
    """The model as a JSON tree."""
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)


def canonical_text(model: Model) -> str:
    """The model as canonical JSON (RFC 8785)."""
    return rfc8785.dumps(canonical_tree(model)).decode()


def content_hash(model: Model) -> str:
    """Hex SHA-256 of ``canonical_text``: key order, spelling of numbers, YAML or JSON do not count."""
    return hashlib.sha256(rfc8785.dumps(canonical_tree(model))).hexdigest()


def model_changes(before: Model, after: Model) -> list[Change]:
    """What was added, removed and changed from one model to another, as ``tree_changes``."""
    return tree_changes(canonical_tree(before), canonical_tree(after))
