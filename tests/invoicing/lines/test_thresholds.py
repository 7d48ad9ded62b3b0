"""Invoices as soon as usage reaches a threshold, and the closing one for the rest."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.invoicing.corrections.test_corrections import Books
from tests.support.laws import law
from tests.support.ledger import World, amounts, instant

METER = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
GRADUATED = {"model": "graduated", "tiers": [{"up_to": "100", "unit": "1"}, {"up_to": None, "unit": "0.5"}]}


def world(threshold: str = "50", **plan: Any) -> World:
    charge = {"key": "use", "meter": "tokens", "price": GRADUATED, **plan.pop("charge", {})}
    document = {"key": "pro", "period": {"align": "calendar"}, "charges": [charge], "threshold": threshold} | plan
    acme = World({"meters": [METER], "plans": [document]})
    acme.start("2024-01-01")
    return acme


def test_an_invoice_is_made_at_the_end_of_the_day_on_which_usage_reaches_the_threshold() -> None:
    acme = world()
    for day, value in (("03", "30"), ("05", "25"), ("20", "70"), ("25", "3")):
        acme.use(f"2024-01-{day}T10:00:00+00:00", "tokens", value)
    found = acme.documents("2024-01-01", "2024-02-01")
    assert [(one["period"]["to"][:10], amounts(one)) for one in found] == [
        ("2024-01-06", [("use", "55.00")]),
        ("2024-01-21", [("use", "57.50")]),
        ("2024-02-01", [("use", "1.50")]),
    ]
    assert found[1]["lines"][0]["quantity"] == "70"


def test_a_period_that_is_still_open_is_invoiced_early() -> None:
    acme = world()
    acme.use("2024-01-05", "tokens", "60")
    found = acme.documents("2024-01-01", "2024-01-15")
    assert [(one["period"]["to"][:10], one["total"]) for one in found] == [("2024-01-06", "60.00")]


def test_a_minimum_and_a_commitment_are_judged_over_the_whole_period() -> None:
    acme = world(charge={"minimum": "80"}, commitment={"minimum": "90"})
    acme.use("2024-01-05", "tokens", "60")
    early, closing = acme.documents("2024-01-01", "2024-02-01")
    assert amounts(early) == [("use", "60.00")]
    assert amounts(closing) == [("use", "20.00"), ("commitment", "10.00")]


def test_runs_one_after_the_other_bill_the_rest_of_what_stands() -> None:
    acme = world()
    books = Books(acme)
    acme.use("2024-01-05", "tokens", "60")
    assert books.bill("2024-01-01", "2024-02-01", "2024-01-10").invoices["total_minor"].to_list() == [6000]
    assert books.bill("2024-01-01", "2024-02-01", "2024-01-11").invoices.is_empty()
    acme.use("2024-01-04", "tokens", "10", received_at=instant("2024-01-15"))
    closing = books.bill("2024-01-01", "2024-02-01", "2024-02-03")
    assert closing.invoices.select("invoice_type", "total_minor").rows() == [("period", 1000)]
    acme.use("2024-01-04", "tokens", "10", received_at=instant("2024-02-15"))
    corrected = books.bill("2024-02-01", "2024-03-01", "2024-03-03")
    assert corrected.lines.filter(pl.col("kind") == "adjustment")["amount_minor"].to_list() == [1000]


@law(10)
@given(
    usage=st.lists(st.tuples(st.integers(1, 31), st.integers(1, 80)), max_size=8),
    threshold=st.integers(5, 120),
)
def test_however_many_invoices_a_threshold_makes_they_add_up_to_the_period(
    usage: list[tuple[int, int]], threshold: int
) -> None:
    acme, plain = world(str(threshold)), world("100000")
    for day, value in usage:
        for one in (acme, plain):
            one.use(f"2024-01-{day:02}T12:00:00+00:00", "tokens", str(value))
    (whole,) = plain.bill("2024-01-01", "2024-02-01").invoices["total_minor"]
    assert acme.bill("2024-01-01", "2024-02-01").invoices["total_minor"].sum() == whole


def test_what_a_threshold_invoice_billed_of_a_value_without_usage_any_more_is_given_back_at_the_close() -> None:
    meter = METER | {"dimensions": ["region"]}
    price = {"model": "standard", "unit": "1"}
    charge = {"key": "use", "meter": "tokens", "split_by": ["region"], "price": price}
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": [charge], "threshold": "50"}
    acme = World({"meters": [meter], "plans": [plan]})
    acme.start("2024-01-01")
    acme.use("2024-01-05", "tokens", "60", dimensions='{"region":"eu"}')
    acme.use("2024-01-07", "tokens", "5", dimensions='{"region":"us"}')
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-01-20")
    acme.usage[0]["known_until"] = instant("2024-01-25")
    closing = books.bill("2024-01-01", "2024-02-01", "2024-02-02").lines.sort("place")
    assert closing.select("dimensions", "quantity", "amount_minor").cast({"quantity": pl.Int64}).rows() == [
        ('{"region":"eu"}', -60, -6000),
        ('{"region":"us"}', 5, 500),
    ]


@pytest.mark.parametrize(
    ("zone", "start", "used", "closes"),
    [
        ("Africa/Cairo", "2024-04-01T00:00:00+02:00", "2024-04-25T12:00:00+02:00", "2024-04-26T01:00:00+03:00"),
        ("Pacific/Apia", "2011-12-01T00:00:00-10:00", "2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00"),
    ],
    ids=["a midnight that clocks skip", "a day that a zone skipped"],
)
def test_a_threshold_is_judged_where_the_next_local_day_begins(zone: str, start: str, used: str, closes: str) -> None:
    price = {"key": "use", "meter": "tokens", "price": {"model": "standard", "unit": "1"}}
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": [price], "threshold": "50"}
    acme = World({"meters": [METER], "plans": [plan]}, published="2010-01-01")
    acme.start(start, timezone=zone)
    acme.use(used, "tokens", "60")
    found = acme.bill(start[:10], (date.fromisoformat(start[:10]) + timedelta(days=40)).isoformat()).invoices
    early = found.filter(pl.col("invoice_type") == "threshold")
    assert early.select("period_to", "total_minor").rows() == [(instant(closes), 6000)]
