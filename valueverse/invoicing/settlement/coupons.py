"""Coupons: what they take off an invoice's lines, narrow targets before wide (docs/decisions/0011)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any, Protocol

from valueverse.invoicing.settlement.allocation import deduct_pro_rata
from valueverse.money import round_decimal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from valueverse.invoicing.settlement.threshold_totals import LineName, ThresholdTotals
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

    @property
    def name(self) -> LineName | None:
        """Which line of its period it is the rest of; None: no threshold invoice has a line like it."""


@dataclass(frozen=True)
class Coupon:
    """A discount: ``amount`` in major units, or ``percent`` of what is left of the eligible lines.

    ``charges`` and ``plans`` restrict it to lines that match both; an empty one restricts nothing. ``origin``: event
    that applied it. ``most`` (minor units) is all that it may take of a period: what it took before it was removed;
    None: it holds.
    """

    key: str
    amount: Decimal | None = None
    percent: Decimal | None = None
    charges: frozenset[str] = frozenset()
    plans: frozenset[str] = frozenset()
    applied_at: datetime | None = None
    origin: str = ""
    most: int | None = None

    def covers(self, line: Target) -> bool:
        """Whether the line is eligible."""
        return (
            line.discountable
            and (not self.charges or line.charge in self.charges)
            and (not self.plans or line.plan in self.plans)
        )


@dataclass(frozen=True)
class Billing:
    """What an invoice is for: a subscription's period (``invoice_type`` of INVOICE), in a currency."""

    subscription: str
    currency: str
    invoice_type: str
    period_from: datetime
    close: datetime

    def sees(self, moment: datetime | None) -> bool:
        """Whether what happened then counts: before the period closed.

        At a start the instant itself counts: a coupon applied with the subscription covers its first invoice.
        """
        if moment is None:
            return False
        return moment <= self.close if self.invoice_type == "start" else moment < self.close


def holds(row: Mapping[str, Any], billing: Billing, used: Collection[datetime]) -> bool:
    """Whether a coupon was applied before a period closed, for as many periods as it lasts; several invoices of one
    period count once.

    Args:
        row: COUPONS of the customer.
        billing: the invoice.
        used: where the subscription's periods begin that it lowered.
    """
    return (
        row["subscription"] in {None, billing.subscription}
        and row["currency"] in {None, billing.currency}
        and billing.sees(row["applied_at"])
        and (row["periods"] is None or billing.period_from in used or len(used) < row["periods"])
    )


def most_of_period(billing: Billing, removed_at: datetime | None, before: int | None, own: int = 0) -> int | None:
    """What a coupon may take of a period in all (minor units); None: it is not limited.

    One that was removed before the period closed keeps what it took of it, and takes no more. It is not limited where
    the closing invoice alone gets it: that invoice was made while the coupon held.

    Args:
        billing: the invoice.
        removed_at: when the coupon was removed; None: never.
        before: what it took on threshold invoices of the period; None: it is on none of them.
        own: what it took on the invoice itself, as booked.
    """
    if not billing.sees(removed_at) or (before is None and own > 0):
        return None
    return (before or 0) + max(own, 0)


def coupon_of(row: Mapping[str, Any], most: int | None) -> Coupon:
    """A row of COUPONS that takes no more than ``most`` of a period."""
    return Coupon(
        key=row["coupon"],
        amount=row["amount"],
        percent=row["percent"],
        charges=frozenset(row["charges"] or ()),
        plans=frozenset(row["plans"] or ()),
        applied_at=row["applied_at"],
        origin=row["origin"],
        most=most,
    )


def earliest(moment: datetime | None) -> tuple[bool, datetime]:
    """Sort key: earlier first, what has no moment last."""
    return (moment is None, moment or datetime.max.replace(tzinfo=UTC))


def _narrow_first(coupon: Coupon) -> tuple[object, ...]:
    # The tail decides between coupons of one instant by what they say, never by their place in the input.
    definition = (coupon.key, coupon.percent or Decimal(0), coupon.amount or Decimal(0))
    scope = (sorted(coupon.charges), sorted(coupon.plans))
    return (not coupon.charges, not coupon.plans, earliest(coupon.applied_at), *definition, scope, coupon.origin)


def apply_coupons(
    coupons: Sequence[Coupon],
    lines: Sequence[Target],
    left: list[int],
    decimals: int,
    mode: RoundingMode,
    earlier: ThresholdTotals | None = None,
) -> list[tuple[Coupon, int]]:
    """Take coupons off ``left`` (minor units per line, lowered in place).

    Order: restricted to charges, then to plans, then to nothing; earlier ``applied_at`` first. Each is spread pro rata
    over what is left of its lines. No line is lowered below 0, nor are all that a coupon may lower together.

    With ``earlier`` the lines are the rest of a period: coupons are taken off all of it, as if it were billed at once,
    and what they took before comes off that (docs/decisions/0018). Of usage that is given back a coupon takes less
    than nothing.

    Returns:
        Each coupon that took something with its minor units, in the order they were taken; also one that took nothing
        of the rest, where it lowers the period and still holds.
    """
    if earlier is None or not earlier.gross:
        return _take_all(coupons, lines, left, decimals, mode)
    first = {line.name: place for place, line in reversed(list(enumerate(lines))) if line.name is not None}
    whole = list(left)
    for name, gross in earlier.gross.items():
        if name in first:
            whole[first[name]] += gross
    net = list(whole)
    taken = _take_all(coupons, lines, net, decimals, mode)
    for place, amount in enumerate(left):
        left[place] = amount - (whole[place] - net[place])
    for name, off in earlier.off.items():
        if name in first:
            left[first[name]] += off
    return _rest(taken, coupons, earlier.taken)


def _rest(
    taken: Sequence[tuple[Coupon, int]], coupons: Sequence[Coupon], before: Mapping[str, tuple[str, int]]
) -> list[tuple[Coupon, int]]:
    """What coupons took of a period less what they took of it before."""
    now = {coupon.origin: amount for coupon, amount in taken}
    gone = [coupon for coupon in coupons if coupon.origin in before and coupon.origin not in now]
    known = {coupon.origin for coupon in coupons}
    gone += [Coupon(key, origin=origin) for origin, (key, _) in before.items() if origin not in known]
    rest = [
        (coupon, now.get(coupon.origin, 0) - before.get(coupon.origin, ("", 0))[1])
        for coupon in (*(coupon for coupon, _ in taken), *gone)
    ]
    return [(coupon, amount) for coupon, amount in rest if amount or (coupon.origin in now and coupon.most is None)]


def _take_all(
    coupons: Sequence[Coupon], lines: Sequence[Target], left: list[int], decimals: int, mode: RoundingMode
) -> list[tuple[Coupon, int]]:
    taken: list[tuple[Coupon, int]] = []
    places: dict[tuple[frozenset[str], frozenset[str]], list[int]] = {}
    lowered = [place for place, line in enumerate(lines) if line.discountable]
    for coupon in sorted(coupons, key=_narrow_first):
        scope = (coupon.charges, coupon.plans)
        if scope not in places:
            places[scope] = [place for place, line in enumerate(lines) if coupon.covers(line)]
        base = sum(left[place] for place in places[scope])
        want = min(_worth(coupon, base, decimals, mode), sum(left[place] for place in lowered))
        amount = deduct_pro_rata(want if coupon.most is None else min(want, coupon.most), left, places[scope])
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
