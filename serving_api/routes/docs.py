"""The API's page: every route described and tried out, with Swagger UI from a wheel; nothing from elsewhere."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import orjson
from starlette.responses import Response

from serving_api.problems import Problem
from serving_api.responses import matches, respond

if TYPE_CHECKING:
    from starlette.requests import Request

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_OURS, _SWAGGER = "serving_api.docs_page", "fastapi_offline.static"
_ASSETS = {
    "page.css": (_OURS, "text/css"),
    "page.js": (_OURS, "text/javascript"),
    "swagger-ui.css": (_SWAGGER, "text/css"),
    "swagger-ui-bundle.js": (_SWAGGER, "text/javascript"),
}
"""File -> package that it is in, media type."""


async def document(request: Request) -> Response:
    """The OpenAPI document."""
    return respond(request, orjson.dumps(request.app.openapi()))


async def page(_request: Request) -> Response:
    """The page: it signs in with an API key and tries every route."""
    html, _ = _file(_OURS, "index.html")
    return Response(html, headers={"Content-Security-Policy": _POLICY}, media_type="text/html")


async def asset(request: Request) -> Response:
    """A style sheet or script of the page.

    Raises:
        Problem: ``not-found``.
    """
    name = request.path_params["name"]
    if name not in _ASSETS:
        raise Problem("not-found", "The page has no such file.")
    package, kind = _ASSETS[name]
    body, tag = _file(package, name)
    headers = {"ETag": tag, "Cache-Control": "public, no-cache"}
    if matches(request.headers.getlist("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=kind)


@cache
def _file(package: str, name: str) -> tuple[bytes, str]:
    parent, _, folder = package.rpartition(".")
    body = (files(parent) / folder / name).read_bytes()
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'
