"""Which scope each route asks for: what its dependency says, or, of routes that look at the credentials themselves, a
list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.routing import APIRoute

from serving_api.security.authentication import Required
from serving_api.writes import WRITES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fastapi.dependencies.models import Dependant
    from starlette.routing import BaseRoute

_BY_THEMSELVES = {
    ("/v1/events", "post"): "events:write",
    ("/v1/events/{source}/{id}", "get"): "billing:read",
    ("/v1/invoices/{number}", "get"): "billing:read",
    **{(one.path, one.method.lower()): "billing:write" for one in WRITES},
}


def scopes_of(routes: Iterable[BaseRoute]) -> dict[tuple[str, str], str]:
    """(path, method in lower case) -> scope; routes that ask for none are left out."""
    found = dict(_BY_THEMSELVES)
    for route in routes:
        if isinstance(route, APIRoute):
            for scope in _asked(route.dependant):
                found |= {(route.path_format, method.lower()): scope for method in route.methods or ()}
    return found


def _asked(dependant: Dependant) -> Iterator[str]:
    if isinstance(dependant.call, Required) and dependant.call.scope is not None:
        yield dependant.call.scope
    for one in dependant.dependencies:
        yield from _asked(one)
