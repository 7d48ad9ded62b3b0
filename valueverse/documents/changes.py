"""What differs between two documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import rfc8785

_ABSENT = object()


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
