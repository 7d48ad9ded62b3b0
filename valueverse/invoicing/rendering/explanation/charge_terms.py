"""What a charge does around its price, in words: conversion, included units, discount, maximum and minimum."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.catalog import Matrix
from valueverse.invoicing.rendering.explanation.measured import agreeing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valueverse.catalog import ChargePricing
    from valueverse.invoicing.rendering.explanation.line_facts import LineFacts
    from valueverse.invoicing.rendering.explanation.price_sentences import PriceSentences

SAME = Decimal("1e-12")
"""Amounts that are nearer than this are the same but for rounding at 18 decimals."""
_LATER = ", due only when the period ends"
_ROUNDED = {
    "none": "",
    "up": ", rounded up to whole ones",
    "down": ", rounded down to whole ones",
    "half_up": ", rounded half up to whole ones",
    "half_even": ", rounded half to even, to whole ones",
}


@dataclass(frozen=True)
class ChargeLines:
    """The lines of one charge for one part of a period, which share what it includes and its limits (``split_by``).

    Attributes:
        name: what the charge is called.
        lines: its usage lines, as the document has them, in their order.
        lacking: what its minimum adds on a line of its own; None: nothing.
        complete: whether their amounts are all that was billed of the part; not so where another invoice billed some.
    """

    name: str
    lines: Sequence[Mapping[str, Any]]
    lacking: Decimal | None
    complete: bool

    @classmethod
    def of(cls, document: Mapping[str, Any], line: Mapping[str, Any], name: str, *, complete: bool) -> ChargeLines:
        """The lines that belong to ``line``, itself included."""
        same = [
            one
            for one in document["lines"]
            if (one["key"], one["service_period"]) == (line["key"], line["service_period"])
        ]
        lacking = [Decimal(one["amount"]) for one in same if one["kind"] == "minimum"]
        usage = [one for one in same if one["kind"] == "usage"]
        return cls(name, usage, lacking[0] if lacking else None, complete)

    @property
    def total(self) -> Decimal:
        """The sum of the lines, without what a minimum adds; not rounded."""
        return sum((Decimal(one["amount_precise"]) for one in self.lines), Decimal(0))

    def named(self) -> str:
        """These lines in words."""
        return f"all {len(self.lines)} lines of {self.name}" if len(self.lines) > 1 else f"all lines of {self.name}"

    def taken_before(self, line: Mapping[str, Any]) -> Decimal:
        """Priced units of the lines that stand before a line: they take included units first."""
        taken = Decimal(0)
        for one in self.lines:
            if one["dimensions"] == line["dimensions"]:
                break
            taken += max(Decimal(one["quantity"] or 0), Decimal(0))
        return taken


class ChargeTerms:
    """A charge's terms in English."""

    def __init__(self, prices: PriceSentences) -> None:
        self._prices = prices

    def conversion(self, charge: ChargePricing, unit: str | None) -> str | None:
        """How metered units become priced ones; None: they are the same. ``unit``: what the meter counts."""
        convert = charge.convert
        if convert is None:
            return None
        rounded = _ROUNDED[convert.round]
        if rounded and isinstance(charge.price, Matrix):
            rounded += ", each combination by itself"
        if convert.divide_by is not None:
            return f"One priced unit is {self._prices.number(convert.divide_by)} {unit or 'metered units'}{rounded}."
        if convert.multiply_by is not None:
            return f"Metered units are multiplied by {self._prices.number(convert.multiply_by)}{rounded}."
        return f"Metered units become priced ones as they are{rounded}." if rounded else None

    def included(self, charge: ChargePricing, quantity: str | None, taken: Decimal | None) -> str | None:
        """The allowance and how much of it was used; None: nothing is included.

        Args:
            charge: the line's.
            quantity: the line's own, in priced units; None: it has none, or shares the allowance with other invoices.
            taken: what lines before it took of the allowance of all lines of the charge; None: it is this line's alone.
        """
        if not charge.included:
            return None
        free, them = charge.included, agreeing(charge.included, "it", "them")
        together = "" if taken is None and quantity is not None else " in all lines of this charge together"
        stated = f"{self._prices.number(free)} {agreeing(free)} included{together}"
        if quantity is None:
            return f"{stated}; only what is above {them} is priced."
        used, left = max(Decimal(quantity), Decimal(0)), max(free - (taken or 0), Decimal(0))
        rest = f"{self._prices.number(used - left)} {agreeing(used - left)} priced"
        if used <= left:
            rest = "nothing is left to price"
        own = min(used, left)
        share = f"{self._prices.number(own)} of {them}"
        if taken is None and used > left:
            share = f"all of {them}"
        spent = "went to this line" if taken is not None else f"{'is' if 1 in {free, own} else 'are'} used"
        return f"{stated}, {share} {spent}; {rest}."

    def after_price(self, charge: ChargePricing, facts: LineFacts, *, shared: bool) -> list[str]:
        """What happens to the amount after the price, in this order; ``shared``: its limits hold for several lines."""
        days = facts.days
        found = []
        if charge.discount_percent:
            found.append(f"less {self._prices.percent(charge.discount_percent)}")
        if charge.maximum is not None and not shared:
            found.append(f"at most {self._limit(charge.maximum, days)}")
        if charge.minimum is not None and not shared:
            found.append(f"at least {self._limit(charge.minimum, days)}{_LATER if facts.ongoing else ''}")
        return found

    def shared_limits(self, charge: ChargePricing, own: ChargeLines, facts: LineFacts) -> str | None:
        """The maximum and minimum that hold once for all lines of a charge, with what these come to; None: neither."""
        days = facts.days
        stated = [] if charge.maximum is None else [f"one maximum ({self._limit(charge.maximum, days)})"]
        if charge.minimum is not None:
            stated.append(f"one minimum ({self._limit(charge.minimum, days)}{_LATER if facts.ongoing else ''})")
        if not stated:
            return None
        limit = f"O{' and '.join(stated)[1:]} for {own.named()} together"
        if not own.complete:
            return f"{limit}."
        found = f"{limit}, which come to {self._prices.precise(own.total)}"
        if own.lacking is not None:
            return f"{found}: a line of its own adds the {self._prices.money(own.lacking)} that they lack."
        most = None if charge.maximum is None else of_days(charge.maximum, days)
        if most is not None and abs(own.total - most) < SAME:
            return f"{found}: what is above it was cut from each in proportion."
        return f"{found}."

    def minimum(self, charge: ChargePricing, own: ChargeLines, days: tuple[int, int] | None) -> str:
        """What the line is that adds what the others lack of a charge's minimum."""
        least = self._limit(charge.minimum or Decimal(0), days)
        limit = f"One minimum ({least}) for {own.named()} together"
        if not own.complete or own.lacking is None:
            return f"{limit}: this is what they lack of it."
        total, lacking = self._prices.precise(own.total), self._prices.money(own.lacking)
        return f"{limit}, which come to {total}: this is the {lacking} that they lack."

    def _limit(self, bound: Decimal, days: tuple[int, int] | None) -> str:
        """A limit of a whole period, and what it comes to in a part of one."""
        whole = self._prices.money(bound)
        if days is None or days[0] == days[1]:
            return whole
        return f"{self._prices.precise(of_days(bound, days))}, for {days[0]} of {days[1]} days of {whole}"


def of_days(bound: Decimal, days: tuple[int, int] | None) -> Decimal:
    """A limit of a whole period for used and full days of a part of it."""
    return bound if days is None or days[0] == days[1] else bound * days[0] / days[1]
