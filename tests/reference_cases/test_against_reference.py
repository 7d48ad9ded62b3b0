"""The vectorised engine equals the rules in plain fractions, for random lines of every price model."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support import reference_rating as reference
from tests.support.laws import law
from valueverse.money import plain
from valueverse.services.calculators.price import answer

CLOSE = Fraction(1, 10**12)
"""Parts of an amount are each held at 18 decimals; their sum may be off by a few of the last ones."""

cents = st.integers(0, 100_000).map(lambda value: f"{value / 100:.2f}")
units = st.decimals(0, 5_000, places=3).map(plain)
small = st.decimals(0, 20, places=4).map(plain)


@st.composite
def tiers(draw: Any, *, rates: bool = False) -> list[dict[str, Any]]:
    tops = sorted(draw(st.sets(st.decimals("0.5", 2_000, places=1), max_size=4)))
    found: list[dict[str, Any]] = []
    for top in (*tops, None):
        tier = {"up_to": None if top is None else plain(top), "flat": draw(cents)}
        if rates:
            found.append(tier | {"rate": draw(small)})
            continue
        tier["unit"] = draw(small)
        if draw(st.booleans()):
            tier["per"] = draw(st.sampled_from(["1", "3", "10", "0.7", "100"]))
        if draw(st.integers(0, 3)) == 0:
            tier["cap"] = draw(cents)
        found.append(tier)
    return found


@st.composite
def simple_prices(draw: Any) -> dict[str, Any]:
    model = draw(
        st.sampled_from(["standard", "graduated", "volume", "package", "graduated_percentage", "dynamic", "percentage"])
    )
    if model == "standard":
        return {"model": model, "unit": draw(small)}
    if model == "dynamic":
        return {"model": model, "multiplier": draw(small)}
    if model == "package":
        return {
            "model": model, "size": draw(st.sampled_from(["1", "3", "7", "10", "0.3", "1000"])),
            "amount": draw(cents), "free": draw(units), "round": draw(st.sampled_from(["up", "down"])),
        }  # fmt: skip
    if model == "percentage":
        by_event: dict[str, Any] = draw(percentages())
        return by_event
    price = {"model": model, "tiers": draw(tiers(rates=model == "graduated_percentage"))}
    return price if model == "graduated_percentage" else price | {"bill_flat_at_zero": draw(st.booleans())}


@st.composite
def percentages(draw: Any) -> dict[str, Any]:
    price: dict[str, Any] = {"model": "percentage", "rate": draw(small), "fixed": draw(cents)}
    if draw(st.booleans()):
        price["free_events"] = draw(st.integers(0, 4))
    if draw(st.booleans()):
        price["free_amount"] = draw(units)
    low, high = sorted((draw(st.integers(0, 900)), draw(st.integers(0, 900))))
    if draw(st.booleans()):
        price["min_per_event"] = str(low)
    if draw(st.booleans()):
        price["max_per_event"] = str(high)
    return price


@st.composite
def chains(draw: Any) -> dict[str, Any]:
    """What stands around a price; each part is there or not."""
    line: dict[str, Any] = {}
    if draw(st.booleans()):
        how = draw(st.sampled_from(["up", "down", "half_up", "half_even", "none"]))
        by = draw(st.sampled_from(["divide_by", "multiply_by"]))
        line["convert"] = {by: draw(st.sampled_from(["2", "4", "1000", "0.5", "1.2", "1"])), "round": how}
    for name, values in (
        ("included", units),
        ("discount_percent", st.integers(0, 100).map(str)),
        ("minimum", cents),
        ("maximum", cents),
    ):
        if draw(st.integers(0, 2)) == 0:
            line[name] = draw(values)
    if draw(st.integers(0, 2)) == 0:
        of = draw(st.integers(1, 366))
        line["proration"] = {"days": draw(st.integers(0, of)), "of": of}
    if draw(st.integers(0, 2)) == 0:
        line["final"] = draw(st.booleans())
    if draw(st.integers(0, 2)) == 0:
        line["billed_before"] = {"quantity": draw(units), "amount": draw(cents)}
    if draw(st.integers(0, 3)) == 0:
        line["rounding"] = {"mode": draw(st.sampled_from(["half_up", "half_even", "up", "down"]))}
    return line


def holds(lines: list[dict[str, Any]]) -> None:
    """Every line of the batch has the amount that the rules give."""
    for line, found in zip(lines, answer(lines), strict=True):
        assert isinstance(found, dict), (line, found.as_json())
        amount, rounded = reference.price_line(line)
        assert abs(Fraction(found["amount"]) - amount) < CLOSE, (line, found, float(amount))
        if Fraction(found["amount"]) == amount:
            assert Fraction(found["amount_rounded"]) == rounded, (line, found, float(rounded))


@law(30)
@given(st.lists(st.builds(lambda price, chain, quantity: {"price": price, "quantity": quantity, **chain},
                          simple_prices(), chains(), units), min_size=1, max_size=12))  # fmt: skip
def test_any_price_in_any_chain_is_what_the_rules_say(lines: list[dict[str, Any]]) -> None:
    holds(lines)


@law(30)
@given(st.lists(st.builds(lambda price, values: {"price": price, "events": [{"value": v} for v in values]},
                          percentages(), st.lists(units, max_size=6)), min_size=1, max_size=8))  # fmt: skip
def test_percentages_of_events_are_what_the_rules_say(lines: list[dict[str, Any]]) -> None:
    holds(lines)


@st.composite
def walks(draw: Any) -> dict[str, Any]:
    """Events that add and remove units and never end below zero, each with its prorated part."""
    level, events = 0, []
    for _ in range(draw(st.integers(1, 6))):
        step = draw(st.integers(-level, 60).filter(bool))
        level += step
        events.append(
            {"value": str(step), "prorated": plain(draw(st.decimals(0, 60, places=2)) * (1 if step > 0 else -1))}
        )
    return {"price": {"model": "graduated", "tiers": draw(tiers().map(unblocked))}, "events": events}


def unblocked(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without blocks: a share rounded at the 18th decimal may start another one."""
    return [{name: value for name, value in tier.items() if name not in {"per", "cap"}} for tier in found]


