"""The rules of a price in plain fractions, one line after the other: what the vectorised engine must equal.

Slow on purpose, and it shares no code with the engine. Sources: contracts.md (3 and 5) and billing.md (Prices).
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Document = dict[str, Any]
ZERO = Fraction(0)


def number(value: object) -> Fraction:
    return ZERO if value is None else Fraction(str(value))


def half_up(value: Fraction, places: int) -> Fraction:
    """Half away from zero."""
    scaled = abs(value) * Fraction(10) ** places
    whole = math.floor(scaled + Fraction(1, 2))
    return (whole if value >= 0 else -whole) / Fraction(10) ** places


def half_even(value: Fraction, places: int) -> Fraction:
    return Fraction(round(value * Fraction(10) ** places)) / Fraction(10) ** places


def round_money(value: Fraction, places: int, mode: str = "half_up") -> Fraction:
    scale = Fraction(10) ** places
    if mode == "up":
        return math.ceil(value * scale) / scale
    if mode == "down":
        return math.floor(value * scale) / scale
    return half_up(value, places) if mode == "half_up" else half_even(value, places)


def converted(quantity: Fraction, convert: Document | None) -> Fraction:
    if not convert:
        return quantity
    if convert.get("divide_by") is not None:
        quantity /= number(convert["divide_by"])
    if convert.get("multiply_by") is not None:
        quantity *= number(convert["multiply_by"])
    how = convert.get("round", "none")
    return quantity if how == "none" else round_money(quantity, 0, how)


def blocks(units: Fraction, size: Fraction) -> int:
    return math.ceil(units / size)


def bounds(tiers: list[Document]) -> Iterable[tuple[Document, Fraction, Fraction | None]]:
    lower = ZERO
    for tier in tiers:
        upper = None if tier["up_to"] is None else number(tier["up_to"])
        yield tier, lower, upper
        lower = lower if upper is None else upper


def tier_cost(tier: Document, units: Fraction, *, entered: bool) -> Fraction:
    per = tier.get("per")
    unit = number(tier.get("unit", tier.get("rate"))) / (100 if "rate" in tier else 1)
    cost = unit * (units if per is None else blocks(units, number(per)))
    cost += number(tier.get("flat")) if entered else ZERO
    return cost if tier.get("cap") is None else min(cost, number(tier["cap"]))


def graduated(price: Document, units: Fraction, paid: Fraction | None = None) -> Fraction:
    """``units`` choose the tiers; ``paid`` units, spread over them in the same proportion, are paid."""
    total = ZERO
    for place, (tier, lower, upper) in enumerate(bounds(price["tiers"])):
        inside = max(ZERO, (units if upper is None else min(units, upper)) - lower)
        entered = units > lower or (place == 0 and price.get("bill_flat_at_zero", True))
        spread = inside if paid is None or not units else paid * inside / units
        total += tier_cost(tier, spread, entered=entered)
    return total


def graduated_by_events(price: Document, events: list[tuple[Fraction, Fraction]]) -> Fraction:
    """Each event's prorated part lies in the tiers that its value lies in."""
    top = level = ZERO
    shares = [ZERO for _ in price["tiers"]]
    for value, prorated in events:
        low, high = sorted((level, level + value))
        for place, (_, lower, upper) in enumerate(bounds(price["tiers"])):
            overlap = max(ZERO, (high if upper is None else min(high, upper)) - max(low, lower))
            shares[place] += prorated * overlap / abs(value) if value else ZERO
        level += value
        top = max(top, level)
    return sum(
        (
            tier_cost(tier, share, entered=top > lower or (not place and price.get("bill_flat_at_zero", True)))
            for place, ((tier, lower, _), share) in enumerate(zip(bounds(price["tiers"]), shares, strict=True))
        ),
        ZERO,
    )


def volume(price: Document, units: Fraction, paid: Fraction) -> Fraction:
    for tier, _, upper in bounds(price["tiers"]):
        if upper is None or units <= upper:
            return tier_cost(tier, paid, entered=units > 0 or price.get("bill_flat_at_zero", True))
    raise AssertionError("the last tier is open")


def package(price: Document, units: Fraction) -> Fraction:
    paid, size = max(ZERO, units - number(price.get("free"))), number(price["size"])
    count = math.floor(paid / size) if price.get("round") == "down" else blocks(paid, size)
    return count * number(price["amount"])


def percentage(price: Document, values: list[Fraction]) -> Fraction:
    free_events, free_amount = price.get("free_events"), price.get("free_amount")
    free = free_events is not None or free_amount is not None
    total = running = ZERO
    for place, value in enumerate(values, 1):
        running += value
        by_count = free_events is None or place <= int(str(free_events))
        by_amount = free_amount is None or running <= number(free_amount)
        if free and by_count and by_amount:
            continue
        crossing = free and by_count and not by_amount
        free = False
        part = running - number(free_amount) if crossing else value
        cost = part * number(price["rate"]) / 100 + number(price.get("fixed"))
        if price.get("max_per_event") is not None:
            cost = min(cost, number(price["max_per_event"]))
        if price.get("min_per_event") is not None:
            cost = max(cost, number(price["min_per_event"]))
        total += cost
    return total


