"""The journal as a beancount ledger that ``bean-check`` accepts.

Tenants and customers are other people's names; an account's parts must begin with a capital or digit and hold letters,
digits and hyphens. A part says what it names by its first two characters, and every character but ASCII letters and
digits stands as its hexadecimal code point between hyphens: customer ``acme.co`` is ``C-acme-2e-co``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from valueverse.ledger.accounts import (
    ACCOUNTS,
    CASH,
    CUSTOMER_CREDIT,
    DEFERRED_REVENUE,
    EXPIRED_CREDIT,
    GRANTED_CREDIT,
    PROMOTIONAL_CREDIT,
    RECEIVABLE,
    REVENUE,
    TAX_PAYABLE,
)
from valueverse.money import minor_units
from valueverse.schemas.types import EXACT

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOTS = {
    CASH: "Assets:Cash",
    RECEIVABLE: "Assets:Receivable",
    GRANTED_CREDIT: "Assets:GrantedCredit",
    CUSTOMER_CREDIT: "Liabilities:CustomerCredit",
    DEFERRED_REVENUE: "Liabilities:DeferredRevenue",
    TAX_PAYABLE: "Liabilities:TaxPayable",
    REVENUE: "Income:Revenue",
    PROMOTIONAL_CREDIT: "Income:PromotionalCredit",
    EXPIRED_CREDIT: "Income:ExpiredCredit",
}
_NARRATIONS = {
    "invoice": "Invoice",
    "revenue_recognition": "Revenue earned of invoice",
    "void": "Void of invoice",
    "credit_note": "Credit note",
    "payment_received": "Payment received",
    "payment_failed": "Payment returned",
    "payment_refunded": "Payment refunded",
    "wallet_granted": "Credit granted",
    "wallet_purchased": "Credit purchased",
    "wallet_voided": "Credit voided",
    "wallet_expired": "Credit expired",
}
_SAFE = re.compile(r"[A-Za-z0-9]")
_OPENED = "1970-01-01"


def account_part(kind: str, name: str) -> str:
    """``C-acme-2e-co`` for kind ``C`` and name ``acme.co``; two names never give the same part."""
    return f"{kind}-" + "".join(char if _SAFE.fullmatch(char) else f"-{ord(char):x}-" for char in name)


def export_beancount(entries: pl.DataFrame, postings: pl.DataFrame) -> Iterator[str]:
    """The ledger's text, piece by piece: header, accounts, then one transaction per entry in order of date.

    Args:
        entries: JOURNAL_ENTRIES.
        postings: JOURNAL_POSTINGS.
    """
    named = postings.with_columns(_accounts(postings))
    yield _header(named)
    if postings.is_empty():
        return
    lines = (
        _amounts(named)
        .sort("tenant", "entry_id", "position")
        .with_columns(pl.format("  {}  {} {}", "name", "amount", "currency").alias("line"))
        .group_by("tenant", "entry_id", maintain_order=True)
        .agg(pl.col("line").str.join("\n"))
    )
    order = ("date", "tenant", "kind", "reference", "revision", "currency", "entry_id")
    headed = entries.join(lines, on=["tenant", "entry_id"]).sort(order)
    narration = pl.col("kind").replace_strict(_NARRATIONS, return_dtype=pl.String)
    corrected = pl.when(pl.col("revision") > 0).then(pl.lit(" (difference)")).otherwise(pl.lit(""))
    text = pl.format(
        '{} * "{}" "{} {}{}"\n  entry: "{}"\n{}\n\n',
        pl.col("date").dt.strftime("%F"), "tenant", narration, _quoted("reference"), corrected, "entry_id", "line",
    )  # fmt: skip
    yield from headed.select(text.alias("text"))["text"]


def _quoted(name: str) -> pl.Expr:
    """Text inside a beancount string: backslash and quote escaped, no control character."""
    return (
        pl.col(name)
        .str.replace_all("\\", "\\\\", literal=True)
        .str.replace_all('"', '\\"', literal=True)
        .str.replace_all(r"\p{C}", " ")
    )


def _accounts(postings: pl.DataFrame) -> pl.Expr:
    tenants = {name: account_part("T", name) for name in postings["tenant"].unique()}
    customers = {name: account_part("C", name) for name in postings["customer"].drop_nulls().unique()}
    root = pl.col("account").replace_strict({account: _ROOTS[account] for account in ACCOUNTS}, return_dtype=pl.String)
    tenant = pl.col("tenant").replace_strict(tenants or {"": ""}, return_dtype=pl.String)
    customer = pl.col("customer").replace_strict(customers or {"": ""}, default=None, return_dtype=pl.String)
    return pl.concat_str(root, tenant, customer, separator=":", ignore_nulls=True).alias("name")


def _header(named: pl.DataFrame) -> str:
    currencies = named["currency"].unique().sort()
    operating = "".join(f'option "operating_currency" "{currency}"\n' for currency in currencies)
    opened = named["name"].unique().sort()
    accounts = "".join(f"{_OPENED} open {name}\n" for name in opened)
    return f'option "title" "ValueVerse journal"\n{operating}\n{accounts}\n'


def _amounts(named: pl.DataFrame) -> pl.DataFrame:
    """Add ``amount``: major units with the currency's decimals."""
    parts = []
    for (currency,), rows in named.group_by("currency", maintain_order=True):
        places = minor_units(str(currency))
        major = pl.col("amount_minor").cast(EXACT) / pl.lit(10**places).cast(EXACT)
        text = major.cast(pl.Decimal(38, places)).cast(pl.String) if places else pl.col("amount_minor").cast(pl.String)
        parts.append(rows.with_columns(text.alias("amount")))
    return pl.concat(parts)
