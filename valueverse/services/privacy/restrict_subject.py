"""Restriction: data of a customer is on hold, and not erased, until it is released."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.errors import RefusalError
from valueverse.events import refuse_payment_number
from valueverse.platform.lake import Lake
from valueverse.platform.stores import data_key_store, privacy_store
from valueverse.platform.stores.functions import call
from valueverse.platform.warehouse import connect
from valueverse.services.privacy.erase_subject import evidence_text, recorded
from valueverse.services.subscriptions.billing_log import read_log, waiting_requests
from valueverse.subscriptions import CUSTOMER_TYPES, event_field

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from valueverse.platform.settings import Settings
    from valueverse.services.subscriptions.billing_log import WaitingRequest


def restrict_subject(settings: Settings, tenant: str, customer: str, reason: str) -> bool:
    """Put a customer's data on hold; False: it was already, for the reason that was given then.

    Raises:
        RefusalError: ``unknown_customer``, ``no_reason``, ``payment_instrument``.
    """
    checked = checked_reason(reason)
    with connect(settings, "builder") as connection:
        known = privacy_store.is_known(connection, tenant, customer)
    if not known and not is_stated(settings, tenant, customer, waiting_requests(settings, tenant)):
        raise RefusalError("unknown_customer", f"tenant {tenant!r} has no customer {customer!r}", "--customer")
    return _change(settings, tenant, customer, checked)


def checked_reason(reason: str) -> str:
    """A reason that says something, and no number of a card or account.

    Raises:
        RefusalError: ``no_reason``, ``payment_instrument``.
    """
    if not reason.strip():
        raise RefusalError("no_reason", "say why, such as the file number of a dispute", "--reason")
    refuse_payment_number(reason, "--reason")
    return reason.strip()


def is_stated(settings: Settings, tenant: str, customer: str, requests: Sequence[WaitingRequest]) -> bool:
    """Whether an event states the customer, whom no billing run may have seen yet; ``requests`` are those that wait in
    the tenant's inbox, read before."""
    log = read_log(Lake(settings.lake_url), settings.landing, tenant, datetime.now(UTC), requests)
    about = log.events.filter(pl.col("type").is_in(CUSTOMER_TYPES), event_field("customer") == customer)
    return not about.is_empty()


def release_subject(settings: Settings, tenant: str, customer: str) -> None:
    """End a restriction.

    Raises:
        RefusalError: ``not_restricted``.
    """
    if not _change(settings, tenant, customer, None):
        raise RefusalError("not_restricted", f"data of customer {customer!r} is not on hold", "--customer")


def restriction_evidence(reason: str | None) -> str:
    """What is recorded of a restriction, or of its end (None)."""
    return evidence_text({} if reason is None else {"reason": reason})


def _change(settings: Settings, tenant: str, customer: str, reason: str | None) -> bool:
    with connect(settings, "api") as connection:
        asked = (tenant, None, customer, reason, restriction_evidence(reason), "system", "")
        (row,) = call(connection, "restrict_customer", *asked)
    return bool(row["restrict_customer"] == "done")


def restricted_subjects(settings: Settings, tenant: str) -> list[dict[str, Any]]:
    """customer, reason, since of each restriction."""
    with connect(settings, "api") as connection:
        return call(connection, "restrictions", tenant, None, None)


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
