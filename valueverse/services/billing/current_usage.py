"""What a subscription's usage has come to in the period that runs: lines of the invoice that will close it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.platform.stores.customer_invoices import CustomerInvoices
from valueverse.platform.warehouse import connect
from valueverse.schemas.invoicing import CURRENT_USAGE
from valueverse.services.billing.next_invoices import CustomerTerms, next_invoices

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from valueverse.catalog import Meter, Plan
    from valueverse.platform.settings import Settings
    from valueverse.services.billing.customer_usage import UsageCache

_LINE = ("tenant", "key", "dimensions")


@dataclass(frozen=True)
class CurrentUsage:
    """What was used so far in a subscription's period, and what it costs as if it were billed now.

    Attributes:
        begins, ends: the period.
        issued_on: the day of the invoice that will close it.
        currency: of the amounts.
        lines: CURRENT_USAGE: charges without usage may be missing.
        plan: of the subscription now.
        meters: of the tenant's catalogs, by key.
    """

    begins: datetime
    ends: datetime
    issued_on: date
    currency: str
    lines: pl.DataFrame
    plan: Plan
    meters: Mapping[str, Meter]


def current_usage(
    settings: Settings, usage: UsageCache, facts: pl.DataFrame, customer: str, subscription: str, moment: datetime
) -> CurrentUsage:
    """The current usage of a customer's subscription, worked out by the engine that bills it.

    Args:
        settings: where lake and warehouse are; the warehouse is read as the API's login.
        usage: what is known of customers' usage.
        facts: the billing facts (BILLING_FACTS) of one tenant.
        customer: whose subscription.
        subscription: its key.
        moment: now.

    Raises:
        RefusalError: ``unknown_subscription``: no period of it runs; ``no_amount``: what is wrong with a price.
    """
    terms = CustomerTerms.of(facts, [customer])
    period = terms.running_period(subscription, moment)
    plan = None if period is None else terms.plan_of(subscription, moment)
    if period is None or plan is None:
        what = f"the customer {customer[:60]!r} has no subscription {subscription[:60]!r} that runs now"
        raise RefusalError("unknown_subscription", what, "external_subscription_id")
    begins, ends = period
    [tenant] = terms.timeline.tenants["tenant"]
    rows = usage.read(Lake(settings.lake_url), tenant, customer).rows
    with connect(settings, "api") as connection:
        store = CustomerInvoices(connection, "api", tenant, (customer,))
        billed = next_invoices(store, rows, terms, terms.next_day(ends), moment)
    own = (
        pl.col("tenant") == tenant,
        pl.col("subscription") == subscription,
        pl.col("invoice_type") == "period",
        pl.col("period_from") == begins,
    )
    problems = billed.problems.filter(pl.col("subscription") == subscription)
    for key, problem in problems.select("key", "problem").iter_rows():
        raise RefusalError("no_amount", f"line {key}: {problem}")
    lines = billed.lines.filter(*own, pl.col("kind") == "usage")
    # An invoice over nothing may be left out by the catalog's policy.
    issued = billed.invoices.filter(own)["issued_on"].to_list() or [terms.next_day(ends)]
    [currency] = terms.timeline.segments.filter(pl.col("subscription") == subscription)["currency"].tail(1)
    catalogs = terms.history.catalogs
    meters = {meter.key: meter for key in terms.history.versions["catalog_hash"] for meter in catalogs[key].meters}
    return CurrentUsage(begins, ends, issued[0], currency, _by_line(lines), plan, meters)


def _by_line(lines: pl.DataFrame) -> pl.DataFrame:
    # Where the plan changed within the period, a charge has a line for each stretch.
    found = lines.group_by(_LINE, maintain_order=True).agg(
        pl.col("meter").last(),
        pl.when(pl.col("quantity").null_count() == 0).then(pl.col("quantity").sum()),
        pl.col("event_count", "amount_minor", "tax_minor").sum(),
    )
    return CURRENT_USAGE.conform(found)
