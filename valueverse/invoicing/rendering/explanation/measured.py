"""What a usage line counts, in words: its quantity, the meter's rule, and which events the charge takes."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.catalog import Matrix
from valueverse.money import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from valueverse.invoicing.rendering.display_names import DisplayNames
    from valueverse.invoicing.rendering.explanation.line_facts import QuantityPart
    from valueverse.invoicing.rendering.locale_formats import LocaleFormats

_MEASURED = {
    "count": "the number of {events}",
    "sum": "the sum of {value!r} of {events}",
    "min": "the lowest {value!r} of {events}",
    "max": "the highest {value!r} of {events}",
    "avg": "the average {value!r} of {events}",
    "latest": "the latest {value!r} of {events}",
    "unique_count": "the distinct {value!r} of {events}",
    "weighted_sum": "{value!r} of {events}, weighted by the time for which it held",
}
_ADDS_UP = ("sum", "count")
_ROUNDED = {"half_up": "half up", "half_even": "half to even", "up": "up", "down": "down"}


class MeasuredQuantity:
    """Quantities of usage lines in English."""

    def __init__(self, formats: LocaleFormats, names: DisplayNames) -> None:
        self._formats, self._names = formats, names

    def sentence(self, line: Mapping[str, Any], charge: Any, parts: Sequence[QuantityPart]) -> str:
        """How much it is and what it is of, without a full stop.

        Args:
            line: a usage line.
            charge: the line's; None: not known.
            parts: of a line of several meters.
        """
        count = line["event_count"] or 0
        meter = self._names.meter(line["meter"])
        if meter is None or is_of_several(charge):
            return self._of_meters(count, [] if charge is None else charge.metered_by(), parts)
        how = _MEASURED[meter["aggregation"]].format(
            value=meter.get("value"), events=counted(count, f"{meter['event_type']} event")
        )
        how += self._rule(meter)
        if line["quantity"] is None:
            return f"{how[0].upper()}{how[1:]}"
        return f"{self.shown(line, charge, Decimal(line['quantity']), parts)}: {how}"

    def _of_meters(self, count: int, meters: Iterable[str], parts: Sequence[QuantityPart]) -> str:
        meters = dict.fromkeys(meters)
        if not parts:
            named = " and ".join(self._names.meter_name(key) for key in meters)
            return f"From {counted(count, 'event')} of {named or 'several meters'}"
        return f"{self._each_of(meters, parts)}, from {counted(count, 'event')}"

    def _each_of(self, meters: Iterable[str], parts: Sequence[QuantityPart]) -> str:
        """Quantities of several meters, which are of nothing together."""
        found = dict.fromkeys(meters, Decimal(0))
        for part in parts:
            found[part.meter] = found.get(part.meter, Decimal(0)) + part.quantity
        return " and ".join(
            f"{self._formats.quantity(plain(amount))} {self._names.meter_name(key)}" for key, amount in found.items()
        )

    def shown(
        self, line: Mapping[str, Any], charge: Any, quantity: Decimal, parts: Sequence[QuantityPart] | None
    ) -> str | None:
        """A quantity of a line with what it is of; None: it is of several meters, and theirs are not known.

        Args:
            line, charge: as of ``sentence``.
            quantity: in priced units.
            parts: of this quantity, in metered units; None: not known.
        """
        if is_of_several(charge):
            return None if parts is None else self._each_of(charge.metered_by(), parts)
        meter, unit = self._names.meter(line["meter"]), self._names.unit(line)
        # Each combination is rounded by itself: the whole converted is not what was priced.
        by_cell = charge is not None and isinstance(charge.price, Matrix) and charge.convert is not None
        if parts and by_cell and meter is not None and meter["aggregation"] in _ADDS_UP:
            total = self._formats.quantity(plain(sum((part.quantity for part in parts), Decimal(0))))
            return total if unit is None else f"{total} {unit.unit}"
        return self.amount_of(line, quantity)

    def amount_of(self, line: Mapping[str, Any], quantity: Decimal) -> str:
        """A quantity with the unit of a line."""
        unit, text = self._names.unit(line), self._formats.quantity(plain(quantity))
        if unit is None:
            return text
        return (
            f"{text} {unit.unit}"
            if unit.count is None
            else (f"{text} times {self._formats.quantity(unit.count)} {unit.unit}")
        )

    def _rule(self, meter: Mapping[str, Any]) -> str:
        """What a meter states beside its aggregation."""
        text = f" where {meter['where']}" if meter.get("where") else ""
        if meter.get("carry_over"):
            text += ", from what it stood at before the period on"
        rounding = meter.get("rounding")
        if rounding:
            places, mode = int(rounding.get("places", 0)), _ROUNDED[rounding.get("mode", "half_up")]
            to = (
                f"multiples of {self._formats.quantity(str(10**-places))}" if places < 0 else counted(places, "decimal")
            )
            text += f", rounded {mode} to {to if places else 'whole units'}"
        return text

    def terms(self, charge: Any) -> list[str]:
        """Which events a charge takes, and how it counts those that hold for a part of the period."""
        found = []
        if charge.when:
            found.append(f"It takes events with {' and '.join(f'{name} {one}' for name, one in charge.when.items())}.")
        if charge.split_by:
            found.append(f"It has a line for each {' and '.join(charge.split_by)}.")
        if charge.prorate == "day":
            places = charge.round_prorated
            rounded = "" if places is None else f", rounded up to {counted(places, 'decimal')}"
            found.append(f"It counts by days: what holds for a part of the period counts for its days{rounded}.")
        return found


def is_of_several(charge: Any) -> bool:
    """Whether a charge's quantity is of several meters; ``charge``: None: not known."""
    return charge is not None and len(charge.metered_by()) > 1


def counted(count: int, what: str) -> str:
    """A number of things."""
    return f"{count:,} {what}{agreeing(count, '', 's')}"


def agreeing(count: int | Decimal, one: str = "is", several: str = "are") -> str:
    """The form of a word that goes with a number."""
    return one if count == 1 else several
