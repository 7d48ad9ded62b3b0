"""Finance functions against what others publish: spreadsheets' own examples, and streams that other solvers miss."""

from __future__ import annotations

import json
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import law
from valueverse.commands.calculators.ndjson import read_document
from valueverse.errors import RefusalError
from valueverse.services.calculators.finance import answer
from valueverse.value.finance import annuities, cashflows


def ask(**fields: Any) -> dict[str, Any]:
    (found,) = answer([read_document(json.dumps(fields), floats=True)])
    assert isinstance(found, dict), found
    return found


SPREADSHEET = [
    ({"fn": "npv", "rate": 0.1, "cashflows": [-10000, 3000, 4200, 6800], "first_period": 1}, 1188.4434),
    ({"fn": "npv", "rate": 0.08, "cashflows": [8000, 9200, 10000, 12000, 14500], "first_period": 1}, 41922.0616),
    ({"fn": "irr", "cashflows": [-70000, 12000, 15000, 18000, 21000]}, -0.0212448),
    ({"fn": "irr", "cashflows": [-70000, 12000, 15000, 18000, 21000, 26000]}, 0.0866309),
    ({"fn": "irr", "cashflows": [-70000, 12000, 15000]}, -0.4435069),
    ({"fn": "mirr", "cashflows": [-120, 39, 30, 21], "finance_rate": 0.1, "reinvest_rate": 0.12}, -0.0480447),
    ({"fn": "pmt", "rate": 0.08 / 12, "nper": 10, "pv": 10000, "fv": 0}, -1037.0321),
    ({"fn": "pmt", "rate": 0.08 / 12, "nper": 10, "pv": 10000, "fv": 0, "when": "begin"}, -1030.1643),
    ({"fn": "pmt", "rate": 0.06 / 12, "nper": 216, "pv": 0, "fv": 50000}, -129.0812),
    ({"fn": "fv", "rate": 0.06 / 12, "nper": 10, "pmt": -200, "pv": -500, "when": "begin"}, 2581.4034),
    ({"fn": "fv", "rate": 0.11 / 12, "nper": 35, "pmt": -2000, "pv": 0, "when": "begin"}, 82846.2464),
    ({"fn": "pv", "rate": 0.08 / 12, "nper": 240, "pmt": 500, "fv": 0}, -59777.1459),
    ({"fn": "nper", "rate": 0.01, "pmt": -100, "pv": -1000, "fv": 10000, "when": "begin"}, 59.6738657),
    ({"fn": "nper", "rate": 0.01, "pmt": -100, "pv": -1000, "fv": 10000}, 60.0821229),
    ({"fn": "nper", "rate": 0.01, "pmt": -100, "pv": -1000, "fv": 0}, -9.57859404),
    ({"fn": "rate", "nper": 48, "pmt": -200, "pv": 8000, "fv": 0}, 0.0077014725),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "expected"), SPREADSHEET)
def test_the_examples_of_a_spreadsheet_s_manual_come_out(fields: dict[str, Any], expected: float) -> None:
    assert ask(**fields)["result"] == pytest.approx(expected, rel=1e-6, abs=5e-8)


@pytest.mark.parametrize(
    ("flows", "roots"),
    [
        ([87.17] * 12 + [-86.43], [-0.5020732642264]),
        ([-172545.848122807] + [787.735232517999] * 480, [0.00384010481257]),
        ([0, -54163, -15411, 11824, 13831, 24713, 42399, 32779, 29832, 21750, 20140, 18357, 10074], [0.2354659]),
        ([10, 1, 2, -3, 4], []),
        ([-1600, 10000, -10000], [0.25, 4.0]),
        ([-5, 10.5, 1, -8, 1], [-0.8702012474847, 0.0885983385278, 0.7095595276862]),
    ],
)
def test_streams_that_other_solvers_miss_have_all_their_rates(flows: list[float], roots: list[float]) -> None:
    """Cases reported against pyxirr (#20, #24, #56, #45) and numpy-financial."""
    found = cashflows.irr([float(flow) for flow in flows])
    assert found.rates == pytest.approx(roots, abs=1e-5)
    if found.rates:
        scale = sum(abs(flow) / (1 + found.rates[0]) ** k for k, flow in enumerate(flows))
        assert abs(cashflows.npv(found.rates[0], flows)) < 1e-9 * scale


TWO_RATES = {
    "2025-04-01": 73981359.41, "2025-04-04": -8712535.775, "2025-04-08": -10181571.573, "2025-04-09": -3116294.024,
    "2025-04-10": -17773207.2215, "2025-04-11": 211461.22, "2025-04-17": -3698621.9284, "2025-04-21": -9805107.728,
    "2025-04-22": 140310.59, "2025-04-28": -12141.8472, "2025-05-12": -557704, "2025-05-16": 545359.6631,
    "2025-05-19": -1115.5838, "2025-05-23": 14309.6, "2025-05-28": 12977.4745, "2025-06-06": 13088,
    "2025-06-09": -25457056.128, "2025-06-11": -37752602.304, "2025-06-18": 37099.52, "2025-06-24": 47908320,
}  # fmt: skip


