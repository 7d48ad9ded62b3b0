"""Quantity + price -> amount: one module per family of price models, all lines at once."""

from valueverse.rating.bucket_parts import bucket_parts
from valueverse.rating.charge_steps import charge_bound, round_amounts, with_priced_units
from valueverse.rating.engine import Rated, RatingDetail, rate
from valueverse.rating.percentage_parts import percentage_parts
from valueverse.rating.price_book import ChargeBook
from valueverse.rating.priced_units import priced_units
from valueverse.rating.tiered import EXACT_ZERO, exact_portion

__all__ = [
    "EXACT_ZERO",
    "ChargeBook",
    "Rated",
    "RatingDetail",
    "bucket_parts",
    "charge_bound",
    "exact_portion",
    "percentage_parts",
    "priced_units",
    "rate",
    "round_amounts",
    "with_priced_units",
]
