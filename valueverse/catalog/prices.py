"""Price models (contracts.md, section 3): shapes and what is refused.

What a price *does* with a quantity stands in ``valueverse.rating``; here stands what a price may say.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from valueverse.catalog.fields import DIMENSION_SCHEMA, dimension_text
from valueverse.documents import (
    Amount,
    Between,
    Flag,
    Key,
    Percent,
    PositiveQuantity,
    Price,
    Quantity,
    StrictModel,
    Text,
    Whole,
    has_one_of,
    number_schema,
    text_schema,
    wrong,
)
from valueverse.errors import RefusalError
from valueverse.formula import compile_amount
from valueverse.money import plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from pydantic.config import JsonDict

MAX_TIERS = 10_000
_CLOCK_TEXT = "([01][0-9]|2[0-3]):[0-5][0-9]"
_CLOCK = re.compile(rf"{_CLOCK_TEXT}\Z")


class _PriceModel(StrictModel):
    def meters_named(self) -> tuple[str, ...]:
        """Meters that the price itself reads (capacity)."""
        return ()

    def dimensions_named(self) -> tuple[str, ...]:
        """Dimensions whose value decides the price (matrix)."""
        return ()


class Standard(_PriceModel):
    """``unit`` for each unit."""

    model: Literal["standard"]
    unit: Price


class Tier(StrictModel):
    """Units above the tier before, up to ``up_to`` inclusive; ``flat`` is due when the tier is entered."""

    up_to: PositiveQuantity | None
    unit: Price = Field(default=0, validate_default=True)
    flat: Amount = Field(default=0, validate_default=True)
    per: PositiveQuantity | None = None
    cap: Amount | None = None


class PercentTier(StrictModel):
    """A tier whose units are money and whose price is a rate in percent."""

    up_to: PositiveQuantity | None
    rate: Percent
    flat: Amount = Field(default=0, validate_default=True)


def _rising(bounds: Sequence[Decimal | None]) -> None:
    if not bounds:
        raise wrong("there are no tiers: write at least one, its 'up_to' null", "tiers")
    if bounds[-1] is not None:
        raise wrong("the last tier must be open: set its 'up_to' to null", f"tiers[{len(bounds) - 1}].up_to")
    last: Decimal | None = None
    for index, bound in enumerate(bounds[:-1]):
        if bound is None:
            raise wrong(f"tier {index} is open ('up_to' null) but is not the last one", f"tiers[{index}].up_to")
        if last is not None and bound <= last:
            message = f"tier {index} ends at {plain(bound)}, not above the tier before it ({plain(last)})"
            raise wrong(message, f"tiers[{index}].up_to")
        last = bound


_ONE_OPEN_TIER: JsonDict = {
    "minItems": 1,
    "contains": {"properties": {"up_to": {"type": "null"}}, "required": ["up_to"]},
    "maxContains": 1,
}
"""One tier is open. That it is the last one, JSON Schema cannot say."""


class _Tiered(_PriceModel):
    tiers: Annotated[tuple[Tier, ...], Field(max_length=MAX_TIERS, json_schema_extra=_ONE_OPEN_TIER)]
    bill_flat_at_zero: Flag = True

    @model_validator(mode="after")
    def _tiers_tile(self) -> Self:
        _rising([tier.up_to for tier in self.tiers])
        return self


class Graduated(_Tiered):
    """Each tier prices the units inside it."""

    model: Literal["graduated"]


class Volume(_Tiered):
    """The tier that the whole quantity falls into prices all of it."""

    model: Literal["volume"]


class Package(_PriceModel):
    """``amount`` per started block of ``size`` units; ``free`` units come off first."""

    model: Literal["package"]
    size: PositiveQuantity
    amount: Price
    free: Quantity = Field(default=0, validate_default=True)
    round: Literal["up", "down"] = "up"


class Percentage(_PriceModel):
    """``rate`` percent of each event's value plus ``fixed``, with free allowances and bounds per event."""

    model: Literal["percentage"]
    rate: Percent
    fixed: Amount = Field(default=0, validate_default=True)
    free_events: Annotated[Whole, Between(0)] | None = None
    free_amount: Quantity | None = None
    min_per_event: Amount | None = None
    max_per_event: Amount | None = None

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> Self:
        low, high = self.min_per_event, self.max_per_event
        if low is not None and high is not None and low > high:
            raise wrong(f"min_per_event {low} is above max_per_event {high}")
        return self

    @property
    def per_event(self) -> bool:
        """Whether the price depends on single events, not on their sum alone."""
        bounds = (self.free_events, self.free_amount, self.min_per_event, self.max_per_event)
        return any(bound is not None for bound in bounds) or bool(self.fixed)