@law(30)
@given(st.lists(walks(), min_size=1, max_size=8))
def test_prorated_events_lie_in_the_tiers_of_their_values(lines: list[dict[str, Any]]) -> None:
    holds(lines)


@st.composite
def bucket_lines(draw: Any) -> dict[str, Any]:
    inner = simple_prices().filter(lambda price: price["model"] != "dynamic")
    price: dict[str, Any] = {"model": "bucketed", "every": "hour", "price": draw(inner)}
    if draw(st.booleans()):
        price |= {"commitment": draw(cents), "overage_factor": draw(small), "true_up": draw(st.booleans())}
    windows = draw(st.sampled_from([[], [("09:00", "17:00")], [("22:00", "06:00"), ("06:00", "12:30")]]))
    price["time_of_day"] = [
        {"from": start, "to": end, "price": draw(inner), "commitment": draw(cents), "true_up": draw(st.booleans())}
        for start, end in windows
    ]
    hours = st.integers(0, 23).map(lambda hour: f"{hour:02}:00")
    line = {
        "price": price,
        "buckets": [{"at": at, "quantity": draw(units)} for at in draw(st.lists(hours, max_size=6))],
    }
    return line | ({"included": draw(units)} if draw(st.booleans()) else {})


@law(30)
@given(st.lists(bucket_lines().filter(lambda line: bool(line["buckets"])), min_size=1, max_size=4))
def test_buckets_are_priced_alone_and_summed(lines: list[dict[str, Any]]) -> None:
    holds(lines)


@st.composite
def capacity_lines(draw: Any) -> dict[str, Any]:
    meters = ["gpu", "disk", "seats"]
    steps: list[dict[str, Any]] = [
        {"limits": {meter: draw(st.one_of(st.none(), units)) for meter in draw(st.sets(st.sampled_from(meters)))},
         "amount": draw(cents)}
        for _ in range(draw(st.integers(0, 4)))
    ]  # fmt: skip
    price = {"model": "capacity", "meters": meters, "tiers": [*steps, {"amount": draw(cents)}]}
    return {"price": price, "quantities": {meter: draw(units) for meter in draw(st.sets(st.sampled_from(meters)))}}


@law(30)
@given(st.lists(capacity_lines(), min_size=1, max_size=8))
def test_capacity_takes_the_lowest_tier_that_holds(lines: list[dict[str, Any]]) -> None:
    holds(lines)


@law(30)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y"]), units), max_size=8),
    st.dictionaries(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["x", "y"])), small),
    small,
)
def test_a_matrix_prices_each_combination(
    drawn: list[tuple[str, str, str]], cells: dict[tuple[str, str], str], other: str
) -> None:
    price = {
        "model": "matrix", "dimensions": ["size", "place"], "default_unit": other,
        "cells": [{"size": size, "place": place, "unit": unit} for (size, place), unit in cells.items()],
    }  # fmt: skip
    events = [{"value": value, "dimensions": {"size": size, "place": place}} for size, place, value in drawn]
    holds([{"price": price, "events": events}])


@law(60)
@given(tiers(), units, units)
def test_more_units_never_cost_less_where_no_tier_is_cheaper(found: list[dict[str, Any]], one: str, other: str) -> None:
    low, high = sorted((one, other), key=Fraction)
    price = {"model": "graduated", "tiers": found}
    less, more = (Fraction(line["amount"]) for line in answer([{"price": price, "quantity": q} for q in (low, high)]))  # type: ignore[index]
    assert less <= more
