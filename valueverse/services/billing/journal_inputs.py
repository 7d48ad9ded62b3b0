"""The journal's two sides together: what billing events say, read from the lake, and what the warehouse holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.invoicing import BilledRows, corrected_amounts
from valueverse.ledger import (
    JournalInputs,
    deferred_that_stays,
    named_invoices,
    negative_wallets,
    receivables,
    unbalanced_entries,
    unexplained_receivables,
)
from valueverse.platform.stores import billing_store
from valueverse.platform.stores import journal_store as store
from valueverse.services.lake_tables import BILLING_FACTS_TABLE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import psycopg

    from valueverse.platform.lake import Lake


def current_inputs(
    connection: psycopg.Connection[Any], lake: Lake, zones: pl.DataFrame, as_of: datetime
) -> JournalInputs:
    """What the journal of these tenants (tenant, timezone) is made from, beside documents."""
    names = zones["tenant"].to_list()
    facts = lake.scan(BILLING_FACTS_TABLE).filter(pl.col("tenant").is_in(names)).collect()
    bills = store.bills(connection, named_invoices(facts))
    corrected = _corrected(connection, billing_store.Scope(names))
    return JournalInputs(facts, bills, corrected, store.credits_used(connection, names), zones, as_of)


def _corrected(connection: psycopg.Connection[Any], scope: billing_store.Scope) -> pl.DataFrame:
    """CORRECTED, as billing derives it, from the corrections and the invoices that they concern alone."""
    lines = billing_store.corrections(connection, scope)
    concerned = {*lines["invoice_id"], *lines["corrected_invoice_id"]}
    return corrected_amounts(BilledRows(billing_store.invoices(connection, scope, sorted(concerned)), lines))


def broken_rules(connection: psycopg.Connection[Any], tenants: Sequence[str], inputs: JournalInputs) -> pl.DataFrame:
    """The rules of the journal that do not hold now (JOURNAL_VIOLATIONS)."""
    balances = store.balances(connection, tenants)
    found = [
        unbalanced_entries(store.unbalanced(connection, tenants)),
        unexplained_receivables(balances, receivables(store.invoiced(connection, tenants), inputs)),
        deferred_that_stays(balances),
        negative_wallets(balances),
    ]
    return pl.concat(found).sort("tenant", "rule", "what")