class GraduatedPercentage(_PriceModel):
    """A rate in percent per tier of the amount, plus a flat per entered tier."""

    model: Literal["graduated_percentage"]
    tiers: Annotated[tuple[PercentTier, ...], Field(max_length=MAX_TIERS, json_schema_extra=_ONE_OPEN_TIER)]

    @model_validator(mode="after")
    def _tiers_tile(self) -> Self:
        _rising([tier.up_to for tier in self.tiers])
        return self


def _cell(value: Any) -> Any:
    if not isinstance(value, dict):
        raise wrong("a cell is an object: a value for each dimension, and 'unit'")
    if "unit" not in value:
        raise wrong("a cell needs 'unit': the price at these dimension values")
    dimensions = {name: dimension_text(item) for name, item in value.items() if name not in {"unit", "values"}}
    return {"unit": value["unit"], "values": value.get("values", dimensions)}


_CELL_SCHEMA: JsonDict = {
    "additionalProperties": DIMENSION_SCHEMA,
    "properties": {
        "unit": number_schema(6),
        "values": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["unit"],
}


class Cell(StrictModel):
    """The unit price where all of ``values`` hold; each may also stand beside ``unit`` under its own name."""

    model_config = ConfigDict(json_schema_extra=_CELL_SCHEMA)

    unit: Price
    values: dict[str, str]


class Matrix(_PriceModel):
    """A unit price per combination of dimension values, else ``default_unit``."""

    model: Literal["matrix"]
    dimensions: Annotated[tuple[Text, ...], Field(min_length=1, max_length=16)]
    cells: Annotated[tuple[Annotated[Cell, BeforeValidator(_cell)], ...], Field(max_length=MAX_TIERS)]
    default_unit: Price | None = None

    @model_validator(mode="after")
    def _cells_are_distinct(self) -> Self:
        seen: set[tuple[str | None, ...]] = set()
        for index, cell in enumerate(self.cells):
            odd = sorted(set(cell.values) ^ set(self.dimensions))
            if odd:
                message = f"cell {index} must name just the dimensions {list(self.dimensions)}; look at {odd[0]!r}"
                raise wrong(message, f"cells[{index}]")
            place = tuple(cell.values[name] for name in self.dimensions)
            if place in seen:
                raise wrong(f"cell {index} repeats the values {dict(cell.values)}", f"cells[{index}]")
            seen.add(place)
        return self

    def dimensions_named(self) -> tuple[str, ...]:
        """The matrix's axes."""
        return self.dimensions


class Dynamic(_PriceModel):
    """The amount that each event carries, or the quantity times a multiplier."""

    model_config = ConfigDict(json_schema_extra=has_one_of("amount", "multiplier"))

    model: Literal["dynamic"]
    amount: Text | None = None
    multiplier: Price | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.amount is None) == (self.multiplier is None):
            raise wrong("dynamic has either 'amount' (a path into data) or 'multiplier', and not both")
        return self


class CapacityTier(StrictModel):
    """``amount`` for the whole period while every limit holds (inclusive)."""

    limits: dict[Key, Quantity | None] = Field(default_factory=dict)
    amount: Amount


_ONE_WITHOUT_LIMITS: JsonDict = {"contains": {"properties": {"limits": {"additionalProperties": {"type": "null"}}}}}


