"""A line of ``valueverse finance``, judged and worked out (formats: docs/finance.md)."""

from __future__ import annotations

import math
import re
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from valueverse.documents import wrong
from valueverse.errors import RefusalError, did_you_mean
from valueverse.money import plain
from valueverse.services.calculators.line_fields import Exact, LinePart, one_of, read_line
from valueverse.value.finance import DAY_COUNTS, DEFAULT_DAY_COUNT, annuities, cashflows, outcome_fee, year_fraction

if TYPE_CHECKING:
    from valueverse.value.finance import Roots

Document = dict[str, Any]
_MOST = 10_000
_LARGEST = Decimal(10) ** 100
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def evaluate(document: Document) -> Document:
    """The answer to one line.

    Raises:
        RefusalError: everything that is wrong with it, each with its path.
    """
    name = document.get("fn")
    if not isinstance(name, str) or name not in _FUNCTIONS:
        problem = "fn is missing" if name is None else f"unknown function {str(name)[:40]!r}"
        raise RefusalError.unknown("unknown_function", problem, str(name), _FUNCTIONS, "fn")
    stated = document.get("convention")
    if stated is not None and not isinstance(stated, dict):
        raise RefusalError("malformed", 'convention is an object such as {"day_count": "ACT/360"}', "convention")
    whole = {**document, **(stated or {})}
    whole.pop("convention", None)
    found = read_line(_FUNCTIONS[name], whole).answer()
    result = found.get("result")
    if isinstance(result, float) and not math.isfinite(result):
        raise RefusalError("out_of_range", "the result is too large to be stated", "fn")
    return found


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | Decimal | int):
        raise wrong(f"{_shown(value)} is not a number", code="not_a_number")
    try:
        number = Decimal(value)
    except ArithmeticError as error:
        raise wrong(f"{str(value)[:40]!r} is not a number", code="not_a_number") from error
    if not number.is_finite():
        raise wrong(f"{str(value)[:40]!r} is not a number", code="not_a_number")
    if abs(number) > _LARGEST:
        raise wrong(f"{str(value)[:40]} is beyond 10^100", code="out_of_range")
    return float(number)


def _shown(value: Any) -> str:
    """A value as JSON writes it: null, true."""
    written = {None: "null", True: "true", False: "false"}
    return written[value] if value is None or isinstance(value, bool) else repr(str(value)[:40])


def _rate(value: Any) -> float:
    rate = _float(value)
    if rate <= -1:
        raise wrong(f"{rate} is no rate: a rate lies above -1 (-100 %)", code="bad_rate")
    return rate


def _positive(value: Any) -> float:
    number = _float(value)
    if number <= 0:
        raise wrong(f"{number} is out of range: it lies above 0", code="out_of_range")
    return number


def _entries(value: Any) -> Any:
    if not isinstance(value, list) or not value:
        raise wrong("a list of at least one entry is expected here", code="malformed")
    if len(value) > _MOST:
        raise wrong(f"{len(value)} entries: at most {_MOST} are taken", code="too_many")
    return value


def _date(value: Any) -> date:
    try:
        return date.fromisoformat(value if isinstance(value, str) and _DAY.fullmatch(value) else "")
    except ValueError as error:
        raise wrong(f"{_shown(value)} is not a date like 2024-01-31", code="bad_date") from error


def _day_count(value: Any) -> str:
    convention = value or DEFAULT_DAY_COUNT
    if not isinstance(convention, str) or convention not in DAY_COUNTS:
        hint = did_you_mean(str(convention), DAY_COUNTS)
        message = f"unknown day count {str(convention)[:40]!r}{hint.ending}"
        raise wrong(message, code="unknown_day_count", suggestion=hint.name)
    return convention


def _period_number(value: Any) -> int:
    if isinstance(value, bool | list | dict) or value not in {0, 1}:
        raise wrong(f"{str(value)[:40]} is none of 0, 1", code="bad_choice")
    return int(value)


Number = Annotated[float, PlainValidator(_float), Field(description="a number is expected")]
Rate = Annotated[float, PlainValidator(_rate), Field(description="a number is expected")]
Positive = Annotated[float, PlainValidator(_positive), Field(description="a number is expected")]
_A_LIST = Field(description="a list is expected")
Flows = Annotated[list[Annotated[float, PlainValidator(_float)]], BeforeValidator(_entries), _A_LIST]
Dates = Annotated[list[Annotated[date, PlainValidator(_date)]], BeforeValidator(_entries), _A_LIST]
When = Annotated[Literal["begin", "end"], one_of("bad_choice", "begin", "end")]


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


class FinanceInput(LinePart):
    """A line of ``valueverse finance``; each function says which fields it has."""

    id: Any = None
    fn: str

    def answer(self) -> Document:
        """What is written back."""
        raise NotImplementedError


class _Npv(FinanceInput):
    rate: Rate
    cashflows: Flows
    first_period: Annotated[int, PlainValidator(_period_number)] | None = None

    def answer(self) -> Document:
        first = self.first_period or 0
        return {"result": cashflows.npv(self.rate, self.cashflows, first), "convention": {"first_period": first}}


