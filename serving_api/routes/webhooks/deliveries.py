"""What was delivered to the endpoints of the session's tenant: listed, shown with its attempts, made again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Body, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.idempotency import PARAMETER, Repeatable, answer_once
from serving_api.problems import Problem
from serving_api.responses import page, refuse_parameters, refuse_repeated, respond
from serving_api.routes.webhooks.schemas import (
    Delivery,
    DeliveryDetail,
    DeliveryPage,
    DeliveryQuery,
    Replay,
    Replayed,
)
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity, refused_token
from serving_api.service import service_of
from valueverse.dates import utc_text
from valueverse.services.webhooks.deliveries import REPLAYED_AT_ONCE, Selection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving_api.database import Transaction
    from serving_api.routes.webhooks.schemas import Selected

router = APIRouter(prefix="/v1/webhook-deliveries", tags=["webhooks"])
_Reader = Annotated[Identity, Depends(requires("billing:read"))]
_Administrator = Annotated[Identity, Depends(requires("admin"))]
_Number = Annotated[int, Path(ge=1, le=2**63 - 1, description="Of the delivery.", examples=[48213])]
_DEAD = Replay(cursor=None)
_REPEATABLE = {"parameters": [PARAMETER]}


@router.get("", response_model=DeliveryPage, summary="List webhook deliveries")
async def list_deliveries(request: Request, query: Annotated[DeliveryQuery, Query()], identity: _Reader) -> Response:
    """The newest first. `state=dead` lists what was given up."""
    refuse_repeated(request)
    service = service_of(request)
    selection = _selection(query, query.state).values
    scope = ("webhook_deliveries", identity.tenant, *selection)
    (before,) = service.cursors.read(scope, query.cursor, 1)
    found = await service.database.call("webhook_deliveries", identity.tenant, *selection, before, query.limit + 1)
    cursor = service.cursors.make(scope, [found[query.limit - 1]["delivery"]]) if len(found) > query.limit else None
    return respond(request, page([_shown(row) for row in found], query.limit, cursor))


@router.post("/replay", response_model=Replayed, summary="Replay webhook deliveries", openapi_extra=_REPEATABLE)
async def replay_several(
    request: Request, identity: _Administrator, given: Annotated[Replay, Body()] = _DEAD
) -> Response:
    """Delivers the oldest 1,000 that are selected once more, each with the id that it had; those that were given up by
    default. What went to an endpoint that is disabled stays as it is.
    """
    refuse_parameters(request)
    tenant = identity.tenant

    async def write(transaction: Transaction, again: Repeatable) -> Response:
        selection = _selection(given, given.state).values
        scope, cursors = ("webhook_replay", tenant, *selection), service_of(request).cursors
        (after,) = cursors.read(scope, given.cursor, 1)
        number, last = await _replay(transaction, request, identity, None, *selection, after, REPLAYED_AT_ONCE)
        cursor = cursors.make(scope, [last]) if number == REPLAYED_AT_ONCE else None
        body = {"replayed": number, "has_more": cursor is not None, "next_cursor": cursor}
        return await again.end(transaction, tenant, 200, orjson.dumps(body))

    return await answer_once(request, tenant, write)


@router.get("/{delivery}", response_model=DeliveryDetail, summary="A webhook delivery")
async def get_delivery(request: Request, delivery: _Number, identity: _Reader) -> Response:
    """What it says, and every attempt."""
    refuse_parameters(request)
    row = _one(await service_of(request).database.call("webhook_delivery", identity.tenant, delivery))
    texts = {name: orjson.Fragment(row[name]) for name in ("body", "history")}
    return respond(request, orjson.dumps(_shown(row) | texts))


@router.post(
    "/{delivery}/replay", response_model=Delivery, summary="Replay a webhook delivery", openapi_extra=_REPEATABLE
)
async def replay_one(request: Request, delivery: _Number, identity: _Administrator) -> Response:
    """Delivers it once more, with the id that it had, whatever became of it."""
    refuse_parameters(request)
    tenant = identity.tenant

    async def write(transaction: Transaction, again: Repeatable) -> Response:
        _one(await transaction.call("webhook_delivery", tenant, delivery))
        number, _ = await _replay(transaction, request, identity, delivery, *Selection().values, None, 1)
        if number == 0:
            raise Problem("conflict", "The endpoint that it went to is disabled: enable it first.")
        row = _shown(_one(await transaction.call("webhook_delivery", tenant, delivery)))
        body = orjson.dumps({name: value for name, value in row.items() if name not in {"body", "history"}})
        return await again.end(transaction, tenant, 200, body)

    return await answer_once(request, tenant, write)


def _selection(given: Selected, state: str | None) -> Selection:
    return Selection(given.endpoint, given.type, state, given.from_, given.to)


async def _replay(
    transaction: Transaction, request: Request, identity: Identity, *asked: object
) -> tuple[int, int | None]:
    """How many deliveries are made again, and the number of the last.

    Raises:
        Problem: ``invalid-token``: the session has ended.
    """
    sent_by = (identity.key_prefix, request.scope["exchange"].request_id)
    asked = (identity.family, *asked, *sent_by)
    (row,) = await transaction.call("replay_webhook_deliveries", identity.tenant, *asked)
    if row["outcome"] == "ended":
        raise refused_token()
    return row["replayed"], row["last_delivery"]


def _one(rows: list[Any]) -> Mapping[str, Any]:
    if not rows:
        raise Problem("not-found", "No webhook delivery of yours has this number.")
    row: Mapping[str, Any] = rows[0]
    return row


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    instants = {name: row[name] and utc_text(row[name]) for name in ("created_at", "due_at", "delivered_at")}
    if row["state"] != "waiting":
        instants["due_at"] = None
    return {**row, **instants}
