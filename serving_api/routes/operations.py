"""Whether the service lives and whether it can answer."""

from __future__ import annotations

import asyncpg
import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving_api.problems import Problem
from serving_api.schemas import Health, Readiness
from serving_api.service import service_of
from valueverse.errors import RefusalError

router = APIRouter(tags=["operations"])


@router.get("/healthz", response_model=Health, summary="The process lives")
async def health() -> Response:
    """Asks nothing of anybody."""
    return Response(b'{"status":"ok"}', media_type="application/json")


@router.get("/readyz", response_model=Readiness, summary="Requests can be answered")
async def readiness(request: Request) -> Response:
    """503 while Postgres cannot be used. Without Valkey, requests are answered and limits apply per worker."""
    service = service_of(request)
    database = "ok"
    try:
        await service.database.call("ready")
    except (Problem, RefusalError, asyncpg.PostgresError):
        database = "unavailable"
    valkey = "ok" if await service.limiter.answers() else "unavailable"
    document = {
        "status": "ready" if database == "ok" else "unavailable",
        "database": database,
        "valkey": valkey,
    }
    return Response(orjson.dumps(document), 200 if database == "ok" else 503, media_type="application/json")
