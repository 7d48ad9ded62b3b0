"""A customer's usage of a meter by hour, day or month where it is billed, and by day as it was known earlier."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.catalog import as_known
from valueverse.errors import RefusalError
from valueverse.events import is_time_zone
from valueverse.metering import derive_daily_usage
from valueverse.services.billing.customer_usage import customer_usage
from valueverse.services.billing.next_invoices import CustomerTerms
from valueverse.services.lake_tables import BILLING_FACTS_TABLE
from valueverse.services.usage.meter_usage import meter_usage
from valueverse.subscriptions import local_midnight

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from valueverse.metering import UsageQuestion
    from valueverse.platform.lake import Lake


@dataclass(frozen=True)
class CustomerWindows:
    """What a meter comes to for a customer: ``rows`` (ASKED_USAGE) in windows of the ``timezone``."""

    timezone: str
    rows: pl.DataFrame


def customer_windows(
    lake: Lake, question: UsageQuestion, timezone: str | None, days: tuple[date | None, date | None]
) -> CustomerWindows:
    """The usage of the one customer of a question in its windows.

    Args:
        lake: where usage and billing events are.
        question: what is asked; its time zone and times are those below.
        timezone: of the windows; None: the customer's, or else the tenant's.
        days: the first day and the one after the last, where the windows are; None: of any time.

    Raises:
        RefusalError: ``unknown_customer``; as ``meter_usage``.
    """
    [customer] = question.customers
    zones = [zone for zone in _terms(lake, question.tenant, customer, question.known_at).zones if zone]
    zone = timezone or (zones[0] if zones else "UTC")
    if not is_time_zone(zone):
        what = f"{zone[:60]!r} is not an IANA time zone such as 'UTC' or 'Europe/Berlin'"
        raise RefusalError("bad_timezone", what, "timezone")
    begins, ends = (None if day is None else _midnight(day, zone) for day in days)
    asked = replace(question, timezone=zone, begins=begins, ends=ends)
    return CustomerWindows(zone, meter_usage(lake, asked))


def daily_usage_as_known(lake: Lake, tenant: str, customer: str, known_at: datetime) -> pl.DataFrame:
    """The customer's DAILY_USAGE by what was known at an instant.

    Raises:
        RefusalError: ``unknown_customer``.
    """
    terms = _terms(lake, tenant, customer, known_at)
    # What was replaced later counted then.
    usage = customer_usage(lake, tenant, [customer]).filter(as_known(known_at)).with_columns(known_until=None)
    return derive_daily_usage(usage, terms.history.meters)


def rows_after(rows: pl.DataFrame, columns: Sequence[str], place: Sequence[Any]) -> pl.DataFrame:
    """The rows in the order of these columns, those after a place in it; a place of None: all of them."""
    ordered = rows.sort(columns)
    if place[0] is None:
        return ordered
    later = pl.lit(value=False)
    for name, value in reversed(list(zip(columns, place, strict=True))):
        later = (pl.col(name) > value) | ((pl.col(name) == value) & later)
    return ordered.filter(later)


def _terms(lake: Lake, tenant: str, customer: str, known_at: datetime | None) -> CustomerTerms:
    facts = lake.scan(BILLING_FACTS_TABLE).filter(pl.col("tenant") == tenant).collect()
    terms = CustomerTerms.of(facts, [customer], known_at)
    if not terms.is_known:
        raise RefusalError("unknown_customer", f"no event has created a customer {customer[:60]!r}", "customer")
    return terms


def _midnight(day: date, zone: str) -> datetime:
    begun = local_midnight(pl.DataFrame({"timezone": [zone]}), pl.lit(day), "timezone", "begins")
    instant: datetime = begun["begins"][0]
    return instant
