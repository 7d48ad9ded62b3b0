"""Why the tiers of a usage line do not add up to its amount: what is included, its discount, maximum and minimum."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valueverse.invoicing.rendering.display_names import DisplayNames
    from valueverse.invoicing.rendering.locale_formats import LocaleFormats

_WIDE = Context(prec=60)
ALIKE = Decimal("0.00000001")
"""Two amounts that differ by less are one: the engine keeps 18 decimals of each step."""
_MOST_DAYS = 366
_BY_EVENT = ("free_events", "free_amount", "min_per_event", "max_per_event")
_ADDS_UP = ("sum", "count")
"""A quantity of another meter is priced as one event."""
_Step = tuple[str, Decimal]


class PriceSteps:
    """What leads from the tiers of a line to its amount, by the catalog's terms where they lead to it exactly.

    Overrides of a subscription may have changed the terms: what the line's own numbers do not prove is not stated, and
    the rest is one row that says what it may be.
    """

    def __init__(self, formats: LocaleFormats, names: DisplayNames, lines: Sequence[Mapping[str, Any]]) -> None:
        """``lines``: all of the invoice, since a maximum may hold for several of them together."""
        self._formats = formats
        self._names = names
        self._charged: dict[tuple[str, str, str], Decimal] = {}
        with localcontext(_WIDE):
            for line in lines:
                if line["kind"] == "usage":
                    before = self._charged.get(_charge(line), Decimal(0))
                    self._charged[_charge(line)] = before + Decimal(line["amount_precise"])

    def rows(self, line: Mapping[str, Any], each: str) -> list[list[str]]:
        """[text, amount] of each step after the tiers; of a price without tiers the price itself too.

        Args:
            line: of usage.
            each: message of a price per unit, with the placeholder price.
        """
        with localcontext(_WIDE):
            amount = Decimal(line["amount_precise"])
            tiers = [Decimal(tier["amount"]) for tier in line["tiers"]]
            steps: list[_Step] = []
            for part in self._names.priced_alike(line):
                start = [] if tiers else self._price(part, line, each)
                if start is None:
                    continue
                found = self._steps(part, line, sum(tiers + [one for _, one in start], Decimal(0)))
                if found is not None:
                    steps = start + found
                    break
            else:
                rest = amount - sum(tiers, Decimal(0))
                steps = [(self._formats.text("step_other"), rest)] if tiers and abs(rest) >= ALIKE else []
            rows = [[text, self._formats.precise(f"{one:f}")] for text, one in steps]
            return self._included(line) + rows

    def _included(self, line: Mapping[str, Any]) -> list[list[str]]:
        if not line["tiers"] or line["quantity"] is None:
            return []
        free = Decimal(line["quantity"]) - sum((Decimal(tier["quantity"]) for tier in line["tiers"]), Decimal(0))
        stated = [Decimal(str(part.get("included") or "0")) for part in self._names.priced_alike(line)]
        if not any(0 < free <= one for one in stated):
            return []
        return [[self._formats.text("step_included", quantity=self._formats.quantity(f"{free:f}")), ""]]

    def _price(self, part: Mapping[str, Any], line: Mapping[str, Any], each: str) -> list[_Step] | None:
        """The price of a line without tiers, where all units cost the same; None: they do not."""
        price = part.get("price") or {}
        if price.get("model") not in {"standard", "percentage"} or line["quantity"] is None:
            return None
        units = max(Decimal(line["quantity"]) - Decimal(str(part.get("included") or "0")), Decimal(0))
        if price["model"] == "percentage":
            return self._percentage(price, line, units)
        if not units:
            return []
        shown = each.format(price=self._formats.price(str(price["unit"])))
        named = self._formats.text("tier_all", quantity=self._formats.quantity(f"{units:f}"))
        text = self._formats.text("tier_at", units=named, price=shown)
        return [(text, units * Decimal(str(price["unit"])))]

    def _percentage(self, price: Mapping[str, Any], line: Mapping[str, Any], value: Decimal) -> list[_Step] | None:
        """A rate of a value and a fixed amount for each event; None: free or bounded events make it another amount."""
        rate, fixed = Decimal(str(price["rate"])), Decimal(str(price.get("fixed") or "0"))
        percent, events = self._formats.percent(f"{rate:f}"), line["event_count"] or 0
        of = self._formats.quantity(f"{value:f}")
        found = [(self._formats.text("step_rate", percent=percent, value=of), value * rate / 100)] if value else []
        if fixed and events:
            count, shown = self._formats.quantity(str(events)), self._formats.price(f"{fixed:f}")
            found.append((self._formats.text("step_per_event", count=count, price=shown), events * fixed))
        meter = self._names.meter(line["meter"]) or {}
        by_event = any(price.get(name) is not None for name in _BY_EVENT)
        by_event |= bool(fixed) and meter.get("aggregation") not in _ADDS_UP
        # A limit of the whole charge is no proof where each event may have an amount of its own.
        differs = abs(sum((one for _, one in found), Decimal(0)) - Decimal(line["amount_precise"])) >= ALIKE
        return None if by_event and differs else found

    def _steps(self, part: Mapping[str, Any], line: Mapping[str, Any], start: Decimal) -> list[_Step] | None:
        """Steps that lead from the price to the line's amount; None: these terms do not lead there."""
        amount = Decimal(line["amount_precise"])
        found: list[_Step] = []
        percent = Decimal(str(part.get("discount_percent") or "0"))
        if percent and start:
            text = self._formats.text("step_discount", percent=self._formats.percent(f"{percent:f}"))
            found.append((text, -start * percent / 100))
        left = amount - start - sum((one for _, one in found), Decimal(0))
        if abs(left) < ALIKE:
            return found
        bound = self._bound(part, line, "maximum" if left < 0 else "minimum")
        return None if bound is None else [*found, (bound, left)]

    def _bound(self, part: Mapping[str, Any], line: Mapping[str, Any], name: str) -> str | None:
        if part.get(name) is None:
            return None
        # It holds for all lines of the charge together.
        bound, amount = Decimal(str(part[name])), self._charged.get(_charge(line), Decimal(line["amount_precise"]))
        text = self._formats.text(f"step_{name}", amount=self._formats.money(f"{bound:f}"))
        if abs(amount - bound) < ALIKE:
            return text
        days = self._part_of_days(line, bound, amount)
        if days is None:
            return None
        return f"{text} ({self._formats.text('days_of', days=str(days[0]), full=str(days[1]))})"

    def _part_of_days(self, line: Mapping[str, Any], bound: Decimal, amount: Decimal) -> tuple[int, int] | None:
        """Days used and days of the whole period, where the amount is that share of a limit."""
        first, last = self._formats.first_and_last_day(line["service_period"])
        used = (last - first).days + 1
        if amount <= 0 or not used < bound * used / amount <= _MOST_DAYS:
            return None
        full = int((bound * used / amount).to_integral_value())
        return (used, full) if used < full and abs(bound * used / full - amount) < ALIKE else None


def _charge(line: Mapping[str, Any]) -> tuple[str, str, str]:
    """What the lines of a charge in one period have in common."""
    return line["key"], line["service_period"]["from"], line["service_period"]["to"]
