"""Catalogs: everything that is wrong with one, and publishing it, which is a billing event."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from serving_api.idempotency import PARAMETER
from serving_api.log_reads import of_log
from serving_api.money_schemas import CatalogPage, PlanPage, PlanQuery
from serving_api.problems import Problem
from serving_api.responses import page, refuse_parameters, refuse_repeated, respond
from serving_api.routes.writes import Outcome, perform, refused, text_body
from serving_api.schemas import KnownAtQuery
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity
from serving_api.service import service_of
from serving_api.writes import Written
from valueverse.catalog import parse_catalog
from valueverse.documents import DocumentError
from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.services.catalogs.check_catalog import check_catalog, contents
from valueverse.services.catalogs.publish_catalog import planned_catalog
from valueverse.services.catalogs.published_catalogs import published_catalogs, published_plans
from valueverse.services.instants import read_instant
from valueverse.services.subscriptions.billing_log import read_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.catalog import Catalog
    from valueverse.platform.settings import Settings
    from valueverse.services.subscriptions.billing_log import BillingLog, WaitingRequest

router = APIRouter(prefix="/v1", tags=["billing"])
_Reader = Annotated[Identity, Depends(requires("billing:read"))]
_Writer = Annotated[Identity, Depends(requires("billing:write"))]
_KINDS = ("application/json", "application/yaml")
_MOST = 100
"""Problems that an answer names."""
_EXAMPLE = {
    "schema": "valueverse.catalog/v1",
    "currency": "USD",
    "timezone": "UTC",
    "plans": [{"key": "pro", "fees": [{"key": "base", "amount": "25"}]}],
}
_LINES = "schema: valueverse.catalog/v1\ncurrency: USD\nplans: [{key: pro}]\n"


_BODY: dict[str, Any] = {
    "required": True,
    "description": "The catalog itself, as its file holds it: JSON or YAML, at most 1 MiB. docs/catalog.md names "
    "every field, docs/schemas/catalog.schema.json says the same to programs.",
    "content": {
        "application/json": {"schema": {"type": "object"}, "example": _EXAMPLE},
        "application/yaml": {"schema": {"type": "string"}, "example": _LINES},
    },
}


# Whatever a check is sent, it answers what is wrong with it: no body is beyond what it describes.
_CHECKED = {
    **_BODY,
    "content": {kind: {**_BODY["content"][kind], "schema": {}} for kind in _KINDS},
}


class PublishQuery(BaseModel):
    """From when on the catalog holds."""

    model_config = ConfigDict(extra="forbid")
    on: Annotated[
        str | None,
        Field(
            max_length=40,
            description="An instant (RFC 3339), or a date in UTC; now by default.",
            examples=["2024-02-01"],
        ),
    ] = None


class CatalogProblem(BaseModel):
    """Something wrong with a catalog."""

    code: str
    message: str
    path: Annotated[str, Field(examples=["plans[0].fees[0].amount"])]
    line: Annotated[int, Field(description="In the text, from 1; 0 where nothing stands.")]
    column: int
    suggestion: str | None


class CatalogCheck(BaseModel):
    """What a catalog sells, or everything that is wrong with it."""

    model_config = ConfigDict(extra="allow")
    ok: bool
    hash: Annotated[str | None, Field(description="Of the catalog, whichever way it is written.")] = None
    problems: list[CatalogProblem] | None = None


@router.get("/catalogs", response_model=CatalogPage, summary="List catalogs")
async def list_catalogs(request: Request, query: Annotated[KnownAtQuery, Query()], identity: _Reader) -> Response:
    """Every publication that counts, the newest first, those that wait for ingestion among them; all on one page."""
    known_at = query.known_at
    found = await of_log(request, identity.tenant, lambda log, _: published_catalogs(log, known_at), known_at)
    return respond(request, page(found, len(found), None))


@router.get("/plans", response_model=PlanPage, summary="List plans")
async def list_plans(request: Request, query: Annotated[PlanQuery, Query()], identity: _Reader) -> Response:
    """The plans of the catalog in force, or of another one that was published, in its order; all on one page."""

    def read(log: BillingLog, moment: datetime) -> list[dict[str, Any]]:
        return published_plans(log, query.catalog, query.known_at, moment)

    try:
        found = await of_log(request, identity.tenant, read, query.known_at)
    except RefusalError as refusal:
        raise Problem("not-found", "No catalog of yours has this hash.") from refusal
    return respond(request, page(found, len(found), None))


@router.post(
    "/catalogs/check",
    response_model=CatalogCheck,
    summary="Check a catalog",
    openapi_extra={"requestBody": _CHECKED},
)
async def check(request: Request, identity: _Writer) -> Response:
    """Everything that is wrong with a catalog, each with its place; or what it sells. Nothing is written."""
    refuse_parameters(request)
    text = await text_body(request)
    found = await service_of(request).intake.work(identity.tenant, partial(check_catalog, text))
    return Response(orjson.dumps(found), media_type="application/json")


@router.post(
    "/catalogs",
    response_model=Written,
    status_code=201,
    responses={200: {"model": Written, "description": "Known already."}},
    summary="Publish a catalog",
    openapi_extra={"requestBody": _BODY, "parameters": [PARAMETER]},
)
async def publish(request: Request, query: Annotated[PublishQuery, Query()], identity: _Writer) -> Response:
    """It becomes a billing event (`billing.catalog.published`) and holds from `on`; what is final keeps its prices."""
    refuse_repeated(request)
    text = await text_body(request)
    try:
        effective = read_instant(query.on, "UTC", "query.on") if query.on else None
        catalog = await service_of(request).intake.work(identity.tenant, partial(parse_catalog, text))
        judge = partial(_judged, service_of(request).settings, identity.tenant, catalog, effective)
        return await perform(request, identity, text.encode(), judge)
    except DocumentError as error:
        wrong = [{"path": f"body.{one.path}".rstrip("."), "message": one.message} for one in error.problems[:_MOST]]
        raise Problem("invalid-request", "The catalog has problems.", errors=wrong) from error
    except RefusalError as refusal:
        raise refused(refusal, "query.on") from refusal


def _judged(
    settings: Settings,
    tenant: str,
    catalog: Catalog,
    effective: datetime | None,
    requests: Sequence[WaitingRequest],
    moment: datetime,
) -> Outcome:
    log = read_log(Lake(settings.lake_url), settings.landing, tenant, moment, requests)
    event = planned_catalog(log, catalog, effective or datetime.now(UTC).replace(microsecond=0), "query.on")
    known = log.find(event["source"], event["id"]) is not None
    return Outcome(event, known, {"catalog": contents(catalog)})
