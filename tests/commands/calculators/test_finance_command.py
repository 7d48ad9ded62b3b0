"""``valueverse finance``: closed forms, published cases, laws, and every refusal."""

from __future__ import annotations

import json
import math
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.laws import law
from valueverse.commands.calculators.ndjson import read_document
from valueverse.errors import RefusalError
from valueverse.services.calculators.finance import answer
from valueverse.value.finance import annuities, cashflows
from valueverse.value.finance.day_counts import DAY_COUNTS, year_fraction


def ask(**fields: Any) -> dict[str, Any]:
    (found,) = answer([read_document(json.dumps(fields), floats=True)])
    assert isinstance(found, dict), found
    return found


def refused(**fields: Any) -> tuple[str, str]:
    (found,) = answer([read_document(json.dumps(fields), floats=True)])
    assert isinstance(found, RefusalError), found
    return found.code, found.path


SPREADSHEET = {
    "dates": ["2008-01-01", "2008-03-01", "2008-10-30", "2009-02-15", "2009-04-01"],
    "amounts": [-10000, 2750, 4250, 3250, 2750],
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"fn": "npv", "rate": 0.08, "cashflows": [-40000, 5000, 8000, 12000, 30000]}, 3065.2226681795255),
        (
            {"fn": "npv", "rate": 0.08, "cashflows": [-40000, 5000, 8000, 12000, 30000], "first_period": 1},
            2838.1691372032656,
        ),
        ({"fn": "xnpv", "rate": 0.09, **SPREADSHEET}, 2086.647602031535),
        ({"fn": "mirr", "cashflows": [-120000, 39000, 30000, 21000, 37000, 46000], "finance_rate": 0.1,
          "reinvest_rate": 0.12}, 0.12609413036590511),
        ({"fn": "payback", "cashflows": [-100, 30, 40, 50]}, 2.6),
        ({"fn": "payback", "cashflows": [-100, 110], "discount_rate": 0.1}, 1.0),
        ({"fn": "payback", "cashflows": [5, -1]}, 0.0),
        ({"fn": "pmt", "rate": 0.075 / 12, "nper": 180, "pv": 200000, "fv": 0}, -1854.0247200054619),
        ({"fn": "fv", "rate": 0.05 / 12, "nper": 120, "pmt": -100, "pv": -100}, 15692.928894335748),
        ({"fn": "pv", "rate": 0.05 / 12, "nper": 120, "pmt": -100, "fv": 15692.93}, -100.00067131625819),
        ({"fn": "nper", "rate": 0.07 / 12, "pmt": -150, "pv": 8000}, 64.07334877066185),
        ({"fn": "rate", "nper": 10, "pmt": 0, "pv": -3500, "fv": 10000}, (10000 / 3500) ** 0.1 - 1),
        ({"fn": "fv", "rate": 0, "nper": 12, "pmt": -100, "pv": -50}, 1250.0),
        ({"fn": "pv", "rate": 0.05, "nper": 1e9, "pmt": -1}, 20.0),
        ({"fn": "pv", "rate": 0.05, "nper": 1e9, "pmt": -1, "when": "begin"}, 21.0),
        ({"fn": "pmt", "rate": 0.05, "nper": 1e9, "pv": -20}, 1.0),
        ({"fn": "pmt", "rate": 0.1, "nper": 2, "pv": -100, "when": "begin"}, 52.38095238095238),
        ({"fn": "periodic_rate", "annual_effective": 0.1, "periods_per_year": 12}, 0.007974140428903764),
    ],
)  # fmt: skip
def test_published_cases_come_out_to_the_last_digits(fields: dict[str, Any], expected: float) -> None:
    assert ask(**fields)["result"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("flows", "roots"),
    [
        ([-100, 39, 59, 55, 20], [0.2809484211599611]),
        ([-100, 230, -132], [0.1, 0.2]),
        ([-1000, 3600, -4310, 1716], [0.1, 0.2, 0.3]),
        ([1, -2, 1], [0.0]),
        ([100, -60, -60], [0.13066238629180749]),
        ([-10, 5], [-0.5]),
    ],
)
def test_every_root_is_found_and_the_one_nearest_to_ten_percent_is_the_result(
    flows: list[float], roots: list[float]
) -> None:
    found = ask(fn="irr", cashflows=flows)
    assert found["roots"] == pytest.approx(roots, abs=1e-12)
    assert found["status"] == ("unique" if len(roots) == 1 else "multiple")
    assert found["result"] == pytest.approx(min(roots, key=lambda r: abs(math.log(1 + r) - math.log(1.1))), abs=1e-12)


