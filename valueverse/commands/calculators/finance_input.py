"""A line of ``valueverse finance``, judged and worked out (formats: docs/finance.md)."""

from __future__ import annotations

import math
import re
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.commands.calculators.time_ranges import known_fields
from valueverse.errors import RefusalError
from valueverse.money import exact, plain
from valueverse.value.finance import annuities, cashflows
from valueverse.value.finance.day_counts import DAY_COUNTS, DEFAULT, year_fraction
from valueverse.value.finance.fees import outcome_fee

if TYPE_CHECKING:
    from collections.abc import Callable

    from valueverse.value.finance.roots import Roots

Document = dict[str, Any]
_MOST = 10_000
_CONVENTIONS = ("first_period", "day_count", "when")
_LARGEST = Decimal(10) ** 100
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def evaluate(document: Document) -> Document:
    """The answer to one line.

    Raises:
        RefusalError: with the path of the first thing wrong.
    """
    name = document.get("fn")
    if not isinstance(name, str) or name not in _FUNCTIONS:
        said = "fn is missing" if name is None else f"unknown function {str(name)[:40]!r}"
        raise RefusalError.unknown("unknown_function", said, str(name), _FUNCTIONS, "fn")
    fields, work = _FUNCTIONS[name]
    stated = document.get("convention")
    if stated is not None and not isinstance(stated, dict):
        raise RefusalError("malformed", 'convention is an object such as {"day_count": "ACT/360"}', "convention")
    whole = {**document, **(stated or {})}
    whole.pop("convention", None)
    known_fields(whole, ("id", "fn", *fields))
    found = work(whole)
    result = found.get("result")
    if isinstance(result, float) and not math.isfinite(result):
        raise RefusalError("out_of_range", "the result is too large to be stated", "fn")
    return found


def _number(document: Document, name: str, default: float | None = None) -> float:
    if document.get(name) is None:
        if default is None:
            raise RefusalError("missing_field", f"{name} is missing: a number is expected", name)
        return default
    return _float(document[name], name)


def _float(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, str | Decimal | int):
        raise RefusalError("not_a_number", f"{_shown(value)} is not a number", path)
    try:
        number = Decimal(value)
    except ArithmeticError as error:
        raise RefusalError("not_a_number", f"{str(value)[:40]!r} is not a number", path) from error
    if not number.is_finite():
        raise RefusalError("not_a_number", f"{str(value)[:40]!r} is not a number", path)
    if abs(number) > _LARGEST:
        raise RefusalError("out_of_range", f"{str(value)[:40]} is beyond 10^100", path)
    return float(number)


def _shown(value: Any) -> str:
    """A value as JSON writes it: null, true."""
    written = {None: "null", True: "true", False: "false"}
    return written[value] if value is None or isinstance(value, bool) else repr(str(value)[:40])


def _rate(document: Document, name: str, default: float | None = None) -> float:
    rate = _number(document, name, default)
    if rate <= -1:
        raise RefusalError("bad_rate", f"{name} is {rate}: a rate lies above -1 (-100 %)", name)
    return rate


def _list(document: Document, name: str) -> list[Any]:
    values = document.get(name)
    if values is None:
        raise RefusalError("missing_field", f"{name} is missing: a list is expected", name)
    if not isinstance(values, list) or not values:
        raise RefusalError("malformed", f"{name} is a list of at least one entry", name)
    if len(values) > _MOST:
        raise RefusalError("too_many", f"{len(values)} entries of {name}: at most {_MOST} are taken", name)
    return values


def _flows(document: Document, name: str = "cashflows") -> list[float]:
    return [_float(value, f"{name}[{place}]") for place, value in enumerate(_list(document, name))]


def _dates(document: Document) -> list[date]:
    found = []
    for place, value in enumerate(_list(document, "dates")):
        try:
            found.append(date.fromisoformat(value if isinstance(value, str) and _DAY.fullmatch(value) else ""))
        except ValueError as error:
            raise RefusalError(
                "bad_date", f"{_shown(value)} is not a date like 2024-01-31", f"dates[{place}]"
            ) from error
    return found


def _dated(document: Document) -> tuple[list[date], list[float], str]:
    dates, amounts = _dates(document), _flows(document, "amounts")
    if len(dates) != len(amounts):
        raise RefusalError("length_mismatch", f"{len(dates)} dates, {len(amounts)} amounts: each needs one", "amounts")
    convention = document.get("day_count") or DEFAULT
    if not isinstance(convention, str) or convention not in DAY_COUNTS:
        said = f"unknown day count {str(convention)[:40]!r}"
        raise RefusalError.unknown("unknown_day_count", said, str(convention), DAY_COUNTS, "day_count")
    return dates, amounts, convention


def _choice(document: Document, name: str, default: Any, choices: tuple[Any, ...]) -> Any:
    value = document.get(name, default)
    value = default if value is None else value
    if isinstance(value, bool) or value not in choices:
        raise RefusalError("bad_choice", f"{str(value)[:40]} is none of {', '.join(map(str, choices))}", name)
    return value


def _nullable(result: float | None, status: str, **convention: Any) -> Document:
    found: Document = {"result": result}
    if result is None:
        found["status"] = status
    return found | ({"convention": convention} if convention else {})


def _roots(found: Roots, **convention: Any) -> Document:
    answer: Document = {
        "result": found.result,
        "status": found.status,
        "roots": list(found.rates),
        "sign_changes": found.sign_changes,
    }
    return answer | ({"convention": convention} if convention else {})


