"""The catalog document ``valueverse.catalog/v1`` (contracts.md, section 3)."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import rfc8785
from pydantic import Field, ValidationError

from valueverse.catalog.base import Key, PositiveAmount, ShareInPercent, StrictModel, Text, Whole, refusal_of
from valueverse.catalog.checks import check_references
from valueverse.catalog.meters import Meter
from valueverse.catalog.metrics import MartMetric
from valueverse.catalog.plans import Plan
from valueverse.catalog.reading import read_tree
from valueverse.catalog.units import CurrencyCode, Duration, TimeZone
from valueverse.errors import RefusalError
from valueverse.money import plain

SCHEMA = "valueverse.catalog/v1"


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
    percent: ShareInPercent | None = None
    amount: PositiveAmount | None = None
    currency: CurrencyCode | None = None
    applies_to: CouponScope = CouponScope()
    periods: Annotated[Whole, Field(ge=1, le=10_000)] | None = None


class Tax(StrictModel):
    """A tax rate that plans, fees and charges refer to by key."""

    key: Key
    name: Text | None = None
    percent: ShareInPercent
    country: Annotated[Text, Field(pattern=r"^[A-Z]{2}$")] | None = None


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


def parse_catalog(document: str | bytes | dict[str, Any]) -> Catalog:
    """Read and judge a catalog: YAML or JSON text, or the object itself (numbers as str, int or Decimal).

    Raises:
        RefusalError: ``bad_catalog``, with the path of the first thing wrong and how to mend it.
    """
    tree = read_tree(document)
    try:
        catalog = Catalog.model_validate(tree)
    except ValidationError as error:
        raise refusal_of(error, "bad_catalog", tree) from error
    except RefusalError as refusal:
        raise RefusalError("bad_catalog", refusal.message, refusal.path) from refusal
    check_references(catalog)
    return catalog


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value


def catalog_document(catalog: Catalog) -> dict[str, Any]:
    """The catalog as JSON values, as it was written: numbers as plain strings, defaults left out."""
    written: dict[str, Any] = _json(catalog.model_dump(by_alias=True, exclude_unset=True))
    return written


def catalog_hash(catalog: Catalog) -> str:
    """Hex SHA-256 of the canonical (RFC 8785) document; 0.5, 0.50 and "0.5" are the same number."""
    return hashlib.sha256(rfc8785.dumps(catalog_document(catalog))).hexdigest()
