"""What customers pay before and after a change of prices: differences, who pays more and who less, sums by currency."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.money import minor_units, round_decimal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

AMOUNTS = ("before", "after", "difference", "per cent")
"""What ``amounts_in_text`` gives."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one customer pays in one currency, in major units; ``invoice`` where it is one invoice of theirs."""

    tenant: str
    customer: str
    currency: str
    before: Decimal
    after: Decimal
    invoice: str = ""

    @property
    def difference(self) -> Decimal:
        """Above 0: the customer pays more."""
        return self.after - self.before

    @property
    def percent(self) -> Decimal | None:
        """The difference in per cent of what was paid before, with one decimal; None: nothing was."""
        return _percent(self.before, self.difference)


@dataclass(frozen=True, slots=True)
class CurrencyChange:
    """All customers who pay in a currency.

    Attributes:
        more, less: those who pay more, and less: the largest difference first.
        same: how many pay the same.
    """

    currency: str
    before: Decimal
    after: Decimal
    more: list[Change]
    less: list[Change]
    same: int

    @property
    def difference(self) -> Decimal:
        """Above 0: they pay more together."""
        return self.after - self.before

    @property
    def percent(self) -> Decimal | None:
        """As of a ``Change``."""
        return _percent(self.before, self.difference)

    @property
    def customers(self) -> int:
        """How many they are."""
        return len(self.more) + len(self.less) + self.same


def _percent(before: Decimal, difference: Decimal) -> Decimal | None:
    return round_decimal(difference * 100 / abs(before), 1) if before else None


def by_currency(changes: Iterable[Change]) -> list[CurrencyChange]:
    """The changes of each currency, by its code."""
    of: dict[str, list[Change]] = {}
    for one in changes:
        of.setdefault(one.currency, []).append(one)
    return [_summed(currency, of[currency]) for currency in sorted(of)]


def _summed(currency: str, changes: list[Change]) -> CurrencyChange:
    ranked = sorted(changes, key=lambda one: (-abs(one.difference), one.tenant, one.customer))
    more = [one for one in ranked if one.difference > 0]
    less = [one for one in ranked if one.difference < 0]
    before, after = (sum((getattr(one, name) for one in changes), Decimal(0)) for name in ("before", "after"))
    return CurrencyChange(currency, before, after, more, less, len(changes) - len(more) - len(less))


def by_customer(changes: Iterable[Change]) -> list[Change]:
    """Changes of invoices added up by tenant, customer and currency."""
    sums: dict[tuple[str, str, str], tuple[Decimal, Decimal]] = {}
    for one in changes:
        key = (one.tenant, one.customer, one.currency)
        before, after = sums.get(key, (Decimal(0), Decimal(0)))
        sums[key] = (before + one.before, after + one.after)
    return [Change(*key, *both) for key, both in sums.items()]


def compared_changes(rows: Iterable[Mapping[str, Any]]) -> list[Change]:
    """The rows of ``simulation.difference`` that name a customer."""
    return [
        Change(row["tenant"], row["customer"], row["currency"], Decimal(row["total"]), Decimal(row["compared_total"]))
        for row in rows
        if row["customer"] is not None
    ]


def money_text(amount: Decimal, currency: str, *, signed: bool = False) -> str:
    """An amount with thousands, the currency's decimals and its code; ``signed``: with a sign also above 0."""
    places = minor_units(currency)
    return f"{round_decimal(amount, places):{'+' if signed and amount else ''},.{places}f} {currency}"


def percent_text(percent: Decimal | None) -> str:
    """``+7.5 %``; ``new`` where nothing was paid before."""
    return "new" if percent is None else f"{percent:{'+' if percent else ''},.1f} %"


def amounts_in_text(one: Change | CurrencyChange) -> tuple[str, str, str, str]:
    """before, after, difference and per cent (``AMOUNTS``)."""
    return (
        money_text(one.before, one.currency),
        money_text(one.after, one.currency),
        money_text(one.difference, one.currency, signed=True),
        percent_text(one.percent),
    )
