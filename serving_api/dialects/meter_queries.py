"""OpenMeter's reads: the meters of a tenant, and what one comes to in windows."""

from __future__ import annotations

import ast
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from serving_api.problems import Problem, field_error
from serving_api.ranges import refuse_reversed
from serving_api.responses import JSON, refuse_parameters, require_media, respond
from serving_api.security.authentication import identify_reader
from serving_api.service import service_of
from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.landing.dialects import Number, json_text, read_json
from valueverse.metering import UsageQuestion
from valueverse.money import plain
from valueverse.platform.lake import Lake
from valueverse.services.instants import read_instant
from valueverse.services.usage.meter_usage import meter_usage, published_meters

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving_api.security.tokens import Identity
    from valueverse.metering import WindowSize
    from valueverse.services.usage.meter_usage import PublishedMeter

router = APIRouter(prefix="/compat/openmeter/api/v1", include_in_schema=False)

_SUBJECT = "subject"
_FILTER = "filterGroupBy"
_LONGEST_FILTER = 4_096
_LISTS = ("subject", "groupBy")
_SINGLE = ("clientId", "from", "to", "windowSize", "windowTimeZone")
_SIZES: dict[str, WindowSize] = {"MINUTE": "minute", "HOUR": "hour", "DAY": "day", "MONTH": "month"}


def _instant(value: object) -> object:
    try:
        return None if value is None else read_instant(value, "UTC", "")
    except RefusalError as refusal:
        raise ValueError(refusal.message) from refusal


_Instant = Annotated[datetime | None, BeforeValidator(_instant)]
_Text = Annotated[str, Field(min_length=1, max_length=1_024)]
_Texts = Annotated[list[_Text], Field(max_length=100)]


class MeterQuery(BaseModel):
    """What OpenMeter's clients ask of a meter; ``clientId`` names who asks, and changes nothing."""

    model_config = ConfigDict(extra="forbid")
    client: Annotated[_Text | None, Field(alias="clientId")] = None
    from_: Annotated[_Instant, Field(alias="from")] = None
    to: _Instant = None
    window_size: Annotated[Literal["MINUTE", "HOUR", "DAY", "MONTH"] | None, Field(alias="windowSize")] = None
    zone: Annotated[_Text | None, Field(alias="windowTimeZone")] = None
    subject: _Texts = []
    group_by: Annotated[_Texts, Field(alias="groupBy")] = []
    filters: Annotated[dict[_Text, _Texts], Field(alias=_FILTER, max_length=32)] = {}

    def question(self, tenant: str, meter: str) -> UsageQuestion:
        """As the service takes it. Whoever names subjects gets a row for each of them."""
        size = None if self.window_size is None else _SIZES[self.window_size]
        groups = tuple(dict.fromkeys(name for name in self.group_by if name != _SUBJECT))
        by_customer = bool(self.subject) or _SUBJECT in self.group_by
        asked = (self.from_, self.to, size, self.zone or "UTC", self.subject, by_customer, groups)
        return UsageQuestion(tenant, meter, *asked, self.filters)


@router.get("/meters")
async def list_meters(request: Request) -> Response:
    """The tenant's meters."""
    identity = await identify_reader(request)
    refuse_parameters(request)

    def read(lake: Lake) -> str:
        found = published_meters(lake, identity.tenant)
        return json_text([_meter(found[key]) for key in sorted(found)])

    return respond(request, (await _worked(request, identity, read)).encode())


@router.get("/meters/{slug}")
async def get_meter(request: Request, slug: str) -> Response:
    """One of them."""
    identity = await identify_reader(request)
    refuse_parameters(request)

    def read(lake: Lake) -> str:
        found = published_meters(lake, identity.tenant).get(slug)
        if found is None:
            raise _unknown()
        return json_text(_meter(found))

    return respond(request, (await _worked(request, identity, read)).encode())


@router.get("/meters/{slug}/query")
async def query_meter(request: Request, slug: str) -> Response:
    """What the meter comes to, asked by parameters."""
    identity = await identify_reader(request)
    return await _answer(request, identity, slug, _stated(request), "query")


