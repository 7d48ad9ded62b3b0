"""Billing events of the session's tenant that could not be applied, each with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.responses import page, refuse_repeated, respond
from serving_api.schemas import RejectedEventPage, RejectedEventQuery
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity
from serving_api.service import service_of
from valueverse.dates import utc_text

if TYPE_CHECKING:
    from collections.abc import Mapping

router = APIRouter(prefix="/v1", tags=["billing"])
_Reader = Annotated[Identity, Depends(requires("billing:read"))]


@router.get("/rejected-events", response_model=RejectedEventPage, summary="List rejected billing events")
async def list_rejected_events(
    request: Request, query: Annotated[RejectedEventQuery, Query()], identity: _Reader
) -> Response:
    """What the newest billing run could not apply, by source and id; amend or void such an event by another."""
    refuse_repeated(request)
    service = service_of(request)
    scope = ("rejected_events", identity.tenant)
    place = service.cursors.read(scope, query.cursor, 2)
    found = await service.database.call("rejected_events", identity.tenant, *place, query.limit + 1)
    cursor = None
    if len(found) > query.limit:
        last = found[query.limit - 1]
        cursor = service.cursors.make(scope, [last["source"], last["event_id"]])
    return respond(request, page([_event(row) for row in found], query.limit, cursor))


def _event(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "source": row["source"],
        "id": row["event_id"],
        "type": row["type"],
        "reason": row["reason"],
        "message": row["message"],
        "time": row["event_time"] and utc_text(row["event_time"]),
        "decided_at": utc_text(row["decided_at"]),
    }
