"""What customers would be invoiced next: the engine on what is known of them, and on what is finalised already.

Reads the warehouse by the functions that the API may call too, and the lake; writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog import CatalogHistory
from valueverse.invoicing import (
    Billed,
    BilledRows,
    PriorState,
    ReceivedChanges,
    bill,
    build_billing_context,
    derive_prior_state,
    issued_invoices,
    last_close,
    next_close,
    plan_at,
    recomputed_invoices,
    running_period,
)
from valueverse.schemas.metering import USAGE
from valueverse.subscriptions import SUBSCRIPTION_STARTED, build_timeline, event_field, local_date, local_midnight

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from valueverse.catalog import Plan
    from valueverse.platform.stores.customer_invoices import CustomerInvoices
    from valueverse.subscriptions import Timeline


@dataclass(frozen=True)
class CustomerTerms:
    """Billing facts (BILLING_FACTS) of a tenant's customers, and what they come to.

    Attributes:
        customers: their keys.
        facts: those of the tenant without other customers'.
        history: the tenant's catalogs.
        timeline: of the facts.
    """

    customers: tuple[str, ...]
    facts: pl.DataFrame
    history: CatalogHistory
    timeline: Timeline

    @classmethod
    def of(cls, facts: pl.DataFrame, customers: Sequence[str], known_at: datetime | None = None) -> CustomerTerms:
        """The terms of customers by the facts of their tenant; ``known_at``: as known then."""
        mine = _of_customers(facts, customers)
        if known_at is not None:
            mine = mine.filter(pl.col("received_at") <= known_at)
        history = CatalogHistory.from_facts(mine, known_at)
        return cls(tuple(customers), mine, history, build_timeline(mine, history.plans, known_at))

    @property
    def is_known(self) -> bool:
        """Whether events have created the customers."""
        return set(self.customers) <= set(self.timeline.customers["customer"])

    @property
    def zones(self) -> list[str | None]:
        """Time zones of the customers and of the tenant."""
        owners = (self.timeline.customers.filter(pl.col("customer").is_in(self.customers)), self.timeline.tenants)
        return [zone for owner in owners for zone in owner["timezone"]]

    def next_close(self, moment: datetime) -> datetime | None:
        """When the next of the customers' periods closes, or begins; None: none does."""
        return next_close(self.timeline.segments, self.timeline.tenants, moment)

    def last_close(self, moment: datetime) -> datetime | None:
        """When the last of the customers' periods closes that run now; None: none does."""
        return last_close(self.timeline.segments, self.timeline.tenants, moment)

    def running_period(self, subscription: str, moment: datetime) -> tuple[datetime, datetime] | None:
        """The period [from, to) of one of the customers' subscriptions that runs at an instant; None: none does."""
        own = self.timeline.segments.filter(pl.col("customer").is_in(self.customers))
        return running_period(own, self.timeline.tenants, subscription, moment)

    def plan_of(self, subscription: str, moment: datetime) -> Plan | None:
        """The plan that a subscription is billed on at an instant, its overrides applied; None: on none."""
        context = build_billing_context(self.timeline, self.history, USAGE.to_frame(eager=False), None)
        [tenant] = self.timeline.tenants["tenant"]
        return plan_at(context, tenant, subscription, moment)

    def next_day(self, close: datetime) -> date:
        """The tenant's first day that begins once a period has closed at ``close``."""
        tenants = self.timeline.tenants
        dated = local_date(tenants, pl.lit(close), "timezone", "day")
        begins = local_midnight(dated, pl.col("day"), "timezone", "begins")
        day: date = begins["day"][0]
        return day if begins["begins"][0] == close else day + timedelta(days=1)


def next_invoices(
    store: CustomerInvoices, usage: pl.DataFrame, terms: CustomerTerms, until: date, moment: datetime
) -> Billed:
    """The customers' invoices that are not final and close by the beginning of ``until``.

    Args:
        store: what is finalised.
        usage: the customers'.
        terms: the customers'.
        until: a day of the tenant.
        moment: what was received later is not known, and what is approved later is not approved.
    """
    if terms.facts.is_empty():
        raise ValueError("nothing is known of the tenant")
    rows = BilledRows(store.invoices(), store.lines(), *store.deductions(), *store.recomputed())
    received = usage.filter(pl.col("received_at") <= moment)
    known_at = dict.fromkeys(terms.timeline.tenants["tenant"], _known_at(terms.facts, received, rows.invoices, moment))
    prior = _prior_state(store, rows, received.lazy(), terms, known_at)
    first: datetime = terms.facts.select("time").min().item()
    begins = min(first.date(), until) - timedelta(days=2)
    ends = local_midnight(terms.timeline.tenants, pl.lit(until), "timezone", "closing").select("closing")
    billed = bill(
        terms.timeline, terms.history, received.lazy(), (begins, until), known_at=known_at,
        closed_by=ends.max().item(), prior=prior, outcomes=store.proposals(moment),
    )  # fmt: skip
    own = pl.col("customer").is_in(terms.customers)
    parts = {name: getattr(billed, name).filter(own) for name in ("invoices", "lines", "problems")}
    return replace(billed, **parts)


def held_lines(problems: pl.DataFrame) -> dict[str, list[str]]:
    """Sentences about lines that have no amount (``Billed.problems``), and so hold their invoices back, by customer."""
    sentence = pl.format("{}, line {}: {}", "subscription", "key", "problem").alias("sentence")
    rows = problems.group_by("tenant", "customer", maintain_order=True).agg(sentence)
    return dict(rows.select("customer", "sentence").iter_rows())


def _known_at(facts: pl.DataFrame, usage: pl.DataFrame, invoices: pl.DataFrame, moment: datetime) -> datetime:
    """When the newest of what the customers are billed by was received: the same until something new is."""
    columns = [frame[name] for frame in (facts, usage) for name in ("received_at", "known_until")]
    newest = pl.concat([column.drop_nulls() for column in [*columns, invoices["events_known_at"]]])
    known: datetime = newest.filter(newest <= moment).to_frame().max().item()
    return known


def _prior_state(
    store: CustomerInvoices,
    rows: BilledRows,
    usage: pl.LazyFrame,
    terms: CustomerTerms,
    known_at: dict[str, datetime],
) -> PriorState:
    rerated = store.reratings()
    changes = ReceivedChanges(usage, terms.history.meters, terms.facts, max(known_at.values()), rerated)
    issued = issued_invoices(rows)
    recompute = recomputed_invoices(issued, changes)
    whole = rows.with_lines(store.lines(recompute["invoice_id"].to_list()))
    return derive_prior_state(whole, issued, recompute, rerated)


def _of_customers(facts: pl.DataFrame, customers: Sequence[str]) -> pl.DataFrame:
    """The tenant's facts without those of other customers and their subscriptions: invoices are of one customer."""
    named = facts.with_columns(event_field("customer"), event_field("subscription"))
    mine = pl.col("customer").is_in(list(customers))
    started = named.filter(pl.col("type") == SUBSCRIPTION_STARTED, mine)["subscription"]
    own = pl.col("customer").is_null() & (
        pl.col("subscription").is_null() | pl.col("subscription").is_in(started.to_list())
    )
    return named.filter(mine | own).select(facts.columns)
