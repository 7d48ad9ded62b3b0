"""What holds of every journal (billing.md, The journal): functions that return the rows where it does not."""

from __future__ import annotations

import polars as pl

from valueverse.ledger.accounts import CUSTOMER_CREDIT, DEFERRED_REVENUE, RECEIVABLE
from valueverse.schemas.ledger import JOURNAL_VIOLATIONS

BALANCED = "debits_equal_credits"
RECEIVABLE_EXPLAINED = "receivable_is_invoices_less_payments_and_credits"
DEFERRED_RUNS_OUT = "deferred_revenue_runs_to_zero"
WALLETS_HOLD = "wallets_are_never_negative"
INVARIANTS = (BALANCED, RECEIVABLE_EXPLAINED, DEFERRED_RUNS_OUT, WALLETS_HOLD)


def _violations(rows: pl.DataFrame, rule: str, what: pl.Expr, expected: pl.Expr) -> pl.DataFrame:
    return rows.select(
        "tenant", pl.lit(rule).alias("rule"), what.alias("what"), "currency",
        expected.alias("expected_minor"), pl.col("amount_minor").alias("actual_minor"),
    ).cast(JOURNAL_VIOLATIONS)  # fmt: skip


def unbalanced_entries(postings: pl.DataFrame) -> pl.DataFrame:
    """Entries whose debits and credits differ, or that are in two currencies (JOURNAL_VIOLATIONS).

    Args:
        postings: tenant, entry_id, currency, amount_minor.
    """
    sums = postings.group_by("tenant", "entry_id", "currency").agg(pl.col("amount_minor").sum())
    mixed = pl.len().over("tenant", "entry_id") > 1
    return _violations(sums.filter((pl.col("amount_minor") != 0) | mixed), BALANCED, pl.col("entry_id"), pl.lit(0))


def unexplained_receivables(balances: pl.DataFrame, owed: pl.DataFrame) -> pl.DataFrame:
    """Customers whose receivable is not their invoices less payments and credits (JOURNAL_VIOLATIONS).

    Args:
        balances: tenant, account, customer, currency, amount_minor.
        owed: AMOUNTS_OWED; several rows per customer add up.
    """
    keys = ["tenant", "customer", "currency"]
    booked = balances.filter(pl.col("account") == RECEIVABLE).group_by(keys).agg(pl.col("amount_minor").sum())
    inputs = owed.group_by(keys).agg(pl.col("amount_minor").sum().alias("owed"))
    both = booked.join(inputs, on=keys, how="full", coalesce=True).with_columns(
        pl.col("amount_minor", "owed").fill_null(0)
    )
    wrong = both.filter(pl.col("amount_minor") != pl.col("owed"))
    return _violations(wrong, RECEIVABLE_EXPLAINED, pl.col("customer"), pl.col("owed"))


def deferred_that_stays(balances: pl.DataFrame) -> pl.DataFrame:
    """Invoices whose deferred revenue does not run to 0 over their service periods (JOURNAL_VIOLATIONS).

    Args:
        balances: tenant, account, invoice, currency, amount_minor, of all dates, those to come included.
    """
    left = (
        balances.filter(pl.col("account") == DEFERRED_REVENUE)
        .group_by("tenant", "invoice", "currency")
        .agg(pl.col("amount_minor").sum())
        .filter(pl.col("amount_minor") != 0)
    )
    return _violations(left, DEFERRED_RUNS_OUT, pl.col("invoice"), pl.lit(0))


def negative_wallets(balances: pl.DataFrame) -> pl.DataFrame:
    """Wallets from which more was taken than put in (JOURNAL_VIOLATIONS; the actual amount is the balance, below 0).

    Args:
        balances: tenant, account, customer, wallet, currency, amount_minor.
    """
    held = (
        balances.filter(pl.col("account") == CUSTOMER_CREDIT)
        .group_by("tenant", "customer", "wallet", "currency")
        .agg((-pl.col("amount_minor").sum()).alias("amount_minor"))
        .filter(pl.col("amount_minor") < 0)
    )
    return _violations(held, WALLETS_HOLD, pl.format("{}/{}", "customer", "wallet"), pl.lit(0))


def violations(postings: pl.DataFrame, owed: pl.DataFrame) -> pl.DataFrame:
    """Every rule that does not hold of these JOURNAL_POSTINGS, and where (JOURNAL_VIOLATIONS)."""
    return pl.concat(
        [
            unbalanced_entries(postings),
            unexplained_receivables(postings, owed),
            deferred_that_stays(postings),
            negative_wallets(postings),
        ]
    ).sort("tenant", "rule", "what")