@pytest.mark.parametrize("flows", [[1, 2, 3], [-1, -1], [3], [1, -1, 1]])
def test_no_root_is_null_and_never_a_guess(flows: list[float]) -> None:
    found = ask(fn="irr", cashflows=flows)
    assert (found["result"], found["status"], found["roots"]) == (None, "none", [])


def test_flows_of_nothing_are_solved_by_any_rate() -> None:
    assert ask(fn="irr", cashflows=[0, 0])["status"] == "any"


def test_xirr_of_the_published_case_in_any_order() -> None:
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 1, 3]):
        shuffled = {name: [values[place] for place in order] for name, values in SPREADSHEET.items()}
        assert ask(fn="xirr", **shuffled)["result"] == pytest.approx(0.373362535, abs=1e-8)


def test_nothing_paid_back_is_null_with_a_status() -> None:
    assert ask(fn="payback", cashflows=[-100, 30]) == {"result": None, "status": "never"}
    assert ask(fn="mirr", cashflows=[1, 2], finance_rate=0, reinvest_rate=0)["result"] is None
    assert ask(fn="nper", rate=0.1, pmt=-1, pv=100)["result"] is None


@pytest.mark.parametrize(
    ("fields", "fee", "binding"),
    [
        ({"realised_value": "400000", "share": "0.25", "floor": "60000", "cap": "90000"}, "90000", "cap"),
        ({"realised_value": "100000", "share": "0.25", "floor": "60000", "cap": "90000"}, "60000", "floor"),
        ({"realised_value": "300000.10", "share": "0.25"}, "75000.025", "none"),
        ({"realised_value": "-5", "share": "0.25"}, "0", "none"),
    ],
)
def test_an_outcome_fee_is_exact_money(fields: dict[str, str], fee: str, binding: str) -> None:
    assert ask(fn="outcome_fee", **fields) == {"result": fee, "binding": binding}