class _Irr(FinanceInput):
    cashflows: Flows

    def answer(self) -> Document:
        return _roots(cashflows.irr(self.cashflows))


class _Dated(FinanceInput):
    """Amounts, each with its date."""

    dates: Dates
    amounts: Flows
    day_count: Annotated[str, PlainValidator(_day_count)] = DEFAULT_DAY_COUNT

    @model_validator(mode="after")
    def _each_has_a_date(self) -> Self:
        if len(self.dates) != len(self.amounts):
            message = f"{len(self.dates)} dates, {len(self.amounts)} amounts: each needs one"
            raise wrong(message, "amounts", code="length_mismatch")
        return self

    def years_since(self, start: date) -> list[float]:
        return [year_fraction(start, day, self.day_count) for day in self.dates]


class _Xnpv(_Dated):
    rate: Rate

    def answer(self) -> Document:
        result = cashflows.dated_value(self.rate, self.years_since(min(self.dates)), self.amounts)
        return {"result": result, "convention": {"day_count": self.day_count}}


class _Xnfv(_Dated):
    rate: Rate

    def answer(self) -> Document:
        end = max(self.dates)
        years = [-year_fraction(day, end, self.day_count) for day in self.dates]
        result = cashflows.dated_value(self.rate, years, self.amounts)
        return {"result": result, "convention": {"day_count": self.day_count}}


class _Xirr(_Dated):
    def answer(self) -> Document:
        return _roots(cashflows.xirr(self.years_since(min(self.dates)), self.amounts), day_count=self.day_count)


class _Mirr(FinanceInput):
    finance_rate: Rate
    reinvest_rate: Rate
    cashflows: Flows

    def answer(self) -> Document:
        return _nullable(cashflows.mirr(self.cashflows, self.finance_rate, self.reinvest_rate), "none")


class _Payback(FinanceInput):
    discount_rate: Rate | None = None
    cashflows: Flows

    def answer(self) -> Document:
        return _nullable(cashflows.payback(self.cashflows, self.discount_rate), "never")


class _Annuity(FinanceInput):
    """Four of five numbers give the fifth; which are required depends on the one that is asked for."""

    rate: Rate | None = None
    nper: Number | None = None
    pmt: Number | None = None
    pv: Number | None = None
    fv: Number | None = None
    when: When | None = None

    @property
    def begins(self) -> bool:
        return self.when == "begin"

    def found(self, result: float | None) -> Document:
        return _nullable(result, "none", when=self.when or "end")


class _Fv(_Annuity):
    rate: Rate
    nper: Number
    pmt: Number

    def answer(self) -> Document:
        return self.found(annuities.fv(self.rate, self.nper, self.pmt, self.pv or 0.0, begins=self.begins))


class _Pv(_Annuity):
    rate: Rate
    nper: Number
    pmt: Number

    def answer(self) -> Document:
        return self.found(annuities.pv(self.rate, self.nper, self.pmt, self.fv or 0.0, begins=self.begins))


class _Pmt(_Annuity):
    rate: Rate
    nper: Number
    pv: Number

    def answer(self) -> Document:
        return self.found(annuities.pmt(self.rate, self.nper, self.pv, self.fv or 0.0, begins=self.begins))


class _Nper(_Annuity):
    rate: Rate
    pmt: Number
    pv: Number

    def answer(self) -> Document:
        return self.found(annuities.nper(self.rate, self.pmt, self.pv, self.fv or 0.0, begins=self.begins))


class _RateOf(_Annuity):
    nper: Positive
    pmt: Number
    pv: Number

    def answer(self) -> Document:
        found = annuities.rate(self.nper, self.pmt, self.pv, self.fv or 0.0, begins=self.begins)
        answer = {"result": found.result, "status": found.status, "roots": list(found.rates)}
        return answer | {"convention": {"when": self.when or "end"}}


class _PeriodicRate(FinanceInput):
    annual_effective: Rate
    periods_per_year: Positive

    def answer(self) -> Document:
        return {"result": cashflows.periodic_rate(self.annual_effective, self.periods_per_year)}


class _OutcomeFee(FinanceInput):
    realised_value: Exact
    share: Exact
    floor: Exact | None = None
    cap: Exact | None = None

    @model_validator(mode="after")
    def _a_share_is_not_negative(self) -> Self:
        if self.share < 0:
            raise wrong(f"share is {self.share}: a share is at least 0", "share", code="out_of_range")
        return self

    def answer(self) -> Document:
        fee, binding = outcome_fee(self.realised_value, self.share, self.floor, self.cap)
        return {"result": plain(fee), "binding": binding}


_FUNCTIONS: dict[str, type[FinanceInput]] = {
    "npv": _Npv,
    "irr": _Irr,
    "xnpv": _Xnpv,
    "xnfv": _Xnfv,
    "xirr": _Xirr,
    "mirr": _Mirr,
    "payback": _Payback,
    "pmt": _Pmt,
    "fv": _Fv,
    "pv": _Pv,
    "nper": _Nper,
    "rate": _RateOf,
    "periodic_rate": _PeriodicRate,
    "outcome_fee": _OutcomeFee,
}
