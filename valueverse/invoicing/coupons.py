"""Coupons: what they take off an invoice's lines, narrow targets before wide (docs/decisions/0011)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Protocol

from valueverse.invoicing.spread import take
from valueverse.money import round_decimal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.money import RoundingMode

_DIGITS = 120


class Target(Protocol):
    """What a coupon looks at to find its lines."""

    @property
    def plan(self) -> str | None:
        """The plan that the line is of."""

    @property
    def charge(self) -> str | None:
        """The charge or fee that the line is of."""

    @property
    def discountable(self) -> bool:
        """Whether any coupon may lower it."""


@dataclass(frozen=True)
class Coupon:
    """A discount: ``amount`` in major units, or ``percent`` of what is left of the eligible lines.

    ``charges`` and ``plans`` restrict it to lines that match both; an empty one restricts nothing. ``origin`` tells
    apart two applications of one coupon.
    """

    key: str
    amount: Decimal | None = None
    percent: Decimal | None = None
    charges: frozenset[str] = frozenset()
    plans: frozenset[str] = frozenset()
    applied_at: datetime | None = None
    origin: str = ""

    def covers(self, line: Target) -> bool:
        """Whether the line is eligible."""
        return (
            line.discountable
            and (not self.charges or line.charge in self.charges)
            and (not self.plans or line.plan in self.plans)
        )


def earliest(moment: datetime | None) -> tuple[bool, datetime]:
    """Sort key: earlier first, what has no moment last."""
    return (moment is None, moment or datetime.max.replace(tzinfo=UTC))


def _narrow_first(coupon: Coupon) -> tuple[object, ...]:
    # The tail decides between coupons of one instant by what they say, never by their place in the input.
    said = (coupon.key, coupon.percent or Decimal(0), coupon.amount or Decimal(0))
    scope = (sorted(coupon.charges), sorted(coupon.plans))
    return (not coupon.charges, not coupon.plans, earliest(coupon.applied_at), *said, scope, coupon.origin)


def apply_coupons(
    coupons: Sequence[Coupon], lines: Sequence[Target], left: list[int], decimals: int, mode: RoundingMode
) -> list[tuple[Coupon, int]]:
    """Take coupons off ``left`` (minor units per line, lowered in place).

    Order: restricted to charges, then to plans, then to nothing; earlier ``applied_at`` first. Each is spread pro rata
    over what is left of its lines. No line is lowered below 0, nor is the invoice.

    Returns:
        Each coupon that took something with its minor units, in the order they were taken.
    """
    taken: list[tuple[Coupon, int]] = []
    places: dict[tuple[frozenset[str], frozenset[str]], list[int]] = {}
    for coupon in sorted(coupons, key=_narrow_first):
        scope = (coupon.charges, coupon.plans)
        if scope not in places:
            places[scope] = [place for place, line in enumerate(lines) if coupon.covers(line)]
        base = sum(left[place] for place in places[scope])
        want = min(_worth(coupon, base, decimals, mode), sum(left))
        amount = take(want, left, places[scope])
        if amount:
            taken.append((coupon, amount))
    return taken


def _worth(coupon: Coupon, base: int, decimals: int, mode: RoundingMode) -> int:
    with localcontext(prec=_DIGITS):
        if coupon.percent is not None:
            worth = Decimal(base) * coupon.percent / 100
        else:
            worth = (coupon.amount or Decimal(0)).scaleb(decimals)
    return int(round_decimal(worth, 0, mode))
