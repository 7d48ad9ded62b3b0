"""Writes: each becomes one billing event, judged as the command line judges it, and stored for ingestion."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving_api.idempotency import PARAMETER, repeatable
from serving_api.log_reads import waiting_of
from serving_api.problems import Problem
from serving_api.responses import body_kinds, refuse_parameters, require_match, require_media
from serving_api.schemas import is_plain
from serving_api.security.authentication import identify
from serving_api.service import service_of
from serving_api.writes import WRITES, Written
from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.platform.stores.customer_invoices import CustomerInvoices
from valueverse.platform.warehouse import connect
from valueverse.services.billing.customer_usage import customer_usage
from valueverse.services.ingestion.deliver import event_text
from valueverse.services.ingestion.receive_events import judge_texts
from valueverse.services.subscriptions.account_events import read_account
from valueverse.services.subscriptions.invoice_statements import Recorded, refuse_unbillable
from valueverse.services.subscriptions.preview import plain_rows, preview
from valueverse.services.subscriptions.timelines import segments_of, stated_customer, timeline_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from serving_api.database import Transaction
    from serving_api.security.tokens import Identity
    from serving_api.writes import Statement, Write
    from valueverse.platform.settings import Settings
    from valueverse.services.subscriptions.account_events import PlannedEvent
    from valueverse.services.subscriptions.billing_log import WaitingRequest

router = APIRouter(prefix="", tags=["billing"])

_CONFLICTS = {
    "customer_exists", "already_stated", "already_started", "already_ended", "already_paused", "already_voided",
    "not_paused",
}  # fmt: skip
_UNAVAILABLE = {"disk_full", "lake_failed", "lake_unwritable"}


@dataclass(frozen=True)
class Outcome:
    """An event that may be stored, and what is known with it.

    Attributes:
        event: the CloudEvent.
        known: it is there already: nothing is to be stored.
        shown: what the answer says beside it.
    """

    event: dict[str, Any]
    known: bool
    shown: dict[str, Any]


async def perform(
    request: Request,
    identity: Identity,
    body: bytes,
    judge: Callable[..., Outcome],
    read: Callable[[Transaction], Awaitable[dict[str, Any]]] | None = None,
) -> Response:
    """Judge a write beside the event loop and store its event: one transaction, with the answer if it has a key.

    Args:
        request: its method, address and key make it repeatable.
        identity: who writes.
        body: as it came.
        judge: makes the event, given what waits in the inbox, the instant and, by name, what ``read`` gives.
        read: reads more in the transaction; None: nothing.

    Raises:
        Problem: of ``Idempotency-Key``.
        RefusalError: what ``judge`` refuses.
    """
    again, service, tenant = repeatable(request, body), service_of(request), identity.tenant
    async with service.writing, service.database.transaction() as transaction:
        answered = await again.begin(transaction, tenant)
        if answered is not None:
            return answered
        # The inbox is read before the lake: ingestion takes an event out of it only once the lake has it.
        requests = waiting_of(await transaction.call("waiting_requests", tenant))
        beside = {} if read is None else await read(transaction)
        outcome = await anyio.to_thread.run_sync(partial(judge, requests, datetime.now(UTC), **beside))
        receipt = None if outcome.known else await _store(transaction, request, identity, outcome.event)
        status = 201 if request.method == "POST" and receipt else 200
        return await again.end(transaction, tenant, status, _answer(outcome, receipt))


def _route(write: Write) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        identity = await identify(request, "billing:write")
        refuse_parameters(request)
        key, body = request.path_params.get("key", ""), await request.body()
        if not is_plain(key):
            raise _unknown()
        try:
            stated = write.read(body, identity.tenant, key)
            judge = partial(_judged, request, identity.tenant, write, stated)
            if stated.preview:
                return await _previewed(request, identity.tenant, write, stated)
            number = stated.data.get("invoice")
            read = None if number is None else partial(_recorded, identity.tenant, number)
            return await perform(request, identity, body, judge, read)
        except RefusalError as refusal:
            raise _problem(write, refusal) from refusal

    endpoint.__name__ = write.summary.lower().replace(" ", "_")
    return endpoint


async def judge_media(request: Request) -> None:
    """The rule of every route that has a body: its media type is one that the route's description lists.

    Raises:
        Problem: ``unsupported-media-type``, before anything else of the request is judged.
    """
    if kinds := body_kinds(request):
        require_media(request, *kinds)


async def text_body(request: Request) -> str:
    """A body that is text, without a mark of its encoding.

    Raises:
        Problem: ``malformed-request``.
    """
    try:
        return (await request.body()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem("malformed-request", "The body is no UTF-8 text.") from error


def _judged(
    request: Request,
    tenant: str,
    write: Write,
    stated: Statement,
    requests: Sequence[WaitingRequest],
    moment: datetime,
    *,
    recorded: Recorded | None = None,
) -> Outcome:
    settings = service_of(request).settings
    account = read_account(Lake(settings.lake_url), settings.landing, tenant, moment, requests, write.names)
    if write.hidden == "customer" and "if-match" in request.headers:
        require_match(request, orjson.dumps(stated_customer(account.timeline, stated.data["customer"])))
    planned = write.plan(account, stated)
    if recorded is not None:
        refuse_unbillable(recorded, planned)
    return Outcome(planned.event, planned.known, _shown(planned))


async def _recorded(tenant: str, number: str, transaction: Transaction) -> dict[str, Any]:
    """What is recorded of the customer of an invoice, read in the transaction of the write; nothing: there is none."""
    found = await transaction.call("invoice", tenant, number)
    if not found:
        return {"recorded": Recorded()}
    of = (tenant, orjson.loads(found[0]["document"])["customer"], None)
    invoices, lines = await transaction.call("prior_invoices", *of), await transaction.call("prior_lines", *of, None)
    return {"recorded": Recorded(invoices, lines)}


async def _previewed(request: Request, tenant: str, write: Write, stated: Statement) -> Response:
    """What the event would change of the customer's next invoices; nothing is written."""
    service = service_of(request)
    requests = waiting_of(await service.database.call("waiting_requests", tenant))
    work = partial(_preview, service.settings, tenant, write, stated, requests)
    return Response(await service.engine.work(tenant, work), media_type="application/json")


