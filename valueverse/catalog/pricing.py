"""The pricing part of a charge: all that stands between metered units and an amount."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from valueverse.catalog.prices import PriceModel
from valueverse.documents import (
    Amount,
    PositiveQuantity,
    Quantity,
    ShareInPercent,
    StrictModel,
    has_not_both,
    judge_object,
    wrong,
)


class Conversion(StrictModel):
    """Metered units to priced units: divide or multiply, then round to whole units."""

    model_config = ConfigDict(json_schema_extra=has_not_both("divide_by", "multiply_by"))

    divide_by: PositiveQuantity | None = None
    multiply_by: PositiveQuantity | None = None
    round: Literal["up", "down", "half_up", "half_even", "none"] = "none"

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.divide_by is not None and self.multiply_by is not None:
            raise wrong("convert has 'divide_by' or 'multiply_by', and not both")
        return self


class ChargePricing(StrictModel):
    """The chain of a charge: convert, round, minus included, price, discount, maximum, minimum."""

    convert: Conversion | None = None
    included: Quantity = Field(default=0, validate_default=True)
    price: PriceModel
    discount_percent: ShareInPercent = Field(default=0, validate_default=True)
    minimum: Amount | None = None
    maximum: Amount | None = None


def parse_pricing(document: dict[str, Any]) -> ChargePricing:
    """Judge the pricing part of a charge (``valueverse price``).

    Raises:
        DocumentError: ``bad_price`` with everything that is wrong.
    """
    return judge_object(ChargePricing, document, "bad_price")
