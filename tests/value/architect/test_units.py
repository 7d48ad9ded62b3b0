"""Units: their grammar, their algebra, and what time is worth in other time."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import law
from valueverse.errors import RefusalError
from valueverse.value.architect.language.units import ONE, Unit, UnitSystem

UNITS = UnitSystem(frozenset({"user", "ticket", "agent"}), "month")
ATOMS = st.sampled_from(["user", "ticket", "USD", "EUR", "month", "year", "day", "hour", "percent", "period", "1"])


@st.composite
def units(draw: st.DrawFn) -> Unit:
    """A product of a few powers, built through the grammar."""
    text = "*".join(f"{draw(ATOMS)}^{draw(st.integers(-3, 3))}" for _ in range(draw(st.integers(1, 4))))
    return UNITS.of(text.replace("1^", "user^0*1^"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1", "1"),
        ("ticket/month", "ticket/month"),
        ("USD/(agent*hour)", "USD/(agent*hour)"),
        ("USD/agent/hour", "USD/(agent*hour)"),
        ("user^2", "user^2"),
        ("user*user", "user^2"),
        ("user/user", "1"),
        ("1/month", "1/month"),
        ("months", "month"),
        ("ticket/period", "ticket/month"),
        ("%", "percent"),
        ("user^0.5", "user^0.5"),
        (" USD / ( month ) ", "USD/month"),
    ],
)
def test_a_unit_is_shown_in_one_way(text: str, shown: str):
    assert str(UNITS.of(text)) == shown


@pytest.mark.parametrize(
    "text",
    ["", "USD//x", "USD/", "(USD", "USD)", "2*USD", "USD^user", "USD user", "$", "(" * 40 + "1", "u" * 300, "user^999"],
)
def test_what_is_no_unit_is_refused(text: str):
    with pytest.raises(RefusalError) as refusal:
        UNITS.of(text)
    assert refusal.value.code in {"bad_unit", "unknown_unit"}


def test_an_unknown_unit_names_the_one_that_was_meant():
    with pytest.raises(RefusalError, match="did you mean 'ticket'"):
        UNITS.of("tickt/month")


@pytest.mark.parametrize(
    ("one", "other", "factor"),
    [
        ("USD/year", "USD/month", 1 / 12),
        ("USD/month", "USD/year", 12),
        ("USD/quarter", "USD/month", 1 / 3),
        ("USD/week", "USD/day", 1 / 7),
        ("USD/day", "USD/year", 365),
        ("hour", "minute", 60),
        ("percent", "1", 0.01),
        ("month/year", "1", 1 / 12),
    ],
)
def test_time_is_converted_by_fixed_lengths(one: str, other: str, factor: float):
    assert UNITS.of(one).factor_to(UNITS.of(other)) == pytest.approx(factor, rel=1e-15)


@given(units(), units())
@law(100)
def test_units_are_closed_under_products_and_quotients(one: Unit, other: Unit):
    assert one.times(other) == other.times(one)
    assert one.times(other).over(other) == one
    assert one.over(one) == ONE
    assert one.times(one) == one.to_power(Fraction(2))
    assert one.to_power(Fraction(2)).to_power(Fraction(1, 2)) == one


@given(units())
@law(100)
def test_what_is_shown_reads_back_as_the_same_unit(unit: Unit):
    assert UNITS.of(str(unit)) == unit
    assert unit.factor_to(unit) == 1.0


@given(units(), units())
@law(100)
def test_there_and_back_is_nothing(one: Unit, other: Unit):
    if one.dimension == other.dimension:
        assert one.factor_to(other) * other.factor_to(one) == pytest.approx(1, rel=1e-12)
