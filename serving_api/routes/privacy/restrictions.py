"""Customers of the session's tenant whose data is on hold: listed, put on hold, released."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import anyio.to_thread
import orjson
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.idempotency import PARAMETER, Repeatable, answer_once
from serving_api.log_reads import waiting_of
from serving_api.problems import Problem
from serving_api.responses import page, refuse_parameters, refuse_repeated, respond
from serving_api.routes.privacy.schemas import NewRestriction, Restricted, RestrictionPage, RestrictionQuery
from serving_api.schemas import is_plain
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity, refused_token
from serving_api.service import service_of
from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.services.privacy.restrict_subject import checked_reason, is_stated, restriction_evidence

if TYPE_CHECKING:
    from serving_api.database import Transaction

router = APIRouter(prefix="/v1", tags=["privacy"])
_Administrator = Annotated[Identity, Depends(requires("admin"))]
Customer = Annotated[str, Path(description="Customer key, percent-encoded.", examples=["chat"])]
_REPEATABLE = {"parameters": [PARAMETER]}


@router.get("/restrictions", response_model=RestrictionPage, summary="List customers whose data is on hold")
async def list_restrictions(
    request: Request, query: Annotated[RestrictionQuery, Query()], identity: _Administrator
) -> Response:
    """By customer, with the reason and since when. `GET /v1/customers` marks them as `restricted`."""
    refuse_repeated(request)
    service = service_of(request)
    scope = ("restrictions", identity.tenant)
    (after,) = service.cursors.read(scope, query.cursor, 1)
    found = await service.database.call("restrictions", identity.tenant, after, query.limit + 1)
    cursor = service.cursors.make(scope, [found[query.limit - 1]["customer"]]) if len(found) > query.limit else None
    rows = [{**row, "since": utc_text(row["since"])} for row in found]
    return respond(request, page(rows, query.limit, cursor))


@router.post(
    "/customers/{key}/restrict",
    response_model=Restricted,
    summary="Put a customer's data on hold",
    openapi_extra=_REPEATABLE,
)
async def restrict(request: Request, key: Customer, given: NewRestriction, identity: _Administrator) -> Response:
    """Nothing of it is erased, and no payment instrument is added or removed, until it is released."""
    refuse_parameters(request)
    try:
        reason = checked_reason(given.reason)
    except RefusalError as refusal:
        place = {"path": "body.reason", "message": refusal.message}
        raise Problem("invalid-request", "One or more values are not acceptable.", errors=[place]) from refusal
    return await _change(request, identity, key, reason)


@router.post(
    "/customers/{key}/release", response_model=Restricted, summary="End the hold on a customer's data",
    openapi_extra=_REPEATABLE,
)  # fmt: skip
async def release(request: Request, key: Customer, identity: _Administrator) -> Response:
    """Releasing it again changes nothing."""
    refuse_parameters(request)
    return await _change(request, identity, key, None)


async def _change(request: Request, identity: Identity, key: str, reason: str | None) -> Response:
    async def write(transaction: Transaction, again: Repeatable) -> Response:
        await require_customer(request, transaction, identity, key)
        sent_by = (identity.key_prefix, request.scope["exchange"].request_id)
        asked = (identity.family, key, reason, restriction_evidence(reason), *sent_by)
        (row,) = await transaction.call("restrict_customer", identity.tenant, *asked)
        if row["restrict_customer"] == "ended":
            raise refused_token()
        changed = row["restrict_customer"] == "done"
        body = {"customer": key, "restricted": reason is not None, "changed": changed}
        return await again.end(transaction, identity.tenant, 200, orjson.dumps(body))

    return await answer_once(request, identity.tenant, write)


async def require_customer(request: Request, transaction: Transaction, identity: Identity, key: str) -> None:
    """Refuse a customer whom neither a billing run nor an event knows, those that wait among them.

    Raises:
        Problem: ``not-found``.
    """
    if is_plain(key):
        (row,) = await transaction.call("customer_known", identity.tenant, key)
        if row["customer_known"]:
            return
        # The inbox is read before the lake: ingestion takes an event out of it only once the lake has it.
        requests = waiting_of(await transaction.call("waiting_requests", identity.tenant))
        stated = partial(is_stated, service_of(request).settings, identity.tenant, key, requests)
        if await anyio.to_thread.run_sync(stated):
            return
    raise Problem("not-found", "No customer has this key.")
