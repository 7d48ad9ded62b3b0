"""What simulations and re-ratings have in common: asked for, listed, read, cancelled."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import orjson
from fastapi import Path

from serving_api.idempotency import answer_once
from serving_api.problems import Problem
from serving_api.responses import page, refuse_parameters, refuse_repeated, respond
from serving_api.service import service_of
from valueverse.dates import utc_text
from valueverse.documents import DocumentError
from valueverse.errors import RefusalError
from valueverse.platform.telemetry import tracing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from serving_api.database import Transaction
    from serving_api.idempotency import Repeatable
    from serving_api.routes.computations.schemas import ListQuery
    from serving_api.security.tokens import Identity

Id = Annotated[
    uuid.UUID, Path(alias="id", description="`id` of it.", examples=["0c6f5e0e-5a0f-4f6e-9a59-0d8c8a1f6b1e"])
]
PLACES = {"simulation": "/v1/simulations", "rerating": "/v1/reratings"}
MOST_OPEN = 20
"""Computations of a tenant that wait or run."""
_MOST_NAMED = 100
_TIMES = ("requested_at", "ended_at", "applied_at")
_OPTIONS = {"--from": "body.from", "--to": "body.to"}
"""Options of the commands, and where a body states the same."""


class Asked(Protocol):
    """What is asked for, judged by ``text``, which stores it."""

    @property
    def steps(self) -> int:
        """Of its progress."""
        ...

    def text(self) -> str:
        """As it is stored."""
        ...


async def ask(request: Request, identity: Identity, kind: str, asked: Asked) -> Response:
    """202 once it is stored and waits for a worker."""
    refuse_parameters(request)
    service, tenant = service_of(request), identity.tenant
    try:
        text = await service.intake.work(tenant, asked.text)
    except RefusalError as refusal:
        raise _refused(refusal) from refusal

    async def write(transaction: Transaction, again: Repeatable) -> Response:
        stated = (kind, uuid.uuid4(), text, asked.steps, MOST_OPEN)
        made = await transaction.call("request_computation", tenant, *stated, *sent_by(request, identity), trace())
        if not made:
            detail = f"{MOST_OPEN} of your simulations and re-ratings wait or run: wait for one, or cancel it."
            raise Problem("rate-limited", detail, headers={"Retry-After": "10"})
        return await again.end(transaction, tenant, 202, orjson.dumps(shown(made[0])))

    return located(await answer_once(request, tenant, write), kind)


async def listed(request: Request, identity: Identity, kind: str, query: ListQuery) -> Response:
    """A page, the newest first."""
    refuse_repeated(request)
    service = service_of(request)
    scope = (kind, identity.tenant)
    at, before = service.cursors.read(scope, query.cursor, 2)
    place = (None, None) if at is None else (datetime.fromisoformat(at), uuid.UUID(before))
    found = await service.database.call("computations", identity.tenant, kind, *place, query.limit + 1)
    cursor = None
    if len(found) > query.limit:
        last = found[query.limit - 1]
        cursor = service.cursors.make(scope, [last["requested_at"].isoformat(), str(last["computation"])])
    return respond(request, page([shown(row) for row in found], query.limit, cursor))


async def read(request: Request, identity: Identity, kind: str, computation: uuid.UUID) -> Response:
    """One, with its result."""
    refuse_parameters(request)
    row = await found_of(request, identity, kind, computation, with_result=True)
    result = None if row["result"] is None else orjson.Fragment(row["result"])
    return respond(request, orjson.dumps(shown(row) | {"result": result}))


async def cancel(request: Request, identity: Identity, kind: str, computation: uuid.UUID) -> Response:
    """What is open ends; what is cancelled stays so; what has come to an end is refused."""
    refuse_parameters(request)
    tenant = identity.tenant

    async def write(transaction: Transaction, again: Repeatable) -> Response:
        asked = (kind, computation, *sent_by(request, identity))
        rows = await transaction.call("cancel_computation", tenant, *asked)
        if not rows:
            raise unknown()
        if rows[0]["state"] != "cancelled":
            raise Problem("conflict", f"It is {rows[0]['state']} already: there is nothing left to cancel.")
        return await again.end(transaction, tenant, 200, orjson.dumps(shown(rows[0])))

    return await answer_once(request, tenant, write)


async def found_of(
    request: Request, identity: Identity, kind: str, computation: uuid.UUID, *, with_result: bool = False
) -> Mapping[str, Any]:
    """The row of one.

    Raises:
        Problem: ``not-found``.
    """
    asked = (kind, computation, with_result)
    rows = await service_of(request).database.call("computation", identity.tenant, *asked)
    if not rows:
        raise unknown()
    row: Mapping[str, Any] = rows[0]
    return row


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """How far it is, without its result."""
    of_rerating = ("applied_at", "applied_invoices") if row["kind"] == "rerating" else ()
    problem = None
    if row["problem_code"] is not None:
        path = row["problem_path"] or ""
        place = _OPTIONS.get(path, "") if path.startswith("--") else path
        problem = {"code": row["problem_code"], "message": row["problem_message"], "path": place}
    answer = {
        "id": str(row["computation"]),
        "status": row["state"],
        "progress": {"step": row["step"], "done": row["steps_done"], "of": row["steps"]},
        "problem": problem,
        **{name: row[name] for name in ("requested_by", "requested_at", "ended_at", *of_rerating)},
    }
    return answer | {name: answer[name] and utc_text(answer[name]) for name in _TIMES if name in answer}


def sent_by(request: Request, identity: Identity) -> tuple[str, str]:
    """Who asks, in which request."""
    return identity.key_prefix, request.scope["exchange"].request_id


def trace() -> str | None:
    """The trace that goes on in the worker."""
    return tracing.traceparent()


def located(answer: Response, kind: str) -> Response:
    """With the address of what it is about."""
    answer.headers["Location"] = f"{PLACES[kind]}/{orjson.loads(answer.body)['id']}"
    return answer


def unknown() -> Problem:
    """There is no such computation, for this tenant."""
    return Problem("not-found", "Nothing of yours has this id.")


def _refused(refusal: RefusalError) -> Problem:
    if isinstance(refusal, DocumentError):
        places = [(one.path, one.placed_message) for one in refusal.problems[:_MOST_NAMED]]
    else:
        places = [(refusal.path, refusal.message)]
    errors = [{"path": path, "message": message} for path, message in places]
    return Problem("invalid-request", "One or more values are not acceptable.", errors=errors)
