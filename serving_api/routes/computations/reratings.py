"""Re-ratings: what finalised invoices would come to under other terms, first shown, then applied."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import orjson
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.idempotency import PARAMETER, repeatable
from serving_api.problems import Problem
from serving_api.responses import refuse_parameters
from serving_api.routes.computations import answers
from serving_api.routes.computations.schemas import ListQuery, NewRerating, Rerating, ReratingPage, ReratingState
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity
from serving_api.service import service_of
from valueverse.services.computations.asked import AskedRerating

if TYPE_CHECKING:
    from collections.abc import Mapping

router = APIRouter(prefix="/v1/reratings", tags=["billing"])
_KIND = "rerating"
_Reader = Annotated[Identity, Depends(requires("billing:read"))]
_Writer = Annotated[Identity, Depends(requires("billing:write"))]
_REPEATABLE = {"parameters": [PARAMETER]}
PATIENCE = 10
"""Seconds that a request waits for a plan to be applied."""
_PAUSE = 0.2
_APPLICABLE = {"done", "applying", "applied"}


@router.post("", response_model=ReratingState, status_code=202, summary="Plan a re-rating", openapi_extra=_REPEATABLE)
async def plan(request: Request, identity: _Writer, given: NewRerating) -> Response:
    """Work out the differences of each customer, invoice and line; nothing is booked.

    `Location` is where its progress and, once it is done, the plan is read: that of `valueverse rerate plan`.
    """
    return await answers.ask(
        request, identity, _KIND, AskedRerating(given.from_, given.to, given.customers, given.catalog)
    )


@router.get("", response_model=ReratingPage, summary="List re-ratings")
async def list_reratings(request: Request, query: Annotated[ListQuery, Query()], identity: _Reader) -> Response:
    """The newest first, without their plans."""
    return await answers.listed(request, identity, _KIND, query)


@router.get("/{id}", response_model=Rerating, summary="A re-rating")
async def get_rerating(request: Request, computation: answers.Id, identity: _Reader) -> Response:
    """How far it is, and its plan once that is done."""
    return await answers.read(request, identity, _KIND, computation)


@router.post("/{id}/cancel", response_model=ReratingState, summary="Cancel a re-rating", openapi_extra=_REPEATABLE)
async def cancel_rerating(request: Request, computation: answers.Id, identity: _Writer) -> Response:
    """End it while it waits or runs. A plan that is done is not cancelled: it books nothing unless it is applied."""
    return await answers.cancel(request, identity, _KIND, computation)


@router.post(
    "/{id}/apply",
    response_model=ReratingState,
    responses={202: {"model": ReratingState, "description": "It is being applied: ask again, here or at `Location`."}},
    summary="Apply a re-rating",
    openapi_extra=_REPEATABLE,
)
async def apply(request: Request, computation: answers.Id, identity: _Writer) -> Response:
    """Have the next billing run book the plan's differences. The plan is worked out again and refused where events or
    invoices have changed since: nothing is booked that was not shown. However often it is asked, it is applied once.
    """
    refuse_parameters(request)
    again, service, tenant = repeatable(request, await request.body()), service_of(request), identity.tenant
    async with service.database.transaction() as transaction:
        answered = await again.begin(transaction, tenant)
        asked = (computation, *answers.sent_by(request, identity), answers.trace())
        rows = await transaction.call("apply_rerating", tenant, *asked)
        if not rows:
            raise answers.unknown()
        _check(rows[0])
        if answered is None:
            await again.end(transaction, tenant, 202, orjson.dumps(answers.shown(rows[0])))
    # What the worker comes to is no part of the write: a request that comes again waits for it as the first one does.
    deadline = time.monotonic() + PATIENCE
    while (row := await answers.found_of(request, identity, _KIND, computation))["state"] == "applying":
        if time.monotonic() > deadline:
            return answers.located(_answer(row, 202), _KIND)
        await anyio.sleep(_PAUSE)
    _check(row)
    if row["state"] == "done":
        raise Problem("unavailable", row["problem_message"], headers={"Retry-After": "10"})
    return _answer(row, 200)


def _answer(row: Mapping[str, Any], status: int) -> Response:
    return Response(orjson.dumps(answers.shown(row)), status, media_type="application/json")


def _check(row: Mapping[str, Any]) -> None:
    if row["state"] == "stale":
        raise Problem("conflict", row["problem_message"])
    if row["state"] not in _APPLICABLE:
        raise Problem("conflict", f"It is {row['state']}: a plan can be applied once it is done.")
