"""The lines of an invoice as people read them: what was sold, when, how much, and how each tier was priced."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Context, Decimal, localcontext
from typing import TYPE_CHECKING, Any

from valueverse.invoicing.rendering.price_steps import ALIKE, PriceSteps
from valueverse.money import round_decimal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valueverse.invoicing.rendering.display_names import DisplayNames, UnitOfPrice
    from valueverse.invoicing.rendering.locale_formats import LocaleFormats

_WIDE = Context(prec=80)
_COMMITMENT = "minimum commitment: what the period's fees and charges lack of it"
_PART = re.compile(
    r"(?P<unused>unused share of )?(?P<what>.*?)(?: \((?P<days>\d+) of (?P<full>\d+) days\))?", re.DOTALL
)
_MINIMUM = re.compile(r"minimum of (?P<what>.+)", re.DOTALL)
_CORRECTION = re.compile(r"correction of (?P<what>.+) for \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d: .*", re.DOTALL)


class LineTexts:
    """Lines of a document in the customer's language.

    A document states descriptions in English, as they are hashed: those that the engine writes are translated, names of
    fees and charges come from the catalog, and what is neither is shown as it is.
    """

    def __init__(
        self,
        formats: LocaleFormats,
        names: DisplayNames,
        lines: Sequence[Mapping[str, Any]] = (),
        rounding: Mapping[str, Any] | None = None,
    ) -> None:
        """``lines``: all of the document, for what leads from the tiers of one to its amount; ``rounding``: its."""
        self._formats = formats
        self._names = names
        self._tiers_rounded = rounding["mode"] if rounding and rounding["level"] == "tier" else None
        self._steps = PriceSteps(formats, names, lines)

    def name(self, line: Mapping[str, Any]) -> str:
        """What a line is called wherever it stands by itself: its title, and which part of a split charge it is of."""
        dimensions = self._dimensions(line)
        return self._titled(line, f" ({dimensions})" if dimensions else "")

    def about(self, line: Mapping[str, Any]) -> str | None:
        """What was sold and how much of it; None: neither the catalog nor the line says."""
        quantity = self._quantity(line, self._unit(line))
        parts = [self._names.description(line["key"], line["description"])]
        parts += [f"{self._formats.text('quantity')}: {quantity}"] if quantity else []
        return "; ".join(part for part in parts if part) or None

    def shown(self, line: Mapping[str, Any]) -> dict[str, Any]:
        """title, details, period, quantity, amount, tiers and steps after them [[text, amount]] of a line."""
        tiers = () if line["kind"] == "adjustment" else [one for one in line["tiers"] or () if _counts(one)]
        unit = self._unit(line)
        with localcontext(_WIDE):
            rows = [
                [self._tier(line, tier, before, unit), self._formats.precise(tier["amount"])]
                for tier, before in _run(tiers)
            ]
        return {
            "title": self.title(line),
            "details": self._details(line),
            "period": self._formats.days(line["service_period"]),
            "quantity": self._quantity(line, unit),
            "amount": self._formats.amount(line["amount"]),
            "tiers": rows,
            "steps": self._steps.rows(line, self._each(unit)) if line["kind"] == "usage" else [],
        }

    def title(self, line: Mapping[str, Any]) -> str:
        """What was sold, or what of it is corrected."""
        return self._titled(line, "")

    def _titled(self, line: Mapping[str, Any], part: str) -> str:
        text, key = line["description"], line["key"]
        if line["kind"] == "adjustment":
            # The days that a description states are those of UTC: the line's own are those of its service period.
            # What a void takes back was a correction itself.
            while found := _CORRECTION.fullmatch(text):
                text = found["what"]
            why = "adjustment_as_known_now" if line["meter"] is None else "adjustment_usage"
            what = self._sold(text, key) + part
            return self._formats.text("adjustment", what=what, why=self._formats.text(why))
        named = self._sold(text, key) if line["kind"] in {"fee", "minimum"} else self._names.label(key, text)
        return named + part

    def _sold(self, text: str, key: str) -> str:
        if text == _COMMITMENT:
            return self._formats.text("commitment")
        if found := _MINIMUM.fullmatch(text):
            return self._formats.text("minimum_of", what=self._part(found["what"], key))
        return self._part(text, key)

    def _unit(self, line: Mapping[str, Any]) -> UnitOfPrice | None:
        return self._names.unit(line) if line["kind"] in {"usage", "adjustment"} else None

    def _part(self, text: str, key: str) -> str:
        found = _PART.fullmatch(text)
        if found is None:
            return text
        what = self._names.label(key, found["what"])
        what = self._formats.text("unused_share", what=what) if found["unused"] else what
        if found["days"] is None:
            return what
        return f"{what} ({self._formats.text('days_of', days=found['days'], full=found['full'])})"

    def _details(self, line: Mapping[str, Any]) -> list[str]:
        details = []
        about = self._names.description(line["key"], line["description"])
        if about is not None:
            details.append(about)
        if line["dimensions"]:
            details.append(self._dimensions(line))
        if line["kind"] == "outcome" and line["explains"]:
            details.append(line["explains"])
        return details

    def _dimensions(self, line: Mapping[str, Any]) -> str:
        """Values of dimensions; one that the events lack is no text, so it differs from every text."""
        return ", ".join(
            self._formats.text("without", name=name) if value is None else f"{name}: {value}"
            for name, value in (line["dimensions"] or {}).items()
        )

    def _quantity(self, line: Mapping[str, Any], unit: UnitOfPrice | None) -> str:
        if line.get("quantity") is None or self._names.adds_up_meters(line):
            return ""
        number = self._formats.quantity(line["quantity"])
        if unit is None:
            return number
        if unit.count is None:
            return f"{number} {unit.unit}"
        return f"{number} \N{MULTIPLICATION SIGN} {self._formats.quantity(unit.count)} {unit.unit}"

    def _tier(self, line: Mapping[str, Any], tier: Mapping[str, Any], before: Decimal, unit: UnitOfPrice | None) -> str:
        """Units and price of a tier, where the price leads to its amount; else its units alone."""
        units, amount, flat = self._units(tier, before), Decimal(tier["amount"]), Decimal(tier["flat"] or 0)
        if tier["unit"] is None:
            return units
        terms = self._names.tiers_alike(line, tier)
        ways = [dict.fromkeys(("per", "cap")), *({name: one.get(name) for name in ("per", "cap")} for one in terms)]
        for way in ways:
            full = _blocks(tier, way["per"]) * Decimal(tier["unit"]) + flat
            cap = None if way["cap"] is None else Decimal(str(way["cap"]))
            cut = cap is not None and full > cap
            if not self._leads_to(cap if cap is not None and cut else full, amount):
                continue
            text = self._priced(line, tier, units, unit, way["per"])
            if flat:
                text = self._formats.text("plus_flat", text=text, flat=self._formats.precise(f"{flat:f}"))
            if cap is not None and cut:
                text = self._formats.text("tier_cap", text=text, amount=self._formats.precise(f"{cap:f}"))
            return text
        return units

    def _leads_to(self, found: Decimal, amount: Decimal) -> bool:
        """Whether a tier's amount is the one that was found, rounded where the document rounds tiers."""
        if (
            self._tiers_rounded is not None
            and round_decimal(found, self._formats.places, self._tiers_rounded) == amount
        ):
            return True
        return abs(found - amount) < ALIKE

    def _priced(
        self, line: Mapping[str, Any], tier: Mapping[str, Any], units: str, unit: UnitOfPrice | None, per: Any
    ) -> str:
        if per is not None:
            count = self._formats.quantity(f"{_blocks(tier, per):f}")
            price, size = self._formats.price(tier["unit"]), self._formats.quantity(str(per))
            return self._formats.text("tier_blocks", units=units, count=count, price=price, size=size)
        if self._names.has_rates(line):
            rate = Decimal(tier["unit"]) * 100
            price = f"{self._formats.percent(f'{rate:f}')} %"
        else:
            price = self._each(unit).format(price=self._formats.price(tier["unit"]))
        return self._formats.text("tier_at", units=units, price=price)

    def _units(self, tier: Mapping[str, Any], before: Decimal) -> str:
        """The units that a tier prices; ``before``: those that the tiers before it price."""
        start, quantity = Decimal(tier["from"] or 0), Decimal(tier["quantity"])
        shown = self._formats.quantity(f"{quantity:f}")
        if not quantity:
            return shown
        if start == before:
            bounds = {
                "from": self._formats.quantity(f"{start:f}"),
                "to": self._formats.quantity(f"{start + quantity:f}"),
            }
            return self._formats.text("tier_bounds", **bounds)
        # Units that count by days are fewer than those that fill the tiers.
        return shown if before else self._formats.text("tier_all", quantity=shown)

    def _each(self, unit: UnitOfPrice | None) -> str:
        """The message of a price per unit."""
        if unit is None or unit.count is None:
            return self._formats.message("each")
        # Braces in the name of a unit are no placeholders.
        named = unit.unit.replace("{", "{{").replace("}", "}}")
        return self._formats.text("per_units", price="{price}", count=self._formats.quantity(unit.count), unit=named)


def _counts(tier: Mapping[str, Any]) -> bool:
    """Whether units or an amount fell into a tier."""
    return any(Decimal(tier[name] or 0) for name in ("quantity", "amount"))


def _blocks(tier: Mapping[str, Any], per: Any) -> Decimal:
    """What a tier's unit price is multiplied by: started blocks of ``per`` units, or units."""
    quantity = Decimal(tier["quantity"])
    return quantity if per is None else (quantity / Decimal(str(per))).to_integral_value(ROUND_CEILING)


def _run(tiers: Any) -> list[tuple[Mapping[str, Any], Decimal]]:
    """Each tier with the units in those before it; where a tier begins there, units fill one tier after the other."""
    before, found = Decimal(0), []
    for tier in tiers:
        found.append((tier, before))
        before += Decimal(tier["quantity"] or 0)
    return found
