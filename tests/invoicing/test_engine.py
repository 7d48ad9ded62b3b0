"""What closes in a window, billed: fees, charges, rounding and documents, by the engine that bills for real."""

from __future__ import annotations

import itertools
import json
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import law
from tests.support.ledger import World, amounts, instant, prior_of
from valueverse.invoicing.rendering.document_hash import chain_hash, content_hash, finalise, invoice_number

TOKENS = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n", "dimensions": ["model", "region"]}
STANDARD = {"model": "standard", "unit": "0.01"}


def world(*, charges: list[dict[str, Any]] | None = None, **plan: Any) -> World:
    document = {"key": "pro", "period": {"unit": "month", "align": "calendar"}, "charges": charges or []} | plan
    policy = {name: document.pop(name) for name in ("rounding", "zero_invoices", "currency_of") if name in document}
    if "currency_of" in policy:
        policy["currency"] = policy.pop("currency_of")
    peak = {"key": "peak", "event_type": "used", "aggregation": "max", "value": "n", "dimensions": ["model"]}
    return World({"currency": "USD", "meters": [TOKENS, peak], "plans": [document]} | policy)


def fee(amount: str = "30", **more: Any) -> dict[str, Any]:
    return {"key": "base", "amount": amount, "timing": "in_arrears"} | more


def charge(key: str = "usage", **more: Any) -> dict[str, Any]:
    return {"key": key, "meter": "tokens", "price": STANDARD} | more


def test_a_fee_in_arrears_is_prorated_by_local_days_start_counted_end_not() -> None:
    acme = world(fees=[fee()])
    acme.start("2023-11-10")
    acme.record("subscription.ended", "2023-11-20", {"subscription": "s1"})
    (document,) = acme.documents("2023-11-01", "2023-12-01")
    assert amounts(document) == [("base", "10.00")]
    assert document["lines"][0]["description"] == "base fee (10 of 30 days)"


def test_a_fee_that_is_not_prorated_is_due_whole_and_says_no_days() -> None:
    acme = world(fees=[fee(prorate="none")])
    acme.start("2023-11-10")
    acme.record("subscription.ended", "2023-11-20", {"subscription": "s1"})
    (document,) = acme.documents("2023-11-01", "2023-12-01")
    assert [(line["description"], line["amount"]) for line in document["lines"]] == [("base fee", "30.00")]


def test_starting_bills_the_first_partial_period_in_advance_and_each_close_the_next() -> None:
    acme = world(fees=[fee(timing="in_advance")])
    acme.start("2023-11-16")
    start, first, second = acme.documents("2023-11-01", "2024-01-01")
    expected = [[("base", amount)] for amount in ("15.00", "30.00", "30.00")]
    assert [amounts(one) for one in (start, first, second)] == expected
    assert first["lines"][0]["service_period"] == {"from": "2023-12-01T00:00:00Z", "to": "2024-01-01T00:00:00Z"}


def test_an_early_end_credits_the_unused_share_of_an_advance() -> None:
    acme = world(fees=[fee(timing="in_advance")])
    acme.start("2023-11-01")
    acme.record("subscription.ended", "2023-11-16", {"subscription": "s1"})
    start, closing = acme.documents("2023-11-01", "2023-12-01")
    assert amounts(start) == [("base", "30.00")]
    assert amounts(closing) == [("base", "-15.00")]


def test_a_stated_end_is_billed_in_advance_only_up_to_it() -> None:
    acme = world(fees=[fee(timing="in_advance")])
    acme.start("2023-11-01", ends_at="2023-11-16")
    assert [amounts(one) for one in acme.documents("2023-11-01", "2023-12-01")] == [[("base", "15.00")], []]


def test_an_upgrade_credits_the_old_plan_and_charges_the_new_each_rounded() -> None:
    plans = [
        {"key": key, "period": {"align": "calendar"}, "fees": [{"key": "base", "amount": amount}]}
        for key, amount in (("pro", "10"), ("max", "20"))
    ]
    acme = World({"plans": plans})
    acme.start("2023-11-01")
    acme.record("subscription.changed", "2023-11-11", {"subscription": "s1", "plan": "max"})
    _, closing = acme.documents("2023-11-01", "2023-12-01")
    assert sorted(amounts(closing)) == [("base", "-6.67"), ("base", "13.33"), ("base", "20.00")]


