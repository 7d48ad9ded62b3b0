"""An amount beyond 10^15 minor units holds its invoice with ``out_of_range``; the tenant's other invoices go on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.ledger import World

CHARGE = {"key": "usage", "meter": "tokens", "price": {"model": "standard", "unit": "999999"}}
METER = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}


def world(quantities: dict[str, Any] | None = None, **plan: Any) -> World:
    """Two customers, c0 and c1, on one plan with a fee of 10."""
    base = {"key": "base", "amount": "10", "timing": "in_arrears"}
    whole = {"key": "pro", "period": {"align": "calendar"}, "fees": [base, *plan.pop("fees", [])]} | plan
    made = World({"currency": "USD", "meters": [METER], "plans": [whole]})
    for customer in ("c0", "c1"):
        stated = quantities or {} if customer == "c0" else {}
        made.start("2023-11-01", subscription=f"s-{customer}", customer=customer, **stated)
    return made


def held_and_billed(made: World) -> tuple[set[tuple[str, str]], list[str]]:
    """(customer, problem) of what is held, and the customers that are billed."""
    billed = made.bill("2023-11-01", "2023-12-02")
    held = set(billed.problems.select("customer", "problem").iter_rows())
    return held, billed.invoices["customer"].to_list()


def seats(quantity: str, timing: str = "in_arrears", **more: Any) -> World:
    fee = {"key": "seats", "unit_amount": "999999", "quantity": "1", "timing": timing} | more
    return world({"quantities": {"seats": quantity}}, fees=[fee])


@pytest.mark.parametrize("timing", ["in_arrears", "in_advance"])
@pytest.mark.parametrize("prorate", ["day", "second", "none"])
def test_seats_times_price_beyond_the_range_hold_that_invoice_alone(timing: str, prorate: str) -> None:
    held, billed = held_and_billed(seats("99999999999", timing, prorate=prorate))
    assert held == {("c0", "out_of_range")}
    assert set(billed) == {"c1"}


@pytest.mark.parametrize(("tokens", "is_held"), [("10000000", False), ("10000020", True), ("999999999999", True)])
def test_usage_beyond_the_range_holds_that_invoice_alone(tokens: str, is_held: bool) -> None:
    made = world(charges=[CHARGE])
    made.use("2023-11-05", "tokens", tokens, customer="c0")
    made.use("2023-11-05", "tokens", "1", customer="c1")
    held, billed = held_and_billed(made)
    assert held == ({("c0", "out_of_range")} if is_held else set())
    assert billed == (["c1"] if is_held else ["c0", "c1"])


def test_a_quantity_beyond_the_exact_range_is_held_and_not_billed_as_nothing() -> None:
    made = world(charges=[CHARGE])
    for hour in range(12):
        made.use(f"2023-11-05T{hour:02d}:00:00+00:00", "tokens", "999999999999", customer="c0")
    held, billed = held_and_billed(made)
    assert held == {("c0", "out_of_range")}
    assert billed == ["c1"]


def test_lines_that_fit_alone_but_not_together_hold_their_invoice() -> None:
    fees = [{"key": f"f{number}", "amount": "999999999999", "timing": "in_arrears"} for number in range(11)]
    made = world(fees=fees)
    held, billed = held_and_billed(made)
    assert held == {("c0", "out_of_range"), ("c1", "out_of_range")}
    assert billed == []


def test_a_tax_beyond_the_range_holds_the_invoice() -> None:
    made = world(fees=[{"key": "big", "amount": "999999999", "timing": "in_arrears"}])
    made.record(
        "customer.updated", "2023-02-01", {"customer": "c0", "tax_rates": [{"key": "vat", "percent": "999999"}]}
    )
    held, billed = held_and_billed(made)
    assert held == {("c0", "out_of_range")}
    assert billed == ["c1"]
