"""Answers about what customers used and no finalised invoice bills yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valueverse.platform.lake import Lake
from valueverse.platform.stores.customer_invoices import CustomerInvoices
from valueverse.platform.warehouse import connect
from valueverse.services.billing.customer_usage import customer_usage
from valueverse.services.billing.unbilled_usage import known_customers, unbilled_usage
from valueverse.services.subscriptions.billing_log import read_log

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from valueverse.platform.settings import Settings
    from valueverse.services.subscriptions.billing_log import WaitingRequest


@dataclass(frozen=True)
class UnbilledQuestion:
    """Whose usage is asked for.

    Attributes:
        tenant: who invoices.
        customer: the only customer; None: all of them.
        after: customers behind this key; None: from the first on.
        most: how many customers are looked at.
        known_at: as known then; None: now.
    """

    tenant: str
    customer: str | None
    after: str | None
    most: int
    known_at: datetime | None = None


def unbilled_answer(
    settings: Settings, question: UnbilledQuestion, requests: Sequence[WaitingRequest], moment: datetime
) -> tuple[list[dict[str, Any]], str | None]:
    """The documents of ``UnbilledUsage``, by customer, and the last customer that was looked at if others follow. Read
    as the API's login.

    Args:
        settings: where lake and warehouse are.
        question: what is asked.
        requests: what waits in the inbox, read before.
        moment: now.

    Raises:
        RefusalError: lake or warehouse cannot be read.
    """
    lake, tenant, known_at = Lake(settings.lake_url), question.tenant, question.known_at
    facts = read_log(lake, settings.landing, tenant, moment, requests).facts()
    customers = known_customers(facts, known_at, question.after, question.customer)
    chosen = customers[: question.most]
    if not chosen:
        return [], None
    usage = customer_usage(lake, tenant, chosen)
    with connect(settings, "api") as connection:
        store = CustomerInvoices(connection, "api", tenant, tuple(chosen), known_at)
        found = unbilled_usage(store, usage, facts, known_at or moment)
    return [one.document() for one in found], chosen[-1] if len(customers) > len(chosen) else None
