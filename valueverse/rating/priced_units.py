"""Metered quantities in the units that a charge prices, for whoever explains them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.rating.charge_steps import with_priced_units
from valueverse.rating.price_book import ChargeBook
from valueverse.schemas.types import EXACT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from valueverse.catalog import ChargePricing


def priced_units(pricing: ChargePricing, quantities: Sequence[Decimal]) -> list[Decimal | None]:
    """Each quantity converted and rounded by itself as the charge says, in their order; None: out of range."""
    charge = ChargeBook.build([(pricing, "half_up", "line")]).charges
    metered = pl.DataFrame({"value": quantities}, schema={"value": EXACT})
    rows = with_priced_units(metered.join(charge, how="cross", maintain_order="left"), value="value")
    return rows["value"].to_list()
