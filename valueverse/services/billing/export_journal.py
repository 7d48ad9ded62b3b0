"""The journal as a file for other programs; the audit log of whoever is in it gets an entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.errors import RefusalError
from valueverse.ledger import Journal, export_beancount
from valueverse.platform.stores import journal_store as store
from valueverse.platform.stores.tenant_store import known_tenants
from valueverse.platform.warehouse import connect
from valueverse.services.audit.record_export import record_export
from valueverse.services.per_tenant import without_failing

if TYPE_CHECKING:
    from valueverse.platform.isolation import Failure
    from valueverse.platform.settings import Settings


def export_journal(settings: Settings, tenant: str | None) -> tuple[str, list[Failure]]:
    """The journal of a tenant, or of all, as a beancount ledger, and for whom it could not be made.

    Raises:
        RefusalError: ``unknown_tenant``; as ``beancount_text``.
    """
    with connect(settings, "builder") as connection:
        names = tenant_names(known_tenants(connection, None if tenant is None else [tenant]), tenant)
        journal = Journal(store.read_entries(connection, names), store.read_postings(connection, names))
    text, failures = beancount_text(journal)
    within = set(journal.entries["tenant"]) - {one.tenant for one in failures}
    record_export(settings, within, "journal.exported", "beancount", text.encode())
    return text, failures


def beancount_text(journal: Journal) -> tuple[str, list[Failure]]:
    """A journal as a beancount ledger, and tenants that are left out because it could not be made for them.

    Raises:
        RefusalError: as ``without_failing``.
    """

    def work(tenants: list[str]) -> str:
        mine = pl.col("tenant").is_in(tenants)
        return "".join(export_beancount(journal.entries.filter(mine), journal.postings.filter(mine)))

    return without_failing(work, journal.entries["tenant"].unique().to_list())


def tenant_names(known: pl.DataFrame, tenant: str | None) -> list[str]:
    """Keys of known tenants (column ``tenant``), one of which ``tenant`` must be if it is named.

    Raises:
        RefusalError: ``unknown_tenant``.
    """
    if tenant is not None and known.is_empty():
        raise RefusalError(
            "unknown_tenant", f"there is no tenant {tenant!r}; see `valueverse tenants list`", "--tenant"
        )
    return known["tenant"].to_list()
