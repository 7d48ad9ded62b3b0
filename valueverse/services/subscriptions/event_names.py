"""What the command line and clients of the API call the places of a billing event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valueverse.errors import RefusalError

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


def read_quantities(texts: list[str]) -> dict[str, str]:
    """``seats=5`` as ``{"seats": "5"}``.

    Raises:
        RefusalError: ``bad_quantity``.
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise RefusalError(
                "bad_quantity", f"{text[:60]!r} is no quantity of a fee: write FEE=NUMBER, as in seats=5", "--quantity"
            )
        if name in found:
            raise RefusalError("bad_quantity", f"the quantity of {name[:60]!r} is given twice: give one", "--quantity")
        found[name] = value
    return found