def capacity(price: Document, quantities: Document) -> Fraction:
    for tier in price["tiers"]:
        limits = tier.get("limits") or {}
        if all(limit is None or number(quantities.get(meter)) <= number(limit) for meter, limit in limits.items()):
            return number(tier["amount"])
    raise AssertionError("the last tier has no limits")


def bucketed(price: Document, buckets: list[Any]) -> Fraction:
    total = ZERO
    for bucket in buckets:
        at, quantity = (bucket.get("at"), bucket["quantity"]) if isinstance(bucket, dict) else (None, bucket)
        terms = {name: price[name] for name in ("price", "commitment", "overage_factor", "true_up") if name in price}
        for window in price.get("time_of_day", ()) if at else ():
            start, end = window["from"], window["to"]
            if (start <= at < end) if start < end else (at >= start or at < end):
                terms |= {name: value for name, value in window.items() if name not in {"from", "to"}}
                break
        amount = priced({"price": terms["price"]}, max(ZERO, number(quantity)))
        least = terms.get("commitment")
        if least is not None:
            least = number(least)
            if amount >= least:
                amount = least + (amount - least) * number(terms.get("overage_factor", 1))
            elif terms.get("true_up"):
                amount = least
        total += amount
    return total


def after_included(values: list[Fraction], included: Fraction) -> list[Fraction]:
    """What is left of each value once the first ``included`` units are gone."""
    left, running = [], ZERO
    for value in values:
        left.append(max(running + value - included, ZERO) - max(running - included, ZERO) if included else value)
        running += value
    return left


def priced(line: Document, units: Fraction, paid: Fraction | None = None) -> Fraction:
    """The price of units that are converted and free of included ones."""
    price = line["price"]
    own = units if paid is None else paid
    match price["model"]:
        case "standard":
            return own * number(price["unit"])
        case "graduated" | "graduated_percentage":
            return graduated(price, units, paid)
        case "volume":
            return volume(price, units, own)
        case "package":
            return package(price, own)
        case "percentage":
            return percentage(price, [own] if own else [])
        case "dynamic":
            return own * number(price["multiplier"])
        case model:
            raise AssertionError(model)


def amount_of(line: Document, quantity: Fraction, paid: Fraction | None = None) -> Fraction:
    """A(q): from convert to minimum."""
    convert, included = line.get("convert"), number(line.get("included"))
    price, events = line["price"], line.get("events")

    def units_of(value: Fraction) -> Fraction:
        return max(ZERO, converted(value, convert) - included)

    if price["model"] == "capacity":
        amount = capacity(price, line["quantities"])
    elif price["model"] == "bucketed":
        values = [number(item["quantity"] if isinstance(item, dict) else item) for item in line["buckets"]]
        rest = after_included([converted(value, convert) for value in values], included)
        given = [
            {**item, "quantity": value} if isinstance(item, dict) else value
            for item, value in zip(line["buckets"], rest, strict=True)
        ]
        amount = bucketed(price, given)
    elif events is not None and price["model"] == "percentage":
        values = [converted(number(event["value"]), convert) for event in events]
        amount = percentage(price, after_included(values, included)) if quantity >= 0 else ZERO
    elif events is not None and price["model"] == "matrix":
        amount = matrix(price, events)
    elif events and any("prorated" in event for event in events) and price["model"] == "graduated":
        amount = graduated_by_events(
            price, [(number(event["value"]), number(event.get("prorated", event["value"]))) for event in events]
        )
    else:
        amount = priced(line, units_of(quantity), None if paid is None else units_of(paid))
    return bounded(line, amount)


def matrix(price: Document, events: list[Document]) -> Fraction:
    cells: dict[tuple[str, ...], Fraction] = {}
    for event in events:
        place = tuple(str(event.get("dimensions", {}).get(name)) for name in price["dimensions"])
        cells[place] = cells.get(place, ZERO) + number(event["value"])
    units = {tuple(str(cell[name]) for name in price["dimensions"]): cell["unit"] for cell in price["cells"]}
    paid = ((place, max(value, ZERO)) for place, value in cells.items())
    return sum((value * number(units.get(place, price.get("default_unit"))) for place, value in paid), ZERO)


def bounded(line: Document, amount: Fraction) -> Fraction:
    amount -= amount * number(line.get("discount_percent")) / 100
    proration = line.get("proration") or {"days": 1, "of": 1}
    scale = number(proration["days"]) / number(proration["of"])
    if line.get("maximum") is not None:
        amount = min(amount, number(line["maximum"]) * scale)
    if line.get("minimum") is not None and line.get("final", True):
        amount = max(amount, number(line["minimum"]) * scale)
    return amount


def price_line(line: Document, places: int = 2) -> tuple[Fraction, Fraction]:
    """Precise and rounded amount of a line of ``valueverse price``."""
    before = line.get("billed_before") or {}
    if line.get("events") is not None:
        quantity = sum((number(event["value"]) for event in line["events"]), ZERO)
    else:
        quantity = number(line.get("quantity"))
    paid = line.get("prorated_quantity")
    booked = number(before.get("quantity"))
    amount = amount_of(line, booked + quantity, None if paid is None else booked + number(paid))
    mode = (line.get("rounding") or {}).get("mode", "half_up")
    return amount - number(before.get("amount")), round_money(amount, places, mode) - number(before.get("amount"))
