"""What billing events say of tenants and customers, field by field, and how an event that is refused is named."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tests.support.ledger import World, instant
from valueverse.subscriptions.event_fields import event_field, number_field

PLANS: list[dict[str, Any]] = [{"key": "pro"}]


def tenant(world: World) -> dict[str, Any]:
    return world.timeline().tenants.row(0, named=True)


def test_zone_currency_and_grace_are_the_catalogs_where_the_tenant_states_none() -> None:
    world = World({"plans": PLANS, "timezone": "Asia/Tokyo", "currency": "EUR", "grace": "3 days"})
    row = tenant(world)
    assert (row["timezone"], row["currency"], row["grace_seconds"]) == ("Asia/Tokyo", "EUR", 259_200)


def test_of_several_catalogs_the_last_to_take_effect_says_zone_currency_and_grace() -> None:
    world = World({"plans": PLANS, "timezone": "Asia/Tokyo", "currency": "EUR", "grace": "3 days"})
    later = {"plans": PLANS, "timezone": "Europe/Berlin", "currency": "GBP", "grace": "1 hour"}
    world.record("catalog.published", "2023-06-01", {"schema": "valueverse.catalog/v1"} | later)
    row = tenant(world)
    assert (row["timezone"], row["currency"], row["grace_seconds"]) == ("Europe/Berlin", "GBP", 3_600)


def test_what_the_tenant_states_wins_over_its_catalog() -> None:
    world = World({"plans": PLANS, "timezone": "Asia/Tokyo", "currency": "EUR", "grace": "3 days"})
    world.record("tenant.created", "2023-02-01", {"tenant": "acme", "timezone": "UTC", "currency": "USD"})
    row = tenant(world)
    assert (row["timezone"], row["currency"], row["grace_seconds"]) == ("UTC", "USD", 259_200)


@pytest.mark.parametrize(
    ("grace", "seconds"),
    [
        ("1 second", 1),
        ("30 seconds", 30),
        ("5 minutes", 300),
        ("2 hours", 7_200),
        ("1 day", 86_400),
        ("10 days", 864_000),
        ("2 weeks", 1_209_600),
    ],
)
def test_a_grace_is_a_number_of_whole_units(grace: str, seconds: int) -> None:
    world = World({"plans": PLANS})
    world.record("tenant.created", "2023-02-01", {"tenant": "acme", "grace": grace})
    assert tenant(world)["grace_seconds"] == seconds


def test_a_tenant_is_named_as_it_says_and_by_its_key_until_then() -> None:
    world = World({"plans": PLANS})
    row = tenant(world)
    assert [row[name] for name in ("tenant", "name", "country", "tax_id", "address")] == [
        "acme", "acme", None, None, None,
    ]  # fmt: skip
    stated = {"name": "Acme AG", "country": "DE", "tax_id": "DE123456789"}
    world.record("tenant.created", "2023-02-01", {"tenant": "acme"} | stated)
    row = tenant(world)
    assert {name: row[name] for name in stated} == stated


def test_a_customer_has_the_latest_value_of_each_field() -> None:
    world = World({"plans": PLANS})
    stated = {
        "name": "Customer One", "email": "a@b.example", "currency": "EUR", "timezone": "Asia/Tokyo", "country": "JP",
    }  # fmt: skip
    world.record(
        "customer.created", "2023-02-01", {"customer": "c1", "tax_rates": ["vat"], "metadata": {"a": 1}} | stated
    )
    world.record("customer.created", "2023-02-01", {"customer": "c2", "name": "Customer Two"})
    world.record("customer.updated", "2023-03-01", {"customer": "c1", "email": "c@d.example"})
    one, two = world.timeline().customers.iter_rows(named=True)
    assert {name: one[name] for name in stated} == stated | {"email": "c@d.example"}
    assert (one["tax_rates"], one["metadata"]) == ('["vat"]', '{"a":1}')
    assert (two["customer"], two["name"], two["email"], two["tax_rates"]) == ("c2", "Customer Two", None, None)


def test_an_event_that_is_refused_is_named_in_full() -> None:
    world = World({"plans": PLANS})
    world.record("subscription.ended", "2023-03-01", {"subscription": "nobody"}, source="crm", id="e-17")
    assert world.timeline().rejected.rows() == [
        (
            "acme",
            "crm",
            "e-17",
            "billing.subscription.ended",
            "unknown_subscription",
            "no subscription 'nobody' has started by then",
            instant("2023-03-01"),
        )
    ]


def test_an_event_voided_at_an_instant_no_longer_counts_at_that_instant() -> None:
    world = World({"plans": PLANS})
    world.start("2023-02-10", known_until=None)
    world.record("subscription.ended", "2023-03-01", {"subscription": "s1"}, known_until=instant("2023-04-01"))
    assert world.timeline("2023-04-01").segments["to"].to_list() == [None]
    assert world.timeline("2023-03-31T23:59:59.999999+00:00").segments["to"].to_list() == [instant("2023-03-01")]


def test_an_event_counts_from_the_instant_at_which_it_was_received() -> None:
    world = World({"plans": PLANS})
    world.start("2023-02-10")
    assert world.timeline("2023-02-10").segments.height == 1
    assert world.timeline("2023-02-09T23:59:59.999999+00:00").segments.is_empty()


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ('"12.50"', "12.5"),
        ("12.50", "12.5"),
        ("1e3", "1000"),
        ('"1E-3"', "0.001"),
        ("-7", "-7"),
        ('"0.000000000000000001"', "0.000000000000000001"),
        ('"12345678901234567890.123456789012345678"', "12345678901234567890.123456789012345678"),
        ('"123456789012345678901234567890e-18"', "123456789012.34567890123456789"),
        ('" 5 "', "5"),
        ('"+.5"', "0.5"),
    ],
)
def test_a_number_is_read_exactly_however_it_is_written(text: str, stated: str) -> None:
    facts = pl.DataFrame({"data": [f'{{"amount":{text}}}']})
    assert facts.select(number_field("amount")).item() == Decimal(stated)


def test_a_field_that_is_absent_or_null_is_neither_a_text_nor_a_number() -> None:
    facts = pl.DataFrame({"data": ['{"amount":null}', "{}", '{"amount":"many"}']})
    assert facts.select(number_field("amount")).to_series().to_list() == [None, None, None]
    assert facts.select(event_field("amount")).to_series().to_list() == [None, None, "many"]


def test_the_word_null_is_a_name_like_any_other() -> None:
    world = World({"plans": PLANS})
    world.start("2023-02-10", subscription="null", customer="null")
    assert world.timeline().segments.select("customer", "subscription").rows() == [("null", "null")]


@pytest.mark.parametrize("version", [1, 1.0])
def test_a_version_counts_however_its_number_is_written(version: float) -> None:
    world = World({"plans": [{"key": "pro", "version": 1}, {"key": "pro", "version": 2}]})
    world.start("2023-02-10", plan_version=version)
    assert world.timeline().segments["plan_version"].to_list() == [1]


def test_a_version_that_no_catalog_could_have_is_unknown() -> None:
    world = World({"plans": PLANS})
    world.start("2023-02-10", plan_version=10**11)
    assert world.timeline().rejected["reason"].to_list() == ["unknown_plan"]
