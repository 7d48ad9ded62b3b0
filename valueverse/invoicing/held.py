"""What a plan may say and this engine does not bill yet: such an invoice is held back, never billed without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from valueverse.catalog.plans import Plan

NOT_BILLED_YET = "not_billed_yet"
BAD_OVERRIDES = "bad_overrides"


def plan_problem(plan: Plan) -> str | None:
    """Why no invoice of this plan can be billed, or None."""
    return NOT_BILLED_YET if plan.threshold is not None else None
