"""Invoices of the session's tenant: a filtered list, and each finished document as it was hashed."""

from __future__ import annotations

import json
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from serving_api.invoice_reads import document_bytes, no_invoice
from serving_api.problems import Problem
from serving_api.responses import amount, page, refuse_repeated, respond
from serving_api.schemas import InvoicePage, InvoiceQuery, is_plain, past_instant
from serving_api.security.authentication import identify, requires
from serving_api.security.tokens import Identity
from serving_api.service import service_of
from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.invoicing.rendering import InvoiceHistory, Parties, invoice_pdf, invoice_xml
from valueverse.money import minor_units

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    _Read = Callable[..., Awaitable[list[Any]]]

router = APIRouter(prefix="/v1", tags=["billing"])

_AMOUNTS = ("subtotal", "discount_total", "tax_total", "total", "credit_total", "amount_due")


@router.get("/invoices", response_model=InvoicePage, summary="List invoices")
async def list_invoices(
    request: Request,
    query: Annotated[InvoiceQuery, Query()],
    identity: Annotated[Identity, Depends(requires("billing:read", portal=True))],
) -> Response:
    """Drafts and finalised invoices, the latest issued first; paging misses and doubles nothing.

    With `known_at`, the invoices that were final then: drafts of then are worked out by `upcoming-invoice`.
    """
    refuse_repeated(request)
    service = service_of(request)
    known_at = [] if query.known_at is None else [query.known_at]
    filters = (query.customer, query.status, query.currency, query.period_from, query.period_to)
    scope = ("invoices", *identity.owner, *filters, *(one.isoformat() for one in known_at))
    issued_on, after = service.cursors.read(scope, query.cursor, 2)
    place = (_date(issued_on), after, query.limit + 1)
    found = await service.database.read(identity.owner, "invoices", *filters, *place, *known_at)
    cursor = None
    if len(found) > query.limit:
        last = found[query.limit - 1]
        cursor = service.cursors.make(scope, [last["issued_on"].isoformat(), str(last["invoice_id"])])
    return respond(request, page([_summary(row) for row in found[: query.limit]], query.limit, cursor))


async def get_invoice(request: Request) -> Response:
    """The document of one invoice: a plain route, since this is the API's most asked question."""
    identity = await identify(request, "billing:read", portal=True)
    form, known_at = _asked(request)
    number = request.path_params["number"]
    service = service_of(request)
    read = partial(service.database.read, identity.owner)
    if known_at is None:
        body = (await service.reads.read(identity.owner, number)).body
    else:
        found = await read("explain_invoices", number, None, known_at) if is_plain(number) else []
        if not found:
            raise no_invoice()
        body = document_bytes(found[0]["document"], is_void=found[0]["voided_at"] is not None)
    if form == "json":
        return respond(request, body)
    invoice = json.loads(body)
    parties = await parties_of(read, identity.tenant, invoice["customer"], known_at)
    catalog = await catalog_of(read, invoice)
    history = await _history(read, invoice, known_at)
    try:
        # Typesetting takes tens of milliseconds: other requests go on meanwhile.
        rendered = await run_in_threadpool(_rendered, form, invoice, parties, catalog, history, service.settings.fonts)
    except RefusalError as refusal:
        problem_place = {"path": refusal.path, "message": refusal.message}
        raise Problem("not-renderable", refusal.message, errors=[problem_place]) from refusal
    kind, ending = ("application/pdf", "pdf") if form == "pdf" else ("application/xml", "xml")
    name = f'attachment; filename="{number}.{ending}"'
    return respond(request, rendered, kind, {"Content-Disposition": name})


def _asked(request: Request) -> tuple[str, datetime | None]:
    """``format`` of the query (json, pdf, xml (UBL) or cii), and ``known_at``."""
    refuse_repeated(request)
    stated = dict(request.query_params)
    form, known_at = stated.pop("format", "json"), None
    if stated.keys() - {"known_at"}:
        message = "no such parameter; format and known_at are the only ones"
        errors = [{"path": f"query.{name}", "message": message} for name in sorted(stated.keys() - {"known_at"})]
        raise Problem("invalid-request", "This address takes no such parameter.", errors=errors)
    if form not in {"json", "pdf", "xml", "cii"}:
        error = {"path": "query.format", "message": "json, pdf, xml or cii"}
        raise Problem("invalid-request", "An invoice comes as json, pdf, xml or cii.", errors=[error])
    if "known_at" in stated:
        known_at = _instant(stated["known_at"])
    return form, known_at


def _instant(text: str) -> datetime:
    try:
        found = past_instant(text)
    except ValueError as error:
        raise _bad_instant(str(error)) from error
    if not isinstance(found, datetime):
        raise _bad_instant("an instant is expected here")
    return found


def _bad_instant(message: str) -> Problem:
    error = {"path": "query.known_at", "message": message}
    return Problem("invalid-request", "One or more values are not acceptable.", errors=[error])


def _rendered(
    form: str,
    document: dict[str, Any],
    parties: Parties,
    catalog: str | None,
    history: InvoiceHistory,
    fonts: Path | None,
) -> bytes:
    names = json.loads(catalog or "null")
    if form == "pdf":
        return invoice_pdf(document, parties, names, history, fonts)
    return invoice_xml(document, *parties.for_xml(history), names, syntax="cii" if form == "cii" else "ubl")


async def parties_of(read: _Read, tenant: str, customer: str, known_at: datetime | None) -> Parties:
    """Who invoices the customer, and the customer, as they stated themselves at an instant; None: as they do now."""
    found = await read("invoice_parties", customer, known_at)
    return Parties.of(found[0] if found else {}, tenant, customer)


async def catalog_of(read: _Read, document: dict[str, Any]) -> str | None:
    """The text of the catalog that an invoice was billed by; None: it had none."""
    found = await read("invoice_catalog", document["basis"].get("catalog_hash"))
    return found[0]["document"] if found else None


async def _history(read: _Read, document: dict[str, Any], known_at: datetime | None) -> InvoiceHistory:
    found = await read("invoice_history", document["number"], known_at)
    return InvoiceHistory.of(found[0]["history"] if found else None, minor_units(document["currency"]))


def _summary(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "invoice_id": str(row["invoice_id"]),
        "number": row["number"],
        "status": row["status"],
        "customer": row["customer"],
        "subscription": row["subscription"],
        "currency": row["currency"],
        "period": {"from": utc_text(row["period_from"]), "to": utc_text(row["period_to"])},
        "issued_on": row["issued_on"].isoformat(),
        "due_on": row["due_on"].isoformat() if row["due_on"] else None,
        **{name: amount(row[f"{name}_minor"], row["currency"]) for name in _AMOUNTS},
    }


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
