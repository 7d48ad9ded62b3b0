"""A plan as a subscription has it: the catalog's, with what was agreed with the customer in its place."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


def merged_with(plan: dict[str, Any], overrides: str) -> dict[str, Any]:
    """A plan with overrides: charges and fees merge by key, field by field; anything else takes its place."""
    if not overrides:
        return plan
    stated = json.loads(overrides, parse_float=Decimal)
    merged = {**plan, **stated}
    for name in ("charges", "fees"):
        own = {entry["key"]: entry for entry in plan.get(name) or ()}
        for entry in stated.get(name) or ():
            own[entry["key"]] = own.get(entry["key"], {}) | entry
        merged[name] = list(own.values())
    return merged
