"""Prices in words: every model of the catalog with each of its options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.catalog import (
    Bucketed,
    Capacity,
    Dynamic,
    FormulaPrice,
    Graduated,
    GraduatedPercentage,
    Matrix,
    Outcome,
    Package,
    Percentage,
    Standard,
    Volume,
    bucket_rules,
)
from valueverse.invoicing.rendering.explanation.measured import agreeing, counted
from valueverse.money import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from valueverse.catalog import BucketRule, UnitPrice
    from valueverse.invoicing.rendering.locale_formats import LocaleFormats

MOST_SHOWN = 8
"""Cells or tiers that are listed."""
_TIERED = {
    Graduated: "graduated, each tier prices the units inside it",
    Volume: "volume, the tier that the whole quantity falls into prices all of it",
    GraduatedPercentage: "graduated percentage, each tier has a rate for the part of the amount inside it",
}


class PriceSentences:
    """Prices in English, with the numbers of a locale and the amounts of a currency."""

    def __init__(self, formats: LocaleFormats, meter: Callable[[str], str] = str) -> None:
        """``meter``: what a meter is called, by its key."""
        self._formats, self._meter = formats, meter
        self._phrases: dict[type, Callable[[Any], str]] = {
            Standard: self._standard,
            Package: self._package,
            Percentage: self._percentage,
            Dynamic: self._dynamic,
            Capacity: self._capacity,
            FormulaPrice: lambda price: f"formula, {price.amount} of the priced quantity",
            Bucketed: self._bucketed,
            Outcome: self._outcome,
            **dict.fromkeys(_TIERED, self._tiered),
        }

    def money(self, amount: Decimal) -> str:
        """An amount or a unit price with its currency: at least the currency's decimals, and every one that it has."""
        return f"{self.bare(amount)} {self._formats.currency}"

    def bare(self, amount: Decimal) -> str:
        """``money`` without the currency, where a row states it."""
        text = plain(amount)
        return self._formats.amount(text) if amount == amount.to_integral_value() else self._formats.price(text)

    def precise(self, amount: Decimal) -> str:
        """An amount that is not rounded, with its currency."""
        return f"{self._formats.precise(plain(amount))} {self._formats.currency}"

    def number(self, quantity: Decimal) -> str:
        """A quantity."""
        return self._formats.quantity(plain(quantity))

    def percent(self, rate: Decimal) -> str:
        """A rate in percent."""
        return f"{self._formats.percent(plain(rate))} %"

    def price(self, price: UnitPrice | Bucketed, dimensions: Mapping[str, str | None] | None) -> str:
        """What a price asks for.

        Args:
            price: of the charge.
            dimensions: of the line: of a matrix the cells that they leave.
        """
        if isinstance(price, Matrix):
            return self._matrix(price, dimensions or {})
        return self._phrases[type(price)](price)

    def _standard(self, price: Standard) -> str:
        return f"standard, {self.money(price.unit)} for each unit"

    def _dynamic(self, price: Dynamic) -> str:
        if price.multiplier is not None:
            return f"dynamic, the quantity times {self.number(price.multiplier)}"
        return f"dynamic, the amount that each event carries in {price.amount!r}"

    def _tiered(self, price: Graduated | Volume | GraduatedPercentage) -> str:
        parts = [_TIERED[type(price)]]
        if any(tier.flat for tier in price.tiers):
            parts.append("the fixed amount of a tier is due once it is entered")
        if price.tiers[0].flat:
            due = getattr(price, "bill_flat_at_zero", True)
            parts.append(f"that of the first one {'also' if due else 'not'} without usage")
        return "; ".join(parts)

    def _package(self, price: Package) -> str:
        block = "started" if price.round == "up" else "full"
        text = f"package, {self.money(price.amount)} for each {block} package of {self.number(price.size)}"
        if not price.free:
            return text
        return f"{text}; the first {agreeing(price.free, 'unit is', f'{self.number(price.free)} units are')} free"

    def _percentage(self, price: Percentage) -> str:
        if not price.per_event:
            return f"percentage, {self.percent(price.rate)} of the value"
        parts = [f"percentage, {self.percent(price.rate)} of each event's value"]
        if price.fixed:
            parts.append(f"plus {self.money(price.fixed)} for each event")
        if price.min_per_event is not None:
            parts.append(f"at least {self.money(price.min_per_event)} an event")
        if price.max_per_event is not None:
            parts.append(f"at most {self.money(price.max_per_event)} an event")
        text = ", ".join(parts)
        free = self._free(price)
        return f"{text}; {free}" if free else text

    def _free(self, price: Percentage) -> str | None:
        """Which events cost nothing, and where that ends."""
        if price.free_events is None and price.free_amount is None:
            return None
        count = price.free_events or 0
        first = f"the first {agreeing(count, 'event costs', f'{count:,} events cost')} nothing"
        if price.free_amount is None:
            return first
        value = self.number(price.free_amount)
        passing = f"the event that takes them past {value} pays the rate of the part above it"
        if price.free_events is None:
            return f"events cost nothing while their values come to at most {value} in all, {passing}"
        both = f"{first} while their values come to at most {value} in all, {passing}"
        return f"{both}, and whichever ends first ends both"

    def _matrix(self, price: Matrix, dimensions: Mapping[str, str | None]) -> str:
        known = {name: value for name, value in dimensions.items() if name in price.dimensions}
        cells = [cell for cell in price.cells if known.items() <= cell.values.items()]
        shown = [f"{self.dimensions(cell.values)}: {self.money(cell.unit)}" for cell in cells]
        rest = [] if price.default_unit is None else [f"else {self.money(price.default_unit)}"]
        return f"matrix, a unit price by {' and '.join(price.dimensions)} ({_listed(shown, rest)})"

    def dimensions(self, values: Mapping[str, str | None]) -> str:
        """Values of dimensions; None: one that the events lack."""
        return ", ".join(
            self._formats.text("without", name=name) if value is None else f"{name} {value}"
            for name, value in values.items()
        )

    def _capacity(self, price: Capacity) -> str:
        tiers = [f"{self.limits(tier)}: {self.money(tier.amount)}" for tier in price.tiers]
        return f"capacity, the lowest tier all of whose limits hold ({_listed(tiers[:-1], tiers[-1:])})"

    def limits(self, tier: Any) -> str:
        """The limits of a tier of a capacity price."""
        stated = [
            f"{self.number(most)} {self._meter(meter)}" for meter, most in tier.limits.items() if most is not None
        ]
        return f"up to {' and '.join(stated)}" if stated else "above"

    def _bucketed(self, price: Bucketed) -> str:
        own, windows = bucket_rules(price)
        each = f"bucketed, each {price.every} priced by itself and summed"
        parts = [f"{each}: {self._bucket_price(price.price)}", *self._commitment(own, price.every)]
        for window, terms in windows:
            changed = [] if terms.price == own.price else [self._bucket_price(terms.price)]
            committed = self._commitment(terms, price.every)
            changed += [] if committed == self._commitment(own, price.every) else committed or ["no commitment"]
            if changed:
                parts.append(f"from {window.from_} to {window.to} {', '.join(changed)}")
        return "; ".join(parts)

    def _bucket_price(self, price: UnitPrice) -> str:
        """Of a price whose tiers no line shows: with its tiers."""
        text = self.price(price, None)
        return f"{text} ({self._tiers(price)})" if isinstance(price, Graduated | Volume | GraduatedPercentage) else text

    def _tiers(self, price: Graduated | Volume | GraduatedPercentage) -> str:
        found = []
        for tier in price.tiers:
            where = "above" if tier.up_to is None else f"up to {self.number(tier.up_to)}"
            found.append(f"{where}: {', '.join(self.tier(tier))}")
        return _listed(found[:-1], found[-1:])

    def tier(self, tier: Any) -> list[str]:
        """What a tier asks for, in parts: its price, its fixed amount, the most that it costs."""
        if hasattr(tier, "rate"):
            parts = [self.percent(tier.rate)]
        elif tier.per is None:
            parts = [f"{self.money(tier.unit)} each"]
        else:
            parts = [f"{self.money(tier.unit)} for each started block of {self.number(tier.per)}"]
        if tier.flat:
            parts.append(f"plus {self.money(tier.flat)}")
        if getattr(tier, "cap", None) is not None:
            parts.append(f"at most {self.money(tier.cap)}")
        return parts

    def _commitment(self, terms: BucketRule, every: str) -> list[str]:
        """A commitment of each bucket; empty: there is none."""
        if terms.commitment is None:
            return []
        found = [f"a commitment of {self.money(terms.commitment)} for each {every}"]
        if terms.overage_factor != 1:
            found.append(f"what is above it counts times {self.number(terms.overage_factor)}")
        below = "is raised to it" if terms.true_up else "stays as it is"
        found.append(f"{'an' if every == 'hour' else 'a'} {every} below it {below}")
        return [", ".join(found)]

    def _outcome(self, price: Outcome) -> str:
        share = self.percent(price.share * 100)
        parts = [
            f"outcome, {share} of {price.output!r} of the value model {price.value_model!r}, by the {price.period}"
        ]
        parts += [f"at least {price.floor}"] if price.floor else []
        parts += [f"at most {price.cap}"] if price.cap else []
        if price.true_up == "cumulative":
            parts.append("worked out from the beginning on, less what was billed before")
        else:
            parts.append(f"each {price.period} by itself")
        parts.append(f"{counted(price.dispute_days, 'day')} to dispute it")
        parts.append("given back" if price.refund else "nothing is given back")
        return "; ".join(parts)


def _listed(parts: list[str], rest: list[str]) -> str:
    """At most ``MOST_SHOWN`` of them, and ``rest``: what holds for everything else."""
    more = [f"{len(parts) - MOST_SHOWN} more"] if len(parts) > MOST_SHOWN else []
    return "; ".join([*parts[:MOST_SHOWN], *more, *rest])
