"""Who the session acts for."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from serving_api.responses import refuse_parameters, respond
from serving_api.routes.identity.schemas import Me
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity
from serving_api.service import service_of
from valueverse.platform.access.api_keys import SCOPES

router = APIRouter(prefix="/v1", tags=["sessions"])


@router.get("/me", response_model=Me, summary="Who I am")
async def me(request: Request, identity: Annotated[Identity, Depends(requires(None, portal=True))]) -> Response:
    """Tenant, key, customer or person, and scopes of the session; of a person, name and role as they are now."""
    refuse_parameters(request)
    kind = "user" if identity.is_person else "api_key" if identity.customer is None else "portal"
    person = None
    if identity.is_person:
        found = await service_of(request).database.call("users", identity.tenant, identity.key_prefix, None, None, 1)
        person = {name: found[0][name] for name in ("email", "name", "role")}
    document = {
        "tenant": identity.tenant,
        "kind": kind,
        "id": identity.key_prefix if identity.customer is None else identity.customer,
        "user": person,
        "scopes": [scope for scope in SCOPES if scope in identity.scopes],
        "session": str(identity.family),
    }
    return respond(request, orjson.dumps(document))
