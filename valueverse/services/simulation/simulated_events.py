"""Which tenant an event belongs to that names none, and what a simulation made of all the events it was given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from valueverse.errors import near_names
from valueverse.events import TENANT_KEY, validate_events
from valueverse.invoicing import BILLED, account_usage, with_terms
from valueverse.schemas.types import INSTANT
from valueverse.subscriptions import CUSTOMER_TYPES, LAST_YEAR, event_field, starts_of_unknown_customers

if TYPE_CHECKING:
    from valueverse.catalog import CatalogHistory
    from valueverse.services.event_tally import Tally
    from valueverse.subscriptions import Timeline

DEFAULT_TENANT = "tenant"
"""Tenant of events where none names one."""
_ALWAYS = datetime(LAST_YEAR, 12, 31, tzinfo=UTC)
_BILLING = pl.col("type").str.starts_with("billing.")
_MOST_COMPARED = 5_000
"""Names among which one that is like another is looked for."""
_STRANGER = (
    "billed here, and held by a billing run: subscription {!r} (event {!r} of source {!r}), since no event creates its "
    "customer {!r}{}: send billing.customer.created, or correct the key"
)
"""Files may hold a part of a log: what it does not say is no reason to bill nothing."""


def with_tenants(lines: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Lines with a tenant each, and a sentence about those that name none ('' where every line names one).

    The one tenant that other lines name is meant; with several the line is refused, and where nobody is named it is
    DEFAULT_TENANT.

    Args:
        lines: PARSED_LINES; ``tenant`` null where neither the line nor its folder names one.
    """
    own = pl.col("type").is_in(["billing.tenant.created", "billing.tenant.updated"]) & pl.col("tenant").is_null()
    stated = pl.when(own).then(pl.col("data").str.json_path_match("$.tenant"))
    lines = lines.with_columns(pl.coalesce("tenant", stated).alias("tenant"))
    good = pl.col("reason").is_null()
    nameless = lines.filter(good, pl.col("tenant").is_null()).height
    names = lines.filter(good, pl.col("tenant").str.contains(TENANT_KEY))["tenant"].unique().sort().to_list()
    meant = names[0] if len(names) == 1 else DEFAULT_TENANT
    if nameless and len(names) > 1:
        listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        message = f"the event names no tenant, and others name several ({listed}): add 'tenant' to it"
        unclear = good & pl.col("tenant").is_null()
        values = {"reason": "unknown_tenant", "message": message, "path": "tenant"}
        lines = lines.with_columns(
            pl.when(unclear).then(pl.lit(value)).otherwise(name).alias(name) for name, value in values.items()
        )
        nameless = 0
    why = "the only one that is named" if names else "since none is named"
    sentence = f"{nameless} events name no tenant: they are taken for those of {meant!r}, {why}" if nameless else ""
    return lines.with_columns(pl.col("tenant").fill_null(meant)), sentence


def judged_lines(part: pl.DataFrame, tenant: str, received_at: datetime) -> pl.DataFrame:
    """Lines of one tenant as ingestion judges them, and the tenant's name itself, which no folder has shown to be one.

    Args:
        part: PARSED_LINES with ``stated``: what a line of the tenant's folder names itself, which must be the same.
        tenant: whose lines they are.
        received_at: when.
    """
    named = part.with_columns(pl.coalesce("stated", "tenant").alias("tenant"))
    checked = validate_events(named, tenant, pl.lit(received_at)).with_columns(pl.lit(tenant).alias("tenant"))
    odd = pl.col("reason").is_null() & ~pl.col("tenant").str.contains(TENANT_KEY)
    message = pl.format("'{}' is not a tenant key: up to 63 of a-z, 0-9, '_', '.', '-'", pl.col("tenant").str.head(40))
    return checked.with_columns(
        pl.when(odd).then(pl.lit("unknown_tenant")).otherwise("reason").alias("reason"),
        pl.when(odd).then(message).otherwise("message").alias("message"),
    )


def count_usage(
    tally: Tally, usage: pl.DataFrame, timeline: Timeline, history: CatalogHistory, booked: pl.DataFrame
) -> None:
    """Leave out the usage events that no invoice took.

    Args:
        booked: tenant, subscription, period_from, period_to, events_known_at (null: every event counted) of the
            invoices of periods.
    """
    segments, terms = with_terms(timeline, history)
    known = booked.with_columns(pl.col("events_known_at").fill_null(pl.lit(_ALWAYS)).cast(INSTANT))
    outcomes = account_usage(usage, segments, timeline.segments, known, terms).filter(pl.col("outcome") != BILLED)
    counted = outcomes.group_by("outcome").agg(
        pl.len(), pl.col("customer", "meter", "day").sort_by("day", "customer", "meter").first()
    )
    for outcome, events, customer, meter, day in counted.sort("outcome").iter_rows():
        meant = f", meter {meter!r}" if meter else ""
        tally.leave_out(outcome, events, f"customer {customer!r}{meant} on {day}")


def count_billing(
    tally: Tally, log: pl.DataFrame, facts: pl.DataFrame, rejected: pl.DataFrame, known: datetime | None
) -> None:
    """Leave out the billing events that were void, amended, rejected, or published a catalog, as ``known`` then."""
    key = ["tenant", "source", "id"]
    billing = log.filter(_BILLING)
    catalogs = pl.col("type") == "billing.catalog.published"
    in_force = pl.col("known_until").is_null() | (pl.col("known_until") > pl.lit(known, INSTANT)).fill_null(value=False)
    parts = {
        "catalog_given": billing.filter(catalogs),
        "void": billing.filter(~catalogs).join(facts.filter(in_force), on=key, how="anti"),
    }
    refused = rejected.rename({"event_id": "id"}).unique(key, keep="first", maintain_order=True)
    own = billing.join(refused.select(*key, "reason"), on=key)
    parts |= {str(reason): part for (reason,), part in own.group_by("reason", maintain_order=True)}
    for reason, part in parts.items():
        if not part.is_empty():
            tally.leave_out(reason, part.height, f"{part['type'][0]} {part['id'][0]!r} of source {part['source'][0]!r}")


def starts_without_customer(facts: pl.DataFrame, shown: int) -> list[str]:
    """A sentence for each subscription whose customer no event creates; the first ``shown`` name who may be meant."""
    unknown = starts_of_unknown_customers(facts).unique(["tenant", "subscription", "customer"], maintain_order=True)
    created = facts.filter(pl.col("type").is_in(CUSTOMER_TYPES)).select("tenant", event_field("customer").alias("name"))
    names: dict[str, list[str]] = dict(
        created.group_by("tenant").agg(pl.col("name").drop_nulls().unique().sort()).iter_rows()
    )
    rows = unknown.select("subscription", "id", "source", "customer", "tenant").rows()
    return [
        _STRANGER.format(*event, customer, _meant(customer, names.get(tenant, [])) if place < shown else "")
        for place, (*event, customer, tenant) in enumerate(rows)
    ]


def _meant(customer: str, known: list[str]) -> str:
    near = near_names(customer, known) if len(known) <= _MOST_COMPARED else []
    return f" (did you mean {near[0]!r}?)" if near else ""
