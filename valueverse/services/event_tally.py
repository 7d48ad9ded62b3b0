"""How many of the events that were given are used, and why the others are not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MEANINGS = {
    "after_end": "after the end of the customer's subscription",
    "ambiguous_subscription": "several subscriptions of the customer could take it: name one in 'subject'",
    "awaiting_original": "amends an event that was not received",
    "before_start": "before the start of the customer's subscription",
    "catalog_given": "the catalog of the command line holds",
    "conflict": "an earlier event has its id and other content",
    "duplicate": "the same event again",
    "in_trial": "within the trial",
    "no_charge": "no charge of the plan takes its meter",
    "no_meter": "no meter of the catalog reads its type",
    "no_subscription": "the customer has none, or no event creates the customer",
    "no_value": "the field that its meter reads is missing, or holds no number in range",
    "not_derived": "no run has derived its usage yet",
    "period_open": "outside of the periods billed, or received after their close",
    "superseded": "amended or voided by a later event",
    "too_long": "an id, a key or a dimension has more than 256 characters",
    "unreadable_file": "a file that cannot be read counts as one",
    "void": "voids another event, or is voided or amended by one",
}
"""Reason -> what it means, where the word alone does not say it."""


@dataclass
class Tally:
    """The outcomes of events.

    Attributes:
        given: events in the files, or received.
        left_out: by reason, how many were not used, and an example ('': none).
    """

    given: int = 0
    left_out: dict[str, tuple[int, str]] = field(default_factory=dict)

    def leave_out(self, reason: str, events: int, example: str) -> None:
        """Count events that are not used."""
        before, first = self.left_out.get(reason, (0, example))
        if events:
            self.left_out[reason] = (before + events, first)

    def also(self) -> Tally:
        """A copy to which what one catalog leaves out is added."""
        return Tally(self.given, dict(self.left_out))

    @property
    def used(self) -> int:
        """Events that were used."""
        return self.given - sum(events for events, _ in self.left_out.values())

    def sentences(self) -> Iterator[str]:
        """How many events were used, then a line for each reason of those that were not."""
        unused = self.given - self.used
        yield f"used {self.used:,} of {self.given:,} events" + (f", {unused:,} not, because:" if unused else "")
        for reason, (events, example) in self._by_number():
            meaning = f" ({MEANINGS[reason]})" if reason in MEANINGS else ""
            yield f"not used: {events:,} {reason}{meaning}" + (f", e.g. {example}" if example else "")

    def document(self) -> dict[str, Any]:
        """The tally as JSON values."""
        left_out = [
            {"reason": reason, "events": events, "example": example} for reason, (events, example) in self._by_number()
        ]
        return {"received": self.given, "used": self.used, "not_used": left_out}

    def _by_number(self) -> list[tuple[str, tuple[int, str]]]:
        return sorted(self.left_out.items(), key=lambda item: (-item[1][0], item[0]))
