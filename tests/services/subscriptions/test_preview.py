"""What a preview shows is what the billing run after the event bills; and what is listed."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tests.support.warehouse_billing import acme, rows, run
from valueverse.cli import app
from valueverse.platform.lake import Lake
from valueverse.platform.stores.customer_invoices import CustomerInvoices
from valueverse.platform.warehouse import connect
from valueverse.services.billing.customer_usage import customer_usage
from valueverse.services.subscriptions.account_events import (
    Account,
    change_subscription,
    end_subscription,
    read_account,
    start_subscription,
)
from valueverse.services.subscriptions.preview import Preview, preview

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.ledger import World
    from valueverse.platform.settings import Settings
    from valueverse.services.subscriptions.account_events import PlannedEvent

pytestmark = pytest.mark.integration

NOW = datetime(2024, 1, 5, tzinfo=UTC)
FEBRUARY = date(2024, 2, 1)
STORED = "select invoice_id::text, document from billing.invoice order by 1"
SHORT = {"customer": "c0", "plan": "pro", "ends_at": "2024-01-20"}
EVENTS: dict[str, Callable[[Account], PlannedEvent]] = {
    "start": lambda one: start_subscription(one, "s9", on="2024-01-10", fields=SHORT),
    "end": lambda one: end_subscription(one, "s1", on="2024-01-11"),
    "end in the past": lambda one: end_subscription(one, "s2", on="2023-11-16"),
    "change": lambda one: change_subscription(one, "s3", on="2024-01-16", fields={"plan": "max"}),
}


@pytest.fixture(scope="module")
def world(module_settings: Settings) -> World:
    """Five customers; November is final, December, with a one-off of c1, a draft, and January not billed yet."""
    world = acme(5)
    catalog = json.loads(world.facts[0]["data"])
    [pro] = catalog["plans"]
    catalog["plans"].append(pro | {"key": "max", "fees": [pro["fees"][0] | {"amount": "40"}]})
    world.facts[0]["data"] = json.dumps(catalog)
    one_off = {"customer": "c1", "description": "workshop", "amount": "7", "currency": "USD"}
    world.record("one_off.added", "2023-12-05", one_off)
    run(world, module_settings, datetime(2024, 1, 1, 6, tzinfo=UTC))
    return world


def account(settings: Settings) -> Account:
    return read_account(Lake(settings.lake_url), settings.landing, "acme", NOW)


def shown(settings: Settings, event: PlannedEvent, until: date | None = None) -> Preview:
    with connect(settings, "builder") as connection:
        store = CustomerInvoices(connection, tenant="acme", customers=(event.customer,))
        return preview(store, customer_usage(Lake(settings.lake_url), "acme", [event.customer]), event, NOW, until)


def totals(found: Preview) -> list[tuple[Any, ...]]:
    names = ("invoice_type", "before", "after", "difference")
    return [(f"{row['period_from']:%m-%d}", *map(row.get, names)) for row in found.rows if row["line"] is None]


def test_a_preview_shows_each_invoice_before_after_and_the_difference(module_settings: Settings, world: World) -> None:
    now = account(module_settings)
    assert totals(shown(module_settings, EVENTS["end"](now))) == [
        ("12-01", "period", "17.00", "17.00", "0.00"),
        ("01-01", "period", "10.00", "3.23", "-6.77"),
        ("02-01", "period", "10.00", "0.00", "-10.00"),
    ]
    changed = shown(module_settings, EVENTS["change"](now), FEBRUARY)
    assert [(row["line"], row["after"]) for row in changed.rows] == [
        (None, "10.00"), (None, "25.49"), ("base", "25.49"),
    ]  # fmt: skip


def test_what_holds_an_invoice_back_is_shown(module_settings: Settings, world: World) -> None:
    wrong = SHORT | {"overrides": {"trial": {"days": "x"}}}
    event = start_subscription(account(module_settings), "s9", on="2024-01-10", fields=wrong)
    found = shown(module_settings, event, FEBRUARY)
    assert found.held == ["s9, line base: bad_overrides", "s9, line usage: bad_overrides"]


def test_customers_and_subscriptions_are_listed_with_those_that_wait(module_settings: Settings, world: World) -> None:
    def listed(kind: str) -> list[dict[str, Any]]:
        asked = [kind, "list", "--tenant", "acme", "--json"]
        done = CliRunner().invoke(app, asked, env=module_settings.environment(), catch_exceptions=False)
        return [json.loads(line) for line in done.stdout.splitlines()]

    assert [(one["customer"], one["subscriptions"]) for one in listed("customers")] == [(f"c{n}", 1) for n in range(5)]
    path, _ = EVENTS["start"](account(module_settings)).deliver(module_settings)
    try:
        found = [(one["subscription"], one["status"]) for one in listed("subscriptions")]
    finally:
        path.unlink()
        path.parent.rmdir()
    assert found == [*((f"s{number}", "active") for number in range(5)), ("s9", "waiting")]


def test_previews_write_nothing_and_show_what_the_run_after_their_events_bills(
    module_settings: Settings, world: World
) -> None:
    stored, expected = rows(module_settings, STORED), {}
    for plan in EVENTS.values():
        event = plan(account(module_settings))
        found = totals(shown(module_settings, event, FEBRUARY))
        expected[event.customer] = sorted((kind, after) for _, kind, _, after, _ in found if after != "0.00")
        stated = event.event
        kind = stated["type"].removeprefix("billing.")
        world.record(kind, stated["time"], stated["data"], received_at=NOW, id=stated["id"])
    assert (rows(module_settings, STORED), list(module_settings.landing.iterdir())) == (stored, [])
    assert ("correction", "-5.00") in expected["c2"]
    world.use("2024-01-05", "tokens", "1", customer="nobody")  # what was received by then is known
    run(world, module_settings)
    billed = rows(
        module_settings,
        "select customer, invoice_type, total_minor / 100.0 from billing.invoice "
        "where finalised_at > '2024-01-06' and total_minor <> 0",
    )
    assert expected == {
        customer: sorted((kind, f"{total:.2f}") for one, kind, total in billed if one == customer)
        for customer in expected
    }
