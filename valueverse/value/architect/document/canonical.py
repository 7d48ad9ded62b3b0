"""One text and one hash per model, and what differs between two.

The canonical form keeps what was written, with short forms written out and numbers as numbers; defaults that nobody
wrote are not in it, so that a new option later changes no old hash. It is RFC 8785 JSON and a model document itself:
``model_from(canonical(model))`` is the same model.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import rfc8785

if TYPE_CHECKING:
    from valueverse.value.architect.document.model import Model

_ABSENT = object()


def canonical_tree(model: Model) -> dict[str, Any]:
    """The model as a JSON tree."""
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)


def canonical_text(model: Model) -> str:
    """The model as canonical JSON (RFC 8785)."""
    return rfc8785.dumps(canonical_tree(model)).decode()


def content_hash(model: Model) -> str:
    """Hex SHA-256 of ``canonical_text``: key order, spelling of numbers, YAML or JSON do not count."""
    return hashlib.sha256(rfc8785.dumps(canonical_tree(model))).hexdigest()


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        path: ``inputs.adoption.value``.
        kind: ``added``, ``removed`` or ``changed``.
        before, after: the JSON values; None on the side where there is none.
    """

    path: str
    kind: Literal["added", "removed", "changed"]
    before: Any
    after: Any

    def as_json(self) -> dict[str, Any]:
        """As it is stored and printed."""
        return {"path": self.path, "kind": self.kind, "before": self.before, "after": self.after}


def model_changes(before: Model, after: Model) -> list[Change]:
    """What was added, removed and changed from one model to another, as ``tree_changes``."""
    return tree_changes(canonical_tree(before), canonical_tree(after))


def tree_changes(before: Any, after: Any) -> list[Change]:
    """What was added, removed and changed from one JSON tree to another, by ascending path.

    A list is compared as a whole: its entries have no names to match them by.
    """
    found: list[Change] = []
    waiting: list[tuple[str, Any, Any]] = [("", before, after)]
    while waiting:
        path, old, new = waiting.pop()
        if isinstance(old, dict) and isinstance(new, dict):
            for name in {**old, **new}:
                below = f"{path}.{name}" if path else name
                waiting.append((below, old.get(name, _ABSENT), new.get(name, _ABSENT)))
        elif old is _ABSENT:
            found.append(Change(path, "added", None, new))
        elif new is _ABSENT:
            found.append(Change(path, "removed", old, None))
        elif rfc8785.dumps(old) != rfc8785.dumps(new):
            found.append(Change(path, "changed", old, new))
    return sorted(found, key=lambda change: change.path)
