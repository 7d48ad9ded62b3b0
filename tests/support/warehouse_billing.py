"""Billing runs of a small world on a warehouse and a lake of a test's own."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from tests.support.ledger import World
from valueverse.catalog.document import Catalog, parse_catalog
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.billing.run_billing import BillingReport, bill
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, EVENTS_TABLE, USAGE_TABLE

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

NOVEMBER, JANUARY = date(2023, 11, 1), date(2024, 1, 1)
LATER = datetime(2024, 6, 1, tzinfo=UTC)
INVOICES = (
    "select number, sequence, status, document, content_hash, previous_hash, chain_hash "
    "from billing.invoice order by sequence"
)
CORRECTED = "select kind, amount_minor from billing.invoice_line where corrected_invoice_id is not null"


def acme(customers: int = 5) -> World:
    """Customers with a fee of 10.00 a month and, in November, 100 tokens at 0.01 each."""
    meter = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
    charge = {"key": "usage", "meter": "tokens", "price": {"model": "standard", "unit": "0.01"}}
    fee = {"key": "base", "amount": "10", "timing": "in_arrears"}
    plan = {"key": "pro", "period": {"align": "calendar"}, "fees": [fee], "charges": [charge]}
    world = World({"currency": "USD", "meters": [meter], "plans": [plan]})
    for number in range(customers):
        world.start("2023-11-01", subscription=f"s{number}", customer=f"c{number}")
        world.use("2023-11-05", "tokens", "100", customer=f"c{number}")
    return world


def store(world: World, settings: Settings) -> Lake:
    """A lake with the world's billing facts, usage and events."""
    lake = Lake(settings.lake_url)
    usage = world.usage_frame()
    lake.overwrite(BILLING_FACTS_TABLE, world.lake_facts())
    lake.replace_dates(USAGE_TABLE, usage, usage["event_date"].unique().to_list())
    shared = [name for name in EVENTS_TABLE.schema if name in usage.columns]
    events = usage.select(shared).with_columns(usage["event_type"].alias("type"))
    missing = {name: None for name in EVENTS_TABLE.schema if name not in events.columns}
    lake.overwrite(EVENTS_TABLE, events.with_columns(**missing))
    return lake


def run(world: World, settings: Settings, as_of: datetime = LATER, first: date = NOVEMBER) -> BillingReport:
    """Store the world, then bill the months up to January."""
    return bill(settings, store(world, settings), first, JANUARY, as_of=as_of, run_id="test")


def know_tenant(settings: Settings) -> None:
    """Make the tenant known, for what needs no billing run."""
    with connect(settings, "builder") as connection:
        connection.execute(
            "insert into billing.tenant (tenant_id, name, timezone, currency) values ('acme', 'acme', 'UTC', 'USD') "
            "on conflict do nothing"
        )


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    with connect(settings, "builder") as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]  # a literal of a test


def dearer(unit: str = "0.02") -> Catalog:
    """The catalog of ``acme`` with another price of a token."""
    world = acme(0)
    document = json.loads(world.facts[0]["data"])
    document["plans"][0]["charges"][0]["price"]["unit"] = unit
    return parse_catalog(document)
