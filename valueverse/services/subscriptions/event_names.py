"""What the command line and clients of the API call the places of a billing event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Names:
    """What whoever writes an event calls its places.

    Attributes:
        places: by their path within the event, such as ``data.plan``; ``id`` is the key that the event is about.
        creation: how a ``{customer}`` of a ``{tenant}`` is created.
    """

    places: Mapping[str, str]
    creation: str

    def of(self, path: str) -> str:
        """The name of a place of the event, or of what it lies in."""
        return self.places.get(".".join(path.split(".")[:2]), path)


OPTIONS = Names(
    {
        "id": "KEY",
        "data.subscription": "KEY", "data.customer": "--customer", "data.plan": "--plan", "time": "--on",
        "data.plan_version": "--plan-version", "data.quantities": "--quantity", "data.ends_at": "--ends",
        "data.anchor_date": "--anchor", "data.timezone": "--timezone", "data.effective": "--at-period-end",
        "data.country": "--country", "data.currency": "--currency", "data.email": "--email", "data.name": "--name",
    },
    "`valueverse customers add {customer} --tenant {tenant}` creates it",
)  # fmt: skip
"""Of the commands: options."""
