"""What a line of an invoice came from, down to its events."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.explain_schemas import ExplainedLines, ExplainQuery
from serving_api.problems import Problem
from serving_api.responses import refuse_repeated, respond
from serving_api.routes.invoices import catalog_of, parties_of
from serving_api.schemas import is_plain
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity
from serving_api.service import service_of
from valueverse.errors import RefusalError
from valueverse.invoicing.rendering import ExplainedInvoice
from valueverse.platform.lake import Lake
from valueverse.platform.stores.explain_store import ExplainStore
from valueverse.platform.warehouse import connect
from valueverse.services.billing.explain import answer_of, find_lines
from valueverse.services.billing.explanations import lines_in_sentences

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.invoicing.rendering import ExplainedLine
    from valueverse.platform.settings import Settings

    _Answer = tuple[dict[str, Any], list[int]]

router = APIRouter(prefix="/v1", tags=["billing"])


@router.get(
    "/invoices/{number}/lines/{key:path}/explain", response_model=ExplainedLines, summary="Explain a line of an invoice"
)
async def explain_line(
    request: Request,
    number: Annotated[str, Path(description="Number of a finalised invoice.", examples=["northwind-ai-000002"])],
    key: Annotated[str, Path(description="Key of the line, percent-encoded.", examples=["tokens"])],
    query: Annotated[ExplainQuery, Query()],
    identity: Annotated[Identity, Depends(requires("billing:read"))],
) -> Response:
    """Its price, quantity and steps to the amount, and its events: as `valueverse explain invoice` answers.

    The line is worked out again as known when the invoice was made. With `known_at`, an invoice that was finalised
    later is not found.
    """
    refuse_repeated(request)
    service, tenant = service_of(request), identity.tenant
    scope = ("explain", tenant, number, key, query.known_at and query.known_at.isoformat())
    line_no, skipped = service.cursors.read(scope, query.cursor, 2)
    read = partial(service.database.read, identity.owner)
    found = await read("invoice", number) if is_plain(number) and is_plain(key) else []
    if not found:
        raise _unknown()
    document = json.loads(found[0]["document"])
    catalog = await catalog_of(read, document)
    parties = await parties_of(read, tenant, document["customer"], query.known_at)
    shown = ExplainedInvoice(document, json.loads(catalog or "null"), parties.zones)
    page = (line_no, skipped or 0, query.limit)
    work = partial(_explained, service.settings, tenant, (number, key), query.known_at, page, shown)
    try:
        answer, places = await service.engine.work(tenant, work)
    except RefusalError as refusal:
        raise _unknown() from refusal
    for line, place in zip(answer["lines"], places, strict=True):
        more = line.get("more_events")
        following = [place, page[1] + query.limit]
        line["next_cursor"] = service.cursors.make(scope, following) if more and query.limit else None
    return respond(request, orjson.dumps(answer))


def _explained(
    settings: Settings,
    tenant: str,
    asked: tuple[str, str],
    known_at: datetime | None,
    page: tuple[int | None, int, int],
    shown: ExplainedInvoice,
) -> _Answer:
    """The answer, and the places of its lines on the invoice."""
    line_no, skipped, limit = page
    with connect(settings, "api", autocommit=True) as connection:
        store = ExplainStore(connection, "api", tenant, known_at)
        found = find_lines(store, Lake(settings.lake_url), *asked)
        if line_no is not None:
            found = replace(found, lines=[one for one in found.lines if one["line_no"] == line_no])
        answer = answer_of(store, found, limit, skipped)
    explained = zip(answer["lines"], lines_in_sentences(found, shown), strict=True)
    answer["lines"] = [line | _sentences(texts) for line, texts in explained]
    return answer, [one["line_no"] for one in found.lines]


def _sentences(line: ExplainedLine) -> dict[str, Any]:
    steps = [{"text": text, "amount": amount} for text, amount in line.tiers]
    return {"title": line.title, "sentences": line.sentences, "steps": steps, "result": line.result}


def _unknown() -> Problem:
    return Problem("not-found", "No finalised invoice of yours has this number and a line with this key.")