def test_seats_stated_by_the_subscription_win_over_the_plans() -> None:
    acme = world(fees=[{"key": "seats", "unit_amount": "9", "quantity": 5, "timing": "in_arrears"}])
    acme.start("2023-11-01", quantities={"seats": 7})
    (document,) = acme.documents("2023-11-01", "2023-12-01")
    assert amounts(document) == [("seats", "63.00")]
    assert document["lines"][0]["quantity"] == "7"


def test_nothing_is_billed_inside_a_trial_and_fees_prorate_from_its_end() -> None:
    acme = world(fees=[fee()], charges=[charge()], trial={"days": 15})
    acme.start("2023-11-01")
    acme.use("2023-11-05", "tokens", "1000")
    acme.use("2023-11-20", "tokens", "100")
    (document,) = acme.documents("2023-11-01", "2023-12-01")
    assert amounts(document) == [("base", "15.00"), ("usage", "1.00")]


@pytest.mark.parametrize(
    ("trial", "shown"),
    [
        ({"days": 15}, [("base", "15.00"), ("usage", "1.00")]),
        ({"days": "5"}, [("base", "25.00"), ("usage", "1.00")]),
        (None, [("base", "30.00"), ("usage", "11.00")]),
        ({"days": 0}, [("base", "30.00"), ("usage", "11.00")]),
    ],
)
def test_a_trial_that_the_starts_overrides_state_takes_the_place_of_the_plans(trial: Any, shown: list[Any]) -> None:
    acme = world(fees=[fee()], charges=[charge()], trial={"days": 9})
    acme.start("2023-11-01", overrides={"trial": trial})
    acme.use("2023-11-05", "tokens", "1000")
    acme.use("2023-11-20", "tokens", "100")
    (document,) = acme.documents("2023-11-01", "2023-12-01")
    assert amounts(document) == shown


def test_usage_counts_in_its_half_open_window_in_local_time() -> None:
    acme = world(charges=[charge()])
    acme.start("2023-10-31T23:00:00+00:00", timezone="Europe/Berlin")
    for time in ("2023-11-01", "2023-11-30T22:59:59.999999+00:00", "2023-11-30T23:00:00+00:00"):
        acme.use(time, "tokens", "100")
    (document,) = acme.documents("2023-11-01", "2023-12-01")
    assert document["lines"][0]["quantity"] == "200"
    assert document["lines"][0]["event_count"] == 2


def test_the_most_specific_charge_takes_an_event_and_the_fallback_the_rest() -> None:
    large = charge("large", when={"model": "large"}, price={"model": "standard", "unit": "1"})
    both = charge("both", when={"model": "large", "region": "eu"}, price={"model": "standard", "unit": "2"})
    acme = world(charges=[charge("rest"), large, both])
    acme.start("2023-11-01")
    for number, dimensions in enumerate(({"model": "small"}, {"model": "large"}, {"model": "large", "region": "eu"})):
        acme.use("2023-11-05", "tokens", str(10**number), dimensions=json.dumps(dimensions, separators=(",", ":")))
    (document,) = acme.documents("2023-11-01", "2023-12-01")
    assert [(line["key"], line["quantity"]) for line in document["lines"]] == [
        ("rest", "1"),
        ("large", "10"),
        ("both", "100"),
    ]


def test_split_by_gives_a_line_and_a_walk_of_the_tiers_per_value() -> None:
    tiers = [{"up_to": "10", "unit": "1"}, {"up_to": None, "unit": "0.5"}]
    acme = world(charges=[charge(split_by=["region"], price={"model": "graduated", "tiers": tiers})])
    acme.start("2023-11-01")
    for region in ("eu", "us"):
        acme.use("2023-11-05", "tokens", "12", dimensions=json.dumps({"region": region}, separators=(",", ":")))
    (document,) = acme.documents("2023-11-01", "2023-12-01")
    shown = [(line["dimensions"], line["amount"]) for line in document["lines"]]
    assert shown == [({"region": "eu"}, "11.00"), ({"region": "us"}, "11.00")]