@pytest.mark.parametrize(
    ("start", "end", "convention", "expected"),
    [
        ("2024-01-01", "2025-01-01", "ACT/365F", 366 / 365),
        ("2024-01-01", "2025-01-01", "ACT/ACT ISDA", 1.0),
        ("2023-11-01", "2024-05-01", "ACT/ACT ISDA", 61 / 365 + 121 / 366),
        ("2003-11-01", "2004-05-01", "ACT/360", 182 / 360),
        ("2007-02-28", "2008-02-29", "30/360 SIA", 1.0),
        ("2007-01-31", "2007-03-31", "30/360 SIA", 60 / 360),
        ("2007-01-30", "2007-03-31", "30E/360", 60 / 360),
        ("2007-02-28", "2007-08-31", "30E/360", 182 / 360),
    ],
)
def test_day_counts_follow_their_conventions(start: str, end: str, convention: str, expected: float) -> None:
    assert year_fraction(date.fromisoformat(start), date.fromisoformat(end), convention) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({}, "unknown_function", "fn"),
        ({"fn": "irrr"}, "unknown_function", "fn"),
        ({"fn": ["irr"]}, "unknown_function", "fn"),
        ({"fn": "npv", "cashflows": [1]}, "missing_field", "rate"),
        ({"fn": "npv", "rate": -1, "cashflows": [1]}, "bad_rate", "rate"),
        ({"fn": "npv", "rate": 0.1, "cashflows": []}, "malformed", "cashflows"),
        ({"fn": "npv", "rate": 0.1, "cashflows": [1, "x"]}, "not_a_number", "cashflows[1]"),
        ({"fn": "npv", "rate": 0.1, "cashflows": [True]}, "not_a_number", "cashflows[0]"),
        ({"fn": "npv", "rate": 0.1, "cashflows": ["NaN"]}, "not_a_number", "cashflows[0]"),
        ({"fn": "npv", "rate": 0.1, "cashflows": [1], "first_period": 2}, "bad_choice", "first_period"),
        ({"fn": "irr", "cashflows": [1] * 10_001}, "too_many", "cashflows"),
        ({"fn": "irr", "cashflow": [1]}, "unknown_field", "cashflow"),
        ({"fn": "irr", "cashflows": ["1e200"]}, "out_of_range", "cashflows[0]"),
        ({"fn": "xirr", "dates": ["2024-01-01"], "amounts": [1, 2]}, "length_mismatch", "amounts"),
        ({"fn": "xirr", "dates": ["2024-13-01"], "amounts": [1]}, "bad_date", "dates[0]"),
        ({"fn": "xirr", "dates": ["2024-W05-6"], "amounts": [1]}, "bad_date", "dates[0]"),
        ({"fn": "xirr", "dates": [None], "amounts": [1]}, "bad_date", "dates[0]"),
        (
            {"fn": "xirr", "dates": ["2024-01-01"], "amounts": [1], "day_count": "ACT/364"},
            "unknown_day_count",
            "day_count",
        ),
        ({"fn": "pmt", "rate": 0.1, "nper": 3, "pv": 1, "when": "middle"}, "bad_choice", "when"),
        ({"fn": "rate", "nper": 0, "pmt": 1, "pv": -1}, "out_of_range", "nper"),
        ({"fn": "outcome_fee", "realised_value": "1", "share": "0.5", "floor": "2", "cap": "1"}, "bad_bounds", "floor"),
        ({"fn": "outcome_fee", "realised_value": "1", "share": "-0.5"}, "out_of_range", "share"),
        ({"fn": "periodic_rate", "annual_effective": 0.1, "periods_per_year": 0}, "out_of_range", "periods_per_year"),
        ({"fn": "npv", "rate": -0.999999, "cashflows": [1] * 9_000}, "out_of_range", "fn"),
        ({"fn": "irr", "cashflows": [1], "convention": 5}, "malformed", "convention"),
    ],
)
def test_what_cannot_be_worked_out_is_refused_with_its_place(fields: dict[str, Any], code: str, path: str) -> None:
    assert refused(**fields) == (code, path)


def test_a_convention_may_be_stated_as_an_object_and_is_stated_back() -> None:
    found = ask(fn="xnpv", rate=0.1, dates=["2024-01-01"], amounts=[5], convention={"day_count": "30E/360"})
    assert found == {"result": 5.0, "convention": {"day_count": "30E/360"}}


FLOWS = st.lists(st.integers(-1000, 1000).map(float), min_size=2, max_size=14)


@law(60)
@given(flows=FLOWS)
def test_every_root_makes_the_flows_worth_nothing_and_there_are_no_more_than_sign_changes(flows: list[float]) -> None:
    found = cashflows.irr(flows)
    assert len(found.rates) <= found.sign_changes
    for rate in found.rates:
        terms = [abs(flow) / (1 + rate) ** place for place, flow in enumerate(flows)]
        assert abs(cashflows.npv(rate, flows)) <= 1e-9 * max(math.fsum(terms), 1e-300)


