"""What a plan may say and this engine does not bill yet: such an invoice is held back, never billed without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from valueverse.catalog.plans import Charge, Plan

ONLY_CALCULATED = frozenset({"bucketed", "capacity", "outcome"})
"""Price models that ``valueverse price`` calculates and the billing engine does not feed yet."""
NOT_BILLED_YET = "not_billed_yet"
BAD_OVERRIDES = "bad_overrides"


def plan_problem(plan: Plan) -> str | None:
    """Why no invoice of this plan can be billed, or None."""
    return NOT_BILLED_YET if plan.threshold is not None else None


def charge_problem(charge: Charge) -> str | None:
    """Why this charge's line cannot be billed, or None."""
    price = charge.price
    reads_events = price.model in ONLY_CALCULATED or (
        price.model == "dynamic" and getattr(price, "amount", None) is not None
    )
    once_for_all = charge.split_by and (charge.minimum is not None or charge.maximum is not None or charge.included)
    early = charge.timing == "in_advance" or charge.across_segments
    return NOT_BILLED_YET if reads_events or once_for_all or early else None