def test_a_maximum_over_several_dimensions_is_one_maximum_not_their_sum() -> None:
    acme = world(charges=[{"key": "peak", "meter": "peak", "price": {"model": "standard", "unit": "1"}}])
    acme.start("2023-11-01")
    for model, value in (("a", "5"), ("b", "7")):
        acme.use("2023-11-05", "peak", value, dimensions=json.dumps({"model": model}, separators=(",", ":")))
    (document,) = acme.documents("2023-11-01", "2023-12-01")
    assert amounts(document) == [("peak", "7.00")]


def test_percentage_allowances_look_at_single_events_in_time_order() -> None:
    price = {"model": "percentage", "rate": "10", "fixed": "0.5", "free_events": 1}
    acme = world(charges=[charge(price=price)])
    acme.start("2023-11-01")
    acme.use("2023-11-06", "tokens", "100")
    acme.use("2023-11-05", "tokens", "40")
    (document,) = acme.documents("2023-11-01", "2023-12-01")
    assert amounts(document) == [("usage", "10.50")]


def test_events_of_one_instant_count_in_the_order_of_receipt_then_of_source_and_id() -> None:
    """The first event of each customer is free: of 40 and 100 at one instant the one received first, or of two received
    together the one with the lesser id; c3 has no ties and is priced beside them."""
    price = {"model": "percentage", "rate": "10", "fixed": "0.5", "free_events": 1}
    acme = world(charges=[charge(price=price)])
    for customer in ("c1", "c2", "c3"):
        acme.start("2023-11-01", subscription=customer, customer=customer)
    acme.use("2023-11-05", "tokens", "100", "c1", received_at=instant("2023-11-07"))
    acme.use("2023-11-05", "tokens", "40", "c1", received_at=instant("2023-11-06"))
    acme.use("2023-11-05", "tokens", "100", "c2", id="b")
    acme.use("2023-11-05", "tokens", "40", "c2", id="a")
    acme.use("2023-11-06", "tokens", "40", "c3")
    acme.use("2023-11-05", "tokens", "100", "c3")
    documents = acme.documents("2023-11-01", "2023-12-01")
    shown = {document["customer"]: amounts(document) for document in documents}
    assert shown == {"c1": [("usage", "10.50")], "c2": [("usage", "10.50")], "c3": [("usage", "4.50")]}


def test_a_matrix_prices_each_cell() -> None:
    cells = [{"model": "large", "unit": "2"}]
    price = {"model": "matrix", "dimensions": ["model"], "cells": cells, "default_unit": "1"}
    acme = world(charges=[charge(price=price)])
    acme.start("2023-11-01")
    for model, value in (("large", "3"), ("small", "4")):
        acme.use("2023-11-05", "tokens", value, dimensions=json.dumps({"model": model}, separators=(",", ":")))
    (document,) = acme.documents("2023-11-01", "2023-12-01")
    assert amounts(document) == [("usage", "10.00")]


def test_usage_that_two_subscriptions_could_take_is_billed_by_neither() -> None:
    acme = world(charges=[charge()])
    acme.start("2023-11-01", subscription="s1")
    acme.start("2023-11-15", subscription="s2")
    acme.use("2023-11-05", "tokens", "100")
    acme.use("2023-11-20", "tokens", "1000")
    acme.use("2023-11-20", "tokens", "7", subscription="s2")
    lines = acme.bill("2023-11-01", "2023-12-01").lines
    assert lines.select("subscription", pl.col("quantity").cast(pl.Int64)).rows() == [("s1", 100), ("s2", 7)]


def test_a_charge_without_usage_still_bills_its_first_flat_and_minimum() -> None:
    tiers = [{"up_to": None, "unit": "1", "flat": "5"}]
    acme = world(
        charges=[charge(price={"model": "graduated", "tiers": tiers}), charge("other", meter="peak", minimum="2")]
    )
    acme.start("2023-11-01")
    (document,) = acme.documents("2023-11-01", "2023-12-01")
    assert amounts(document) == [("usage", "5.00"), ("other", "2.00")]


