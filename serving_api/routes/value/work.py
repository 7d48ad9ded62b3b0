"""Value models and their commits are worked on beside the event loop, a few at once."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread

from serving_api.idempotency import answer_once
from serving_api.problems import Problem
from serving_api.service import service_of
from valueverse.documents import DocumentError
from valueverse.errors import RefusalError
from valueverse.platform.stores.tenant_records import TenantRecords
from valueverse.services.answer_text import answer_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from serving_api.database import Transaction
    from serving_api.idempotency import Repeatable
    from serving_api.security.tokens import Identity

PATIENCE = 10
"""Seconds that a request waits for its turn."""
_MOST_NAMED = 100
"""Problems of a model that an answer names."""
_NAMED = {"scenario": "scenarios", "output": "outputs"}
"""Options that may be given again, and the lists that the body of a run states."""
_NOT_FOUND = {"unknown_commit", "unknown_run", "unknown_proposal", "not_measured"}
_MESSAGES = {
    "unknown_commit": "No commit of yours has this id.",
    "unknown_run": "No run of yours has this hash.",
    "unknown_proposal": "No fee proposal of yours has this name.",
    "unknown_tenant": "Nothing is known of this tenant yet: send its billing events first.",
}
"""Instead of what the service says, which names commands."""
_CONFLICTS = {
    "unknown_tenant", "author_cannot_approve", "already_approved", "one_person_both_sides", "overlaps",
    "already_proposed", "not_active", "too_late", "already_said", "billed", "not_yet_measured",
}  # fmt: skip
_AWAY = {"lake_failed", "lake_unwritable"}

Result = TypeVar("Result")


@asynccontextmanager
async def _turn(turns: anyio.CapacityLimiter) -> AsyncIterator[None]:
    """One of ``turns``.

    Raises:
        Problem: ``unavailable`` while others take all of them.
    """
    with anyio.move_on_after(PATIENCE) as waiting:
        await turns.acquire()
    if waiting.cancelled_caught:
        raise Problem("unavailable", "Other value models are being worked out.", headers={"Retry-After": "5"})
    try:
        yield
    finally:
        turns.release()


async def work(request: Request, do: Callable[[], Result], where: str = "body") -> Result:
    """What ``do`` gives.

    Args:
        request: waits for its turn.
        do: computes, without a connection.
        where: the model is, in places of problems.

    Raises:
        Problem: ``unavailable`` while others take all turns; ``invalid-request`` for what ``do`` refuses.
    """
    async with _turn(service_of(request).modelling):
        try:
            return await anyio.to_thread.run_sync(do)
        except RefusalError as refusal:
            raise refused(refusal, where, _NAMED) from refusal


async def read(request: Request, identity: Identity, do: Callable[[TenantRecords], Result]) -> Result:
    """What a service gives of the tenant's records; its options are the parameters of the query.

    Raises:
        Problem: ``not-found``, ``invalid-request``, ``unavailable``.
    """
    service = service_of(request)
    async with _turn(service.committing), service.database.transaction() as transaction:
        try:
            return await _with_records(request, identity, transaction, do)
        except RefusalError as refusal:
            raise refused_of_commit(refusal, "query") from refusal


async def write(
    request: Request,
    identity: Identity,
    do: Callable[[TenantRecords], dict[str, Any]],
    status: Callable[[dict[str, Any]], int] = lambda _: 201,
    named: dict[str, str] | None = None,
) -> Response:
    """The answer of a service that writes, as the command prints it: one transaction, with the answer if it has a key.

    Args:
        request: its method, address, body and key make it repeatable.
        identity: who writes.
        do: judges and writes.
        status: of what ``do`` gives.
        named: fields of the body that the service's options have other names than.

    Raises:
        Problem: of ``Idempotency-Key``; ``not-found``, ``conflict``, ``invalid-request``, ``unavailable``.
    """

    async def write(transaction: Transaction, again: Repeatable) -> Response:
        try:
            found = await _with_records(request, identity, transaction, do)
        except RefusalError as refusal:
            raise refused_of_commit(refusal, "body", named) from refusal
        return await again.end(transaction, identity.tenant, status(found), line_of(found))

    async with _turn(service_of(request).committing):
        return await answer_once(request, identity.tenant, write)


def line_of(answer: Any) -> bytes:
    """A line, as the command prints it."""
    return f"{answer_text(answer)}\n".encode()


async def _with_records(
    request: Request, identity: Identity, transaction: Transaction, do: Callable[[TenantRecords], Result]
) -> Result:
    def call(function: str, /, *arguments: object) -> Sequence[Any]:
        return anyio.from_thread.run(transaction.call, function, *arguments)

    settings, request_id = service_of(request).settings, request.scope["exchange"].request_id
    records = TenantRecords(settings, identity.tenant, call, identity.key_prefix, request_id)
    return await anyio.to_thread.run_sync(do, records)


def refused(refusal: RefusalError, where: str = "body", named: dict[str, str] | None = None) -> Problem:
    """The answer to what a service refuses: places are options, which the body states, or those of a model."""
    if isinstance(refusal, DocumentError):
        places = [(one.path, one.placed_message) for one in refusal.problems[:_MOST_NAMED]]
        detail = "The model has problems."
    else:
        places, detail = [(refusal.path, refusal.message)], "One or more values are not acceptable."
    errors = [{"path": _place(path, where, "body", named or {}), "message": message} for path, message in places]
    return Problem("invalid-request", detail, errors=errors)


def refused_of_commit(refusal: RefusalError, where: str, named: dict[str, str] | None = None) -> Problem:
    """The answer to what a service on commits, runs or proposals refuses.

    Args:
        refusal: its path is an option; else a place of the frozen model, or of a question.
        where: the options stand: body or query.
        named: fields of the body that the options have other names than.
    """
    if refusal.code in _AWAY:
        return Problem("unavailable", "What is known cannot be read.", headers={"Retry-After": "5"})
    message = _MESSAGES.get(refusal.code, refusal.message)
    if refusal.code in _NOT_FOUND and refusal.path != "--parent":
        return Problem("not-found", message)
    if refusal.code in _CONFLICTS:
        return Problem("conflict", message)
    if isinstance(refusal, DocumentError):
        return refused(refusal, "model")
    base = "model" if where == "body" else where
    ambiguous = refusal.code == "ambiguous_commit" and where == "query" and refusal.path != "--before"
    path = "path.id" if ambiguous else _place(refusal.path, base, where, named or {})
    place = {"path": path, "message": message}
    return Problem("invalid-request", "One or more values are not acceptable.", errors=[place])


def _place(path: str, where: str, options: str, named: dict[str, str]) -> str:
    option = path.removeprefix("--")
    return f"{options}.{named.get(option, option)}" if path.startswith("--") else f"{where}.{path}".rstrip(".")
