"""Two tenants with meters, prices and usage in the lake, for those who read usage as other systems' clients do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from tests.support.ledger import World
from valueverse.platform.lake import Lake
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, USAGE_TABLE

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

LARGE = "12345678901234567890.123456789"
"""Digits that a float cannot hold."""


def month_begins() -> datetime:
    """When the month began that runs: a subscription's period too."""
    return datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _world(tenant: str, customer: str, subscription: str) -> World:
    meters = [
        {"key": "tokens", "event_type": "call", "aggregation": "sum", "value": "n", "dimensions": ["model", "at.zone"]},
        {"key": f"calls_of_{tenant}", "event_type": "call", "aggregation": "count"},
        {"key": "users", "event_type": "call", "aggregation": "unique_count", "value": "user"},
    ]
    charges = [
        {
            "key": "tokens",
            "name": "Tokens",
            "meter": "tokens",
            "split_by": ["model"],
            "price": {
                "model": "graduated",
                "tiers": [{"up_to": "100", "unit": "0.10"}, {"up_to": None, "unit": "0.05"}],
            },
        },
        {"key": "calls", "meter": f"calls_of_{tenant}", "price": {"model": "standard", "unit": "1"}},
    ]
    fee = {"key": "base", "amount": "10", "timing": "in_arrears"}
    plan = {"key": "pro", "period": {"align": "calendar"}, "fees": [fee], "charges": charges}
    taxes = [{"key": "vat", "percent": "20"}]
    catalog = {"currency": "EUR", "timezone": "UTC", "meters": meters, "plans": [plan], "taxes": taxes}
    world = World(catalog, tenant=tenant)
    world.start("2024-01-01", subscription=subscription, customer=customer)
    return world


def metered_world(settings: Settings) -> None:
    """acme's customers c1 (subscription s1) and c2, birch's b1 (t1): usage in spring 2024, and c1's and b1's in the
    month that runs."""
    acme, birch = _world("acme", "c1", "s1"), _world("birch", "b1", "t1")
    for time, customer, model, value, user in (
        ("2024-03-30T23:30:00+00:00", "c1", "a", "1", "ann"),
        ("2024-03-31T00:15:30+00:00", "c1", "b", "2.5", "bob"),
        ("2024-03-31T22:00:00+00:00", "c2", "a", "4", "ann"),
        ("2024-04-30T22:30:00+00:00", "c2", None, LARGE, "cem"),
    ):
        text = json.dumps({"at.zone": "z"} | ({"model": model} if model else {}), separators=(",", ":"))
        acme.use(time, "tokens", value, customer=customer, dimensions=text)
        acme.use(time, "users", None, customer=customer, text_value=user)
    now = (month_begins() + timedelta(microseconds=1)).isoformat()
    for model, value in (("a", "150"), ("a", "50"), ("b", "10")):
        acme.use(now, "tokens", value, dimensions=json.dumps({"model": model}, separators=(",", ":")))
    acme.use(now, "calls_of_acme", "1")
    birch.use(now, "tokens", "7", customer="b1")
    lake = Lake(settings.lake_url)
    lake.overwrite(BILLING_FACTS_TABLE, pl.concat([acme.lake_facts(), birch.lake_facts()]))
    usage = pl.concat([acme.usage_frame(), birch.usage_frame()])
    lake.replace_dates(USAGE_TABLE, usage, usage["event_date"].unique().to_list())
