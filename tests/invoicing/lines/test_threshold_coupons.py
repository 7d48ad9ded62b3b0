"""Coupons on a period that is invoiced in parts: the parts add up to one invoice of the whole."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.invoicing.corrections.test_corrections import Books, coupon_world, shown
from tests.support.laws import law
from tests.support.ledger import World, instant

if TYPE_CHECKING:
    from valueverse.invoicing.engine import Billed

TEN = {"percent": "10"}
FIXED = {"amount": "10", "currency": "USD"}
DAY = timedelta(days=1)


def totals(billed: Billed) -> list[int]:
    return billed.invoices["total_minor"].to_list()


def falls_to_20(coupon: dict[str, Any], threshold: str = "50") -> tuple[World, Books]:
    """60 are billed early, then amended to 20 before the period closes."""
    acme = coupon_world(coupon, threshold=threshold)
    acme.use("2024-01-05", "tokens", "60")
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-01-10")
    acme.usage[0]["known_until"] = instant("2024-01-20")
    acme.use("2024-01-05", "tokens", "20", received_at=instant("2024-01-20"))
    return acme, books


def test_usage_that_falls_below_what_was_billed_early_gives_back_what_was_paid_for_it() -> None:
    # 54 were paid for 60; 18 are due for 20.
    _, books = falls_to_20(TEN)
    closing = books.bill("2024-01-01", "2024-02-01", "2024-02-03")
    assert shown(closing) == [("tokens", "usage", -4000)]
    assert closing.invoices.select("subtotal_minor", "discount_total_minor", "total_minor").rows() == [
        (-4000, -400, -3600)
    ]
    (discount,) = closing.invoices["discounts"][0]
    assert (discount["key"], discount["amount_minor"]) == ("off", -400)


def test_usage_that_rises_again_after_it_fell_pays_its_coupon_again() -> None:
    # A closing invoice of -36 after 54, then 70 in all: 63 - 18 = 45.
    acme, books = falls_to_20(TEN)
    books.bill("2024-01-01", "2024-02-01", "2024-02-03")
    acme.use("2024-01-06", "tokens", "50", received_at=instant("2024-02-20"))
    assert shown(books.bill("2024-02-01", "2024-03-01", "2024-03-03"))[-1] == ("tokens", "adjustment", 4500)


def test_an_amount_is_taken_off_a_period_once_however_many_invoices_it_has() -> None:
    acme = coupon_world(FIXED, threshold="50")
    for day, value in (("05", "60"), ("10", "70"), ("20", "5")):
        acme.use(f"2024-01-{day}", "tokens", value)
    found = acme.bill("2024-01-01", "2024-02-01").invoices.sort("close")
    assert found.select("subtotal_minor", "discount_total_minor").rows() == [(6000, 1000), (7000, 0), (500, 0)]
    # It holds, so it is named.
    assert [[one["amount_minor"] for one in each] for each in found["discounts"]] == [[1000], [0], [0]]


def test_an_amount_above_what_is_billed_early_takes_the_rest_off_the_next_invoice() -> None:
    acme = coupon_world(FIXED | {"amount": "80"}, threshold="50")
    acme.use("2024-01-05", "tokens", "60")
    acme.use("2024-01-20", "tokens", "45")
    found = acme.bill("2024-01-01", "2024-02-01").invoices.sort("close")
    assert found.select("subtotal_minor", "total_minor").rows() == [(6000, 0), (4500, 2500)]


def test_usage_that_falls_under_an_amount_gives_back_what_was_paid_for_it() -> None:
    # 50 were paid for 60, 10 are due for 20.
    _, books = falls_to_20(FIXED)
    assert totals(books.bill("2024-01-01", "2024-02-01", "2024-02-03")) == [-4000]
    # 30 were paid for 60; the 30 off would leave nothing of 20.
    _, books = falls_to_20(FIXED | {"amount": "30"})
    assert totals(books.bill("2024-01-01", "2024-02-01", "2024-02-03")) == [-3000]


def test_a_coupon_applied_after_a_threshold_invoice_holds_for_all_of_its_period() -> None:
    acme = coupon_world(TEN, threshold="50")
    acme.facts[-1] |= {"time": instant("2024-01-20"), "received_at": instant("2024-01-20")}
    acme.use("2024-01-05", "tokens", "60")
    acme.use("2024-01-25", "tokens", "30")
    assert totals(acme.bill("2024-01-01", "2024-02-01")) == [6000, 2100]


@pytest.mark.parametrize(("coupon", "total"), [({"percent": "50"}, -2000), (FIXED, -4000)])
def test_a_coupon_removed_in_its_period_keeps_what_it_took_and_no_more(coupon: dict[str, str], total: int) -> None:
    acme, books = falls_to_20(coupon)
    acme.record("coupon.removed", "2024-01-20", {"customer": "c1", "coupon": "off"})
    assert totals(books.bill("2024-01-01", "2024-02-01", "2024-02-03")) == [total]
    # Half of 20, or 10 of it; with 20 more nothing more comes off.
    acme.use("2024-01-06", "tokens", "20", received_at=instant("2024-02-20"))
    late = shown(books.bill("2024-02-01", "2024-03-01", "2024-03-03"))[-1]
    assert late == ("tokens", "adjustment", 1000 if "percent" in coupon else 2000)


def test_a_correction_on_a_threshold_invoice_leaves_the_coupon_of_its_period_less() -> None:
    # January is worth 30 less by half; February 60 + 40, and no coupon may bring its 85 - 15 below what is its own.
    acme = coupon_world({"percent": "50"}, threshold="50")
    acme.use("2024-01-05", "tokens", "30")
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    acme.usage[0]["known_until"] = instant("2024-02-03")
    acme.use("2024-02-05", "tokens", "60")
    acme.use("2024-02-25", "tokens", "40")
    early = books.bill("2024-02-01", "2024-03-01", "2024-02-10")
    assert early.invoices.select("invoice_type", "subtotal_minor", "total_minor").rows() == [("threshold", 4500, 1500)]
    assert totals(books.bill("2024-02-01", "2024-03-01", "2024-03-03")) == [2000]


def test_a_one_off_waits_for_the_closing_invoice() -> None:
    acme = coupon_world(TEN, threshold="50")
    acme.use("2024-01-05", "tokens", "60")
    acme.record("one_off.added", "2024-01-02", {"customer": "c1", "description": "x", "amount": "5", "currency": "USD"})
    assert acme.bill("2024-01-01", "2024-02-01").invoices.sort("close").select(
        "invoice_type", "total_minor"
    ).rows() == [
        ("threshold", 5400),
        ("period", 450),
    ]


def test_late_usage_of_a_closed_period_makes_no_threshold_invoice_beside_its_correction() -> None:
    acme = coupon_world(TEN, threshold="50")
    acme.use("2024-01-05", "tokens", "40")
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-03")
    acme.use("2024-01-06", "tokens", "30", received_at=instant("2024-02-20"))
    found = books.bill("2024-01-01", "2024-03-01", "2024-03-03")
    assert found.invoices["invoice_type"].to_list() == ["period"]
    assert shown(found) == [("tokens", "usage", 0), ("tokens", "adjustment", 2700)]


EVENT = st.tuples(
    st.integers(1, 31),
    st.decimals("0.01", "80", places=2),
    st.sampled_from(["eu", "us", "asia"]),
    st.integers(0, 30),  # days after which it is received
    st.one_of(st.none(), st.integers(1, 40)),  # days after which it is voided
)
COUPON = st.one_of(
    st.builds(lambda percent: {"percent": str(percent)}, st.decimals("0.1", "100", places=1)),
    st.builds(lambda amount: {"amount": str(amount), "currency": "USD"}, st.decimals("0.01", "150", places=2)),
)
METER = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n", "dimensions": ["region"]}


def two_charges(coupons: list[dict[str, Any]], threshold: str, until: str, **charge: Any) -> World:
    tiers = [{"up_to": "40", "unit": "1.005"}, {"up_to": None, "unit": "0.333"}]
    use = {"key": "use", "meter": "tokens", "split_by": ["region"], "price": {"model": "graduated", "tiers": tiers}}
    eu = {"key": "eu", "meter": "tokens", "when": {"region": "eu"}, "price": {"model": "standard", "unit": "0.777"}}
    fee = {"key": "base", "amount": "9.99", "timing": "in_arrears"}
    plan = {"key": "pro", "period": {"align": "calendar"}, "fees": [fee], "charges": [use | charge, eu]}
    named = [{"key": f"k{number}"} | coupon for number, coupon in enumerate(coupons)]
    acme = World({"currency": "USD", "meters": [METER], "plans": [plan | {"threshold": threshold}], "coupons": named})
    acme.start("2024-01-01", ends_at=until)
    for coupon in named:
        acme.record("coupon.applied", "2024-01-01", {"customer": "c1", "coupon": coupon["key"]})
    return acme


@law(15)
@given(
    events=st.lists(EVENT, max_size=7),
    coupons=st.lists(
        st.tuples(COUPON, st.sampled_from([{}, {"applies_to": {"charges": ["use"]}}])), min_size=1, max_size=2
    ),
    threshold=st.integers(5, 100),
    runs=st.sets(st.integers(3, 75), max_size=4),
    bounds=st.sampled_from([{}, {"minimum": "30"}, {"maximum": "45"}]),
)
@example(
    events=[(1, "0.06", "eu", 0, None), (20, "10.00", "asia", 25, None)],
    coupons=[({"percent": "0.1"}, {"applies_to": {"charges": ["use"]}})],
    threshold=100,
    runs={36},
    bounds={},
)
def test_invoices_of_a_period_add_up_to_what_one_invoice_of_all_that_is_known_would_say(
    events: list[tuple[int, Any, str, int, int | None]],
    coupons: list[tuple[dict[str, Any], dict[str, Any]]],
    threshold: int,
    runs: set[int],
    bounds: dict[str, str],
) -> None:
    given_coupons = [coupon | scope for coupon, scope in coupons]
    acme = two_charges(given_coupons, str(threshold), "2024-02-01", **bounds)
    plain = two_charges(given_coupons, "1000000", "2024-02-01", **bounds)
    for day, value, region, late, voided in events:
        sent = instant("2024-01-01") + (day - 1) * DAY + DAY / 2
        gone = None if voided is None else sent + (late + voided) * DAY
        for world in (acme, plain):
            world.use(
                sent.isoformat(), "tokens", str(value), dimensions=f'{{"region":"{region}"}}',
                received_at=sent + late * DAY, known_until=gone,
            )  # fmt: skip
    books = Books(acme)
    ends = [(instant("2024-01-01") + run * DAY).isoformat() for run in sorted(runs)]
    billed = [books.bill("2024-01-01", "2024-04-01", at) for at in (*ends, "2024-04-20", "2024-05-01")]
    assert billed[-1].invoices.is_empty()
    parts = pl.concat([one.invoices for one in billed], how="vertical_relaxed")
    whole = plain.bill("2024-01-01", "2024-04-01").invoices
    assert parts["total_minor"].sum() == whole["total_minor"].sum()
    assert (parts["total_minor"] == parts["subtotal_minor"] - parts["discount_total_minor"]).all()
    listed = parts["discounts"].list.eval(pl.element().struct.field("amount_minor")).list.sum()
    assert (listed == parts["discount_total_minor"]).all()
