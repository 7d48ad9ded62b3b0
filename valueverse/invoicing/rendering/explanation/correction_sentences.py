"""A correction in words: what was billed, what is due now, and which events made the difference."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.dates import utc_text
from valueverse.invoicing.rendering.explanation.measured import agreeing, counted
from valueverse.money import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from valueverse.invoicing.rendering.explanation.line_facts import ChangedEvents, Correction
    from valueverse.invoicing.rendering.locale_formats import LocaleFormats

_CHANGES = {
    "late": "{} came late",
    "amended": "{} {was} amended",
    "voided": "{} {was} voided",
    "joined": "{} {was} counted elsewhere before",
    "left": "{} {is_} counted elsewhere now",
}
_MOST_CAUSES = 3


class CorrectionSentences:
    """Corrections in English."""

    def __init__(self, formats: LocaleFormats) -> None:
        self._formats = formats

    def of(self, line: Mapping[str, Any], one: Correction, days: str, quantities: Sequence[str | None]) -> list[str]:
        """The sentences of an adjustment; ``days``: its service period, ``quantities``: before and now, None: none."""
        found = [f"Changes invoice {one.invoice}, issued {one.issued_on}, for {days}."]
        if one.is_void:
            found.append("That invoice is void: what other invoices had billed of it is taken back.")
        found.append(self._amounts(line, one, quantities))
        if line["meter"] is not None and not one.is_void:
            found.append(self._events(one.changed))
        if one.catalog is not None:
            found.append(f"It was re-rated under the catalog {one.catalog[:8]}.")
        if one.causes:
            named = [f"{kind} {key!r} ({utc_text(moment)})" for kind, key, moment in one.causes[:_MOST_CAUSES]]
            more = len(one.causes) - _MOST_CAUSES
            named += [f"{more:,} more"] if more > 0 else []
            found.append(f"Billing events received since: {', '.join(named)}.")
        elif line["meter"] is None and one.catalog is None and not one.is_void:
            found.append("It follows from what the other lines of that invoice come to.")
        return found

    def _amounts(self, line: Mapping[str, Any], one: Correction, quantities: Sequence[str | None]) -> str:
        before, now = (self._billed(one, place, quantities[place]) for place in (0, 1))
        on = f" on {' and '.join(one.billed_on)}" if len(one.billed_on) > 1 else ""
        more = "more" if Decimal(line["amount"]) >= 0 else "less"
        difference = self._money(plain(abs(Decimal(line["amount"]))))
        return f"Billed before{on}: {before}. Due as known now: {now}. The difference is {difference} {more}."

    def _billed(self, one: Correction, place: int, quantity: str | None) -> str:
        text = self._money((one.billed, one.due)[place])
        parts = [] if quantity is None else [quantity]
        if one.events is not None:
            parts.append(counted(one.events[place], "event"))
        return f"{text} ({' of '.join(parts)})" if parts else text

    def _events(self, changed: ChangedEvents) -> str:
        parts: list[str] = []
        for change, text in _CHANGES.items():
            count = changed.counts.get(change, 0)
            if count:
                what = counted(count, "event") if not parts else f"{count:,}"
                parts.append(text.format(what, was=agreeing(count, "was", "were"), is_=agreeing(count)))
        if not parts:
            return "None of its events came late, was amended or voided: what holds for it changed."
        return f"{', '.join(parts)}{_received(changed.first, changed.last)}."

    def _money(self, amount: str) -> str:
        return f"{self._formats.amount(amount)} {self._formats.currency}"


def _received(first: datetime | None, last: datetime | None) -> str:
    if first is None or last is None:
        return ""
    return f", received {utc_text(first)}" if first == last else f", received {utc_text(first)} to {utc_text(last)}"
