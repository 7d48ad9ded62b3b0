"""The catalog: all that a tenant sells, from the moment it is published (contracts.md, section 3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from valueverse.catalog.fields import CountryCode, CurrencyCode, Duration, TimeZone, Translations
from valueverse.catalog.meters import Meter
from valueverse.catalog.metrics import MartMetric
from valueverse.catalog.plans import Plan
from valueverse.documents import Key, PositiveAmount, ShareInPercent, StrictModel, Text, Whole


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

    key: Key
    name: Text | None = None
    translations: Translations = Field(default_factory=dict)
    percent: ShareInPercent | None = None
    amount: PositiveAmount | None = None
    currency: CurrencyCode | None = None
    applies_to: CouponScope = CouponScope()
    periods: Annotated[Whole, Field(ge=1, le=10_000)] | None = None


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
    grace: Duration = timedelta(days=1)
    zero_invoices: Literal["issue", "skip"] = "issue"
    meters: tuple[Meter, ...] = ()
    plans: tuple[Plan, ...] = ()
    coupons: tuple[Coupon, ...] = ()
    taxes: tuple[Tax, ...] = ()
    metrics: tuple[MartMetric, ...] = ()
