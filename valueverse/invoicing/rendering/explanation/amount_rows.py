"""How the amount of a usage line adds up: a row for each tier, block or rate, in one column of amounts."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any

from valueverse.catalog import (
    Bucketed,
    Capacity,
    Dynamic,
    FormulaPrice,
    Graduated,
    GraduatedPercentage,
    Matrix,
    Package,
    Percentage,
    Standard,
    Volume,
)
from valueverse.invoicing.rendering.explanation.charge_terms import SAME, of_days
from valueverse.invoicing.rendering.explanation.measured import agreeing, counted
from valueverse.invoicing.rendering.explanation.price_sentences import MOST_SHOWN
from valueverse.money import plain
from valueverse.rating import bucket_parts, percentage_parts, priced_units

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valueverse.catalog import ChargePricing
    from valueverse.invoicing.rendering.display_names import UnitOfPrice
    from valueverse.invoicing.rendering.explanation.line_facts import LineFacts, QuantityPart
    from valueverse.invoicing.rendering.explanation.price_sentences import PriceSentences
    from valueverse.invoicing.rendering.locale_formats import LocaleFormats

_Row = tuple[str, Decimal]


class AmountRows:
    """Rows (text, amount) of a line; amounts are those of the document or follow from the charge's price."""

    def __init__(self, formats: LocaleFormats, prices: PriceSentences) -> None:
        self._formats, self._prices = formats, prices

    def of(
        self, line: Mapping[str, Any], charge: ChargePricing, unit: UnitOfPrice | None, facts: LineFacts
    ) -> list[tuple[str, str]]:
        """The rows with amounts as text, all with the same decimals.

        Args:
            line: a usage line of a document.
            charge: the one that priced it, overrides applied.
            unit: what its quantity counts.
            facts: of the line.
        """
        price = charge.price
        if isinstance(price, Graduated | Volume | GraduatedPercentage):
            rows = self.tiers(line["tiers"], price, unit)
        elif isinstance(price, Percentage):
            rows = self._percentage(charge, facts.values)
        elif isinstance(price, Bucketed):
            rows = [] if facts.in_parts else self._buckets(charge, price.every, facts.buckets)
        else:
            rows = [] if facts.in_parts else self._alone(line, charge, unit, facts)
        start = sum((amount for _, amount in rows), Decimal(0))
        steps = self._steps(line, charge, facts, start) if rows else []
        return self.column([*rows, *(steps or [])])

    def column(self, rows: Sequence[_Row]) -> list[tuple[str, str]]:
        """Rows with their amounts in the currency, all with the decimals of the one that has the most."""
        shown = self._formats.column([plain(amount) for _, amount in rows])
        return [(text, f"{one} {self._formats.currency}") for (text, _), one in zip(rows, shown, strict=True)]

    def _steps(
        self, line: Mapping[str, Any], charge: ChargePricing, facts: LineFacts, start: Decimal
    ) -> list[_Row] | None:
        """What discount, maximum and minimum make of ``start``, which the price comes to; None: they do not lead from
        there to the line's amount."""
        left, amount = start, Decimal(line["amount_precise"])
        rows = []
        if charge.discount_percent:
            rows.append(
                (f"less {self._prices.percent(charge.discount_percent)}", -left * charge.discount_percent / 100)
            )
            left += rows[-1][1]
        shared = _shares(charge)
        if charge.maximum is not None:
            # What is above it was cut from each of several lines in proportion.
            most = min(left, amount) if shared else of_days(charge.maximum, facts.days)
            rows += [("cut to the maximum", most - left)] if left - most >= SAME else []
            left = min(left, most)
        if charge.minimum is not None and not shared and not facts.ongoing:
            least = of_days(charge.minimum, facts.days)
            rows += [("raised to the minimum", least - left)] if least - left >= SAME else []
            left = max(left, least)
        is_whole = not facts.in_parts and not getattr(charge, "across_segments", False)
        return rows if is_whole and abs(left - amount) < SAME else None

    def tiers(self, tiers: Sequence[Mapping[str, Any]], price: Any, unit: UnitOfPrice | None) -> list[_Row]:
        """Rows of a line's tiers as a document has them, without those that nothing fell into; ``price``: what they are
        of, None: not known."""
        tiered = isinstance(price, Graduated | Volume | GraduatedPercentage)
        terms: Any = {one.up_to: one for one in price.tiers} if tiered else {}
        rows, before = [], Decimal(0)
        for tier in tiers:
            quantity = Decimal(tier["quantity"])
            term = terms.get(None if tier["to"] is None else Decimal(tier["to"]))
            asked = self._asked(tier, term if _is_of(tier, term) else None, unit)
            if quantity or Decimal(tier["amount"]):
                rows.append((f"{self._units_of(tier, before, price)}{asked}", Decimal(tier["amount"])))
            before += quantity
        return rows

    def _units_of(self, tier: Mapping[str, Any], before: Decimal, price: Any) -> str:
        start, quantity = Decimal(tier["from"] or 0), Decimal(tier["quantity"])
        if quantity and start == before:
            return f"{self._prices.number(start)} to {self._prices.number(start + quantity)}"
        # Units that count by days are fewer than those that fill the tiers.
        return f"{'all ' if quantity and isinstance(price, Volume) else ''}{self._prices.number(quantity)}"

    def _asked(self, tier: Mapping[str, Any], term: Any, unit: UnitOfPrice | None) -> str:
        """What a tier asked for; ``term``: as the price states it, None: it states no such tier any more."""
        flat, amount = Decimal(tier["flat"] or 0), Decimal(tier["amount"])
        per, cap = getattr(term, "per", None), getattr(term, "cap", None)
        if hasattr(term, "rate"):
            text = f" at {self._prices.percent(term.rate)}"
        elif per is not None:
            text = f": {self._blocks(tier, term)}"
        else:
            text = f" at {self._each(Decimal(tier['unit']), unit)}" if tier["unit"] is not None else ""
        if flat:
            text += f", plus {self._prices.bare(flat)}"
        if cap is not None:
            text += f", {'cut to' if amount == cap else 'at most'} {self._prices.bare(cap)}"
        return text

    def _blocks(self, tier: Mapping[str, Any], term: Any) -> str:
        """Started blocks: how many follows from the amount, where no cap and no rounding of the tier hides it."""
        size, price = self._prices.number(term.per), self._prices.bare(term.unit)
        priced = Decimal(tier["amount"]) - Decimal(tier["flat"] or 0)
        count = priced / term.unit if term.unit else Decimal(0)
        if not term.unit or count != count.to_integral_value() or Decimal(tier["amount"]) == term.cap:
            return f"started blocks of {size} at {price} each"
        return f"{self._prices.number(count)} started {agreeing(count, 'block', 'blocks')} of {size} at {price} each"

    def _each(self, price: Decimal, unit: UnitOfPrice | None) -> str:
        shown = self._prices.bare(price)
        if unit is None or unit.count is None:
            return f"{shown} each"
        return f"{shown} per {self._formats.quantity(unit.count)} {unit.unit}"

    def _percentage(self, charge: ChargePricing, values: Sequence[Decimal]) -> list[_Row]:
        price, parts = charge.price, percentage_parts(charge, values)
        if parts is None or not isinstance(price, Percentage):
            return []
        rows = []
        if parts.free_events:
            rows.append(
                (f"{counted(parts.free_events, 'event')} free, of {self._prices.number(parts.free_value)}", Decimal(0))
            )
        whole = counted(parts.paid_events, "event")
        rows.append(
            (f"{whole}: {self._prices.percent(price.rate)} of {self._prices.number(parts.paid_value)}", parts.by_rate)
        )
        if price.fixed:
            rows.append((f"{whole}: {self._prices.bare(price.fixed)} each", parts.fixed))
        if parts.raised_events and price.min_per_event is not None:
            least = self._prices.bare(price.min_per_event)
            rows.append((f"{counted(parts.raised_events, 'event')} raised to {least} each", parts.raised))
        if parts.cut_events and price.max_per_event is not None:
            most = self._prices.bare(price.max_per_event)
            rows.append((f"{counted(parts.cut_events, 'event')} cut to {most} each", -parts.cut))
        return rows

    @staticmethod
    def _buckets(charge: ChargePricing, every: str, buckets: Sequence[tuple[Decimal, int | None]]) -> list[_Row]:
        parts = bucket_parts(charge, buckets)
        if parts is None:
            return []
        rows = [(f"{counted(parts.buckets, every)}, {parts.used:,} with usage", parts.priced)]
        if parts.above:
            rows.append((f"{counted(parts.above, every)} above the commitment", parts.more))
        if parts.below:
            rows.append((f"{counted(parts.below, every)} raised to the commitment", parts.raised))
        return rows

    def _alone(
        self, line: Mapping[str, Any], charge: ChargePricing, unit: UnitOfPrice | None, facts: LineFacts
    ) -> list[_Row]:
        """Units, packages, cells or a step. Where nothing but the price made the amount they follow from it, else from
        the quantity, if discount, maximum and minimum lead from there to the amount."""
        price, amount = charge.price, Decimal(line["amount_precise"])
        if not amount:
            return []
        if isinstance(price, Matrix):
            rows = self.cells(charge, facts.parts, unit)
        elif charge.discount_percent or charge.minimum is not None or charge.maximum is not None:
            rows = self._by_quantity(line, charge, unit)
        else:
            return self._by_amount(line, charge, unit)
        start = sum((one for _, one in rows), Decimal(0))
        return [] if self._steps(line, charge, facts, start) is None else rows

    def _by_quantity(self, line: Mapping[str, Any], charge: ChargePricing, unit: UnitOfPrice | None) -> list[_Row]:
        """Units or packages that follow from the line's quantity."""
        price = charge.price
        if line["quantity"] is None or (_shares(charge) and charge.included):
            return []
        units = max(Decimal(line["quantity"]) - charge.included, Decimal(0))
        match price:
            case Standard():
                return [(self._units(units, price.unit, unit), units * price.unit)]
            case Package():
                way = ROUND_CEILING if price.round == "up" else ROUND_FLOOR
                count = (max(units - price.free, Decimal(0)) / price.size).to_integral_value(way)
                return [(self._packages(count, price), count * price.amount)]
            case Dynamic() if price.multiplier is not None:
                text = f"{self._prices.number(units)} times {self._prices.number(price.multiplier)}"
                return [(text, units * price.multiplier)]
        return []

    def _units(self, units: Decimal, price: Decimal, unit: UnitOfPrice | None) -> str:
        return f"{self._prices.number(units)} at {self._each(price, unit)}"

    def _packages(self, count: Decimal, price: Package) -> str:
        what = f"{agreeing(count, 'package', 'packages')} of {self._prices.number(price.size)}"
        return f"{self._prices.number(count)} {what} at {self._prices.bare(price.amount)} each"

    def _by_amount(self, line: Mapping[str, Any], charge: ChargePricing, unit: UnitOfPrice | None) -> list[_Row]:
        """Units, packages or a step that follow from the line's amount."""
        price, amount = charge.price, Decimal(line["amount_precise"])
        match price:
            case Standard() if price.unit:
                text = self._units(amount / price.unit, price.unit, unit)
            case Package() if price.amount:
                text = self._packages(amount / price.amount, price)
            case Dynamic() if price.multiplier:
                text = f"{self._prices.number(amount / price.multiplier)} times {self._prices.number(price.multiplier)}"
            case Dynamic():
                text = f"{price.amount!r} of {counted(line['event_count'] or 0, 'event')}"
            case Capacity():
                held = [self._prices.limits(tier) for tier in price.tiers if tier.amount == amount]
                text = held[0] if held else ""
            case FormulaPrice() if not charge.included and line["quantity"] is not None:
                text = f"{price.amount} with quantity {self._prices.number(Decimal(line['quantity']))}"
            case _:
                text = ""
        return [(text, amount)] if text else []

    def cells(self, charge: ChargePricing, parts: Sequence[QuantityPart], unit: UnitOfPrice | None) -> list[_Row]:
        """A row for each combination of the dimensions that decide the price of a matrix charge without included
        units; none where a quantity is out of range.

        Args:
            charge: with a price of any model.
            parts: of a line, in metered units.
            unit: what a priced unit is.
        """
        price = charge.price
        if not isinstance(price, Matrix) or charge.included:
            return []
        used: dict[tuple[str | None, ...], Decimal] = {}
        for part in parts:
            place = tuple(part.dimensions.get(name) for name in price.dimensions)
            used[place] = used.get(place, Decimal(0)) + part.quantity
        cells: dict[tuple[str | None, ...], Decimal] = {
            tuple(cell.values[name] for name in price.dimensions): cell.unit for cell in price.cells
        }
        rows = []
        order = sorted(used.items(), key=lambda one: [(value is None, value or "") for value in one[0]])
        for (place, quantity), units in zip(order, priced_units(charge, [one for _, one in order]), strict=True):
            if units is None:
                return []
            asked = cells.get(place, price.default_unit) or Decimal(0)
            what = self._prices.dimensions(dict(zip(price.dimensions, place, strict=True)))
            of = "" if place[0] is None else "of "
            text = f"{self._prices.number(quantity)} {of}{what}"
            paid = max(units, Decimal(0))
            priced = f"{text}: {self._prices.number(paid)}" if charge.convert or paid != units else text
            rows.append((f"{priced} at {self._each(asked, unit)}", paid * asked))
        rest = rows[MOST_SHOWN:]
        total = sum((amount for _, amount in rest), Decimal(0))
        return rows[:MOST_SHOWN] + ([(counted(len(rest), "more combination"), total)] if rest else [])


def _shares(charge: ChargePricing) -> bool:
    """Whether several lines share what a charge includes and its limits; pricing that stands alone has one line."""
    return bool(getattr(charge, "split_by", ()))


def _is_of(tier: Mapping[str, Any], term: Any) -> bool:
    """Whether a tier of a document was priced as a tier of a catalog says: its price may have been another one then."""
    if term is None or tier["unit"] is None:
        return False
    return bool(Decimal(tier["unit"]) == (term.rate / 100 if hasattr(term, "rate") else term.unit))
