"""Outcome fees: a share of realised value between a floor and a cap. Money: exact decimals."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Literal

from valueverse.errors import RefusalError

FeeBinding = Literal["none", "floor", "cap"]


def outcome_fee(
    realised: Decimal, share: Decimal, floor: Decimal | None = None, cap: Decimal | None = None
) -> tuple[Decimal, FeeBinding]:
    """min(max(share x max(realised, 0), floor), cap), and which of the two bounds decided.

    Args:
        realised: value of the period; a loss counts as nothing.
        share: a fraction.
        floor, cap: of the same period; None: none.

    Raises:
        RefusalError: ``bad_bounds`` if the floor lies above the cap.
    """
    if floor is not None and cap is not None and floor > cap:
        raise RefusalError("bad_bounds", f"the floor {floor} lies above the cap {cap}: lower it", "floor")
    with localcontext(prec=80):
        fee = share * max(realised, Decimal(0))
    if cap is not None and fee > cap:
        return cap, "cap"
    if floor is not None and fee < floor:
        return floor, "floor"
    return fee, "none"