class Capacity(_PriceModel):
    """The lowest tier all of whose limits hold."""

    model: Literal["capacity"]
    meters: tuple[Key, ...] = ()
    tiers: Annotated[
        tuple[CapacityTier, ...], Field(min_length=1, max_length=MAX_TIERS, json_schema_extra=_ONE_WITHOUT_LIMITS)
    ]

    @model_validator(mode="after")
    def _last_is_open(self) -> Self:
        if any(limit is not None for limit in self.tiers[-1].limits.values()):
            raise wrong("the last capacity tier must be without limits", f"tiers[{len(self.tiers) - 1}].limits")
        return self

    def meters_named(self) -> tuple[str, ...]:
        """Every meter that a limit names."""
        named = {meter for tier in self.tiers for meter in tier.limits} | set(self.meters)
        return tuple(sorted(named))


class FormulaPrice(_PriceModel):
    """An amount written as a formula over ``quantity``."""

    model: Literal["formula"]
    amount: Text

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        try:
            compile_amount(self.amount, ["quantity"])
        except RefusalError as refusal:
            raise wrong(refusal.message, "amount") from refusal
        return self


class Outcome(_PriceModel):
    """A share of the value realised under a committed value model."""

    model: Literal["outcome"]
    value_model: Key
    output: Text
    share: Quantity
    floor: Text | None = None
    cap: Text | None = None
    period: Literal["month", "quarter", "year"] = "month"
    true_up: Literal["cumulative", "none"] = "cumulative"
    dispute_days: Annotated[Whole, Between(0, 3_660)] = 30
    refund: Flag = False


_UnitPrice = (
    Standard
    | Graduated
    | Volume
    | Package
    | Percentage
    | GraduatedPercentage
    | Matrix
    | Dynamic
    | Capacity
    | FormulaPrice
    | Outcome
)
UnitPrice = Annotated[_UnitPrice, Field(discriminator="model")]


class BucketTerms(StrictModel):
    """Price and windowed commitment of a bucket."""

    price: UnitPrice | None = None
    commitment: Amount | None = None
    overage_factor: Price = Field(default=1, validate_default=True)
    true_up: Flag = False


def _clock(value: Any) -> Any:
    if isinstance(value, str) and not _CLOCK.match(value):
        raise wrong(f"{value[:40]!r} is not a time of day such as '09:00'")
    return value


class TimeOfDay(BucketTerms):
    """Other terms for buckets that start in [from, to), local time; ``to`` before ``from`` runs over
    midnight.

    A term that is not given is the price's own.
    """

    from_: Annotated[str, BeforeValidator(_clock), Field(alias="from"), text_schema(_CLOCK_TEXT)]
    to: Annotated[
        str,
        BeforeValidator(lambda value: value if value == "24:00" else _clock(value)),
        text_schema(f"{_CLOCK_TEXT}|24:00"),
    ]


_OF_A_QUANTITY: JsonDict = {
    "properties": {"model": {"not": {"enum": ["matrix", "capacity"]}}},
    "if": {"properties": {"model": {"const": "dynamic"}}},
    "then": {"properties": {"amount": {"type": "null"}}},
}


class Bucketed(_PriceModel):
    """Each hour or day priced by itself, then summed."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {"properties": {"price": _OF_A_QUANTITY}},
                {"properties": {"time_of_day": {"items": {"properties": {"price": _OF_A_QUANTITY}}}}},
            ]
        }
    )

    model: Literal["bucketed"]
    every: Literal["hour", "day"]
    price: UnitPrice
    commitment: Amount | None = None
    overage_factor: Price = Field(default=1, validate_default=True)
    true_up: Flag = False
    time_of_day: tuple[TimeOfDay, ...] = ()

    def inner_prices(self) -> list[UnitPrice]:
        """The price of every bucket, then those of times of day."""
        return [self.price, *(window.price for window in self.time_of_day if window.price is not None)]

    def beyond_quantity(self) -> str | None:
        """The inner model that needs more of a bucket than its quantity, if one does."""
        for inner in self.inner_prices():
            if inner.model in {"matrix", "capacity"} or (isinstance(inner, Dynamic) and inner.amount is not None):
                return inner.model
        return None


PriceModel = Annotated[_UnitPrice | Bucketed, Field(discriminator="model")]
