"""Money that is not final: a customer's next invoices, and what billing events that nobody has sent would change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from serving_api.log_reads import waiting
from serving_api.money_schemas import PreviewRequest, UnbilledPage, UnbilledQuery, UpcomingInvoices, UpcomingQuery
from serving_api.problems import Problem, field_error
from serving_api.responses import page, refuse_parameters, refuse_repeated, respond
from serving_api.routes.writes import refused
from serving_api.schemas import is_plain
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity
from serving_api.service import service_of
from serving_api.writes import read_object
from valueverse.errors import RefusalError
from valueverse.services.subscriptions.unbilled_answers import UnbilledQuestion, unbilled_answer
from valueverse.services.subscriptions.upcoming_answers import Question

router = APIRouter(prefix="/v1", tags=["billing"])
_Reader = Annotated[Identity, Depends(requires("billing:read"))]
_AHEAD = timedelta(days=3 * 366)
_EXAMPLE = {
    "customer": "chat",
    "until": "2024-03-01",
    "events": [
        {
            "specversion": "1.0",
            "id": "what-if",
            "source": "sales",
            "type": "billing.subscription.changed",
            "time": "2024-02-01T00:00:00Z",
            "data": {"subscription": "chat-main", "plan": "pro"},
        }
    ],
}


@router.get(
    "/customers/{key}/upcoming-invoice",
    response_model=UpcomingInvoices,
    summary="A customer's next invoices",
)
async def upcoming(
    request: Request,
    key: Annotated[str, Path(description="Customer key, percent-encoded.", examples=["chat"])],
    query: Annotated[UpcomingQuery, Query()],
    identity: Annotated[Identity, Depends(requires("billing:read", portal=True))],
) -> Response:
    """What is not final yet, as if it were billed now: with the usage and the billing events that are known, those that
    wait for ingestion among them. Usage that waits is not in it.
    """
    refuse_repeated(request)
    if not is_plain(key) or identity.customer not in {None, key}:
        raise _unknown()
    question = Question(identity.tenant, key, _bounded(query.until, "query.until"), query.known_at)
    try:
        return respond(request, await _answer(request, question))
    except RefusalError as refusal:
        raise _unknown() from refusal


@router.post(
    "/invoices/preview",
    response_model=UpcomingInvoices,
    summary="Preview invoices",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": PreviewRequest.model_json_schema(), "example": _EXAMPLE},
            },
        }
    },
)
async def preview(request: Request, identity: _Reader) -> Response:
    """A customer's next invoices as if billing events had been received now, and what these change. Nothing is
    written."""
    refuse_parameters(request)
    try:
        stated = PreviewRequest.model_validate(read_object(await request.body()))
        until = _bounded(stated.until, "body.until")
        question = Question(identity.tenant, stated.customer, until, events=stated.events)
        return Response(await _answer(request, question), media_type="application/json")
    except ValidationError as error:
        wrong = [field_error(one, "body") for one in error.errors()]
        raise Problem("invalid-request", "One or more values are not acceptable.", errors=wrong) from error
    except RefusalError as refusal:
        if refusal.code == "malformed" and not refusal.path:
            raise Problem("malformed-request", refusal.message) from refusal
        if refusal.code == "unknown_customer" and not refusal.path.startswith("events"):
            raise _unknown() from refusal
        raise refused(refusal, refusal.path if refusal.path.startswith("body") else f"body.{refusal.path}") from refusal


@router.get("/unbilled-usage", response_model=UnbilledPage, summary="List usage that no invoice bills yet")
async def unbilled(request: Request, query: Annotated[UnbilledQuery, Query()], identity: _Reader) -> Response:
    """What charges come to that are not on a finalised invoice, as if it were billed now; corrections of usage too.

    Usage of a running period counts so far; usage that waits for ingestion, or that no subscription takes, does not.
    """
    refuse_repeated(request)
    service, tenant, moment = service_of(request), identity.tenant, datetime.now(UTC)
    scope = ("unbilled", tenant, query.customer, query.known_at and query.known_at.isoformat())
    (after,) = service.cursors.read(scope, query.cursor, 1)
    requests = await waiting(service, tenant, query.known_at)
    question = UnbilledQuestion(tenant, query.customer, after, query.limit, query.known_at)
    work = partial(unbilled_answer, service.settings, question, requests, moment)
    rows, last = await service.engine.work(tenant, work)
    return respond(request, page(rows, len(rows), last and service.cursors.make(scope, [last])))


def _bounded(until: date | None, path: str) -> date | None:
    today = datetime.now(UTC).date()
    if until is not None and not date(1970, 1, 2) <= until <= today + _AHEAD:
        error = {"path": path, "message": "from 1970-01-02 to three years ahead"}
        raise Problem("invalid-request", "Nothing can be previewed up to this day.", errors=[error])
    return until


async def _answer(request: Request, question: Question) -> bytes:
    """The answer as JSON.

    Raises:
        Problem: ``unavailable``.
        RefusalError: ``unknown_customer``; what is refused of hypothetical events.
    """
    service, moment = service_of(request), datetime.now(UTC)
    # The inbox is read before the lake: ingestion takes an event out of it only once the lake has it.
    requests = await waiting(service, question.tenant, question.known_at)
    work = partial(service.upcoming.answer, service.settings, question, requests, moment)
    return await service.engine.work(question.tenant, work)


def _unknown() -> Problem:
    return Problem("not-found", "No customer has this key.")
