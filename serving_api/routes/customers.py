"""Customers of the session's tenant, and their metered usage by day."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.problems import Problem
from serving_api.responses import page, refuse_repeated, respond
from serving_api.schemas import CustomerPage, CustomerQuery, UsagePage, UsageQuery, is_plain
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity
from serving_api.service import service_of

if TYPE_CHECKING:
    from collections.abc import Mapping


router = APIRouter(prefix="/v1", tags=["billing"])
_ADDITIVE = ("count", "sum")
"""Aggregations whose daily quantities add up."""
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


@router.get("/customers/{key}/usage", response_model=UsagePage, summary="A customer's usage by day and meter")
async def list_usage(
    request: Request,
    key: Annotated[str, Path(description="Customer key, percent-encoded.", examples=["chat"])],
    query: Annotated[UsageQuery, Query()],
    identity: Annotated[Identity, Depends(requires("billing:read", portal=True))],
) -> Response:
    """One row per day, meter, subscription and set of dimension values; days are UTC dates of the events."""
    refuse_repeated(request)
    service = service_of(request)
    if not is_plain(key):
        raise _unknown()
    filters = (key, query.from_, query.to, query.meter)
    scope = ("usage", *identity.owner, *filters)
    day, *rest = service.cursors.read(scope, query.cursor, 4)
    place = (None if day is None else date.fromisoformat(day), *rest)
    found = await service.database.read(identity.owner, "usage", *filters, *place, query.limit + 1)
    if not found:
        known = await service.database.read(identity.owner, "customer_known", key)
        if not known[0]["customer_known"]:
            raise _unknown()
    cursor = None
    if len(found) > query.limit:
        last = found[query.limit - 1]
        cursor = service.cursors.make(
            scope, [last["day"].isoformat(), last["meter"], last["subscription"], last["dimensions"]]
        )
    return respond(request, page([_usage(row) for row in found], query.limit, cursor))


def _unknown() -> Problem:
    return Problem("not-found", "No customer has this key.")


def _customer(row: Mapping[str, Any]) -> dict[str, Any]:
    metadata = row["metadata"]
    return {**dict(row), "metadata": orjson.loads(metadata) if metadata else None}


def _usage(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "day": row["day"].isoformat(),
        "meter": row["meter"],
        "subscription": row["subscription"] or None,
        "dimensions": orjson.loads(row["dimensions"]) if row["dimensions"] else {},
        "quantity": row["quantity"],
        "aggregation": row["aggregation"],
        "additive": row["aggregation"] in _ADDITIVE,
        "events": row["events"],
    }