@pytest.mark.parametrize(("currency", "shown"), [("USD", "0.33"), ("JPY", "0"), ("BHD", "0.333")])
def test_amounts_have_the_currencys_decimals(currency: str, shown: str) -> None:
    acme = world(charges=[charge(price={"model": "standard", "unit": "0.001"})], currency_of=currency)
    acme.start("2023-11-01")
    acme.use("2023-11-05", "tokens", "333")
    (document,) = acme.documents("2023-11-01", "2023-12-01")
    assert document["total"] == document["lines"][0]["amount"] == shown
    assert document["lines"][0]["amount_precise"] == "0.333"


@pytest.mark.parametrize(("level", "shown"), [("line", ["0.33"] * 3), ("invoice", ["0.34", "0.33", "0.33"])])
def test_rounding_the_invoice_spreads_its_sum_so_that_the_lines_add_up(level: str, shown: list[str]) -> None:
    charges = [
        charge(f"c{n}", when={"model": f"m{n}"}, price={"model": "standard", "unit": "0.3333"}) for n in range(3)
    ]
    acme = world(charges=charges, rounding={"level": level})
    acme.start("2023-11-01")
    for number in range(3):
        acme.use("2023-11-05", "tokens", "1", dimensions=json.dumps({"model": f"m{number}"}, separators=(",", ":")))
    (document,) = acme.documents("2023-11-01", "2023-12-01")
    assert [line["amount"] for line in document["lines"]] == shown
    assert document["basis"]["rounding"] == {"mode": "half_up", "level": level}


@pytest.mark.parametrize(("policy", "invoices"), [("issue", 1), ("skip", 0)])
def test_an_invoice_of_nothing_is_issued_or_skipped_by_policy(policy: str, invoices: int) -> None:
    acme = world(charges=[charge()], zero_invoices=policy)
    acme.start("2023-11-01")
    assert len(acme.documents("2023-11-01", "2023-12-01")) == invoices


def test_a_quantity_out_of_range_holds_its_invoice_back_and_no_other() -> None:
    acme = world(charges=[charge()])
    acme.start("2023-11-01", subscription="s1", customer="c1")
    acme.start("2023-11-01", subscription="s2", customer="c2")
    for _ in range(3):
        acme.use("2023-11-05", "tokens", "900000000000", customer="c1")
    acme.use("2023-11-05", "tokens", "100", customer="c2")
    billed = acme.bill("2023-11-01", "2023-12-01")
    assert billed.invoices["subscription"].to_list() == ["s2"]
    assert billed.problems.select("subscription", "problem").rows() == [("s1", "out_of_range")]


def test_what_closes_after_the_runs_present_is_left_alone() -> None:
    acme = world(fees=[fee()])
    acme.start("2023-11-01")
    assert len(acme.documents("2023-11-01", "2024-03-01", closed_by=instant("2024-01-15"))) == 2


def test_an_end_known_later_does_not_bill_a_finalised_period_again() -> None:
    acme = world(fees=[fee()])
    acme.start("2023-11-01")
    done = acme.bill("2023-11-01", "2023-12-01").invoices
    acme.record("subscription.ended", "2023-11-20", {"subscription": "s1"})
    assert acme.documents("2023-11-01", "2023-12-01", prior=prior_of(done)) == []


@law(12)
@given(
    start=st.integers(0, 40),
    length=st.integers(1, 200) | st.none(),
    align=st.sampled_from(["calendar", "anniversary"]),
    cuts=st.sets(st.integers(1, 180), max_size=5),
)
def test_however_a_range_of_dates_is_cut_the_same_invoices_come_of_it(
    start: int, length: int | None, align: str, cuts: set[int]
) -> None:
    acme = world(fees=[fee(timing="in_advance"), fee(key="rest")], period={"unit": "month", "align": align})
    begin = date(2023, 11, 1) + timedelta(days=start)
    acme.start(begin.isoformat(), timezone="America/New_York")
    if length is not None:
        acme.record("subscription.ended", (begin + timedelta(days=length)).isoformat(), {"subscription": "s1"})
    edges = [date(2023, 10, 1), *(date(2023, 10, 1) + timedelta(days=cut) for cut in sorted(cuts)), date(2024, 5, 1)]
    whole = {document["content_hash"] for document in acme.documents("2023-10-01", "2024-05-01")}
    parts = [
        document["content_hash"]
        for first, last in itertools.pairwise(edges)
        for document in acme.documents(first.isoformat(), last.isoformat())
    ]
    assert set(parts) == whole
    assert len(parts) == len(whole)


