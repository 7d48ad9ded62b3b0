"""The catalog: all that a tenant sells, from the moment it is published (contracts.md, section 3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from valueverse.catalog.fields import CurrencyCode, Duration, TimeZone, Translations
from valueverse.catalog.meters import Meter
from valueverse.catalog.metrics import MAX_METRICS, MartMetric
from valueverse.catalog.plans import Plan
from valueverse.documents import (
    Between,
    CountryCode,
    Key,
    PositiveAmount,
    ShareInPercent,
    StrictModel,
    Text,
    Whole,
    has,
    has_one_of,
)


class RoundingPolicy(StrictModel):
    """Where and how amounts are rounded to the currency's minor unit (billing.md, Numbers)."""

    mode: Literal["half_up", "half_even", "up", "down"] = "half_up"
    level: Literal["line", "tier", "invoice"] = "line"


class CouponScope(StrictModel):
    """What a coupon may take off: nothing named means everything."""

    plans: tuple[Key, ...] = ()
    charges: tuple[Key, ...] = ()


class Coupon(StrictModel):
    """A discount on invoices: a percentage, or an amount in one currency."""

    model_config = ConfigDict(
        json_schema_extra={
            **has_one_of("percent", "amount"),
            "if": has("amount"),
            "then": has("currency"),
            "else": {"not": has("currency")},
        }
    )

    key: Key
    name: Text | None = None
    translations: Translations = Field(default_factory=dict)
    percent: ShareInPercent | None = None
    amount: PositiveAmount | None = None
    currency: CurrencyCode | None = None
    applies_to: CouponScope = CouponScope()
    periods: Annotated[Whole, Between(1, 10_000)] | None = None


class Tax(StrictModel):
    """A tax rate that plans, fees and charges refer to by key."""

    key: Key
    name: Text | None = None
    translations: Translations = Field(default_factory=dict)
    percent: ShareInPercent
    country: CountryCode | None = None


class Catalog(StrictModel):
    """All that a tenant sells, from the moment it is published."""

    schema_: Annotated[Literal["valueverse.catalog/v1"], Field(alias="schema")]
    currency: CurrencyCode = "USD"
    timezone: TimeZone = "UTC"
    rounding: RoundingPolicy = RoundingPolicy()
    grace: Annotated[Duration, Field(json_schema_extra={"default": "1 day"})] = timedelta(days=1)
    zero_invoices: Literal["issue", "skip"] = "issue"
    meters: tuple[Meter, ...] = ()
    plans: tuple[Plan, ...] = ()
    coupons: tuple[Coupon, ...] = ()
    taxes: tuple[Tax, ...] = ()
    metrics: Annotated[tuple[MartMetric, ...], Field(json_schema_extra={"maxItems": MAX_METRICS})] = ()
