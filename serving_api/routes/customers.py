"""Customers of the session's tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.responses import page, refuse_repeated, respond
from serving_api.schemas import CustomerPage, CustomerQuery
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity
from serving_api.service import service_of

if TYPE_CHECKING:
    from collections.abc import Mapping


router = APIRouter(prefix="/v1", tags=["billing"])
_Reader = Annotated[Identity, Depends(requires("billing:read"))]


@router.get("/customers", response_model=CustomerPage, summary="List customers")
async def list_customers(request: Request, query: Annotated[CustomerQuery, Query()], identity: _Reader) -> Response:
    """Everybody the tenant bills, by key."""
    refuse_repeated(request)
    service = service_of(request)
    scope = ("customers", identity.tenant)
    (after,) = service.cursors.read(scope, query.cursor, 1)
    found = await service.database.call("customers", identity.tenant, after, query.limit + 1)
    cursor = service.cursors.make(scope, [found[query.limit - 1]["customer"]]) if len(found) > query.limit else None
    return respond(request, page([_customer(row) for row in found], query.limit, cursor))


def _customer(row: Mapping[str, Any]) -> dict[str, Any]:
    metadata = row["metadata"]
    return {**dict(row), "metadata": orjson.loads(metadata) if metadata else None}