def test_a_document_has_exactly_the_contracts_fields() -> None:
    acme = world(fees=[fee()], charges=[charge()])
    acme.start("2023-11-01")
    (document,) = acme.documents("2023-11-01", "2023-12-01")
    assert set(document) == {
        "number", "tenant", "customer", "subscription", "status", "currency", "issued_on", "due_on", "period", "lines",
        "discounts", "taxes", "credits", "subtotal", "discount_total", "tax_total", "total", "credit_total",
        "amount_due",
        "basis", "content_hash", "previous_hash",
    }  # fmt: skip
    assert set(document["lines"][0]) == {
        "key", "kind", "description", "service_period", "meter", "dimensions", "quantity", "tiers", "amount_precise",
        "amount", "event_count", "explains",
    }  # fmt: skip
    assert set(document["basis"]) == {"events_known_at", "catalog_hash", "rules_version", "rounding"}
    assert document["issued_on"] == "2023-12-02"


def test_an_invoice_that_closes_as_a_day_of_25_hours_begins_is_issued_a_day_later() -> None:
    acme = world(fees=[fee()], period={"unit": "month", "align": "anniversary"})
    acme.start("2024-09-26T22:00:00+00:00", timezone="Europe/Berlin")
    (document,) = acme.documents("2024-09-26", "2024-11-01")
    assert document["period"]["to"] == "2024-10-26T22:00:00Z"
    assert (document["issued_on"], document["due_on"]) == ("2024-10-28", "2024-11-27")


def test_the_hash_covers_the_content_and_not_the_number() -> None:
    acme = world(fees=[fee()])
    acme.start("2023-11-01")
    (draft,) = acme.documents("2023-11-01", "2023-12-01")
    first = finalise(draft, invoice_number("acme", 1), None)
    second = finalise(draft, invoice_number("acme", 2), first.chain_hash)
    assert first.content_hash == second.content_hash == content_hash(json.loads(second.document))
    assert first.chain_hash != second.chain_hash == chain_hash(second.content_hash, "acme-000002", first.chain_hash)
    assert content_hash(draft | {"total": "31.00"}) != first.content_hash


@pytest.mark.parametrize(
    ("overrides", "shown"),
    [
        ({"fees": [{"key": "base", "amount": "12.50"}]}, [("base", "12.50"), ("usage", "0.00")]),
        ({"charges": [{"key": "usage", "price": {"model": "standard", "unit": "2"}, "minimum": "3"}]}, None),
    ],
)
def test_a_subscriptions_overrides_replace_what_they_name(overrides: dict[str, Any], shown: list[Any] | None) -> None:
    acme = world(fees=[fee()], charges=[charge()])
    acme.start("2023-11-01", overrides=overrides)
    (document,) = acme.documents("2023-11-01", "2023-12-01")
    assert amounts(document) == (shown or [("base", "30.00"), ("usage", "3.00")])


@pytest.mark.parametrize(
    "overrides",
    [
        {"fees": [{"amount": "1"}]},
        {"fee": []},
        {"charges": [{"key": "x", "meter": "no"}]},
        {"trial": {"days": 99999}},
        {"trial": {"days": "1.5"}},
        {"period": {"unit": "year"}},
        {"currency": "JPY"},
        {"version": 7},
    ],
)
def test_overrides_that_make_no_plan_hold_the_invoice_back(overrides: dict[str, Any]) -> None:
    acme = world(fees=[fee()])
    acme.start("2023-11-01", overrides=overrides)
    billed = acme.bill("2023-11-01", "2023-12-01")
    assert billed.invoices.is_empty()
    assert set(billed.problems["problem"]) == {"bad_overrides"}
