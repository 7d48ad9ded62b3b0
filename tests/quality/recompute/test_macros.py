"""The recomputation's decimals are rounded as the engine's are."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import duckdb
import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from quality.recompute.macros import MACROS
from tests.support.laws import law

NUMBERS = st.decimals(min_value=Decimal("-1e9"), max_value=Decimal("1e9"), places=18, allow_nan=False)


@law(100)
@example(a=Decimal("3.138965201465201465"), b=Decimal("0.5"))
@example(a=Decimal("-0.000000000000000003"), b=Decimal(2))
@given(a=NUMBERS, b=st.decimals(min_value=Decimal("-1e6"), max_value=Decimal("1e6"), places=18, allow_nan=False))
def test_products_and_quotients_are_rounded_once_as_the_engine_s_decimals_are(a: Decimal, b: Decimal) -> None:
    left, right = int(a.scaleb(18)), int(b.scaleb(18))
    exact = pl.DataFrame({"a": [a], "b": [b]}, schema={"a": pl.Decimal(38, 18), "b": pl.Decimal(38, 18)})
    product = _half_even(left * right, 10**18)
    assert _duck("times", left, right) == product
    assert Fraction(exact.select(pl.col("a") * pl.col("b")).item()) * 10**18 == product
    quotient = _half_even(left * 10**18, right) if right else 0
    if right and abs(quotient) < 10**38:
        assert _duck("over", left, right) == quotient
        assert Fraction(exact.select(pl.col("a") / pl.col("b")).item()) * 10**18 == quotient


def _half_even(numerator: int, denominator: int) -> int:
    return round(Fraction(numerator, denominator))


_CONNECTION = duckdb.connect()
_CONNECTION.execute(MACROS)


def _duck(macro: str, left: int, right: int) -> int:
    row = _CONNECTION.execute(f"select {macro}('{left}'::hugeint, '{right}'::hugeint)::varchar").fetchone()
    assert row is not None
    return int(row[0])
