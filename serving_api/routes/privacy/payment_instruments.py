"""What payment providers charge a customer by: tokens, never numbers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.idempotency import PARAMETER, Repeatable, answer_once
from serving_api.problems import Problem
from serving_api.responses import page, refuse_parameters, refuse_repeated, respond
from serving_api.routes.privacy.restrictions import Customer, require_customer
from serving_api.routes.privacy.schemas import Instrument, InstrumentPage, InstrumentQuery, NewInstrument
from serving_api.schemas import is_plain
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity
from serving_api.service import service_of
from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.services.privacy.payment_tokens import instrument_evidence, new_instrument, refuse_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving_api.database import Transaction

router = APIRouter(prefix="/v1/customers/{key}/payment-instruments", tags=["privacy"])
_Reader = Annotated[Identity, Depends(requires("billing:read"))]
_Writer = Annotated[Identity, Depends(requires("billing:write"))]
_ON_HOLD = "Data of this customer is on hold: release it first."


@router.get("", response_model=InstrumentPage, summary="List a customer's payment instruments")
async def list_instruments(
    request: Request, key: Customer, query: Annotated[InstrumentQuery, Query()], identity: _Reader
) -> Response:
    """Tokens, kinds and last four characters, the oldest first."""
    refuse_repeated(request)
    service, tenant = service_of(request), identity.tenant
    scope = ("payment_instruments", tenant, key)
    created, name = service.cursors.read(scope, query.cursor, 2)
    after = None if created is None else datetime.fromisoformat(created)
    asked = (tenant, key, after, name, query.limit + 1)
    found = await service.database.call("payment_instruments", *asked) if is_plain(key) else []
    if not found:
        async with service.database.transaction() as transaction:
            await require_customer(request, transaction, identity, key)
    cursor = None
    if len(found) > query.limit:
        last = found[query.limit - 1]
        cursor = service.cursors.make(scope, [last["created_at"].isoformat(), last["instrument"]])
    return respond(request, page([_shown(row) for row in found], query.limit, cursor))


@router.post(
    "",
    response_model=Instrument,
    status_code=201,
    summary="Add a payment instrument",
    openapi_extra={"parameters": [PARAMETER]},
)
async def add_instrument(request: Request, key: Customer, given: NewInstrument, identity: _Writer) -> Response:
    """A token that a payment provider made. What holds the number of a card or account is refused, and nothing of it is
    stored.
    """
    refuse_parameters(request)
    try:
        refuse_numbers({"provider": given.provider, "token": given.token})
    except RefusalError as refusal:
        place = {"path": f"body.{refusal.path}", "message": refusal.message}
        raise Problem("invalid-request", "A number is no token.", errors=[place]) from refusal

    async def write(transaction: Transaction, again: Repeatable) -> Response:
        await require_customer(request, transaction, identity, key)
        name, tenant = new_instrument(), identity.tenant
        stated = (given.provider, given.token, given.kind, given.last_four)
        asked = (name, key, *stated, instrument_evidence(name, given.kind), *_sent_by(request, identity))
        (row,) = await transaction.call("add_payment_instrument", tenant, *asked)
        _check(row["add_payment_instrument"])
        rows = await transaction.call("payment_instruments", tenant, key, None, None, None)
        added = next(_shown(one) for one in rows if one["instrument"] == name)
        return await again.end(transaction, tenant, 201, orjson.dumps(added))

    return await answer_once(request, identity.tenant, write)


@router.delete("/{instrument}", status_code=204, response_class=Response, summary="Remove a payment instrument")
async def remove_instrument(
    request: Request,
    key: Customer,
    instrument: Annotated[str, Path(pattern="^pi_[0-9a-f]{24}$", examples=["pi_0123456789abcdef01234567"])],
    identity: _Writer,
) -> Response:
    """It is gone from the tables; that it was there stays in the audit log, without its token."""
    refuse_parameters(request)
    if not is_plain(key):
        raise _unknown()
    asked = (key, instrument, instrument_evidence(instrument), *_sent_by(request, identity))
    (row,) = await service_of(request).database.call("remove_payment_instrument", identity.tenant, *asked)
    _check(row["remove_payment_instrument"])
    return Response(status_code=204)


def _sent_by(request: Request, identity: Identity) -> tuple[str, str]:
    return identity.key_prefix, request.scope["exchange"].request_id


def _check(outcome: str) -> None:
    if outcome == "restricted":
        raise Problem("conflict", _ON_HOLD)
    if outcome == "known":
        raise Problem("conflict", "The customer has this token already.")
    if outcome == "unknown":
        raise _unknown()


def _unknown() -> Problem:
    return Problem("not-found", "The customer has no payment instrument of this name.")


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "created_at": utc_text(row["created_at"])}