def _preview(
    settings: Settings, tenant: str, write: Write, stated: Statement, requests: Sequence[WaitingRequest]
) -> bytes:
    moment, lake = datetime.now(UTC), Lake(settings.lake_url)
    planned = write.plan(read_account(lake, settings.landing, tenant, moment, requests, write.names), stated)
    usage = customer_usage(lake, tenant, [planned.customer])
    with connect(settings, "api") as connection:
        store = CustomerInvoices(connection, "api", tenant, (planned.customer,))
        found = preview(store, usage, planned, moment, None)
    document = found.document() | {"until": found.until.isoformat(), "invoices": plain_rows(found.rows)}
    answer = {"status": "preview", "batch": None, "event": planned.event}
    return orjson.dumps(answer | _shown(planned) | {"preview": document})


async def _store(transaction: Transaction, request: Request, identity: Identity, event: dict[str, Any]) -> uuid.UUID:
    receipt, moment = uuid.uuid4(), datetime.now(UTC)
    judged = await anyio.to_thread.run_sync(judge_texts, [event_text(event)], identity.tenant, moment)
    stored = (receipt, moment, judged.body, judged.events, judged.expanded, judged.key_hashes, judged.root.hex())
    sent_by = (identity.key_prefix, request.scope["exchange"].request_id, True)
    await transaction.call("receive_events", identity.tenant, *stored, *sent_by)
    return receipt


def _answer(outcome: Outcome, receipt: uuid.UUID | None) -> bytes:
    answer = {
        "status": "known" if receipt is None else "recorded",
        "batch": receipt and str(receipt),
        "event": outcome.event,
    }
    return orjson.dumps(answer | outcome.shown)


def _shown(planned: PlannedEvent) -> dict[str, Any]:
    """The subscription or customer that an event is about, with it."""
    timeline, data = timeline_of(planned.after), planned.event["data"]
    if "subscription" in data:
        return {"segments": segments_of(timeline, data["subscription"])}
    if "customer" in data:
        return {"customer": stated_customer(timeline, data["customer"])}
    return {}


def refused(refusal: RefusalError, path: str) -> Problem:
    """The answer to a write that is refused for what stands at a place of the request."""
    if refusal.code in _UNAVAILABLE:
        return Problem("unavailable", "The events cannot be read.", headers={"Retry-After": "5"})
    place = [{"path": path, "message": refusal.message}]
    if refusal.code == "unknown_tenant":
        return Problem("conflict", refusal.message)
    if refusal.code in _CONFLICTS:
        return Problem("conflict", refusal.message, errors=place)
    return Problem("invalid-request", "One or more values are not acceptable.", errors=place)


def _problem(write: Write, refusal: RefusalError) -> Problem:
    path = refusal.path
    if refusal.code == "malformed" and not path:
        return Problem("malformed-request", refusal.message)
    if not path.startswith(("body", "path.")):
        path = write.placed(refusal).path
    if path == "path.key" and refusal.code not in _CONFLICTS:
        return _unknown()
    return refused(refusal, path)


def _unknown() -> Problem:
    return Problem("not-found", "Nothing of yours has this key.")


_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "ETag of `GET /v1/customers/{key}`: refused (412) if the customer was changed since.",
    "schema": {"type": "string"},
    "example": '"2f0e9c6f6a4d1b8f0c7b6a5d4e3f2a1b"',
}


def _parameters(write: Write) -> Sequence[dict[str, Any]]:
    if not write.hidden:
        return [PARAMETER]
    key = {
        "name": "key",
        "in": "path",
        "required": True,
        "description": f"Key of the {write.hidden}, percent-encoded.",
        "schema": {"type": "string", "minLength": 1},
        "example": {"customer": "chat", "subscription": "chat-main", "invoice": "northwind-ai-000002"}[write.hidden],
    }
    return [key, PARAMETER, *([_MATCH] if write.hidden == "customer" else [])]


for _write in WRITES:
    router.add_api_route(
        _write.path,
        _route(_write),
        methods=[_write.method],
        response_model=Written,
        status_code=201 if _write.method == "POST" else 200,
        responses={200: {"model": Written, "description": "Recorded now, or known already."}},
        summary=_write.summary,
        description=_write.description,
        openapi_extra={"parameters": _parameters(_write), "requestBody": _write.body()},
    )
