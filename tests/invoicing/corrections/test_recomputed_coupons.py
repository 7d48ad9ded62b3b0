"""Coupons of an invoice that is recomputed, and of a period that closes twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tests.invoicing.corrections.test_reopened_periods import RUNS, lives, run_together, world
from tests.support.companies import Measured, bill_runs, months
from tests.support.ledger import World, instant

METER = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
VALUE = {
    "key": "value",
    "price": {"model": "outcome", "value_model": "saved", "output": "realised.saving", "share": "0.2"},
}
TOKENS = {"key": "tokens", "meter": "tokens", "price": {"model": "standard", "unit": "1"}}


def touched(charges: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """Lines (key, kind, minor) of an invoice with a coupon of one cent over lines of 10.00 each, and of the next run,
    which recomputes it and finds that nothing changed."""
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": charges}
    acme = Measured(
        {"meters": [METER], "plans": [plan], "coupons": [{"key": "cent", "amount": "0.01", "currency": "USD"}]}
    )
    acme.record("customer.created", "2023-01-02", {"customer": "c1"})
    acme.start("2024-01-01")
    acme.record("coupon.applied", "2024-01-01", {"customer": "c1", "coupon": "cent"})
    acme.use("2024-01-05", "tokens", "10")
    for day in ("2024-01-08", "2024-01-07"):
        data = {"customer": "c1", "description": "help", "amount": "10", "currency": "USD"}
        acme.record("one_off.added", day, data)
    same = {"tenant": "acme", "subscription": "s1", "charge": "value", "customer": "c1", "model": "saved"}
    span = {"period_from": instant("2024-01-01"), "period_to": instant("2024-01-05")}
    money = {"amount": Decimal(10), "currency": "USD", "approved_at": instant("2024-01-06")}
    acme.outcomes = [same | span | money | {"proposal": "p"}]
    acme.record("customer.updated", "2024-01-09", {"customer": "c1", "name": "new"}, received_at=instant("2024-02-10"))
    return [
        (row["key"][:7], row["kind"], row["amount_minor"])
        for run in bill_runs([acme], months("2024-01-01", 2))
        for row in run.lines.sort("place").iter_rows(named=True)
    ]


@pytest.mark.parametrize("charges", [[VALUE, TOKENS], [TOKENS, VALUE]])
def test_the_odd_cent_of_a_coupon_stays_on_its_line_when_nothing_changed(charges: list[dict[str, Any]]) -> None:
    lines = touched(charges)
    assert {kind for _, kind, _ in lines} == {"usage", "outcome", "one_off"}
    # The last one is of February, without usage.
    assert [amount for *_, amount in lines] == [1000, 1000, 1000, 1000, 0]


@pytest.mark.parametrize("covered", ["old", "pro"])
def test_a_line_that_stays_is_of_its_own_plan_when_its_invoice_is_recomputed(covered: str) -> None:
    period = {"align": "calendar"}
    plans = [
        {"key": "old", "period": period, "charges": [VALUE]},
        {"key": "pro", "period": period, "charges": [TOKENS]},
    ]
    coupon = {"key": "ten", "amount": "10", "currency": "USD", "applies_to": {"plans": [covered]}}
    acme = Measured({"meters": [METER], "plans": plans, "coupons": [coupon]})
    acme.record("customer.created", "2023-01-02", {"customer": "c1"})
    acme.start("2024-01-01", plan="old")
    acme.record("subscription.changed", "2024-02-01", {"subscription": "s1", "plan": "pro"})
    acme.record("coupon.applied", "2024-02-01", {"customer": "c1", "coupon": "ten"})
    acme.use("2024-02-05", "tokens", "10")
    data = {"customer": "c1", "description": "help", "amount": "10", "currency": "USD"}
    acme.record("one_off.added", "2024-02-07", data)
    same = {"tenant": "acme", "subscription": "s1", "charge": "value", "customer": "c1", "model": "saved"}
    span = {"period_from": instant("2024-01-01"), "period_to": instant("2024-02-01")}
    money = {"amount": Decimal(10), "currency": "USD", "approved_at": instant("2024-02-06")}
    acme.outcomes = [same | span | money | {"proposal": "p"}]
    acme.record("customer.updated", "2024-02-09", {"customer": "c1", "name": "new"}, received_at=instant("2024-03-10"))
    runs = bill_runs([acme], months("2024-01-01", 3))
    invoiced = [
        (row["kind"], row["amount_minor"], row["discount_minor"])
        for row in runs[1].lines.sort("place").iter_rows(named=True)
    ]
    assert sorted(invoiced) == [
        ("one_off", 1000, 0), ("outcome", 1000, 1000 * (covered == "old")), ("usage", 1000, 1000 * (covered == "pro")),
    ]  # fmt: skip
    assert runs[2].lines.filter(kind="adjustment")["amount_minor"].to_list() == []


def test_the_precise_amount_of_a_correction_is_net_of_its_invoices_coupons() -> None:
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": [TOKENS]}
    acme = World({"meters": [METER], "plans": [plan], "coupons": [{"key": "half", "percent": "50"}]})
    acme.start("2024-01-01")
    acme.record("coupon.applied", "2024-01-01", {"customer": "c1", "coupon": "half"})
    acme.use("2024-01-05", "tokens", "10")
    acme.use("2024-01-06", "tokens", "4", received_at=instant("2024-02-10"))
    second = bill_runs([acme], months("2024-01-01", 2))[1].lines.filter(kind="adjustment")
    assert second.select("amount_minor", "amount_precise").rows() == [(200, Decimal(2))]


COUPONS = [
    {"key": "fix", "amount": "700", "currency": "USD"},
    {"key": "small", "amount": "31.07", "currency": "USD", "applies_to": {"charges": ["tokens"]}},
    {"key": "part", "percent": "12.5"},
]
"""Amounts: more than the early closing invoice comes to, and less; a percentage."""


def company(coupons: list[str], life: str, *, known: bool, tenant: str = "acme") -> World:
    """A company of one customer with these coupons, whose subscription has this life."""
    acme = world("year", "calendar", coupons=COUPONS, tenant=tenant)
    acme.start("2023-01-01")
    for coupon in coupons:
        acme.record("coupon.applied", "2023-01-01", {"customer": "c1", "coupon": coupon})
    # What the early close gives back of the fee in advance is less than its usage: coupons take something there too.
    for month, tokens in (("2023-05", "7"), ("2024-02", "2000"), ("2024-05", "7"), ("2024-08", "7")):
        acme.use(f"{month}-21", "tokens", tokens)
    acme.use("2024-02-22", "tokens", "30", received_at=instant("2025-05-01"))
    lives(acme, life, known=known)
    return acme


CASES: list[tuple[list[str], str]] = [
    (["fix"], "an end, withdrawn"),
    (["small"], "an end, withdrawn"),
    (["part"], "an end moved later in the period"),
    (["fix", "small"], "an end moved later, and later again"),
    (["fix", "part"], "an end withdrawn and sent again"),
]


@pytest.fixture(scope="module")
def due() -> list[pl.DataFrame]:
    """Invoices of the runs as they came to know it all, and of a run that knew it; a tenant is a case."""
    found = []
    for known in (False, True):
        worlds = [company(*case, known=known, tenant=str(number)) for number, case in enumerate(CASES)]
        found.append(pl.concat([one.invoices for one in run_together(worlds, RUNS[-1:] if known else RUNS)]))
    return found


@pytest.mark.parametrize("case", range(len(CASES)))
def test_a_coupon_is_taken_once_of_a_period_that_closes_twice(due: list[pl.DataFrame], case: int) -> None:
    by_and_by, knew = (one.filter(tenant=str(case)) for one in due)
    assert by_and_by["total_minor"].sum() == knew["total_minor"].sum() != 0
    for invoices in (by_and_by, knew):
        closing = invoices.filter(invoice_type="period")
        stated = closing.explode("discounts")["discounts"].struct.field("amount_minor").sum()
        assert closing["discount_total_minor"].sum() == stated


def test_the_later_closing_invoice_of_a_period_gets_what_is_left_of_an_amount(due: list[pl.DataFrame]) -> None:
    closing = due[0].filter(tenant="0", invoice_type="period").sort("finalise_after", "period_to")
    # 2023; 2024 as it closed early, and once more; 2025.
    assert closing["discount_total_minor"].to_list() == [70000, 70000, 0, 70000]
