"""Exact numbers: the Decimal dtype, currencies, rounding and allocation. No float comes near an amount.

Every quantity, price, rate and precise amount is ``EXACT`` (38 digits, 18 of them decimals) and is read from
the text of the input. Rounding happens once, where the policy says (billing.md, Numbers).
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, localcontext
from functools import lru_cache
from typing import Literal, assert_never

import iso4217
import polars as pl

from valueverse.errors import RefusalError
from valueverse.schemas.types import EXACT, PLACES

RoundingMode = Literal["half_up", "half_even", "up", "down"]
"""half_up = half away from zero, half_even = half to the even neighbour, up = towards +inf, down = towards
-inf.
"""

_DECIMAL_MODE = {
    "half_up": ROUND_HALF_UP,
    "half_even": ROUND_HALF_EVEN,
    "up": ROUND_CEILING,
    "down": ROUND_FLOOR,
}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z", re.ASCII)
CURRENCIES = frozenset(one.code for one in iso4217.Currency if one.exponent is not None)
"""ISO 4217 codes of what somebody can be invoiced in."""
_LONGEST = 120
"""Characters of a number's text; an exact one needs 40, the rest allows for zeros."""
_LIMIT = Decimal(10) ** 20
_WIDE = Context(prec=80)


@lru_cache(maxsize=512)
def minor_units(currency: str) -> int:
    """Decimals of a currency's minor unit by ISO 4217: USD 2, JPY 0, BHD 3.

    Raises:
        RefusalError: ``unknown_currency``; also for codes without a minor unit (XAU), which nobody is
            invoiced in.
    """
    try:
        decimals = iso4217.Currency(currency).exponent
    except ValueError:
        decimals = None
    if decimals is None:
        raise RefusalError("unknown_currency", f"{currency!r} is not an ISO 4217 currency such as 'USD'", "currency")
    return int(decimals)


def exact(value: object, path: str = "") -> Decimal:
    """The exact number that a str, int or Decimal says.

    Raises:
        RefusalError: ``not_a_number``; ``inexact_number`` for a binary float; ``out_of_range`` for more than
            18 decimals or 20 digits before the point.
    """
    if isinstance(value, float):
        raise RefusalError("inexact_number", f"{value!r} is a binary float: write the number as a string", path)
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise RefusalError("not_a_number", f"{_short(value)} is not a number", path)
    text = value.strip() if isinstance(value, str) else str(value)
    if not _NUMBER.match(text):
        raise RefusalError("not_a_number", f"{text[:40]!r} is not a number: write digits, like '12.5'", path)
    number = Decimal(text) if len(text) <= _LONGEST and len(text.lower().partition("e")[2]) <= 5 else None
    if number is None or (number and (number.adjusted() >= 20 or _decimals(number) > PLACES)):
        raise RefusalError(
            "out_of_range",
            f"{text[:60]} needs more than 20 digits before the point or {PLACES} behind it",
            path,
        )
    return number or Decimal(0)


def _short(value: object) -> str:
    return f"{type(value).__name__} with {len(value)} entries" if isinstance(value, dict | list) else repr(value)[:60]


def _decimals(number: Decimal) -> int:
    with localcontext(_WIDE):
        exponent = number.normalize().as_tuple().exponent
    return max(0, -int(exponent))


def plain(number: Decimal) -> str:
    """The number's digits: no exponent, no trailing zeros, no minus before zero."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text


def plain_text(number: pl.Expr) -> pl.Expr:
    """``plain`` for an EXACT column."""
    text = number.cast(EXACT).cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")
    return pl.when(text == "-0").then(pl.lit("0")).otherwise(text)


def round_decimal(number: Decimal, places: int, mode: RoundingMode = "half_up") -> Decimal:
    """Round to ``places`` decimals; negative places round to tens, hundreds, ..."""
    with localcontext(_WIDE):
        rounded = number.quantize(Decimal(1).scaleb(-places), rounding=_DECIMAL_MODE[mode])
        whole = rounded.quantize(Decimal(1)) if places < 0 else rounded
        # Zero has no sign in an amount; in a Decimal it has.
        return whole or whole.copy_abs()


def round_exact(number: pl.Expr, places: int, mode: RoundingMode = "half_up") -> pl.Expr:
    """``round_decimal`` for an EXACT column: same places and mode for every row."""
    step = pl.lit(Decimal(1).scaleb(-places)).cast(EXACT)
    near_mode: Literal["half_to_even", "half_away_from_zero"] = (
        "half_to_even" if mode == "half_even" else "half_away_from_zero"
    )
    near = number.round(places, mode=near_mode) if places >= 0 else (number / step).round(0, mode=near_mode) * step
    # One step from the nearest neighbour; scaling up to use ceil or floor would overflow for large amounts.
    match mode:
        case "half_up" | "half_even":
            rounded = near
        case "up":
            rounded = pl.when(near < number).then(near + step).otherwise(near)
        case "down":
            rounded = pl.when(near > number).then(near - step).otherwise(near)
        case _:
            assert_never(mode)
    return rounded.cast(EXACT)


def amount_text(amount: Decimal, currency: str) -> str:
    """A rounded amount with the currency's decimals: ``"78.81"``, ``"79"`` in JPY."""
    return format(round_decimal(amount, minor_units(currency)), "f")


def minor_text(minor: int, decimals: int) -> str:
    """Minor units as major ones with the currency's decimals: 7881 at 2 is ``"78.81"``."""
    return format(Decimal(f"{minor}E-{decimals}"), "f")


def largest_remainder(precise: pl.Expr, total_minor: pl.Expr, group: list[str], order: str) -> pl.Expr:
    """Whole minor units that add up to the group's total, each next to its precise share.

    Args:
        precise: EXACT shares in minor units.
        total_minor: Int64, what the group's parts have to add up to (within one unit per row of the sum of
            the shares).
        group: columns of the group.
        order: column that breaks ties between equal remainders; lower first.
    """
    base = precise.floor()
    left = total_minor - base.cast(pl.Int64).sum().over(group)
    rank = pl.struct((-(precise - base)).alias("remainder"), pl.col(order).alias("tie")).rank("ordinal").over(group)
    return base.cast(pl.Int64) + (rank <= left).cast(pl.Int64)


def with_decimals(rows: pl.DataFrame) -> pl.DataFrame:
    """Add ``decimals`` (Int8): the minor unit of each row's ``currency``."""
    decimals = {currency: minor_units(currency) for currency in rows["currency"].unique()}
    # An empty mapping would leave the column as text.
    found = pl.col("currency").replace_strict(decimals or {"": 0}, return_dtype=pl.Int8)
    return rows.with_columns(found.alias("decimals"))
