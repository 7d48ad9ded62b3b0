"""A customer's metered usage: by UTC day as it was derived, or in windows by the engine that bills."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import polars as pl
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.problems import Problem
from serving_api.responses import page, refuse_repeated, respond
from serving_api.schemas import is_plain
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity
from serving_api.service import service_of
from serving_api.usage_schemas import UsagePage, UsageQuery, UsageWindowPage
from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.metering import ADDITIVE, UsageQuestion
from valueverse.money import plain
from valueverse.platform.lake import Lake
from valueverse.services.usage.customer_windows import customer_windows, daily_usage_as_known, rows_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    _Rows = list[dict[str, Any]]

router = APIRouter(prefix="/v1", tags=["billing"])
_DAY = ("day", "meter", "subscription", "dimensions")
_WINDOW = ("window_start", "dimensions")
_PLACES = {
    "meter": "meter", "groupBy": "group_by", "timezone": "timezone", "windowTimeZone": "timezone",
    "windowSize": "window",
}  # fmt: skip
"""Parameters, by what the service calls what is wrong with them."""


@router.get(
    "/customers/{key}/usage", response_model=UsagePage | UsageWindowPage, summary="A customer's usage by day or window"
)
async def list_usage(
    request: Request,
    key: Annotated[str, Path(description="Customer key, percent-encoded.", examples=["chat"])],
    query: Annotated[UsageQuery, Query()],
    identity: Annotated[Identity, Depends(requires("billing:read", portal=True))],
) -> Response:
    """One row per day, meter, subscription and set of dimension values; days are UTC dates of the events.

    With `window`, what one `meter` comes to in each hour, day or month of the customer's time zone, by the rule of the
    meter: distinct values are counted once in a window, whatever days they are of.
    """
    refuse_repeated(request)
    _check(query)
    if not is_plain(key) or identity.customer not in {None, key}:
        raise _unknown()
    service = service_of(request)
    stated = (query.from_, query.to, query.meter, query.window, query.group_by, query.timezone)
    scope = ("usage", *identity.owner, key, *stated, query.known_at and query.known_at.isoformat())
    columns = _DAY if query.window is None else _WINDOW
    moment, *rest = service.cursors.read(scope, query.cursor, len(columns))
    place = [moment and (date if query.window is None else datetime).fromisoformat(moment), *rest]
    if query.window is not None and query.meter is not None:
        rows: Sequence[Mapping[str, Any]] = await _windows(request, identity.tenant, key, query, place)
    elif query.known_at is not None:
        rows = await _as_known(request, identity.tenant, key, query, query.known_at, place)
    else:
        rows = await _derived(request, identity, key, query, place)
    cursor = None
    if len(rows) > query.limit:
        last = rows[query.limit - 1]
        cursor = service.cursors.make(scope, [last[columns[0]].isoformat(), *(last[name] for name in columns[1:])])
    shown = _day if query.window is None else _window
    return respond(request, page([shown(row) for row in rows[: query.limit]], query.limit, cursor))


def _check(query: UsageQuery) -> None:
    """Refuse what goes with windows alone, and windows of no meter."""
    wrong = []
    if query.window is None:
        stated = {"group_by": query.group_by, "timezone": query.timezone}
        alone = "of windows alone: state window too"
        wrong = [{"path": f"query.{name}", "message": alone} for name, value in stated.items() if value is not None]
    elif query.meter is None:
        wrong = [{"path": "query.meter", "message": "windows are of one meter: name it"}]
    if wrong:
        raise Problem("invalid-request", "One or more values are not acceptable.", errors=wrong)


async def _derived(
    request: Request, identity: Identity, key: str, query: UsageQuery, place: Sequence[Any]
) -> Sequence[Mapping[str, Any]]:
    read = partial(service_of(request).database.read, identity.owner)
    found: _Rows = await read("usage", key, query.from_, query.to, query.meter, *place, query.limit + 1)
    if not found:
        known = await read("customer_known", key)
        if not known[0]["customer_known"]:
            raise _unknown()
    return found


async def _as_known(
    request: Request, tenant: str, key: str, query: UsageQuery, known_at: datetime, place: Sequence[Any]
) -> _Rows:
    def read(lake: Lake) -> _Rows:
        rows = daily_usage_as_known(lake, tenant, key, known_at)
        days = [pl.col("day") >= query.from_] if query.from_ else []
        days += [pl.col("day") < query.to] if query.to else []
        wanted = rows.filter(*days, *([pl.col("meter") == query.meter] if query.meter else []))
        return rows_after(wanted, _DAY, place).head(query.limit + 1).to_dicts()

    return await _worked(request, tenant, read)


async def _windows(request: Request, tenant: str, key: str, query: UsageQuery, place: Sequence[Any]) -> _Rows:
    groups = tuple(dict.fromkeys(query.group_by.split(","))) if query.group_by else ()
    question = UsageQuestion(
        tenant, query.meter or "", size=query.window, customers=(key,), by_customer=True, group_by=groups,
        known_at=query.known_at,
    )  # fmt: skip

    def read(lake: Lake) -> _Rows:
        found = customer_windows(lake, question, query.timezone, (query.from_, query.to))
        rows = rows_after(found.rows, _WINDOW, place).head(query.limit + 1)
        return [row | {"timezone": found.timezone, "meter": question.meter} for row in rows.iter_rows(named=True)]

    return await _worked(request, tenant, read)


async def _worked(request: Request, tenant: str, read: Callable[[Lake], _Rows]) -> _Rows:
    """What ``read`` gives, beside the event loop.

    Raises:
        Problem: ``not-found``, ``invalid-request``, ``unavailable``.
    """
    service = service_of(request)
    try:
        return await service.engine.work(tenant, lambda: read(Lake(service.settings.lake_url)))
    except RefusalError as refusal:
        if refusal.code == "unknown_customer":
            raise _unknown() from refusal
        error = {"path": f"query.{_PLACES[refusal.path]}", "message": refusal.message}
        raise Problem("invalid-request", "One or more values are not acceptable.", errors=[error]) from refusal


def _unknown() -> Problem:
    return Problem("not-found", "No customer has this key.")


def _day(row: Mapping[str, Any]) -> dict[str, Any]:
    quantity = row["quantity"]
    return {
        "day": row["day"].isoformat(),
        "meter": row["meter"],
        "subscription": row["subscription"] or None,
        "dimensions": orjson.loads(row["dimensions"]) if row["dimensions"] else {},
        "quantity": plain(quantity) if isinstance(quantity, Decimal) else quantity,
        "aggregation": row["aggregation"],
        "additive": row["aggregation"] in ADDITIVE,
        "events": row["events"],
    }


def _window(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "window_start": utc_text(row["window_start"]),
        "window_end": utc_text(row["window_end"]),
        "timezone": row["timezone"],
        "meter": row["meter"],
        "dimensions": orjson.loads(row["dimensions"]) if row["dimensions"] else {},
        "quantity": None if row["quantity"] is None else plain(row["quantity"]),
    }
