"""Text -> exact number, judged by the text alone and never through a float."""

from __future__ import annotations

from decimal import Decimal

import polars as pl

from valueverse.schemas.types import EXACT

QUANTITY_LIMIT = Decimal(10) ** 12
_PLAIN = r"^-?[0-9]{1,15}(?:\.[0-9]{1,18}0*)?$"
_SCIENTIFIC = r"^-?[0-9]+(?:\.[0-9]+)?[eE][+-]?[0-9]{1,3}$"
_FRACTION = r"\.([0-9]*?)0*[eE]"
_EXPONENT = r"[eE]([+-]?[0-9]+)$"


def number_from_text(text: pl.Expr) -> pl.Expr:
    """A JSON number, or a text that reads like one, as EXACT.

    Null for what is no number (``true``, ``""``, ``"12 GB"``), for |x| >= 10^12 and beyond 18 decimals.
    """
    written_out = text.str.contains(_PLAIN)
    scientific = pl.when(written_out.not_() & text.str.contains(_SCIENTIFIC)).then(text)
    decimals = scientific.str.extract(_FRACTION).str.len_bytes().fill_null(0).cast(pl.Int32)
    exponent = scientific.str.extract(_EXPONENT).cast(pl.Int32, strict=False)
    exact = written_out | (decimals - exponent <= 18).fill_null(value=False)
    number = pl.when(exact).then(text).cast(EXACT, strict=False)
    return pl.when(number.abs() < pl.lit(QUANTITY_LIMIT).cast(EXACT)).then(number)
