"""A customer, and subscriptions with their timelines, as billing events state them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.account_schemas import SubscriptionDetail, SubscriptionPage, SubscriptionQuery
from serving_api.log_reads import of_log
from serving_api.problems import Problem
from serving_api.responses import page, respond
from serving_api.schemas import Customer, KnownAtQuery, is_plain
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity
from serving_api.service import service_of
from valueverse.services.subscriptions.timelines import (
    stated_customer,
    stated_subscription,
    stated_subscriptions,
    timeline_of,
)

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.services.subscriptions.billing_log import BillingLog

router = APIRouter(prefix="/v1", tags=["billing"])
_Reader = Annotated[Identity, Depends(requires("billing:read"))]


@router.get("/customers/{key}", response_model=Customer, summary="A customer")
async def get_customer(
    request: Request,
    key: Annotated[str, Path(description="Customer key, percent-encoded.", examples=["chat"])],
    query: Annotated[KnownAtQuery, Query()],
    identity: _Reader,
) -> Response:
    """As events state it, those that wait for ingestion among them. Its ETag is what `If-Match` of a change takes."""

    def read(log: BillingLog, _: datetime) -> dict[str, Any] | None:
        return stated_customer(timeline_of(log, query.known_at), key) if is_plain(key) else None

    found = await of_log(request, identity.tenant, read, query.known_at)
    if found is None:
        raise Problem("not-found", "No customer has this key.")
    return respond(request, orjson.dumps(found))


@router.get("/subscriptions", response_model=SubscriptionPage, summary="List subscriptions")
async def list_subscriptions(
    request: Request, query: Annotated[SubscriptionQuery, Query()], identity: _Reader
) -> Response:
    """By key, with what holds now of each, those that wait for ingestion among them."""

    service, tenant = service_of(request), identity.tenant
    scope = ("subscriptions", tenant, query.customer, query.known_at and query.known_at.isoformat())
    (after,) = service.cursors.read(scope, query.cursor, 1)

    def read(log: BillingLog, moment: datetime) -> list[dict[str, Any]]:
        timeline = timeline_of(log, query.known_at)
        found = stated_subscriptions(timeline, query.known_at or moment, query.customer)
        return [one for one in found if after is None or one["subscription"] > after]

    found = await of_log(request, tenant, read, query.known_at)
    last = found[query.limit - 1]["subscription"] if len(found) > query.limit else None
    return respond(request, page(found, query.limit, last and service.cursors.make(scope, [last])))


@router.get("/subscriptions/{key}", response_model=SubscriptionDetail, summary="A subscription's timeline")
async def get_subscription(
    request: Request,
    key: Annotated[str, Path(description="Subscription key, percent-encoded.", examples=["chat-main"])],
    query: Annotated[KnownAtQuery, Query()],
    identity: _Reader,
) -> Response:
    """What holds now, and its stretches on versions of plans, past and to come."""

    def read(log: BillingLog, moment: datetime) -> dict[str, Any] | None:
        if not is_plain(key):
            return None
        return stated_subscription(timeline_of(log, query.known_at), key, query.known_at or moment)

    found = await of_log(request, identity.tenant, read, query.known_at)
    if found is None:
        raise Problem("not-found", "No subscription has this key.")
    return respond(request, orjson.dumps(found))
