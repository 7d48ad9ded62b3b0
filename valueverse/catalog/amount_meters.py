"""Amounts that events carry for ``dynamic`` prices, read as meters of their own beside the meter that is charged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.catalog.prices import Dynamic

if TYPE_CHECKING:
    from valueverse.catalog.meters import Meter
    from valueverse.catalog.model import Catalog

AMOUNT_MARK = "$"
"""No key of a catalog holds it, so that a carried amount is never taken for a meter that somebody wrote."""


def amount_meter_key(meter: str, path: str) -> str:
    """The meter that sums the amounts at ``path`` of the events that ``meter`` counts: an event without a value for
    that one has no amount either (``metering.usage``)."""
    return f"{meter}{AMOUNT_MARK}{path}"


def all_meters(catalog: Catalog) -> tuple[Meter, ...]:
    """The catalog's meters, and one per amount path that a dynamic charge reads on one of them."""
    wanted = {
        (charge.meter, charge.price.amount)
        for plan in catalog.plans
        for charge in plan.charges
        if isinstance(charge.price, Dynamic) and charge.price.amount is not None
    }
    carried = [
        meter.model_copy(
            update={
                "key": amount_meter_key(meter.key, path),
                "aggregation": "sum",
                "value": path,
                "operation": None,
                "carry_over": False,
                "rounding": None,
            }
        )
        for meter in catalog.meters
        for path in sorted(path for key, path in wanted if key == meter.key)
    ]
    return (*catalog.meters, *carried)
