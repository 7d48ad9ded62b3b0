"""The pricing block of a document -> its compiled form, in exact money."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, cast

from valueverse.errors import RefusalError
from valueverse.formula import Number, Quantity, parse
from valueverse.value.architect.language.units import TIME, UnitSystem
from valueverse.value.architect.program_ir import Grain, Limit, Pricing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valueverse.documents import Problems
    from valueverse.value.architect.document import model as document
    from valueverse.value.architect.language.units import Unit

CASES = ("realised", "committed", "forecast")
_GRAINS = ("day", "week", "month", "quarter", "year")


def compile_pricing(
    model: document.Model, units: UnitSystem, outputs: Mapping[str, Unit | None], problems: Problems
) -> Pricing | None:
    """The outcome fee, None where the model states none. What is wrong is left in ``problems``.

    Args:
        model: the document.
        units: of the model.
        outputs: names that may be asked for, with their units.
        problems: collects.
    """
    stated = model.pricing
    if stated is None:
        return None
    case, _, output = stated.output.rpartition(".")
    if case not in ("", *CASES):
        case, output = "", stated.output
    if output not in outputs:
        problems.unknown("unknown_name", f"unknown output {output[:60]!r}", output, outputs, "pricing.output", 0)
    elif not _is_money(model, units, output, outputs[output]):
        message = f"a fee is a share of money: {output!r} is no driver, benefit or variable in money of a period"
        problems.add("unit_mismatch", message, "pricing.output", 0)
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


def _is_money(model: document.Model, units: UnitSystem, output: str, unit: Unit | None) -> bool:
    if output in model.drivers or output in {"total_benefit", "net_benefit"}:
        return True
    currency = units.of(model.currency) if model.currency else None
    return (
        output in model.variables
        and currency is not None
        and unit in {currency, currency.over(units.of(model.axis.grain))}
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