@pytest.mark.parametrize(
    ("stream", "roots"),
    [
        (TWO_RATES, [-0.99549995011, -0.93105006377]),  # spreadsheets find one of them, others the other
        ({"2024-11-21": -100, "2024-11-28": -100, "2024-12-03": 100}, [-0.9999999999999832]),
        ({"2021-06-09": -134.09, "2021-08-11": 40.86}, [-0.99897692317]),
    ],
)
def test_dated_streams_that_other_solvers_miss_have_all_their_rates(
    stream: dict[str, float], roots: list[float]
) -> None:
    """Cases reported against pyxirr: #68, #61, #14."""
    found = ask(fn="xirr", dates=list(stream), amounts=list(stream.values()))
    assert found["roots"] == pytest.approx(roots, abs=1e-11)
    assert found["result"] == pytest.approx(roots[-1], abs=1e-11)


def test_payments_of_one_day_are_set_against_each_other_by_no_rate() -> None:
    found = ask(fn="xirr", dates=["2020-05-27", "2020-05-27"], amounts=[-100, 110])
    assert (found["result"], found["status"]) == (None, "none")


def distinct_rates(flows: list[int]) -> int:
    """How many rates above -1 solve a stream, by Sturm's theorem in exact arithmetic."""
    polynomial = [Fraction(flow) for flow in flows]
    while polynomial and polynomial[0] == 0:
        polynomial.pop(0)
    while polynomial and polynomial[-1] == 0:
        polynomial.pop()
    degree = len(polynomial) - 1
    chain = [polynomial, [factor * (degree - k) for k, factor in enumerate(polynomial[:-1])]]
    while len(chain[-1]) > 1:
        rest = list(chain[-2])
        while len(rest) >= len(chain[-1]):
            quotient = rest[0] / chain[-1][0]
            rest = [one - quotient * two for one, two in zip(rest, [*chain[-1], *[0] * len(rest)], strict=False)][1:]
        while rest and rest[0] == 0:
            rest.pop(0)
        if not rest:
            break
        chain.append([-factor for factor in rest])
    ends = [[row[place] for row in chain if row] for place in (-1, 0)]
    at_zero, far = (sum((one > 0) != (two > 0) for one, two in pairwise(s)) for s in _signed(ends))
    return at_zero - far


def _signed(ends: list[list[Fraction]]) -> list[list[Fraction]]:
    return [[value for value in end if value != 0] for end in ends]


@law(150)
@given(flows=st.lists(st.integers(-1000, 1000), min_size=2, max_size=12).filter(any))
def test_there_are_as_many_rates_as_sturm_s_theorem_counts(flows: list[int]) -> None:
    assert len(cashflows.irr([float(flow) for flow in flows]).rates) == distinct_rates(flows)


MONEY = st.integers(-500, 500).map(float)


@law(100)
@given(nper=st.integers(2, 24), pmt=MONEY, pv=MONEY, fv=MONEY, begins=st.booleans())
def test_the_rates_of_an_annuity_are_those_of_its_payments(
    nper: int, pmt: float, pv: float, fv: float, begins: bool
) -> None:
    flows = np.zeros(nper + 1)
    flows[:-1] += pmt if begins else 0.0
    flows[1:] += 0.0 if begins else pmt
    flows[0] += pv
    flows[-1] += fv
    expected = cashflows.irr(flows.tolist()).rates
    found = annuities.rate(nper, pmt, pv, fv, begins=begins)
    assert found.rates == pytest.approx([rate for rate in expected if -1 + 1e-12 < rate < 1e12], rel=1e-7, abs=1e-9)


def payback_by_steps(flows: list[float]) -> float | None:
    """The definition, period by period."""
    total, begun = 0.0, False
    for period, flow in enumerate(flows):
        before, total = total, total + flow
        if flow and total >= 0 and not begun:
            return 0.0
        begun = begun or flow != 0
        if begun and total >= 0:
            return period - 1 + -before / flow
    return None if begun else 0.0


@law(100)
@given(rows=st.lists(st.lists(st.integers(-100, 100).map(float), min_size=6, max_size=6), min_size=1, max_size=12))
def test_payback_of_many_streams_at_once_is_that_of_each(rows: list[list[float]]) -> None:
    found = cashflows.payback_batch(np.array(rows))
    for row, periods in zip(rows, found, strict=True):
        expected = payback_by_steps(row)
        assert np.isnan(periods) if expected is None else periods == pytest.approx(expected, abs=1e-9)


def test_a_date_that_is_a_number_is_refused() -> None:
    (found,) = answer([read_document('{"fn": "xnpv", "rate": 0.1, "dates": [20240131], "amounts": [1]}', floats=True)])
    assert isinstance(found, RefusalError)
    assert (found.code, found.path) == ("bad_date", "dates[0]")


@pytest.mark.parametrize(
    ("start", "end", "convention", "expected"),
    [
        # SIA: both on the last day of February count as the 30th; a start there counts as the 30th for a 31st too.
        ("2011-02-28", "2012-02-29", "30/360 SIA", 360),
        ("2012-02-29", "2013-02-28", "30/360 SIA", 360),
        ("2011-02-28", "2011-03-31", "30/360 SIA", 30),
        ("2012-02-28", "2012-03-31", "30/360 SIA", 33),
        ("2012-01-31", "2012-02-29", "30/360 SIA", 29),
        ("2012-01-15", "2012-01-31", "30/360 SIA", 16),
        ("2012-01-15", "2012-01-31", "30E/360", 15),
        ("2011-02-28", "2011-03-31", "30E/360", 32),
    ],
)
def test_thirty_day_months_end_as_their_conventions_say(start: str, end: str, convention: str, expected: int) -> None:
    from valueverse.value.finance.day_counts import year_fraction

    years = year_fraction(date.fromisoformat(start), date.fromisoformat(end), convention)
    assert years * 360 == pytest.approx(expected, abs=1e-9)
