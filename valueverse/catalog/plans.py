"""Plans: what one subscription pays, period by period."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from valueverse.catalog.fields import CurrencyCode, DimensionValue, Translations
from valueverse.catalog.meters import DataPath
from valueverse.catalog.prices import Outcome
from valueverse.catalog.pricing import ChargePricing
from valueverse.documents import (
    Amount,
    Between,
    Flag,
    Key,
    PositiveAmount,
    Price,
    Quantity,
    StrictModel,
    Text,
    Whole,
    has,
    has_not_both,
    has_one_of,
    wrong,
)

MAX_CHARGES = 1_000


class Period(StrictModel):
    """How often a plan bills, and whether its periods follow the calendar or the subscription's own day."""

    every: Annotated[Whole, Between(1, 1_000)] = 1
    unit: Literal["day", "week", "month", "quarter", "year"] = "month"
    align: Literal["anniversary", "calendar"] = "anniversary"


class Trial(StrictModel):
    """Days from the subscription's start without fees and charges."""

    days: Annotated[Whole, Between(0, 3_660)]


class Commitment(StrictModel):
    """The least that fees and charges of one period come to; the rest is trued up at its end."""

    minimum: Amount


class Fee(StrictModel):
    """A fixed amount per period: ``amount``, or ``unit_amount`` x ``quantity``."""

    model_config = ConfigDict(
        json_schema_extra={**has_one_of("amount", "unit_amount"), **has_not_both("amount", "quantity")}
    )

    key: Key
    name: Text | None = None
    description: Text | None = None
    translations: Translations = Field(default_factory=dict)
    amount: Amount | None = None
    unit_amount: Price | None = None
    quantity: Quantity | None = None
    timing: Literal["in_advance", "in_arrears"] = "in_advance"
    prorate: Literal["day", "second", "none"] = "day"
    taxes: tuple[Key, ...] = ()

    @model_validator(mode="after")
    def _one_way_to_state_the_amount(self) -> Self:
        if (self.amount is None) == (self.unit_amount is None):
            raise wrong("a fee has either 'amount' or 'unit_amount' (with 'quantity'), and not both")
        if self.amount is not None and self.quantity is not None:
            raise wrong("'quantity' multiplies 'unit_amount'; with 'amount' remove it")
        return self


class Charge(ChargePricing):
    """Usage of one meter, priced."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {
                    "if": {"properties": {"price": {"properties": {"model": {"enum": ["capacity", "outcome"]}}}}},
                    "else": has("meter"),
                },
                {
                    "if": has("round_prorated"),
                    "then": {"properties": {"prorate": {"const": "day"}}, "required": ["prorate"]},
                },
            ]
        }
    )

    key: Key
    name: Text | None = None
    description: Text | None = None
    translations: Translations = Field(default_factory=dict)
    meter: Key | None = None
    when: dict[DataPath, DimensionValue] = Field(default_factory=dict)
    split_by: tuple[DataPath, ...] = ()
    timing: Literal["in_arrears", "in_advance"] = "in_arrears"
    prorate: Literal["none", "day"] = "none"
    round_prorated: Annotated[Whole, Between(0, 18)] | None = None
    across_segments: Flag = False
    taxes: tuple[Key, ...] = ()

    def metered_by(self) -> dict[str, str]:
        """Each meter whose usage this charge takes, with the place that names it; an outcome takes none."""
        if isinstance(self.price, Outcome):
            return {}
        named = {} if self.meter is None else {self.meter: "meter"}
        return named | dict.fromkeys(self.price.meters_named(), "price")

    def priced_by(self) -> tuple[str, ...]:
        """Dimensions whose value decides the price."""
        return self.price.dimensions_named()


class Plan(StrictModel):
    """One version of one plan."""

    key: Key
    version: Annotated[Whole, Between(1, 1_000_000)] = 1
    name: Text | None = None
    currency: CurrencyCode | None = None
    period: Period = Period()
    trial: Trial | None = None
    fees: tuple[Fee, ...] = ()
    charges: Annotated[tuple[Charge, ...], Field(max_length=MAX_CHARGES)] = ()
    commitment: Commitment | None = None
    threshold: PositiveAmount | None = None
    taxes: tuple[Key, ...] = ()
