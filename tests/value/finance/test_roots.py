"""Rates of return at the edges: double roots, payments of very different sizes, long streams, curves that fade out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from valueverse.value.finance import annuities, cashflows


def test_a_root_that_the_curve_only_touches_is_exact_and_counts_once() -> None:
    found = cashflows.irr([-100, 220, -121])
    assert (found.rates, found.status, found.sign_changes) == ((0.1,), "unique", 2)


def test_a_rate_of_nothing_is_zero_without_a_rest() -> None:
    assert cashflows.irr([-100, 100]).rates == (0.0,)
    assert cashflows.irr([-100, 50, 50]).rates == (0.0,)


def test_a_small_payment_beside_a_huge_one_makes_no_false_roots() -> None:
    assert cashflows.irr([-1e-90, 1e90]).rates == pytest.approx((1e180,), rel=1e-9)


def test_payments_that_cancel_far_out_are_no_rate_of_a_loan() -> None:
    """With fv = -pmt the curve fades out towards -100 %, which was read as a row of roots."""
    found = annuities.rate(10, 100, -1000, -100, begins=False)
    assert len(found.rates) == 1
    assert annuities.fv(found.rates[0], 10, 100, -1000, begins=False) == pytest.approx(-100, rel=1e-9)
    assert annuities.rate(10, 100, -100, 0, begins=True).status == "none"


@pytest.mark.parametrize(("nper", "rate"), [(1000, 1.0), (5000, 0.1), (1000, 9.0), (360, 3.0)])
def test_a_high_rate_over_many_periods_is_found(nper: int, rate: float) -> None:
    present = -10 * (1 - (1 + rate) ** -nper) / rate
    assert annuities.rate(nper, 10, present, 0, begins=False).result == pytest.approx(rate, rel=1e-9)


@pytest.mark.parametrize("rate", [1.1, 10.0, 1e6])
def test_a_long_stream_at_a_high_rate_fades_out_and_does_not_overflow(rate: float) -> None:
    flows = [-1000.0] + [12.5] * 999
    assert cashflows.npv(rate, flows) == pytest.approx(-1000 + 12.5 / rate, rel=1e-12)
    assert cashflows.payback(flows, rate) is None


def test_periods_before_anything_is_paid_count_for_payback() -> None:
    assert cashflows.payback([0, -100, 60, 60]) == pytest.approx(2 + 40 / 60)
    assert cashflows.payback([0, 0]) == 0.0
    assert cashflows.payback([0, 50]) == 0.0


def test_streams_in_whole_periods_and_at_any_times_have_the_same_rates() -> None:
    flows = [-100.0, 0.0, 230.0, 0.0, 0.0, -132.0, 4.0]
    times = [2.0 * place for place in range(len(flows))]
    even, spread = cashflows.irr(flows), cashflows.xirr([time + 0.5 for time in times], flows)
    assert [math.log1p(rate) for rate in even.rates] == pytest.approx([2 * math.log1p(rate) for rate in spread.rates])


def test_of_several_rates_per_month_the_batch_takes_the_one_nearest_to_ten_percent_a_year() -> None:
    flows = [-100.0] + [10.0] * 35 + [-140.0]
    found = cashflows.irr(flows)
    assert found.status == "multiple"
    annual = [(1 + rate) ** 12 - 1 for rate in found.rates]
    nearest = min(annual, key=lambda rate: abs(math.log1p(rate) - math.log1p(0.1)))
    batch = cashflows.irr_batch(np.array([flows, flows]), 12)
    assert (1 + batch) ** 12 - 1 == pytest.approx([nearest, nearest])


def test_a_stream_that_begins_later_has_the_same_rate_in_a_batch() -> None:
    """Leading zeros are a root at v = 0, which Newton's method took for a rate of 10^36."""
    flows = [-343.0, -654.0, 19.0, 0.0, 0.0]
    later = [[0.0] * shift + flows + [0.0] * (4 - shift) for shift in range(5)]
    assert cashflows.irr_batch(np.array(later)) == pytest.approx([cashflows.irr(flows).result] * 5)
    small = [-1e-12, 0.0, -500.0, 600.0]
    assert cashflows.irr_batch(np.array([small, small])) == pytest.approx([0.2, 0.2])


def test_a_stream_has_the_same_bits_alone_and_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Newton's method went on with all streams until the slowest had settled, and moved the last bits of the others."""
    rng = np.random.default_rng(7)
    flows = np.concatenate([-rng.uniform(1, 1000, (200, 1)), rng.uniform(1, 60, (200, 24))], axis=1)
    alone = np.concatenate([cashflows.irr_batch(flows[[place]]) for place in range(200)])
    assert cashflows.irr_batch(flows).tobytes() == alone.tobytes()
    monkeypatch.setattr(cashflows, "_BLOCK", 16)
    assert cashflows.irr_batch(flows).tobytes() == alone.tobytes()
    assert cashflows.irr_batch(flows[:0]).shape == (0,)
