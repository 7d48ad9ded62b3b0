"""Payments, credit notes, single lines and credit of wallets, as billing events state them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.account_schemas import (
    CreditNotePage,
    OfCustomerQuery,
    OfInvoiceQuery,
    OneOffPage,
    PaymentPage,
    WalletPage,
)
from serving_api.log_reads import of_log
from serving_api.responses import page, respond
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity
from serving_api.service import service_of
from valueverse.services.subscriptions.stated_money import PLACE, MoneyQuestion, stated_money

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valueverse.services.subscriptions.stated_money import Kind

router = APIRouter(prefix="/v1", tags=["billing"])
_Reader = Annotated[Identity, Depends(requires("billing:read"))]


@router.get("/payments", response_model=PaymentPage, summary="List payments")
async def list_payments(request: Request, query: Annotated[OfInvoiceQuery, Query()], identity: _Reader) -> Response:
    """Payments that were received, failed or were refunded, the newest first, those that wait for ingestion among them.

    `rejected` says why billing did not apply one.
    """
    return await _listed(request, identity, "payments", query, query.invoice)


@router.get("/credit-notes", response_model=CreditNotePage, summary="List credit notes")
async def list_credit_notes(request: Request, query: Annotated[OfInvoiceQuery, Query()], identity: _Reader) -> Response:
    """Credit notes as they were issued, the newest first. `rejected` says why billing did not apply one."""
    return await _listed(request, identity, "credit_notes", query, query.invoice)


@router.get("/one-offs", response_model=OneOffPage, summary="List single lines")
async def list_one_offs(request: Request, query: Annotated[OfCustomerQuery, Query()], identity: _Reader) -> Response:
    """Single lines for customers' invoices, the newest first. `rejected` says why billing did not apply one."""
    return await _listed(request, identity, "one_offs", query, query.customer)


@router.get("/wallets", response_model=WalletPage, summary="List credit of wallets")
async def list_wallets(request: Request, query: Annotated[OfCustomerQuery, Query()], identity: _Reader) -> Response:
    """Credit that was granted, purchased or voided, the newest first. `rejected` says why billing did not apply it."""
    return await _listed(request, identity, "wallets", query, query.customer)


async def _listed(
    request: Request, identity: Identity, kind: Kind, query: OfCustomerQuery | OfInvoiceQuery, about: str | None
) -> Response:
    service, tenant = service_of(request), identity.tenant
    scope = (kind, tenant, about, query.known_at and query.known_at.isoformat())
    after = service.cursors.read(scope, query.cursor, len(PLACE))
    question = MoneyQuestion(kind, about, query.known_at, after, query.limit + 1)
    found = await of_log(request, tenant, lambda log, _: stated_money(log, question), query.known_at)
    cursor = None
    if len(found) > query.limit:
        cursor = service.cursors.make(scope, [found[query.limit - 1][name] for name in PLACE])
    # What billing has decided since is not what was known then.
    rows = await service.database.call("explain_rejections", tenant) if found and query.known_at is None else []
    rejected = {(row["source"], row["event_id"]): row for row in rows}
    shown = [one | {"rejected": _rejection(rejected.get((one["source"], one["id"])))} for one in found]
    return respond(request, page(shown, query.limit, cursor))


def _rejection(row: Mapping[str, Any] | None) -> dict[str, str] | None:
    return None if row is None else {"reason": row["reason"], "message": row["message"]}
