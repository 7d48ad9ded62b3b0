"""The pricing block of a document -> its compiled form, in exact money."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, cast

from valueverse.errors import RefusalError
from valueverse.formula import parse
from valueverse.formula.nodes import Number, Quantity
from valueverse.value.architect.ir import Grain, Limit, Pricing
from valueverse.value.architect.problems import meant
from valueverse.value.architect.units import TIME, UnitSystem

if TYPE_CHECKING:
    from collections.abc import Collection

    from valueverse.value.architect import document
    from valueverse.value.architect.problems import Problems

CASES = ("realised", "committed", "forecast")
_GRAINS = ("day", "week", "month", "quarter", "year")


def compile_pricing(
    model: document.Model, units: UnitSystem, outputs: Collection[str], problems: Problems
) -> Pricing | None:
    """The outcome fee, None where the model states none. What is wrong is left in ``problems``.

    Args:
        model: the document.
        units: of the model.
        outputs: names a fee may be a share of.
        problems: collects.
    """
    stated = model.pricing
    if stated is None:
        return None
    case, _, output = stated.output.rpartition(".")
    if case not in ("", *CASES):
        case, output = "", stated.output
    if output not in outputs:
        problems.add("unknown_name", f"unknown output {output[:60]!r}{meant(output, outputs)}", "pricing.output", 0)
    floor = _limit(stated.floor, stated.period, model, units, problems, "pricing.floor")
    cap = _limit(stated.cap, stated.period, model, units, problems, "pricing.cap")
    if floor and cap and floor.amount / _years(floor) > cap.amount / _years(cap):
        problems.add("bad_value", f"the floor {stated.floor} lies above the cap {stated.cap}", "pricing.floor")
    return Pricing(
        case or "realised",
        output,
        Decimal(repr(stated.share)),
        floor,
        cap,
        stated.period,
        stated.true_up,
        stated.dispute_days,
        stated.refund,
    )


def _years(limit: Limit) -> Decimal:
    length = TIME[limit.per]
    return Decimal(length.numerator) / Decimal(length.denominator)


def _limit(
    stated: float | str | None, period: Grain, model: document.Model, units: UnitSystem, problems: Problems, path: str
) -> Limit | None:
    """A bare number is money per pricing period."""
    if stated is None:
        return None
    try:
        limit = read_limit(stated, period, model.currency or "", units)
    except RefusalError as refusal:
        problems.add(refusal.code, refusal.message, path)
        return None
    if limit.amount < 0:
        problems.add("bad_value", f"{stated} is below 0", path)
    return limit


def read_limit(stated: float | str, period: Grain, currency: str, units: UnitSystem | None = None) -> Limit:
    """A floor or cap such as ``60000 USD/year``; a bare number is money per ``period``.

    Raises:
        RefusalError: ``bad_value`` or ``unit_mismatch``: no amount of the currency per time.
    """
    units = units or UnitSystem(frozenset())
    if isinstance(stated, float):
        return Limit(Decimal(repr(stated)), period)
    tree = parse(stated, units.knows)
    if isinstance(tree, Number):
        return Limit(tree.value, period)
    if not isinstance(tree, Quantity):
        raise RefusalError("bad_value", f"{stated[:60]!r} is no amount: write it like '60000 USD/year'")
    unit = units.of(tree.unit)
    for grain in _GRAINS:
        if currency and unit == units.of(currency).over(units.of(grain)):
            return Limit(tree.value, cast("Grain", grain))
    wanted = f"{currency or 'the model states no currency; money'} per {', '.join(_GRAINS)}"
    raise RefusalError("unit_mismatch", f"{stated[:60]!r} is in {unit}; wanted is {wanted}")
