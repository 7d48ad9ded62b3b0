"""Value architect: the library, the texts of value models, their checks and runs."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import polars as pl
from fastapi import APIRouter, Body, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.idempotency import PARAMETER, repeatable
from serving_api.problems import Problem
from serving_api.responses import IF_MATCH, page, refuse_parameters, refuse_repeated, require_match, respond, tag_of
from serving_api.routes.value.schemas import (
    Library,
    MetricRow,
    ModelCheck,
    ModelListQuery,
    ModelPage,
    ModelRun,
    ReadyModelText,
    RunAnswer,
    StoredModel,
    VersionQuery,
)
from serving_api.routes.value.work import line_of, work
from serving_api.routes.writes import text_body
from serving_api.schemas import is_plain
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity
from serving_api.service import service_of
from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.services.value.check_model import check
from valueverse.services.value.model_inputs import metrics_of, program_of
from valueverse.value import library
from valueverse.value.architect.compiler import compile_model
from valueverse.value.architect.document import content_hash, parse_model
from valueverse.value.executor import SHARED, RunRequest, run_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serving_api.database import Transaction

router = APIRouter(prefix="/v1", tags=["architect"])
_Reader = Annotated[Identity, Depends(requires("billing:read"))]
_Writer = Annotated[Identity, Depends(requires("value:write"))]
_Key = Annotated[str, Path(description="Key of the model.", examples=["support_deflection"])]
_AS_IT_IS = ModelRun()
_KINDS = ("application/yaml", "application/json")
_TEXT = "schema: valueverse.value_model/v1\nmodel: saved_hours\ninputs: {hours: {value: 10}}\n"
_DOCUMENT = {"schema": "valueverse.value_model/v1", "model": "saved_hours", "inputs": {"hours": {"value": 10}}}


def _body(*, required: bool, schema: dict[str, Any]) -> dict[str, Any]:
    content = {
        "application/yaml": {"schema": {"type": "string"} if schema else {}, "example": _TEXT},
        "application/json": {"schema": schema, "example": _DOCUMENT},
    }
    described = (
        "A value model as its file holds it: YAML or JSON, at most 256 KiB. docs/value-models.md names every field."
    )
    return {"required": required, "description": described, "content": content}


_MODEL = _body(required=True, schema={"type": "object"})


@router.get(
    "/library",
    response_model=Library,
    summary="List ready value models",
    dependencies=[Depends(requires("billing:read"))],
)
async def list_library(request: Request) -> Response:
    """Models to start from, each with the sources of its defaults."""
    refuse_parameters(request)
    return respond(request, orjson.dumps({"data": await work(request, _ready_models)}))


@router.get(
    "/library/{name}",
    response_model=ReadyModelText,
    summary="A ready value model",
    dependencies=[Depends(requires("billing:read"))],
)
async def get_ready_model(request: Request, name: Annotated[str, Path(examples=["support_deflection"])]) -> Response:
    """Its text, to be changed and stored."""
    refuse_parameters(request)
    for one in await work(request, _ready_models):
        if one["name"] == name:
            return respond(request, orjson.dumps({**one, "text": library.text(name)}))
    raise Problem("not-found", "The library has no model of this name.")


@cache
def _ready_models() -> list[dict[str, str | None]]:
    return [{"name": one, "title": parse_model(library.text(one)).title} for one in library.names()]


@router.get("/value-models", response_model=ModelPage, summary="List value models")
async def list_models(request: Request, query: Annotated[ModelListQuery, Query()], identity: _Reader) -> Response:
    """Current versions by key, without their texts."""
    refuse_repeated(request)
    service = service_of(request)
    scope = ("value_models", identity.tenant)
    (after,) = service.cursors.read(scope, query.cursor, 1)
    found = await service.database.call("value_models", identity.tenant, after, query.limit + 1)
    cursor = service.cursors.make(scope, [found[query.limit - 1]["model"]]) if len(found) > query.limit else None
    return respond(request, page([_shown(row) for row in found], query.limit, cursor))


@router.post(
    "/value-models",
    response_model=StoredModel,
    status_code=201,
    summary="Store a value model",
    openapi_extra={"requestBody": _MODEL, "parameters": [PARAMETER]},
)
async def store(request: Request, identity: _Writer) -> Response:
    """Its first version, under the `model` of the document. A text with problems is refused with all of them."""
    refuse_parameters(request)
    text = await text_body(request)
    judged = await work(request, partial(_judged, text))
    again, tenant = repeatable(request, text.encode()), identity.tenant
    async with service_of(request).database.transaction() as transaction:
        answered = await again.begin(transaction, tenant)
        if answered is None:
            if await transaction.call("value_model", tenant, judged[0], None):
                raise Problem("conflict", f"There is a value model {judged[0]!r}: change it by PUT.")
            stored = await _store(transaction, request, identity, text, judged)
            answered = await again.end(transaction, tenant, 201, stored)
    return _tagged(answered)


@router.get("/value-models/{key}", response_model=StoredModel, summary="A value model's text")
async def get_model(
    request: Request, key: _Key, query: Annotated[VersionQuery, Query()], identity: _Reader
) -> Response:
    """The current version, or an earlier one."""
    refuse_repeated(request)
    return respond(request, _document(await found_model(request, identity, key, query.version)))


@router.put(
    "/value-models/{key}",
    response_model=StoredModel,
    summary="Change a value model",
    openapi_extra={"requestBody": _MODEL, "parameters": [IF_MATCH, PARAMETER]},
)
async def change(request: Request, key: _Key, identity: _Writer) -> Response:
    """A new version, if `If-Match` names the current one; the earlier ones stay. The same text is no new version."""
    refuse_parameters(request)
    text = await text_body(request)
    judged = await work(request, partial(_judged, text, key))
    again, tenant = repeatable(request, text.encode()), identity.tenant
    async with service_of(request).database.transaction() as transaction:
        answered = await again.begin(transaction, tenant)
        if answered is None:
            found = await transaction.call("value_model", tenant, key, None)
            if not found:
                raise _unknown()
            stored = _document(found[0])
            require_match(request, stored)
            if found[0]["text"] != text:
                stored = await _store(transaction, request, identity, text, judged)
            answered = await again.end(transaction, tenant, 200, stored)
    return _tagged(answered)


@router.post(
    "/value-models/{key}/check",
    response_model=ModelCheck,
    summary="Check a value model",
    openapi_extra={"requestBody": _body(required=False, schema={})},
)
async def check_model(request: Request, key: _Key, identity: _Reader) -> Response:
    """All problems with their places, or the tree with units: of the body, if there is one, else of the stored text.

    The answer is that of `valueverse value check --json`; nothing is written.
    """
    refuse_parameters(request)
    stored = await found_model(request, identity, key)
    text = await text_body(request) or stored["text"]
    answer = await work(request, partial(check, text))
    answer.pop("tree", None)
    return _sent(answer)


@router.post("/value-models/{key}/run", response_model=RunAnswer, summary="Run a value model")
async def run(
    request: Request, key: _Key, identity: _Reader, given: Annotated[ModelRun, Body()] = _AS_IT_IS
) -> Response:
    """Run the stored text on its assumptions, or on measured data.

    The answer is that of `valueverse value run --json`; nothing is written. What would take too long is refused.
    """
    refuse_parameters(request)
    stored = await found_model(request, identity, key)
    return _sent(await work(request, partial(_run, stored["text"], given), "model"))


def _run(text: str, given: ModelRun) -> dict[str, Any]:
    program = program_of(text, given.outputs)
    asked = RunRequest(tuple(given.scenarios), given.draws, given.seed, given.start)
    return run_model(program, metrics_given(given.data, given.customer), asked, most=SHARED)


def metrics_given(rows: Sequence[MetricRow] | None, customer: str | None) -> pl.DataFrame | None:
    """MODEL_METRICS of rows, as a file of them gives; None: none are given.

    Raises:
        RefusalError: as ``metrics_of``.
    """
    if rows is None:
        return None
    schema = dict.fromkeys(MetricRow.model_fields, pl.String)
    return metrics_of(pl.DataFrame([one.model_dump() for one in rows], schema=schema), customer)


def _judged(text: str, key: str | None = None) -> tuple[str, str | None, str]:
    """Key, title and hash of a model without problems."""
    model = parse_model(text)
    if key is not None and model.model != key:
        raise RefusalError("other_model", f"the path says {key[:60]!r}: the document has the same `model`", "model")
    compile_model(model)
    return model.model, model.title, content_hash(model)


async def _store(
    transaction: Transaction, request: Request, identity: Identity, text: str, judged: tuple[str, str | None, str]
) -> bytes:
    key, title, hashed = judged
    done_by = (identity.key_prefix, request.scope["exchange"].request_id)
    (row,) = await transaction.call("store_value_model", identity.tenant, key, title, text, hashed, *done_by)
    return _document(row)


async def found_model(request: Request, identity: Identity, key: str, version: int | None = None) -> Mapping[str, Any]:
    """A stored version.

    Raises:
        Problem: ``not-found``.
    """
    database = service_of(request).database
    rows = await database.call("value_model", identity.tenant, key, version) if is_plain(key) else []
    if not rows:
        raise _unknown()
    row: Mapping[str, Any] = rows[0]
    return row


def _unknown() -> Problem:
    return Problem("not-found", "No value model of yours has this key and version.")


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("version", "title", "content_hash", "written_by")
    return {"key": row["model"], **{name: row[name] for name in names}, "written_at": utc_text(row["written_at"])}


def _document(row: Mapping[str, Any]) -> bytes:
    return orjson.dumps({**_shown(row), "text": row["text"]})


def _tagged(answer: Response) -> Response:
    answer.headers["ETag"] = tag_of(bytes(answer.body))
    return answer


def _sent(answer: dict[str, Any]) -> Response:
    return Response(line_of(answer), media_type="application/json")
