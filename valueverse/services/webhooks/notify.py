"""Notifications of what no row of its own says: failed payments, and wallets that are low."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.ledger import CUSTOMER_CREDIT, failed_payments
from valueverse.platform.stores import webhook_store as store
from valueverse.subscriptions import known_events

if TYPE_CHECKING:
    import psycopg

    from valueverse.ledger import JournalInputs
    from valueverse.platform.settings import Settings


def notify_of_bookings(
    connection: psycopg.Connection[Any], settings: Settings, inputs: JournalInputs, postings: pl.DataFrame
) -> None:
    """Write what a booking notifies of, in its transaction.

    Args:
        connection: of the booking; its caller commits.
        settings: from which balance on a wallet is low.
        inputs: billing events, with payments that failed.
        postings: JOURNAL_POSTINGS that were added.
    """
    since = store.listening_since(connection)
    if since is None:
        return
    recent = known_events(inputs.facts, None).filter(pl.col("received_at") >= since)
    failed = failed_payments(recent, inputs.bills)
    if not failed.is_empty():
        store.notify_failed_payments(connection, failed)
    touched = postings.filter(pl.col("account") == CUSTOMER_CREDIT, pl.col("wallet").is_not_null())
    if not touched.is_empty() and settings.wallet_low_percent:
        store.notify_low_wallets(connection, touched, settings.wallet_low_percent)