@router.post("/meters/{slug}/query")
async def post_meter_query(request: Request, slug: str) -> Response:
    """What the meter comes to, asked by a body."""
    identity = await identify_reader(request)
    refuse_parameters(request)
    require_media(request, JSON)
    try:
        stated = read_json(await request.body())
    except RefusalError as refusal:
        raise Problem("malformed-request", refusal.message) from refusal
    if not isinstance(stated, dict):
        raise Problem("malformed-request", "The body must be an object.")
    return await _answer(request, identity, slug, stated, "body")


def _stated(request: Request) -> dict[str, Any]:
    """The parameters in the shape of the body."""
    found: dict[str, Any] = {}
    filters: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        if name.startswith(f"{_FILTER}[") and name.endswith("]"):
            filters.setdefault(name[len(_FILTER) + 1 : -1], []).append(value)
        elif name == _FILTER:
            for key, one in _written_filter(value).items():
                filters.setdefault(str(key), []).append(str(one))
        elif name in _LISTS:
            found.setdefault(name, []).append(value)
        elif name in found or name not in _SINGLE:
            message = "given more than once" if name in found else "no such parameter"
            raise _wrong([{"path": f"query.{name}", "message": message}])
        else:
            found[name] = value
    return found | ({_FILTER: filters} if filters else {})


def _written_filter(text: str) -> dict[Any, Any]:
    """A filter as OpenMeter's client for Python writes it: a Python dict of texts, as text."""
    try:
        found = ast.literal_eval(text) if len(text) <= _LONGEST_FILTER else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(one, str) for pair in found.items() for one in pair):
        raise _wrong([{"path": f"query.{_FILTER}", "message": f"write {_FILTER}[dimension]=value"}])
    return found


async def _answer(request: Request, identity: Identity, slug: str, stated: dict[str, Any], place: str) -> Response:
    try:
        query = MeterQuery.model_validate(stated)
    except ValidationError as error:
        raise _wrong([field_error(one, place) for one in error.errors()]) from error
    refuse_reversed(query.from_, query.to, [f"{place}.from", f"{place}.to"])
    question = query.question(identity.tenant, slug)
    body = await _worked(request, identity, partial(_usage, query=query, question=question))
    return respond(request, body.encode())


async def _worked(request: Request, identity: Identity, read: Callable[[Lake], str]) -> str:
    service = service_of(request)
    try:
        return await service.engine.work(identity.tenant, lambda: read(Lake(service.settings.lake_url)))
    except RefusalError as refusal:
        if refusal.code == "unknown_meter":
            raise _unknown() from refusal
        raise _wrong([{"path": refusal.path, "message": refusal.message}]) from refusal


def _usage(lake: Lake, query: MeterQuery, question: UsageQuestion) -> str:
    rows = [
        {
            "value": None if row["quantity"] is None else Number(plain(row["quantity"])),
            "windowStart": utc_text(row["window_start"]),
            "windowEnd": utc_text(row["window_end"]),
            "subject": row["customer"] or None,
            "groupBy": read_json(row["dimensions"].encode()) if row["dimensions"] else {},
        }
        for row in meter_usage(lake, question).iter_rows(named=True)
    ]
    stated = {"from": question.begins, "to": question.ends}
    shown = {name: utc_text(moment) for name, moment in stated.items() if moment is not None}
    return json_text(shown | ({"windowSize": query.window_size} if query.window_size else {}) | {"data": rows})


def _meter(found: PublishedMeter) -> dict[str, Any]:
    meter = found.meter
    groups = {name: f"$.{name}" for name in meter.dimensions}
    return {
        "id": meter.key,
        "slug": meter.key,
        "name": meter.name or meter.key,
        "description": meter.description,
        "aggregation": meter.aggregation.upper(),
        "eventType": meter.event_type,
        "valueProperty": None if meter.value is None else f"$.{meter.value}",
        "groupBy": groups,
        "createdAt": utc_text(found.since),
        "updatedAt": utc_text(found.changed),
    }


def _wrong(errors: list[dict[str, str]]) -> Problem:
    return Problem("invalid-request", f"{errors[0]['path']}: {errors[0]['message']}", errors=errors)


def _unknown() -> Problem:
    return Problem("not-found", "No meter has this key.")
