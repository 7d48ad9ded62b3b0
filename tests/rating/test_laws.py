"""Laws of rating: the engine against the book (oracle.py), and what must hold whatever the price."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.rating import oracle
from tests.support.laws import law
from valueverse.money import plain
from valueverse.services.calculators.price import answer

LAST_PLACES = Decimal("0.00000000000001")


def decimals(low: int, high: int, places: int = 3) -> st.SearchStrategy[str]:
    return st.decimals(low, high, places=places).map(plain)


quantities = st.one_of(decimals(0, 60), decimals(0, 60, 0), decimals(-20, 100_000))
positive = decimals(1, 40, 1)
unit_prices = decimals(0, 5, 4)
amounts = decimals(0, 30, 2)


@st.composite
def tiers(draw: st.DrawFn, *, percent: bool = False) -> list[dict[str, Any]]:
    bounds = sorted(draw(st.sets(decimals(1, 50, 1).map(Decimal), max_size=4)))
    found = []
    for bound in [*bounds, None]:
        tier: dict[str, Any] = {"up_to": None if bound is None else plain(bound), "flat": draw(amounts)}
        tier["rate" if percent else "unit"] = draw(unit_prices)
        if not percent and draw(st.booleans()):
            tier["per"] = draw(st.sampled_from(["0.3", "1", "7", "10"]))
        if not percent and draw(st.booleans()):
            tier["cap"] = draw(amounts)
        found.append(tier)
    return found


@st.composite
def prices(draw: st.DrawFn) -> dict[str, Any]:
    model = draw(st.sampled_from(["standard", "graduated", "volume", "package", "percentage", "graduated_percentage"]))
    match model:
        case "standard":
            return {"model": model, "unit": draw(unit_prices)}
        case "graduated" | "volume":
            return {"model": model, "tiers": draw(tiers()), "bill_flat_at_zero": draw(st.booleans())}
        case "graduated_percentage":
            return {"model": model, "tiers": draw(tiers(percent=True))}
        case "package":
            rounding = draw(st.sampled_from(["up", "down"]))
            size = draw(st.sampled_from(["0.7", "3", "10"]))
            return {
                "model": model,
                "size": size,
                "amount": draw(amounts),
                "free": draw(positive),
                "round": rounding,
            }
        case _:
            price = {"model": model, "rate": draw(unit_prices), "fixed": draw(amounts)}
            optional = {
                "free_events": st.integers(0, 4).map(str),
                "free_amount": positive,
                "min_per_event": decimals(0, 3, 2),
                "max_per_event": decimals(3, 9, 2),
            }
            return price | {name: draw(value) for name, value in optional.items() if draw(st.booleans())}


@st.composite
def lines(draw: st.DrawFn) -> dict[str, Any]:
    line: dict[str, Any] = {"price": draw(prices())}
    if line["price"]["model"] == "percentage" and draw(st.booleans()):
        line["events"] = [{"value": value} for value in draw(st.lists(decimals(0, 40), max_size=7))]
    else:
        line["quantity"] = draw(quantities)
        line |= draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "convert": st.sampled_from(
                        [{"divide_by": "7", "round": "up"}, {"multiply_by": "1.5"}, {"divide_by": "8"}]
                    ),
                    "included": positive,
                    "billed_before": st.fixed_dictionaries({"quantity": decimals(0, 50), "amount": amounts}),
                },
            )
        )
    extras = {
        "discount_percent": decimals(0, 100, 1),
        "minimum": amounts,
        "maximum": decimals(0, 500, 2),
        "final": st.booleans(),
        "proration": st.integers(0, 31).map(lambda days: {"days": days, "of": 31}),
    }
    return line | draw(st.fixed_dictionaries({}, optional=extras))


@law(60)
@given(st.lists(lines(), min_size=1, max_size=12))
def test_the_engine_prices_by_the_book(batch: list[dict[str, Any]]) -> None:
    for line, found in zip(batch, answer(batch), strict=True):
        assert isinstance(found, dict), (line, found)
        amount, rounded = oracle.price(line)
        assert abs(Decimal(found["amount"]) - amount) < LAST_PLACES, (line, found, amount)
        assert Decimal(found["amount_rounded"]) == rounded, (line, found, rounded)


@law(25)
@given(st.lists(lines(), min_size=2, max_size=8))
def test_a_line_costs_the_same_alone_and_in_a_crowd(batch: list[dict[str, Any]]) -> None:
    assert list(answer(batch)) == [next(iter(answer([line]))) for line in batch]


@law(40)
@given(prices(), st.lists(decimals(0, 40), min_size=1, max_size=6))
def test_differences_add_up_to_the_whole(price: dict[str, Any], parts: list[str]) -> None:
    if price["model"] == "percentage":
        return
    booked = quantity = Decimal(0)
    for part in parts:
        before = {"quantity": plain(quantity), "amount": plain(booked)}
        found = next(iter(answer([{"price": price, "quantity": part, "billed_before": before}])))
        booked += Decimal(found["amount_rounded"])
        quantity += Decimal(part)
    at_once = next(iter(answer([{"price": price, "quantity": plain(quantity)}])))
    assert booked == Decimal(at_once["amount_rounded"])


@law(40)
@given(tiers(), st.lists(decimals(0, 30), min_size=1, max_size=6), st.sampled_from(["0", "4"]))
def test_events_that_count_whole_cost_what_their_sum_costs(
    walked: list[dict[str, Any]], values: list[str], included: str
) -> None:
    price = {"model": "graduated", "tiers": walked}
    events = [{"value": value, "prorated": value} for value in values]
    total = plain(sum(map(Decimal, values), Decimal(0)))
    by_event, at_once = answer(
        [
            {"price": price, "events": events, "included": included},
            {"price": price, "quantity": total, "included": included},
        ]
    )
    assert by_event == at_once
