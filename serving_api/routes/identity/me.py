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
from valueverse.platform.access.api_keys import SCOPES

router = APIRouter(prefix="/v1", tags=["sessions"])


@router.get("/me", response_model=Me, summary="Who I am")
async def me(request: Request, identity: Annotated[Identity, Depends(requires(None, portal=True))]) -> Response:
    """Tenant, key or customer, and scopes of the session, as its access token says."""
    refuse_parameters(request)
    document = {
        "tenant": identity.tenant,
        "kind": "api_key" if identity.customer is None else "portal",
        "id": identity.key_prefix if identity.customer is None else identity.customer,
        "scopes": [scope for scope in SCOPES if scope in identity.scopes],
        "session": str(identity.family),
    }
    return respond(request, orjson.dumps(document))
