"""Pages of a tenant's keys, people and invitations, by the instant at which each was made."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from serving_api.responses import page, refuse_repeated, respond
from serving_api.service import service_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from serving_api.schemas import CustomerQuery
    from serving_api.security.tokens import Identity


async def listed(
    request: Request,
    identity: Identity,
    query: CustomerQuery,
    asked: tuple[str, *tuple[object, ...]],
    key: str,
    shown: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> Response:
    """A page of the tenant's rows.

    Args:
        request: as it came.
        identity: whose rows.
        query: of the page.
        asked: the function, and what it takes between the tenant and the last row of the page before.
        key: column that orders rows of the same instant.
        shown: a row as the answer has it.

    Raises:
        Problem: ``invalid-request``, ``invalid-cursor``, ``unavailable``.
    """
    refuse_repeated(request)
    service, (function, *first) = service_of(request), asked
    scope = (function, identity.tenant)
    created, last = service.cursors.read(scope, query.cursor, 2)
    after = None if created is None else datetime.fromisoformat(created)
    found = await service.database.call(function, identity.tenant, *first, after, last, query.limit + 1)
    cursor = None
    if len(found) > query.limit:
        row = found[query.limit - 1]
        cursor = service.cursors.make(scope, [row["created_at"].isoformat(), row[key]])
    return respond(request, page([shown(row) for row in found], query.limit, cursor))
