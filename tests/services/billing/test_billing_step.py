"""The billing step on a real warehouse: drafts, gapless finalised invoices, again, in parallel and after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from tests.support.ledger import World, instant
from valueverse.catalog.document import Catalog, parse_catalog
from valueverse.errors import RefusalError
from valueverse.invoicing.rendering.document_hash import chain_hash, content_hash
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.billing import rerate
from valueverse.services.billing.explain import explain_event, explain_invoice
from valueverse.services.billing.reproducibility_check import reproduce
from valueverse.services.billing.rerate import RerateRequest
from valueverse.services.billing.run_billing import BillingReport, bill
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, EVENTS_TABLE, USAGE_TABLE

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]
NOVEMBER, JANUARY = date(2023, 11, 1), date(2024, 1, 1)
LATER = datetime(2024, 6, 1, tzinfo=UTC)


def acme(customers: int = 5) -> World:
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
    return bill(settings, store(world, settings), first, JANUARY, as_of=as_of, run_id="test")


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with connect(settings, "builder") as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


INVOICES = (
    "select number, sequence, status, document, content_hash, previous_hash, chain_hash "
    "from billing.invoice order by sequence"
)


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


def test_a_draft_is_computed_anew_and_a_finalised_invoice_is_not(settings: Settings) -> None:
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


CORRECTED = "select kind, amount_minor from billing.invoice_line where corrected_invoice_id is not null"


def test_what_comes_late_is_a_difference_on_the_next_invoice_and_accounted_for(settings: Settings) -> None:
    world = acme(1)
    first = instant("2023-12-20T00:00:00+00:00")
    run(world, settings, as_of=first)
    world.use("2023-11-07", "tokens", "250", customer="c0", received_at=instant("2023-12-25"))
    run(world, settings, as_of=first)
    assert rows(settings, "select reason, events from billing.unbilled_usage") == [("period_open", 1)]
    for _ in range(2):
        run(world, settings)
        assert rows(settings, CORRECTED) == [("adjustment", 250)]
        assert rows(settings, "select reason, events from billing.unbilled_usage") == []
    assert rows(settings, "select total_minor from billing.invoice order by sequence") == [(1100,), (1250,), (1000,)]


def test_finalised_invoices_are_worked_out_again_to_the_same_hash_adjustments_included(settings: Settings) -> None:
    world = acme(2)
    paid = {"customer": "c0", "wallet": "w", "amount": "15", "currency": "USD"}
    world.tell("wallet.purchased", "2023-11-02", paid)
    run(world, settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    world.use("2023-11-07", "tokens", "250", customer="c0", received_at=instant("2023-12-25"))
    run(world, settings)
    months = [date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1)]
    found = reproduce(settings, Lake(settings.lake_url), months)
    assert found.height == 5
    assert found["ok"].all()
    adjusted = rows(settings, "select number from billing.invoice join billing.invoice_line using (invoice_id) "
                    "where corrected_invoice_id is not null")  # fmt: skip
    assert adjusted[0][0] in found["number"].to_list()


def test_an_invoice_of_another_zone_than_the_tenants_comes_out_again(settings: Settings) -> None:
    world = acme(1)
    world.tell("tenant.created", "2023-10-01", {"tenant": "acme", "timezone": "Pacific/Auckland"})
    world.tell("customer.created", "2023-10-01", {"customer": "c0", "timezone": "Europe/Berlin"})
    run(world, settings)
    found = reproduce(settings, Lake(settings.lake_url), [date(2023, 12, 1)])
    assert found["ok"].to_list() == [True]


def test_an_invoice_that_does_not_come_out_again_is_told(settings: Settings) -> None:
    world = acme(1)
    run(world, settings)
    world.usage.clear()
    world.use("2023-11-05", "tokens", "99", customer="c0")
    found = reproduce(settings, store(world, settings), [NOVEMBER])
    assert found["ok"].to_list() == [False]


def test_a_voided_invoice_is_billed_again_under_the_next_number_and_gives_its_credits_back(settings: Settings) -> None:
    world = acme(1)
    paid = {"customer": "c0", "wallet": "w", "amount": "11", "currency": "USD"}
    world.tell("wallet.purchased", "2023-11-02", paid)
    run(world, settings)
    world.tell("invoice.voided", "2024-06-02", {"invoice": "acme-000001", "reason": "wrong"})
    world.tell("invoice.voided", "2024-06-02", {"invoice": "acme-000009", "reason": "wrong"})
    for _ in range(2):
        run(world, settings)
        found = rows(
            settings, "select number, revision, total_minor, credit_total_minor from billing.invoice order by 1"
        )
        assert found == [
            ("acme-000001", 0, 1100, 1100),
            ("acme-000002", 0, 1000, 0),
            ("acme-000003", 0, 1000, 0),
            ("acme-000004", 1, 1100, 1100),
        ]
        assert rows(settings, "select reason from billing.rejected_event") == [("unknown_invoice",)]


def test_what_corrected_an_invoice_is_taken_back_when_it_is_voided_and_billed_again(settings: Settings) -> None:
    world = acme(1)
    run(world, settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    world.use("2023-11-07", "tokens", "250", customer="c0", received_at=instant("2023-12-25"))
    run(world, settings)
    world.tell("invoice.voided", "2024-06-02", {"invoice": "acme-000001", "reason": "wrong"})
    for _ in range(2):
        run(world, settings)
        lines = (
            "select kind, amount_minor from billing.invoice_line join billing.invoice using (tenant_id, invoice_id) "
            "where number = 'acme-000004' order by line_no"
        )
        assert rows(settings, lines) == [
            ("fee", 1000),
            ("usage", 350),
            ("adjustment", -250),
        ]
        assert rows(settings, "select count(*) from billing.invoice") == [(4,)]


def test_a_correction_whose_invoice_was_voided_is_booked_again(settings: Settings) -> None:
    world = acme(1)
    run(world, settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    world.use("2023-11-07", "tokens", "250", customer="c0", received_at=instant("2023-12-25"))
    run(world, settings)
    world.tell("invoice.voided", "2024-06-02", {"invoice": "acme-000002", "reason": "wrong"})
    run(world, settings)
    totals = "select number, total_minor from billing.invoice order by sequence"
    assert rows(settings, totals)[-1] == ("acme-000004", 1250)


def test_a_credit_note_by_number_pays_the_next_invoice_once(settings: Settings) -> None:
    world = acme(1)
    run(world, settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    note = {"invoice": "acme-000001", "amount": "4", "reason": "outage"}
    world.tell("credit_note.issued", "2023-12-21", note, id="note-1")
    for _ in range(2):
        run(world, settings)
        found = rows(settings, "select credit_total_minor from billing.invoice order by sequence")
        assert found == [(0,), (400,), (0,)]
    assert rows(settings, "select number, customer, amount from billing.credit_note") == [("acme-000001", "c0", 4)]
    assert rows(settings, "select kind, key, amount_minor from billing.invoice_credit") == [
        ("credit_note", "note-1", 400)
    ]


def test_a_one_off_and_a_coupon_are_booked_once_over_runs(settings: Settings) -> None:
    world = acme(1)
    world.tell("one_off.added", "2023-11-10", {"customer": "c0", "description": "d", "amount": "5", "currency": "USD"})
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


SCRIPT = """
import os, signal, sys
from datetime import UTC, date, datetime
from valueverse.services.usage import usage_accounting as account
from valueverse.services.billing import run_billing as step
from valueverse.platform.lake import Lake
from valueverse.platform.settings import get_settings
moment = sys.argv[1]
store = step.store if hasattr(step.store, moment) else account.store
original = getattr(store, moment, None)
def die(*args, **kwargs):
    original(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
if original is not None:
    setattr(store, moment, die)
settings = get_settings()
step.bill(settings, Lake(settings.lake_url), date(2023, 11, 1), date(2024, 1, 1),
          as_of=datetime(2024, 6, 1, tzinfo=UTC), run_id="child")
"""


def child(settings: Settings, moment: str) -> subprocess.Popen[bytes]:
    environment = os.environ | settings.environment()
    return subprocess.Popen([sys.executable, "-c", SCRIPT, moment], cwd=ROOT, env=environment)


@pytest.mark.parametrize(
    "moment", ["lock_tenants", "drop_drafts", "insert_invoices", "advance_sequences", "replace_days", "mark"]
)
def test_a_run_killed_at_any_point_leaves_no_gap_no_double_and_no_half(settings: Settings, moment: str) -> None:
    store(acme(), settings)
    assert child(settings, moment).wait(120) == -signal.SIGKILL
    assert rows(settings, "select count(*) from billing.invoice") == [(0,)]
    run(acme(), settings)
    assert [row[1] for row in rows(settings, INVOICES)] == list(range(1, 16))


def test_two_runs_at_once_take_turns(settings: Settings) -> None:
    store(acme(), settings)
    both = [child(settings, "nothing"), child(settings, "nothing")]
    assert [one.wait(120) for one in both] == [0, 0]
    assert [row[1] for row in rows(settings, INVOICES)] == list(range(1, 16))


def _dearer(unit: str = "0.02") -> Catalog:
    world = acme(0)
    document = json.loads(world.facts[0]["data"])
    document["plans"][0]["charges"][0]["price"]["unit"] = unit
    return parse_catalog(document)


def test_a_re_rating_plan_shows_the_difference_and_applying_it_books_it_once(settings: Settings) -> None:
    world = acme(2)
    first = instant("2023-12-20T00:00:00+00:00")
    run(world, settings, as_of=first)
    lake = Lake(settings.lake_url)
    asked = RerateRequest(("acme",), date(2023, 11, 1), date(2023, 12, 31), (), _dearer())
    shown = rerate.plan(settings, lake, asked, as_of=first)[0]
    assert [(row["customer"], row["invoice"], row["difference"]) for row in shown["rows"]] == [
        ("c0", "acme-000001", "1.00"),
        ("c1", "acme-000002", "1.00"),
    ]
    assert rows(settings, CORRECTED) == []
    assert rerate.apply(settings, lake, shown, asked, as_of=first) == 2
    for _ in range(2):
        run(world, settings)
        assert rows(settings, CORRECTED) == [("adjustment", 100)] * 2
    found = reproduce(settings, lake, [date(2023, 12, 1)])
    assert found["ok"].all()


def test_a_fee_that_is_not_due_any_more_is_given_back_with_the_tax_that_its_document_shows(settings: Settings) -> None:
    plans = [
        {"key": key, "period": {"align": "calendar"}, "taxes": ["vat"], "fees": [{"key": fee, "amount": amount}]}
        for key, fee, amount in (("pro", "base", "100"), ("basic", "low", "40"))
    ]
    world = World({"plans": plans, "taxes": [{"key": "vat", "percent": "19"}]})
    world.tell("customer.created", "2023-10-30", {"customer": "c0"})
    world.start("2023-11-01", subscription="s0", customer="c0")
    world.use("2023-11-05", "tokens", "100", customer="c0")
    said = {"customer": "c0", "description": "help", "amount": "50", "currency": "USD"}
    world.tell("one_off.added", "2023-11-05", said)
    run(world, settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    change = {"subscription": "s0", "plan": "basic"}
    world.tell("subscription.changed", "2023-12-01", change, received_at=instant("2023-12-25"))
    world.use("2023-12-26", "tokens", "1", customer="c0")
    run(world, settings)
    lines = rows(
        settings,
        "select key, kind, l.amount_minor, l.tax_minor from billing.invoice_line l join billing.invoice "
        "using (tenant_id, invoice_id) order by sequence, line_no",
    )
    # The fees of November and December, and help without tax; later December's fee is the other plan's.
    assert [line for line in lines if line[1] != "one_off"] == [
        ("base", "fee", 10000, 1900), ("base", "fee", 10000, 1900),
        ("low", "fee", 4000, 760), ("base", "adjustment", -10000, -1900), ("low", "adjustment", 4000, 760),
        ("low", "fee", 4000, 760),
    ]  # fmt: skip
    assert [line[2:] for line in lines if line[1] == "one_off"] == [(5000, 0)]
    months = [date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1)]
    assert reproduce(settings, Lake(settings.lake_url), months)["ok"].all()


def test_a_plan_that_events_have_overtaken_is_not_applied(settings: Settings) -> None:
    world = acme(1)
    first = instant("2023-12-20T00:00:00+00:00")
    run(world, settings, as_of=first)
    asked = RerateRequest(("acme",), date(2023, 11, 1), date(2023, 12, 31), ("c0",), _dearer())
    shown = rerate.plan(settings, Lake(settings.lake_url), asked, as_of=first)[0]
    world.use("2023-11-07", "tokens", "250", customer="c0", received_at=instant("2023-12-19"))
    with pytest.raises(RefusalError, match="plan anew") as refused:
        rerate.apply(settings, store(world, settings), shown, asked, as_of=first)
    assert refused.value.code == "plan_changed"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (RerateRequest(("acme",), date(2020, 1, 1), date(2020, 2, 1)), "no_invoices"),
        (RerateRequest(("acme",), NOVEMBER, date(2023, 12, 31), ("nobody",)), "no_invoices"),
    ],
)
def test_a_plan_for_nothing_is_refused(settings: Settings, asked: RerateRequest, code: str) -> None:
    run(acme(1), settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    with pytest.raises(RefusalError) as refused:
        rerate.plan(settings, Lake(settings.lake_url), asked, as_of=LATER)
    assert refused.value.code == code


def test_a_catalog_with_other_meters_is_published_and_not_re_rated(settings: Settings) -> None:
    run(acme(1), settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    document = json.loads(acme(0).facts[0]["data"])
    document["meters"][0]["value"] = "other"
    asked = RerateRequest(("acme",), NOVEMBER, date(2023, 12, 31), (), parse_catalog(document))
    with pytest.raises(RefusalError) as refused:
        rerate.plan(settings, Lake(settings.lake_url), asked, as_of=LATER)
    assert refused.value.code == "other_meters"


def test_an_invoice_explains_itself_down_to_its_events_and_an_event_up_to_its_line(settings: Settings) -> None:
    world = acme(2)
    run(world, settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    world.use("2023-11-07", "tokens", "250", customer="c0", received_at=instant("2023-12-25"))
    world.use("2023-11-20", "tokens", "1", customer="nobody")
    run(world, settings)
    lake = Lake(settings.lake_url)
    with connect(settings, "builder") as connection:
        told = explain_invoice(connection, lake, "acme-000001", "usage", 5)
        (line,) = told["lines"]
        assert (line["reproduced"], line["event_count"], [one["id"] for one in line["events"]]) == (True, 1, ["u0"])
        (first,) = explain_event(connection, lake, "test", "u0", None)
        assert [one["invoice"] for one in first["lines"]] == ["acme-000001", "acme-000003"]
        (late,) = explain_event(connection, lake, "test", "u2", "acme")
        assert [(one["invoice"], one["kind"]) for one in late["lines"]] == [("acme-000003", "adjustment")]
        (stray,) = explain_event(connection, lake, "test", "u3", None)
        assert (stray["outcome"], stray["reason"]) == ("unbilled", "no_subscription")
        for ask, code in (
            (lambda: explain_invoice(connection, lake, "acme-000099", None, 5), "unknown_invoice"),
            (lambda: explain_invoice(connection, lake, "acme-000001", "nosuch", 5), "unknown_line"),
            (lambda: explain_event(connection, lake, "test", "nosuch", None), "unknown_event"),
        ):
            with pytest.raises(RefusalError) as refused:
                ask()
            assert refused.value.code == code


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


def test_a_late_month_of_a_run_of_many_comes_out_again_with_what_earlier_ones_of_it_used_up(settings: Settings) -> None:
    fee, half = {"key": "base", "amount": "10", "timing": "in_arrears"}, {"key": "half", "percent": "50", "periods": 2}
    world = World({"plans": [{"key": "pro", "period": {"align": "calendar"}, "fees": [fee]}], "coupons": [half]})
    bought = {"wallet": "w", "amount": "12", "currency": "USD"}
    for customer, data in (("c0", {"coupon": "half"}), ("c1", bought)):
        kind = "coupon.applied" if "coupon" in data else "wallet.purchased"
        world.tell("customer.created", "2023-10-30", {"customer": customer})
        world.start("2023-11-01", subscription=f"s{customer}", customer=customer)
        world.tell(kind, "2023-11-01", {"customer": customer} | data)
    lake = store(world, settings)
    bill(settings, lake, NOVEMBER, date(2024, 3, 2), as_of=LATER, run_id="test")
    for month in [date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1), date(2024, 2, 1)]:
        found = reproduce(settings, lake, [month])
        assert found.height == 2
        assert found["ok"].all(), (month, found.rows())
