"""What a tenant calls its fees, charges, meters, taxes and coupons: looked up in the catalog when it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class UnitOfPrice:
    """What one priced unit is.

    Attributes:
        unit: what the meter counts, as the catalog names it.
        count: how many of it one priced unit is; None: one.
    """

    unit: str
    count: str | None


class DisplayNames:
    """Names, units and descriptions in one language; what the catalog does not name goes by its key.

    Overrides of a subscription may change prices: what a catalog states of a price is shown only where the invoice
    itself has the same tiers.
    """

    def __init__(self, catalog: Mapping[str, Any] | None, language: str) -> None:
        """``catalog``: a document (contracts.md, section 3); None: nothing is known."""
        self._language = language
        catalog = catalog or {}
        self._meters = {meter["key"]: meter for meter in catalog.get("meters", ())}
        self._named = {kind: {one["key"]: one for one in catalog.get(kind, ())} for kind in ("taxes", "coupons")}
        self._sold: dict[str, list[Mapping[str, Any]]] = {}
        self._committed: dict[tuple[str | None, int | None], Decimal] = {
            (plan["key"], int(plan.get("version") or 1)): Decimal(str(plan["commitment"]["minimum"]))
            for plan in catalog.get("plans", ())
            if plan.get("commitment")
        }
        for plan in catalog.get("plans", ()):
            for part in (*plan.get("fees", ()), *plan.get("charges", ())):
                self._sold.setdefault(part["key"], []).append(part)

    def of(self, kind: str, key: str) -> str:
        """Name of one of ``taxes`` or ``coupons``."""
        found = self._named[kind].get(key)
        return key if found is None else self._in_language(found, "name") or key

    def label(self, key: str, stated: str) -> str:
        """Name of a fee or charge whose invoice line states it as ``stated``: its name, or its key."""
        for part in self._labelled(key, stated):
            if self._translated(part, "name"):
                return str(self._translated(part, "name"))
            meter = self._meters.get(part.get("meter") or "", {})
            name = part.get("name") or (self._in_language(meter, "name") if stated == key else None)
            if name:
                return str(name)
        return stated

    def description(self, key: str, stated: str) -> str | None:
        """What a fee or charge is, or the meter that it prices."""
        for part in self._labelled(key, stated):
            meter = self._meters.get(part.get("meter") or "", {})
            found = self._in_language(part, "description") or self._in_language(meter, "description")
            if found:
                return found
        return None

    def meter(self, key: str | None) -> Mapping[str, Any] | None:
        """What the catalog says of a meter."""
        return self._meters.get(key or "")

    def meter_name(self, key: str) -> str:
        """Name of a meter, or its key."""
        return self._in_language(self._meters.get(key, {}), "name") or key

    def unit(self, line: Mapping[str, Any]) -> UnitOfPrice | None:
        """What a usage line's quantity counts; None where the catalog says nothing, or does not say it clearly."""
        unit = self._in_language(self._meters.get(line.get("meter") or "", {}), "unit")
        if unit is None:
            return None
        counts = {_count(part) for part in self.priced_alike(line)}
        return UnitOfPrice(unit, counts.pop()) if len(counts) == 1 and "" not in counts else None

    def priced_alike(self, line: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """The charges of the catalog that may have priced a usage line: of its key and meter, with its tiers."""
        units = {_number(tier["unit"]) for tier in line["tiers"]} - {None}
        for part in self._sold.get(line["key"], ()):
            tiers = part.get("price", {}).get("tiers", ())
            if part.get("meter") == line.get("meter") and units <= {_unit_price(tier) for tier in tiers}:
                yield part

    def tiers_alike(self, line: Mapping[str, Any], tier: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The tiers of the catalog that may have priced a tier of a usage line."""
        upper, unit = _number(tier["to"]), _number(tier["unit"])
        return [
            one
            for part in self.priced_alike(line)
            for one in part["price"]["tiers"]
            if _number(one.get("up_to")) == upper and _unit_price(one) == unit
        ]

    def has_rates(self, line: Mapping[str, Any]) -> bool:
        """Whether the unit prices of a usage line's tiers are rates of an amount of money."""
        return {part.get("price", {}).get("model") for part in self._charges(line)} == {"graduated_percentage"}

    def adds_up_meters(self, line: Mapping[str, Any]) -> bool:
        """Whether a line's quantity is of several meters, so that it is of nothing."""
        named = [
            {*price.get("meters", ()), *(meter for tier in price["tiers"] for meter in tier.get("limits", {}))}
            for price in (part.get("price", {}) for part in self._charges(line))
            if price.get("model") == "capacity"
        ]
        return any(one - {line.get("meter")} for one in named)

    def _charges(self, line: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The charges of the catalog of a line's key and meter."""
        found = self._sold.get(line["key"], ())
        return [part for part in found if part.get("meter") is not None and part["meter"] == line.get("meter")]

    def included(self, line: Mapping[str, Any]) -> str | None:
        """Units of a usage line that were not billed, where the line's tiers show that they were used up: then they
        are what the quantity has more than the tiers."""
        if not line["tiers"] or line["quantity"] is None:
            return None
        priced = sum((Decimal(tier["quantity"]) for tier in line["tiers"]), Decimal(0))
        stated = {Decimal(str(part.get("included") or "0")) for part in self.priced_alike(line)}
        free = Decimal(line["quantity"]) - priced
        return str(free) if priced > 0 and free > 0 and stated == {free} else None

    def included_at_most(self, line: Mapping[str, Any]) -> str | None:
        """Units that are included in a charge of which nothing was billed, where the catalog has one number of them
        that the usage does not exceed."""
        if line["tiers"] or line["quantity"] is None or Decimal(line["amount"]) or Decimal(line["quantity"]) <= 0:
            return None
        stated = {Decimal(str(part.get("included") or "0")) for part in self.priced_alike(line)}
        enough = [number for number in stated if number >= Decimal(line["quantity"])]
        return str(enough[0]) if len(enough) == 1 else None

    @staticmethod
    def is_part(line: Mapping[str, Any]) -> bool:
        """Whether a fee is billed for some of its period's days."""
        return str(line["description"]).endswith(" days)")

    def commitment_of(self, plan: str | None, version: int | None) -> Decimal | None:
        """What a plan commits to, for a whole period."""
        return self._committed.get((plan, version))

    def commitments(self) -> frozenset[Decimal]:
        """What plans commit to, for a whole period."""
        return frozenset(self._committed.values())

    def _labelled(self, key: str, stated: str) -> list[Mapping[str, Any]]:
        # A fee without a name is stated as "base fee", a charge as its key.
        return [part for part in self._sold.get(key, ()) if stated in {part.get("name"), key, f"{key} fee"}]

    def _translated(self, part: Mapping[str, Any], field: str) -> str | None:
        found = part.get("translations", {}).get(self._language, {}).get(field)
        return None if found is None else str(found)

    def _in_language(self, part: Mapping[str, Any], field: str) -> str | None:
        found = self._translated(part, field) or part.get(field)
        return None if found is None else str(found)


def _number(text: object) -> Decimal | None:
    return None if text is None else Decimal(str(text))


def _unit_price(tier: Mapping[str, Any]) -> Decimal | None:
    """What a line states as the unit price of a catalog's tier: of one that has a rate, the share."""
    rate = _number(tier.get("rate"))
    return _number(tier.get("unit", "0")) if rate is None else rate / 100


def _count(part: Mapping[str, Any]) -> str | None:
    """How many of the meter's units one priced unit is; empty where that is no plain number."""
    convert = part.get("convert")
    if not convert:
        return None
    return str(convert.get("divide_by") or "")
