"""What is already billed is the same whether its rows are read from the warehouse or from memory."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.support.ledger import World, instant
from tests.support.warehouse_billing import run
from valueverse.invoicing.billed_rows import ReceivedChanges, derive_prior_state, issued_invoices, recomputed_invoices
from valueverse.invoicing.corrections.differences import PERIOD_TYPES
from valueverse.invoicing.in_memory_billing import RecordedInvoices
from valueverse.platform.lake import Lake
from valueverse.platform.stores.billing_store import Scope, apply_rerating
from valueverse.platform.warehouse import connect
from valueverse.schemas.invoicing import RERATINGS
from valueverse.services.billing.billing_state import read_prior_state, watermarks

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
RUNS = ("2023-11-10", "2023-12-10", "2024-01-10")
ONE_OFF = {"amount": "7.5", "currency": "USD", "description": "set-up"}
RERATED = {"currency": "USD", "schema": "valueverse.catalog/v1"}


def world() -> World:
    """Usage past a threshold and a fee, 10 % off, 19 % tax, a one-off, a grant, and usage that comes late."""
    meter = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
    meter |= {"dimensions": ["a", "b"]}
    charge = {"key": "usage", "meter": "tokens", "price": {"model": "standard", "unit": "1"}, "split_by": ["b", "a"]}
    fee = {"key": "base", "amount": "20", "timing": "in_advance"}
    plan = {"key": "pro", "period": {"align": "calendar"}, "fees": [fee], "charges": [charge], "threshold": "50"}
    catalog = {"currency": "USD", "meters": [meter], "plans": [plan], "coupons": [{"key": "off", "percent": "10"}]}
    acme = World(catalog | {"taxes": [{"key": "vat", "percent": "19"}]})
    acme.start("2023-11-01")
    acme.record("coupon.applied", "2023-11-01", {"customer": "c1", "coupon": "off"})
    grant = {"customer": "c1", "wallet": "w", "amount": "15", "currency": "USD"}
    acme.record("wallet.granted", "2023-11-01", grant)
    acme.record("one_off.added", "2023-11-20", ONE_OFF | {"customer": "c1"})
    acme.use("2023-11-05", "tokens", "60", dimensions='{"a":"x","b":"y"}')
    acme.use("2023-11-25", "tokens", "30")
    acme.record("customer.created", "2023-11-20", {"customer": "c9"})
    acme.start("2023-11-20", subscription="s9", customer="c9", ends_at="2023-12-01")
    acme.use("2023-11-26", "tokens", "10", customer="c9")
    return acme


def late(acme: World) -> None:
    """What is received after the second run: November comes to more, and its threshold invoice is voided. The invoice
    of c2's one-off is not recomputed, so its line is read for its own sake. Nothing of c9's changes."""
    acme.record("customer.created", "2023-12-20", {"customer": "c2"})
    acme.record("one_off.added", "2023-12-21", ONE_OFF | {"customer": "c2"})
    acme.use("2023-11-07", "tokens", "25", received_at=instant("2023-12-20"))
    acme.use("2023-12-07", "tokens", "5", received_at=instant("2024-02-01"))
    acme.use("2023-11-27", "tokens", "0", customer="c9", received_at=instant("2023-12-20"))
    acme.record("invoice.voided", "2024-01-05", {"invoice": "acme-000002", "reason": "wrong"})


def test_prior_state_of_rows_in_the_warehouse_is_that_of_rows_in_memory(settings: Settings) -> None:
    acme, books = world(), RecordedInvoices()
    for as_of in RUNS:
        if as_of == RUNS[-1]:
            late(acme)
        run(acme, settings, as_of=instant(as_of))
        books.run(
            acme.timeline(),
            acme.history(),
            acme.usage_frame().lazy(),
            acme.facts_frame(),
            (date(2023, 11, 1), date(2024, 2, 1)),
            known_at=watermarks(Lake(settings.lake_url), instant(as_of), ["acme"]),
            as_of=instant(as_of),
        )
    assert books.rows.unchanged.height == 1
    now = {"acme": instant("2024-02-02")}
    facts, usage, history = acme.facts_frame(), acme.usage_frame().lazy(), acme.history()
    issued = issued_invoices(books.rows)
    changes = ReceivedChanges(usage, history.meters, facts, now["acme"])
    changed = recomputed_invoices(issued, changes)
    one_off = books.rows.lines.filter(kind="one_off").join(changed, on=["tenant", "invoice_id"], how="anti")
    assert one_off.height == 1
    reratings = rerated(issued.not_voided.join(changed, on="invoice_id", how="anti"))
    recompute = recomputed_invoices(issued, replace(changes, reratings=reratings))
    assert recompute.height == changed.height + 1
    in_memory = derive_prior_state(books.rows, issued, recompute, reratings)
    with connect(settings, "builder") as connection:
        connection.execute("delete from billing.invoice where status = 'draft'")
        record(connection, reratings)
        read = read_prior_state(connection, Scope(["acme"]), usage, history, facts, now)
    seen = {name for name, left, right in frames(read, in_memory) if same(left, right).height}
    assert {
        "not_voided",
        "voided",
        "one_offs",
        "lines",
        "coupons",
        "credits",
        "numbers",
        "corrected",
        "invoices",
    } <= seen
    assert read.recompute.catalogs.keys() == in_memory.recompute.catalogs.keys() == {"b" * 64}


def rerated(unchanged: pl.DataFrame) -> pl.DataFrame:
    """RERATINGS of one period's invoice of these."""
    period = unchanged.filter(pl.col("invoice_type").is_in(PERIOD_TYPES)).sort("number").head(1)
    stated = {"rerate_catalog_hash": "b" * 64, "document": json.dumps(RERATED)}
    return RERATINGS.conform(period.with_columns(pl.lit(text).alias(name) for name, text in stated.items()))


def record(connection: psycopg.Connection[Any], reratings: pl.DataFrame) -> None:
    """Write RERATINGS as applied, and others that were applied to the same invoices before."""
    days = pl.DataFrame({"plan_id": ["2024-01-20", "2024-01-21"], "catalog_hash": ["a" * 64, "b" * 64]})
    applied = pl.col("plan_id").str.to_datetime("%F", time_unit="us", time_zone="UTC").alias("applied_at")
    rows = reratings.drop("rerate_catalog_hash").rename({"tenant": "tenant_id"}).join(days, how="cross")
    apply_rerating(connection, rows.with_columns(applied))


def same(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    """Rows without an order; that no event was counted is null in memory and 0 in the warehouse."""
    first, second = (
        frame.with_columns(pl.col("event_count").fill_null(0)) if "event_count" in frame.columns else frame
        for frame in (left, right)
    )
    assert_frame_equal(first, second, check_row_order=False)
    return first


def frames(left: Any, right: Any) -> Iterator[tuple[str, pl.DataFrame, pl.DataFrame]]:
    """The frames of two states, by name."""
    for part in fields(left):
        one, other = getattr(left, part.name), getattr(right, part.name)
        if is_dataclass(one):
            yield from frames(one, other)
        elif isinstance(one, pl.DataFrame):
            yield part.name, one, other
