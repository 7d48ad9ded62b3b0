"""A charge's terms in words: its price, what is included, and what happens to the amount after the price."""

from __future__ import annotations

from decimal import Decimal
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
)
from valueverse.money import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valueverse.catalog import ChargePricing, UnitPrice
    from valueverse.invoicing.rendering.locale_formats import LocaleFormats

_MOST_CELLS = 8
_WHOLE: dict[type, str] = {
    Graduated: "graduated, each tier prices the units inside it",
    Volume: "volume, the tier that the whole quantity falls into prices all of it",
    GraduatedPercentage: "graduated percentage, each tier has a rate for the part of the amount inside it",
}
"""Prices whose numbers stand in the tiers of the line."""


class PriceSentences:
    """Terms in English, with the numbers of a locale and the amounts of a currency."""

    def __init__(self, formats: LocaleFormats) -> None:
        self._formats = formats
        self._phrases: dict[type, Callable[[Any], str]] = {
            Standard: self._standard,
            Package: self._package,
            Percentage: self._percentage,
            Dynamic: self._dynamic,
            Capacity: self._capacity,
            FormulaPrice: lambda price: f"formula, {price.amount}",
            Bucketed: self._bucketed,
            Outcome: self._outcome,
        }

    def money(self, amount: Decimal) -> str:
        """An amount or a unit price with its currency: at least the currency's decimals, and every one that it has."""
        text = plain(amount)
        shown = self._formats.amount(text) if amount == amount.to_integral_value() else self._formats.price(text)
        return f"{shown} {self._formats.currency}"

    def number(self, quantity: Decimal) -> str:
        """A quantity."""
        return self._formats.quantity(plain(quantity))

    def price(self, price: UnitPrice | Bucketed, dimensions: Mapping[str, str] | None) -> str:
        """What a price asks for, without its name.

        Args:
            price: of the charge.
            dimensions: of the line: of a matrix the cells that they leave.
        """
        if isinstance(price, Matrix):
            return self._matrix(price, dimensions or {})
        return _WHOLE.get(type(price)) or self._phrases[type(price)](price)

    def _standard(self, price: Standard) -> str:
        return f"standard, {self.money(price.unit)} for each unit"

    def _dynamic(self, price: Dynamic) -> str:
        if price.multiplier is not None:
            return f"dynamic, the quantity times {self.number(price.multiplier)}"
        return f"dynamic, the amount that each event carries in {price.amount!r}"

    def _outcome(self, price: Outcome) -> str:
        share = self.number(price.share * 100)
        return f"outcome, {share} % of {price.output!r} of the value model {price.value_model!r}"

    def _package(self, price: Package) -> str:
        block = "started" if price.round == "up" else "full"
        text = f"package, {self.money(price.amount)} for each {block} package of {self.number(price.size)}"
        return f"{text}; the first {self.number(price.free)} units are free" if price.free else text

    def _percentage(self, price: Percentage) -> str:
        parts = [f"percentage, {self._formats.percent(plain(price.rate))} % of the value"]
        if price.fixed:
            parts.append(f"plus {self.money(price.fixed)} for each event")
        if price.min_per_event is not None:
            parts.append(f"at least {self.money(price.min_per_event)} an event")
        if price.max_per_event is not None:
            parts.append(f"at most {self.money(price.max_per_event)} an event")
        if price.free_events is not None:
            parts.append(f"the first {self.number(Decimal(price.free_events))} events are free")
        if price.free_amount is not None:
            parts.append(f"the first {self.number(price.free_amount)} of the value are free")
        return ", ".join(parts)

    def _matrix(self, price: Matrix, dimensions: Mapping[str, str]) -> str:
        known = {name: str(value) for name, value in dimensions.items() if name in price.dimensions}
        cells = [cell for cell in price.cells if known.items() <= cell.values.items()]
        shown = [
            f"{', '.join(f'{name} {value}' for name, value in cell.values.items())}: {self.money(cell.unit)}"
            for cell in cells[:_MOST_CELLS]
        ]
        if len(cells) > _MOST_CELLS:
            shown.append(f"{len(cells) - _MOST_CELLS} more")
        if price.default_unit is not None:
            shown.append(f"else {self.money(price.default_unit)}")
        return f"matrix, a unit price by {' and '.join(price.dimensions)} ({'; '.join(shown)})"

    def _capacity(self, price: Capacity) -> str:
        tiers = []
        for tier in price.tiers:
            limits = [f"{self.number(most)} {meter}" for meter, most in tier.limits.items() if most is not None]
            tiers.append(f"{'up to ' + ' and '.join(limits) if limits else 'above'}: {self.money(tier.amount)}")
        return f"capacity, the lowest tier all of whose limits hold ({'; '.join(tiers)})"

    def _bucketed(self, price: Bucketed) -> str:
        parts = [f"bucketed, each {price.every} priced by itself and summed; each: {self.price(price.price, None)}"]
        if price.commitment is not None:
            parts.append(f"a commitment of {self.money(price.commitment)} for each")
            if price.overage_factor != 1:
                parts.append(f"what is above it times {self.number(price.overage_factor)}")
        parts += [f"other terms from {one.from_} to {one.to}" for one in price.time_of_day]
        return "; ".join(parts)

    def conversion(self, charge: ChargePricing) -> str | None:
        """How metered units become priced ones; None: they are the same."""
        convert = charge.convert
        if convert is None:
            return None
        rounded = {"none": "", "up": ", rounded up", "down": ", rounded down"}.get(convert.round, ", rounded")
        if convert.divide_by is not None:
            return f"One priced unit is {self.number(convert.divide_by)} metered units{rounded}."
        return f"Metered units are multiplied by {self.number(convert.multiply_by or Decimal(1))}{rounded}."

    def included(self, charge: ChargePricing, quantity: str | None) -> str | None:
        """The allowance and how much of it was used; None: nothing is included.

        Args:
            charge: the line's.
            quantity: the line's own, in priced units; None: it has none, or shares the allowance with other lines.
        """
        if not charge.included:
            return None
        free = self.number(charge.included)
        if quantity is None:
            return f"{free} are included in all lines of this charge together; only what is above them is priced."
        used = Decimal(quantity)
        if used > charge.included:
            return f"{free} are included, all of them are used; {self.number(used - charge.included)} are priced."
        return f"{free} are included, {self.number(max(used, Decimal(0)))} of them are used; nothing is left to price."

    def after_price(self, charge: ChargePricing) -> list[str]:
        """What happens to the amount after the price, in this order."""
        found = []
        if charge.discount_percent:
            found.append(f"less {self._formats.percent(plain(charge.discount_percent))} %")
        if charge.maximum is not None:
            found.append(f"at most {self.money(charge.maximum)}")
        if charge.minimum is not None:
            found.append(f"at least {self.money(charge.minimum)}")
        return found
