"""Routes of groups that another process serves: each is answered with where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from serving_api.problems import Problem
from valueverse.platform.servers.api_services import address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from valueverse.platform.settings import Settings


def elsewhere(routes: Iterable[BaseRoute], group: str, settings: Settings) -> Iterator[Route]:
    """Routes with the addresses and methods of ``routes``, which name the service of ``group``."""

    async def refuse(_request: Request) -> Response:
        where = address(settings, group)
        place = f" at {where}" if where else ""
        served = ", ".join(settings.groups)
        raise Problem("other-service", f"The service {group} answers this address{place}; this one serves {served}.")

    for route in routes:
        if isinstance(route, Route):
            yield Route(route.path, refuse, methods=route.methods)
