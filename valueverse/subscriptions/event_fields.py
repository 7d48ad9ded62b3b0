"""Reading billing events: fields out of ``data``, the state of tenants and customers, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.schemas.events import REJECTED_EVENTS
from valueverse.schemas.subscriptions import TAX_STATUSES, TENANT_PROFILES
from valueverse.schemas.types import EXACT, INSTANT

if TYPE_CHECKING:
    from datetime import datetime

EVENT_ORDER = ("time", "received_at", "source", "id")
"""Order in which billing events take effect; the tail decides between events of the same instant, always alike."""

_TENANT_FIELDS = ("name", "timezone", "currency", "grace", "country", "tax_id", "address", "invoicing")
CUSTOMER_FIELDS = ("name", "email", "currency", "timezone", "country", "tax_rates", "metadata")


_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
DEFAULT_GRACE = 86_400


def known_events(facts: pl.DataFrame, known_at: datetime | None) -> pl.DataFrame:
    """The billing events that count as known at an instant (None: now), voided and replaced ones left out."""
    if known_at is None:
        return facts.filter(pl.col("known_until").is_null(), pl.col("data").is_not_null()).sort("tenant", *EVENT_ORDER)
    moment = pl.lit(known_at, INSTANT)
    return facts.filter(
        pl.col("received_at") <= moment,
        pl.col("known_until").is_null() | (pl.col("known_until") > moment),
        pl.col("data").is_not_null(),
    ).sort("tenant", *EVENT_ORDER)


def event_field(name: str) -> pl.Expr:
    """A field of ``data`` as text (an object or list as JSON text); null where it is absent or null."""
    return pl.col("data").str.json_path_match(f"$.{name}").alias(name)


def number_field(name: str) -> pl.Expr:
    """A numeric field of ``data`` as EXACT; null where it is absent or no number."""
    return exact_text(event_field(name)).alias(name)


def exact_text(text: pl.Expr) -> pl.Expr:
    """Text that ``money.exact`` took at ingestion as EXACT; like there, spaces around a number say nothing."""
    return text.str.strip_chars().cast(EXACT, strict=False)


def rejected_events(rows: pl.DataFrame, reason: str, message: pl.Expr) -> pl.DataFrame:
    """Rows of billing events as REJECTED_EVENTS."""
    if rows.is_empty():
        return REJECTED_EVENTS.to_frame()
    return rows.select(
        "tenant",
        "source",
        pl.col("id").alias("event_id"),
        "type",
        pl.lit(reason).alias("reason"),
        message.alias("message"),
        pl.col("time").alias("event_time"),
    ).cast(REJECTED_EVENTS)


def _latest(rows: pl.DataFrame, keys: list[str], fields: tuple[str, ...]) -> pl.DataFrame:
    """The last stated value of each field; an update that leaves a field out keeps it."""
    return rows.group_by(keys, maintain_order=True).agg(pl.col(name).drop_nulls().last() for name in fields)


def _seconds(duration: pl.Expr) -> pl.Expr:
    unit = duration.str.extract(r"^\d+ (second|minute|hour|day|week)s?$").replace_strict(
        _SECONDS, default=None, return_dtype=pl.Int64
    )
    return duration.str.extract(r"^(\d+) ").cast(pl.Int64) * unit


def tenants_of(facts: pl.DataFrame, plans: pl.DataFrame) -> pl.DataFrame:
    """Every tenant of the facts; zone, currency and grace are its catalog's until an event changes them."""
    tenant_facts = facts.filter(
        pl.col("type").is_in(["billing.tenant.created", "billing.tenant.updated"])
    ).with_columns(*(event_field(name) for name in _TENANT_FIELDS))
    stated = _latest(tenant_facts, ["tenant"], _TENANT_FIELDS)
    catalog = (
        plans.sort("effective_at", "plan", "version")
        .group_by("tenant", maintain_order=True)
        .agg(pl.col("timezone", "currency", "grace_seconds").last().name.prefix("catalog_"))
    )
    everyone = pl.concat([facts.select("tenant"), plans.select("tenant")]).unique(maintain_order=True)
    return (
        everyone.join(stated, on="tenant", how="left")
        .join(catalog, on="tenant", how="left")
        .select(
            "tenant",
            pl.coalesce("name", "tenant").alias("name"),
            pl.coalesce("timezone", "catalog_timezone", pl.lit("UTC")).alias("timezone"),
            pl.coalesce("currency", "catalog_currency", pl.lit("USD")).alias("currency"),
            pl.coalesce(_seconds(pl.col("grace")), "catalog_grace_seconds", DEFAULT_GRACE).alias("grace_seconds"),
            "country",
            "tax_id",
            "address",
            "invoicing",
        )
        .cast(TENANT_PROFILES)
        .sort("tenant")
    )


ADJUSTMENT_TYPES = (
    "billing.coupon.applied",
    "billing.coupon.removed",
    "billing.wallet.granted",
    "billing.wallet.purchased",
    "billing.wallet.voided",
    "billing.one_off.added",
    "billing.credit_note.issued",
    "billing.invoice.voided",
    "billing.payment.received",
    "billing.payment.failed",
    "billing.payment.refunded",
    "billing.cost.recorded",
)
"""Billing events that say nothing about who is on which plan: later modules read them."""


def _customer_events(facts: pl.DataFrame, fields: tuple[str, ...]) -> pl.DataFrame:
    return facts.filter(pl.col("type").is_in(["billing.customer.created", "billing.customer.updated"])).with_columns(
        event_field("customer"), *(event_field(name) for name in fields)
    )


def tax_statuses(facts: pl.DataFrame) -> pl.DataFrame:
    """What events state of a customer's taxes, and from when: TAX_STATUSES, in order of time.

    Args:
        facts: billing events known, in the order in which they take effect.
    """
    fields = ("country", "tax_rates")
    return (
        _customer_events(facts, fields)
        .with_columns(pl.col(name).forward_fill().over("tenant", "customer") for name in fields)
        .rename({"time": "since"})
        .select(TAX_STATUSES.names())
        .cast(TAX_STATUSES)
        .sort("since", maintain_order=True)
    )


def customers_of(facts: pl.DataFrame) -> pl.DataFrame:
    """Every customer: created, updated, or only named by a subscription (then its key is its name)."""
    customer_facts = _customer_events(facts, CUSTOMER_FIELDS)
    named = facts.filter(pl.col("type") == "billing.subscription.started").select("tenant", event_field("customer"))
    everyone = pl.concat([customer_facts.select("tenant", "customer"), named]).drop_nulls().unique(maintain_order=True)
    stated = _latest(customer_facts, ["tenant", "customer"], CUSTOMER_FIELDS)
    return (
        everyone.join(stated, on=["tenant", "customer"], how="left")
        .with_columns(pl.coalesce("name", "customer").alias("name"))
        .sort("tenant", "customer")
    )