@law(60)
@given(roots=st.lists(st.integers(-60, 300), min_size=1, max_size=4, unique=True))
def test_rates_that_a_polynomial_was_made_from_are_found_again(roots: list[int]) -> None:
    rates = sorted(root / 100 for root in roots)
    polynomial = np.array([1.0])
    for rate in rates:
        polynomial = np.convolve(polynomial, [-(1 + rate), 1.0])
    found = cashflows.irr([float(value) for value in polynomial[::-1]])
    assert found.rates == pytest.approx(rates, abs=1e-6)


@law(30)
@given(flows=st.lists(FLOWS.map(lambda row: (row + [0.0] * 14)[:14]), min_size=1, max_size=30))
def test_the_batch_agrees_with_one_at_a_time(flows: list[list[float]]) -> None:
    batch = cashflows.irr_batch(np.array(flows))
    for row, rate in zip(flows, batch, strict=True):
        single = cashflows.irr(row).result
        assert math.isnan(rate) if single is None else rate == pytest.approx(single, abs=1e-9)


MONEY = st.integers(-10_000, 10_000).map(float)


@law(80)
@given(rate=st.integers(-30, 60), nper=st.integers(1, 60), pmt=MONEY, pv=MONEY, begins=st.booleans())
def test_annuity_functions_undo_each_other(rate: int, nper: int, pmt: float, pv: float, begins: bool) -> None:
    each = rate / 100
    fv = annuities.fv(each, nper, pmt, pv, begins=begins)
    scale = max(abs(fv), abs(pv), abs(pmt), 1.0)
    growth = (1 + each) ** -nper
    assert annuities.pv(each, nper, pmt, fv, begins=begins) == pytest.approx(pv, abs=1e-8 * scale * max(1, growth))
    paid = annuities.pmt(each, nper, pv, fv, begins=begins)
    assert paid is not None
    assert paid == pytest.approx(pmt, abs=1e-7 * scale)


@law(50)
@given(rate=st.integers(1, 40), nper=st.integers(1, 48), pmt=st.integers(1, 500), begins=st.booleans())
def test_a_loan_s_rate_and_length_are_found_again(rate: int, nper: int, pmt: int, begins: bool) -> None:
    each = rate / 200
    pv = annuities.pv(each, nper, -float(pmt), 0.0, begins=begins)
    assume(nper > 1 or not begins)
    found = annuities.rate(nper, -float(pmt), pv, 0.0, begins=begins)
    assert any(one == pytest.approx(each, abs=1e-9) for one in found.rates)
    periods = annuities.nper(each, -float(pmt), pv, 0.0, begins=begins)
    assert periods == pytest.approx(nper, rel=1e-9)


@law(40)
@given(
    days=st.lists(st.integers(0, 3000), min_size=2, max_size=8),
    amounts=st.lists(st.integers(-500, 500), min_size=8, max_size=8),
    convention=st.sampled_from(sorted(DAY_COUNTS)),
)
def test_the_order_of_dates_does_not_matter(days: list[int], amounts: list[int], convention: str) -> None:
    pairs = [(date(2020, 1, 1) + timedelta(day), amount) for day, amount in zip(days, amounts, strict=False)]
    answers = []
    for rows in (pairs, sorted(pairs), pairs[::-1]):
        dates, paid = [day.isoformat() for day, _ in rows], [amount for _, amount in rows]
        answers.append(ask(fn="xirr", dates=dates, amounts=paid, day_count=convention))
    assert answers[0] == answers[1] == answers[2]


@law(60)
@given(annual=st.integers(-90, 500), periods=st.integers(1, 366))
def test_periodic_rates_compound_back(annual: int, periods: int) -> None:
    each = cashflows.periodic_rate(annual / 100, periods)
    assert (1 + each) ** periods == pytest.approx(1 + annual / 100, rel=1e-10)


def test_money_of_a_fee_is_never_a_float() -> None:
    assert Decimal(ask(fn="outcome_fee", realised_value="0.3", share="0.1")["result"]) == Decimal("0.03")
