"""Writes: each becomes one billing event, judged as the command line judges it, and stored for ingestion."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import orjson
import polars as pl
from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations when it runs
from starlette.responses import Response  # noqa: TC002 - FastAPI reads annotations when it runs

from serving_api.idempotency import PARAMETER, repeatable
from serving_api.problems import Problem
from serving_api.responses import refuse_parameters
from serving_api.schemas import is_plain
from serving_api.security.authentication import identify
from serving_api.service import service_of
from serving_api.writes import WRITES, Written
from valueverse.catalog import CatalogHistory
from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.services.ingestion.deliver import event_text
from valueverse.services.ingestion.receive_events import judge_texts
from valueverse.services.subscriptions.account_events import read_account
from valueverse.services.subscriptions.billing_log import WaitingRequest
from valueverse.subscriptions import build_timeline

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from serving_api.database import Transaction
    from serving_api.security.tokens import Identity
    from serving_api.service import Service
    from serving_api.writes import Statement, Write
    from valueverse.services.subscriptions.account_events import PlannedEvent

router = APIRouter(prefix="", tags=["billing"])

_CONFLICTS = {
    "customer_exists", "already_stated", "already_started", "already_ended", "already_paused", "not_paused",
    "unknown_tenant",
}  # fmt: skip
_UNAVAILABLE = {"disk_full", "lake_failed", "lake_unwritable"}


def _route(write: Write) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        identity = await identify(request, "billing:write")
        refuse_parameters(request)
        if request.headers.get("content-type", "application/json").partition(";")[0].strip().lower() != (
            "application/json"
        ):
            raise Problem("unsupported-media-type", "Send application/json, in UTF-8.")
        key, body = request.path_params.get("key", ""), await request.body()
        if not is_plain(key):
            raise _unknown()
        again = repeatable(request, body)
        service = service_of(request)
        try:
            stated = write.read(body, identity.tenant, key)
            async with service.writing, service.database.transaction() as transaction:
                known = await again.begin(transaction, identity.tenant)
                if known is not None:
                    return known
                await _require_invoice(transaction, identity, stated)
                planned = await _planned(transaction, service, identity, write, stated)
                receipt = None if planned.known else await _store(transaction, request, identity, planned)
                status = 201 if write.method == "POST" and receipt else 200
                return await again.end(transaction, identity.tenant, status, _answer(planned, receipt))
        except RefusalError as refusal:
            raise _problem(write, refusal) from refusal

    endpoint.__name__ = write.summary.lower().replace(" ", "_")
    return endpoint


async def _require_invoice(transaction: Transaction, identity: Identity, stated: Statement) -> None:
    """A payment, a credit note or a void is about an invoice that has a number.

    Raises:
        RefusalError: ``unknown_invoice``.
    """
    number = stated.data.get("invoice")
    if number is not None and not await transaction.call("invoice", identity.tenant, number):
        raise RefusalError("unknown_invoice", f"there is no invoice {number[:60]!r}", "invoice")


async def _planned(
    transaction: Transaction, service: Service, identity: Identity, write: Write, stated: Statement
) -> PlannedEvent:
    # The inbox is read before the lake: ingestion takes an event out of it only once the lake has it.
    rows = await transaction.call("waiting_requests", identity.tenant)
    requests = [WaitingRequest(row["received_at"], bytes(row["body"])) for row in rows]
    settings, moment = service.settings, datetime.now(UTC)

    def judge() -> PlannedEvent:
        lake = Lake(settings.lake_url)
        account = read_account(lake, settings.landing, identity.tenant, moment, requests, write.names)
        return write.plan(account, stated)

    return await anyio.to_thread.run_sync(judge)


async def _store(transaction: Transaction, request: Request, identity: Identity, planned: PlannedEvent) -> uuid.UUID:
    receipt, moment = uuid.uuid4(), datetime.now(UTC)
    judged = judge_texts([event_text(planned.event)], identity.tenant, moment)
    stored = (receipt, moment, judged.body, judged.events, judged.expanded, judged.key_hashes, judged.root.hex())
    sent_by = (identity.key_prefix, request.scope["exchange"].request_id, True)
    await transaction.call("receive_events", identity.tenant, *stored, *sent_by)
    return receipt


def _answer(planned: PlannedEvent, receipt: uuid.UUID | None) -> bytes:
    facts = planned.after.facts()
    timeline = build_timeline(facts, CatalogHistory.from_facts(facts).plans, None)
    data = planned.event["data"]
    answer: dict[str, Any] = {
        "status": "known" if receipt is None else "recorded",
        "batch": receipt and str(receipt),
        "event": planned.event,
    }
    if "subscription" in data:
        rows = timeline.segments.filter(pl.col("subscription") == data["subscription"])
        answer["segments"] = [_segment(row) for row in rows.iter_rows(named=True)]
    elif "customer" in data:
        rows = timeline.customers.filter(pl.col("customer") == data["customer"])
        answer["customer"] = next((_customer(row) for row in rows.iter_rows(named=True)), None)
    return orjson.dumps(answer)


def _segment(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "plan": row["plan"],
        "plan_version": row["plan_version"],
        "currency": row["currency"],
        "timezone": row["timezone"],
        **{name: row[name] and utc_text(row[name]) for name in ("from", "to", "trial_until")},
        **{name: orjson.Fragment(row[name]) if row[name] else None for name in ("quantities", "overrides")},
    }


def _customer(row: dict[str, Any]) -> dict[str, Any]:
    named = {name: row[name] for name in ("customer", "name", "email", "currency", "timezone", "country")}
    return named | {"metadata": orjson.Fragment(row["metadata"]) if row["metadata"] else None}


def _problem(write: Write, refusal: RefusalError) -> Problem:
    if refusal.code in _UNAVAILABLE:
        return Problem("unavailable", "The events cannot be read.", headers={"Retry-After": "5"})
    path = refusal.path
    if refusal.code == "malformed" and not path:
        return Problem("malformed-request", refusal.message)
    if not path.startswith(("body", "path.")):
        path = write.placed(refusal).path
    if path == "path.key" and refusal.code not in _CONFLICTS:
        return _unknown()
    if refusal.code in _CONFLICTS:
        place = [] if refusal.code == "unknown_tenant" else [{"path": path, "message": refusal.message}]
        return Problem("conflict", refusal.message, errors=place)
    place = [{"path": path, "message": refusal.message}]
    return Problem("invalid-request", "One or more values are not acceptable.", errors=place)


def _unknown() -> Problem:
    return Problem("not-found", "Nothing of yours has this key.")


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
    return [key, PARAMETER]


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
