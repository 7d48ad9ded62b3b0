"""Finance functions, each with its convention stated (docs/finance.md). Rates and results are floats, money is not."""

from valueverse.value.finance import annuities, cashflows
from valueverse.value.finance.cashflows import irr_batch, payback_batch
from valueverse.value.finance.day_counts import DAY_COUNTS, DEFAULT_DAY_COUNT, year_fraction
from valueverse.value.finance.fees import FeeBinding, outcome_fee
from valueverse.value.finance.roots import Roots, roots_of_payments

__all__ = [
    "DAY_COUNTS",
    "DEFAULT_DAY_COUNT",
    "FeeBinding",
    "Roots",
    "annuities",
    "cashflows",
    "irr_batch",
    "outcome_fee",
    "payback_batch",
    "roots_of_payments",
    "year_fraction",
]
