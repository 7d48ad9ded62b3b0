"""The billing step on a real warehouse: drafts, gapless finalised invoices, what is billed once, what is listed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl
import pytest

from tests.support.ledger import World, instant
from tests.support.warehouse_billing import (
    INVOICES,
    JANUARY,
    LATER,
    NOVEMBER,
    acme,
    rows,
    run,
    store,
)
from valueverse.invoicing.rendering.document_hash import chain_hash, content_hash
from valueverse.services.billing.run_billing import BillingReport, bill
from valueverse.services.lake_tables import BILLING_FACTS_TABLE

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def test_before_the_grace_is_over_an_invoice_is_a_draft_without_a_number(settings: Settings) -> None:
    run(acme(), settings, as_of=instant("2023-12-01T12:00:00+00:00"))
    assert rows(settings, "select distinct status, number, sequence from billing.invoice") == [("draft", None, None)]


def test_after_the_grace_numbers_are_gapless_and_chained(settings: Settings) -> None:
    run(acme(), settings, as_of=instant("2023-12-01T12:00:00+00:00"))
    run(acme(), settings)
    previous = None
    found = rows(settings, INVOICES)
    assert [row[1] for row in found] == list(range(1, 16))
    for number, sequence, status, document, content, before, chained in found:
        assert (number, status) == (f"acme-{sequence:06d}", "finalised")
        assert before == previous == json.loads(document)["previous_hash"]
        assert content == content_hash(json.loads(document))
        assert chained == chain_hash(content, number, previous)
        previous = chained


def test_running_again_changes_nothing(settings: Settings) -> None:
    run(acme(), settings)
    before = rows(settings, INVOICES)
    report = run(acme(), settings)
    assert report.invoices.is_empty()
    assert rows(settings, INVOICES) == before


def test_a_draft_is_computed_again_and_a_finalised_invoice_is_not(settings: Settings) -> None:
    world = acme(1)
    run(world, settings, as_of=instant("2023-12-01T12:00:00+00:00"))
    world.use("2023-11-06", "tokens", "100", customer="c0")
    run(world, settings)
    total = "select total_minor from billing.invoice order by period_from limit 1"
    assert rows(settings, total) == [(1200,)]
    world.use("2023-11-07", "tokens", "100", customer="c0", received_at=instant("2024-07-01"))
    run(world, settings)
    assert rows(settings, total) == [(1200,)]
    assert rows(settings, "select reason, events from billing.unbilled_usage") == [("period_open", 1)]


def test_a_one_off_and_a_coupon_are_booked_once_over_runs(settings: Settings) -> None:
    world = acme(1)
    world.record(
        "one_off.added", "2023-11-10", {"customer": "c0", "description": "d", "amount": "5", "currency": "USD"}
    )
    for as_of in ("2023-12-20", "2024-01-20", "2024-06-01"):
        run(world, settings, as_of=instant(as_of))
    assert rows(settings, "select kind, count(*) from billing.invoice_line where kind = 'one_off' group by 1") == [
        ("one_off", 1)
    ]


def test_every_usage_event_is_billed_or_unbilled(settings: Settings) -> None:
    world = acme()
    world.use("2023-11-20", "tokens", "1", customer="nobody")
    run(world, settings)
    assert rows(settings, "select sum(accepted), sum(billed), sum(unbilled) from billing.event_day") == [(6, 5, 1)]
    assert rows(settings, "select reason, customer, events from billing.unbilled_usage") == [
        ("no_subscription", "nobody", 1)
    ]


def test_a_run_for_other_tenants_leaves_a_tenant_alone(settings: Settings) -> None:
    lake = store(acme(), settings)
    report = bill(settings, lake, NOVEMBER, JANUARY, as_of=LATER, run_id="test", tenants=["somebody-else"])
    assert report.invoices.is_empty()
    assert rows(settings, "select count(*) from billing.invoice") == [(0,)]


def test_rejected_billing_events_are_listed_afresh(settings: Settings) -> None:
    world = acme(1)
    world.start("2023-11-02", subscription="s0", customer="c0")
    run(world, settings)
    run(world, settings)
    assert rows(settings, "select reason, event_id from billing.rejected_event") == [("already_started", "b2")]


def test_a_typo_in_a_customer_is_held_with_its_usage_until_the_customer_exists(settings: Settings) -> None:
    world = acme(1)
    world.start("2023-11-01", subscription="typo", customer="nobody")
    world.use("2023-11-07", "tokens", "300", customer="nobody")

    def bill_now(facts: pl.DataFrame) -> BillingReport:
        lake = store(world, settings)
        lake.overwrite(BILLING_FACTS_TABLE, facts)
        return bill(settings, lake, NOVEMBER, JANUARY, as_of=LATER, run_id="test")

    created = pl.col("source") == "customers"
    without = world.lake_facts().filter(~(created & (pl.col("id") == "nobody")))
    report = bill_now(without)
    assert set(report.invoices["customer"]) == {"c0"}
    assert report.rejected.select("reason").to_series().to_list() == ["unknown_customer"]
    listed = "select reason, message from billing.rejected_event"
    assert [reason for reason, _ in rows(settings, listed)] == ["unknown_customer"]
    days = "select accepted, billed, unbilled from billing.event_day order by day"
    assert rows(settings, days) == [(1, 1, 0), (1, 0, 1)]
    assert rows(settings, "select reason, customer, quantity from billing.unbilled_usage") == [
        ("no_subscription", "nobody", 300)
    ]
    # Created half a year later, it is billed from its start, usage included; nobody else's invoice changes.
    late = pl.when(created & (pl.col("id") == "nobody")).then(pl.lit(instant("2024-05-20")))
    whole = world.lake_facts()
    bill_now(
        whole.with_columns(
            late.otherwise(name).alias(name).cast(whole.schema[name]) for name in ("time", "received_at")
        )
    )
    found = rows(
        settings,
        "select customer, sum(total_minor), count(*) from billing.invoice where status = 'finalised'"
        " group by 1 order by 1",
    )
    assert found == [("c0", 3100, 3), ("nobody", 3300, 3)]
    assert rows(settings, days) == [(1, 1, 0), (1, 1, 0)]
    assert rows(settings, "select * from billing.rejected_event") == []


def test_the_plan_of_a_subscription_is_the_one_in_force(settings: Settings) -> None:
    plans = [{"key": unit, "period": {"unit": unit, "align": "calendar"}, "fees": []} for unit in ("year", "month")]
    world = World({"currency": "USD", "plans": plans})
    for name, start in (("runs", "2023-11-01"), ("over", "2023-11-01"), ("ahead", "2024-03-01")):
        begins = {"subscription": name, "customer": "c1", "plan": "year"}
        planned = {"subscription": name, "plan": "month", "effective": "period_end"}
        for kind, data in (("started", begins), ("changed", planned)):
            world.record(f"subscription.{kind}", start, data, received_at=instant("2023-11-01"))
    world.record("subscription.changed", "2023-11-20", {"subscription": "over", "plan": "month"})
    world.record("subscription.ended", "2023-11-25", {"subscription": "over"})
    for as_of, runs in (("2023-12-31", "year"), ("2024-01-01", "month")):
        run(world, settings, as_of=instant(as_of))
        found = dict(rows(settings, "select subscription, plan from billing.subscription"))
        assert found == {"runs": runs, "over": "month", "ahead": "year"}, as_of
