"""Prices by the book, one unit of thought at a time: slow, plain Decimal, nothing shared with the engine."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, localcontext
from typing import Any

D = Decimal
ZERO = D(0)


def blocks(units: Decimal, size: Decimal) -> Decimal:
    return (units / size).to_integral_value(ROUND_CEILING)


def converted(quantity: Decimal, convert: dict[str, Any] | None) -> Decimal:
    if convert is None:
        return quantity
    if "divide_by" in convert:
        quantity = quantity / D(convert["divide_by"])
    if "multiply_by" in convert:
        quantity = quantity * D(convert["multiply_by"])
    modes = {"up": ROUND_CEILING, "down": ROUND_FLOOR, "half_up": ROUND_HALF_UP}
    mode = modes.get(convert.get("round", "none"))
    return quantity if mode is None else quantity.to_integral_value(mode)


def tier_cost(tier: dict[str, Any], units: Decimal, entered: bool) -> Decimal:
    unit, per = D(tier["unit"]), tier.get("per")
    cost = blocks(units, D(per)) * unit if per else units * unit
    cost += D(tier.get("flat", 0)) if entered else ZERO
    return min(cost, D(tier["cap"])) if tier.get("cap") is not None else cost


def graduated(price: dict[str, Any], units: Decimal) -> Decimal:
    cost, lower = ZERO, ZERO
    for place, tier in enumerate(price["tiers"]):
        upper = None if tier["up_to"] is None else D(tier["up_to"])
        inside = max((units if upper is None else min(units, upper)) - lower, ZERO)
        entered = units > lower or (place == 0 and price.get("bill_flat_at_zero", True))
        cost += tier_cost(tier, inside, entered) if entered else ZERO
        lower = units if upper is None else upper
    return cost


def volume(price: dict[str, Any], units: Decimal) -> Decimal:
    tier = next(tier for tier in price["tiers"] if tier["up_to"] is None or units <= D(tier["up_to"]))
    return tier_cost(tier, units, units > 0 or price.get("bill_flat_at_zero", True))


def package(price: dict[str, Any], units: Decimal) -> Decimal:
    started = max(units - D(price.get("free", 0)), ZERO) / D(price["size"])
    mode = ROUND_FLOOR if price.get("round") == "down" else ROUND_CEILING
    return started.to_integral_value(mode) * D(price["amount"])


def percentage(price: dict[str, Any], values: list[Decimal]) -> Decimal:
    events, amount = price.get("free_events"), price.get("free_amount")
    total, running, over = ZERO, ZERO, events is None and amount is None
    for number, value in enumerate(values, start=1):
        running += value
        paid = value
        if not over:
            by_count = events is None or number <= int(events)
            by_amount = amount is None or running <= D(amount)
            if by_count and by_amount:
                continue
            over = True
            if by_count:
                paid = running - D(amount)
        cost = paid * D(price["rate"]) / 100 + D(price.get("fixed", 0))
        if price.get("max_per_event") is not None:
            cost = min(cost, D(price["max_per_event"]))
        if price.get("min_per_event") is not None:
            cost = max(cost, D(price["min_per_event"]))
        total += cost
    return total


def priced(price: dict[str, Any], units: Decimal, values: list[Decimal]) -> Decimal:
    match price["model"]:
        case "standard":
            return units * D(price["unit"])
        case "graduated":
            return graduated(price, units)
        case "graduated_percentage":
            tiers = [{**tier, "unit": D(tier["rate"]) / 100} for tier in price["tiers"]]
            return graduated({"tiers": tiers}, units)
        case "volume":
            return volume(price, units)
        case "package":
            return package(price, units)
        case "percentage":
            return percentage(price, values)
        case _:
            raise AssertionError(price["model"])


def whole(line: dict[str, Any], quantity: Decimal) -> Decimal:
    """A(q): from convert to minimum."""
    units = max(max(converted(quantity, line.get("convert")), ZERO) - D(line.get("included", 0)), ZERO)
    values = [D(event["value"]) for event in line["events"]] if "events" in line else [units] * (units > 0)
    amount = priced(line["price"], units, values)
    amount -= amount * D(line.get("discount_percent", 0)) / 100
    proration = line.get("proration", {"days": 1, "of": 1})
    scale = D(proration["days"]) / D(proration["of"])
    if line.get("maximum") is not None:
        amount = min(amount, D(line["maximum"]) * scale)
    if line.get("minimum") is not None and line.get("final", True):
        amount = max(amount, D(line["minimum"]) * scale)
    return amount


def price(line: dict[str, Any]) -> tuple[Decimal, Decimal]:
    """Precise and rounded amount of a line of ``valueverse price`` in USD."""
    with localcontext() as context:
        context.prec = 90
        before = line.get("billed_before", {"quantity": 0, "amount": 0})
        quantity = (
            sum((D(event["value"]) for event in line["events"]), ZERO) if "events" in line else D(line["quantity"])
        )
        amount = whole(line, D(before["quantity"]) + quantity)
        rounded = amount.quantize(D("0.01"), ROUND_HALF_UP)
        return amount - D(before["amount"]), rounded - D(before["amount"])
