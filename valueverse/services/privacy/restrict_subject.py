"""Restriction: data of a customer is on hold, and not erased, until it is released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.platform.stores import data_key_store, privacy_store
from valueverse.platform.warehouse import connect
from valueverse.services.privacy.erase_subject import recorded
from valueverse.services.privacy.subject import customer_events

if TYPE_CHECKING:
    from datetime import date

    from valueverse.platform.settings import Settings


def restrict_subject(settings: Settings, tenant: str, customer: str, reason: str) -> bool:
    """Put a customer's data on hold; False: it was already, for the reason that was given then.

    Raises:
        RefusalError: ``unknown_customer``, ``no_reason``.
    """
    if not reason.strip():
        raise RefusalError("no_reason", "say why, such as the file number of a dispute", "--reason")
    with connect(settings, "builder") as connection:
        known = privacy_store.is_known(connection, tenant, customer)
        if not known and customer_events(Lake(settings.lake_url), tenant, customer).is_empty():
            raise RefusalError("unknown_customer", f"tenant {tenant!r} has no customer {customer!r}", "--customer")
        if not privacy_store.restrict(connection, tenant, customer, reason.strip()):
            return False
        recorded(connection, tenant, "restricted", customer, {"reason": reason.strip()})
    return True


def release_subject(settings: Settings, tenant: str, customer: str) -> None:
    """End a restriction.

    Raises:
        RefusalError: ``not_restricted``.
    """
    with connect(settings, "builder") as connection:
        if not privacy_store.release(connection, tenant, customer):
            raise RefusalError("not_restricted", f"data of customer {customer!r} is not on hold", "--customer")
        recorded(connection, tenant, "released", customer, {})


def restricted_subjects(settings: Settings, tenant: str) -> list[dict[str, Any]]:
    """customer, reason, since of each restriction."""
    with connect(settings, "builder") as connection:
        return privacy_store.restrictions(connection, tenant)


def end_retention(settings: Settings, today: date) -> list[dict[str, Any]]:
    """Remove what was retained for invoices, where its time is over, with the key that seals it: tenant, customer,
    retain_until of each."""
    with connect(settings, "builder") as connection:
        ended = privacy_store.end_retention(connection, today)
        for tenant, customer in dict.fromkeys((row["tenant"], row["customer"]) for row in ended):
            if not privacy_store.retained(connection, tenant, customer):
                data_key_store.destroy(connection, tenant, f"retention/{customer}")
            recorded(connection, tenant, "retention_ended", customer, {"today": today.isoformat()})
    return ended
