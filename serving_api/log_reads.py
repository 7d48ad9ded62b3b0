"""Reads of a tenant's billing events: those of the lake, and those that wait in its landing folder or inbox."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from serving_api.responses import refuse_repeated
from serving_api.service import service_of
from valueverse.platform.lake import Lake
from valueverse.services.subscriptions.billing_log import WaitingRequest, read_log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from starlette.requests import Request

    from serving_api.service import Service
    from valueverse.services.subscriptions.billing_log import BillingLog

Result = TypeVar("Result")


def waiting_of(rows: Sequence[Any]) -> list[WaitingRequest]:
    """Requests of the inbox, as ``api.waiting_requests`` gives them."""
    return [WaitingRequest(row["received_at"], bytes(row["body"])) for row in rows]


async def waiting(service: Service, tenant: str, known_at: datetime | None) -> list[WaitingRequest]:
    """The requests of the inbox that count besides the lake: those that wait now; of the past, none. Events are known
    from their ingestion on, and a question about the past that counted others would be answered otherwise later.
    """
    return [] if known_at is not None else waiting_of(await service.database.call("waiting_requests", tenant))


async def of_log(
    request: Request,
    tenant: str,
    read: Callable[[BillingLog, datetime], Result],
    known_at: datetime | None = None,
) -> Result:
    """What ``read`` gives of the tenant's billing events and the instant, beside the event loop.

    Args:
        request: for the service; its parameters are stated once.
        tenant: whose events.
        read: what is asked of them.
        known_at: as of which is asked; None: now.

    Raises:
        Problem: ``invalid-request`` for a repeated parameter, ``unavailable``.
        RefusalError: what ``read`` refuses.
    """
    refuse_repeated(request)
    service, moment = service_of(request), datetime.now(UTC)
    # The inbox is read before the lake: ingestion takes an event out of it only once the lake has it.
    requests = await waiting(service, tenant, known_at)
    lake, landing = Lake(service.settings.lake_url), service.settings.landing
    return await service.engine.work(tenant, lambda: read(read_log(lake, landing, tenant, moment, requests), moment))