def _npv(document: Document) -> Document:
    first = int(_choice(document, "first_period", 0, (0, 1)))
    result = cashflows.npv(_rate(document, "rate"), _flows(document), first)
    return {"result": result, "convention": {"first_period": first}}


def _irr(document: Document) -> Document:
    return _roots(cashflows.irr(_flows(document)))


def _xnpv(document: Document) -> Document:
    dates, amounts, convention = _dated(document)
    start = min(dates)
    years = [year_fraction(start, day, convention) for day in dates]
    result = cashflows.dated_value(_rate(document, "rate"), years, amounts)
    return {"result": result, "convention": {"day_count": convention}}


def _xnfv(document: Document) -> Document:
    dates, amounts, convention = _dated(document)
    end = max(dates)
    years = [-year_fraction(day, end, convention) for day in dates]
    result = cashflows.dated_value(_rate(document, "rate"), years, amounts)
    return {"result": result, "convention": {"day_count": convention}}


def _xirr(document: Document) -> Document:
    dates, amounts, convention = _dated(document)
    start = min(dates)
    years = [year_fraction(start, day, convention) for day in dates]
    return _roots(cashflows.xirr(years, amounts), day_count=convention)


def _mirr(document: Document) -> Document:
    rates = (_rate(document, "finance_rate"), _rate(document, "reinvest_rate"))
    return _nullable(cashflows.mirr(_flows(document), *rates), "none")


def _payback(document: Document) -> Document:
    discount = None if document.get("discount_rate") is None else _rate(document, "discount_rate")
    return _nullable(cashflows.payback(_flows(document), discount), "never")


def _begins(document: Document) -> bool:
    return bool(_choice(document, "when", "end", ("begin", "end")) == "begin")


def _when(document: Document) -> dict[str, str]:
    return {"when": "begin" if _begins(document) else "end"}


def _fv(document: Document) -> Document:
    rate, nper = _rate(document, "rate"), _number(document, "nper")
    paid, now = _number(document, "pmt"), _number(document, "pv", 0.0)
    return _nullable(annuities.fv(rate, nper, paid, now, begins=_begins(document)), "none", **_when(document))


def _pv(document: Document) -> Document:
    rate, nper = _rate(document, "rate"), _number(document, "nper")
    paid, then = _number(document, "pmt"), _number(document, "fv", 0.0)
    return _nullable(annuities.pv(rate, nper, paid, then, begins=_begins(document)), "none", **_when(document))


def _pmt(document: Document) -> Document:
    rate, nper = _rate(document, "rate"), _number(document, "nper")
    now, then = _number(document, "pv"), _number(document, "fv", 0.0)
    return _nullable(annuities.pmt(rate, nper, now, then, begins=_begins(document)), "none", **_when(document))


def _nper(document: Document) -> Document:
    rate, paid = _rate(document, "rate"), _number(document, "pmt")
    now, then = _number(document, "pv"), _number(document, "fv", 0.0)
    return _nullable(annuities.nper(rate, paid, now, then, begins=_begins(document)), "none", **_when(document))


def _rate_of(document: Document) -> Document:
    nper = _number(document, "nper")
    if nper <= 0:
        raise RefusalError("out_of_range", f"nper is {nper}: a rate needs at least part of a period", "nper")
    paid, now, then = _number(document, "pmt"), _number(document, "pv"), _number(document, "fv", 0.0)
    found = annuities.rate(nper, paid, now, then, begins=_begins(document))
    return {"result": found.result, "status": found.status, "roots": list(found.rates), "convention": _when(document)}


def _periodic_rate(document: Document) -> Document:
    periods = _number(document, "periods_per_year")
    if periods <= 0:
        raise RefusalError("out_of_range", f"periods_per_year is {periods}: it lies above 0", "periods_per_year")
    return {"result": cashflows.periodic_rate(_rate(document, "annual_effective"), periods)}


def _outcome_fee(document: Document) -> Document:
    def money(name: str, *, required: bool = False) -> Decimal | None:
        if document.get(name) is None:
            if required:
                raise RefusalError("missing_field", f"{name} is missing: a number is expected", name)
            return None
        return exact(document[name], name)

    realised, share = money("realised_value", required=True), money("share", required=True)
    assert realised is not None and share is not None  # noqa: PT018, S101 - for the type checker
    if share < 0:
        raise RefusalError("out_of_range", f"share is {share}: a share is at least 0", "share")
    fee, binding = outcome_fee(realised, share, money("floor"), money("cap"))
    return {"result": plain(fee), "binding": binding}


_ANNUITY = ("rate", "nper", "pmt", "pv", "fv", "when")
_DATED = ("dates", "amounts", "day_count")
_FUNCTIONS: dict[str, tuple[tuple[str, ...], Callable[[Document], Document]]] = {
    "npv": (("rate", "cashflows", "first_period"), _npv),
    "irr": (("cashflows",), _irr),
    "xnpv": (("rate", *_DATED), _xnpv),
    "xnfv": (("rate", *_DATED), _xnfv),
    "xirr": (_DATED, _xirr),
    "mirr": (("cashflows", "finance_rate", "reinvest_rate"), _mirr),
    "payback": (("cashflows", "discount_rate"), _payback),
    "pmt": (_ANNUITY, _pmt),
    "fv": (_ANNUITY, _fv),
    "pv": (_ANNUITY, _pv),
    "nper": (_ANNUITY, _nper),
    "rate": (_ANNUITY, _rate_of),
    "periodic_rate": (("annual_effective", "periods_per_year"), _periodic_rate),
    "outcome_fee": (("realised_value", "share", "floor", "cap"), _outcome_fee),
}
