"""Book what was finalised, voided, paid and granted since: the entries that are due less those that are booked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valueverse.ledger import LedgerDocuments, book_entries, derive_movements, read_documents
from valueverse.platform.stores import journal_store as store
from valueverse.platform.stores.tenant_store import known_tenants, tenant_keys
from valueverse.platform.warehouse import connect
from valueverse.services.billing.journal_inputs import broken_rules, current_inputs
from valueverse.services.webhooks.notify import notify_of_bookings

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    import polars as pl
    import psycopg

    from valueverse.ledger import Journal
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import Settings


@dataclass(frozen=True)
class JournalReport:
    """What a run booked.

    Attributes:
        journal: the entries and postings added.
        rejected: payments that could not be booked (REJECTED_EVENTS).
        violations: rules of the journal that do not hold after the run (JOURNAL_VIOLATIONS).
    """

    journal: Journal
    rejected: pl.DataFrame
    violations: pl.DataFrame


def book_journal(
    settings: Settings, lake: Lake, *, as_of: datetime, run_id: str, tenants: Collection[str] | None = None
) -> JournalReport:
    """Bring the journal up to date. Idempotent: a second run finds nothing to book.

    Args:
        settings: where the warehouse is.
        lake: billing facts.
        as_of: the run's present: credit that expires later has not expired.
        run_id: recorded with the entries.
        tenants: only these; None: all.
    """
    with connect(settings, "builder") as connection:
        store.lock_journal(connection)
        zones = known_tenants(connection, None if tenants is None else sorted(tenants))
        names = zones["tenant"].to_list()
        inputs = current_inputs(connection, lake, zones, as_of)
        pending = store.unbooked(connection, names)
        moves, rejected = derive_movements(_documents(connection, pending), inputs)
        journal = book_entries(moves, store.booked(connection, names, pending.select("tenant", "number")))
        store.add(connection, journal.entries, journal.postings, run_id=run_id, booked_at=as_of)
        store.replace_not_booked(connection, names, rejected, as_of)
        notify_of_bookings(connection, settings, inputs, journal.postings)
        wrong = broken_rules(connection, names, inputs)
        connection.commit()
    return JournalReport(journal, rejected, wrong)


def _documents(connection: psycopg.Connection[Any], pending: pl.DataFrame) -> LedgerDocuments:
    found = read_documents(pending.select("document", "timezone"))
    return found.detailed(store.line_discounts(connection, pending), store.credit_origins(connection, pending))


def booked_tenants(settings: Settings) -> list[str]:
    """Every tenant whose invoices the journal may be about."""
    with connect(settings, "builder") as connection:
        return tenant_keys(connection)
