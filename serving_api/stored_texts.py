"""No text that a route stores holds the number of a card or account: the body is searched as soon as it is known whose
it is, before anything is done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread
import orjson

from serving_api.problems import unacceptable
from serving_api.responses import body_kinds
from valueverse.errors import RefusalError
from valueverse.events import refuse_payment_number, refuse_payment_numbers

if TYPE_CHECKING:
    from starlette.requests import Request

_NOTHING = "nothing of the body is stored"
UNSEARCHED = {
    "/v1/events": "billing events are searched one by one; in usage events a number is an id as often as not (1691)",
    "/v1/customers/{key}/payment-instruments": "searched by a stricter rule of its own, which knows tokens",
    "/v1/invoices/preview": _NOTHING,
    "/v1/catalogs/check": _NOTHING,
    "/v1/value-models/{key}/check": _NOTHING,
    "/v1/value-models/{key}/run": _NOTHING,
    "/v1/webhook-deliveries/replay": _NOTHING,
}
"""Routes behind a token whose bodies are not searched, and why. A new route's is."""
SECRETS = frozenset({"password", "current", "token", "code", "client_secret"})
"""Fields that are stored as hashes, or sealed, and may be any text."""
_WITH_SECRETS = ("/v1/auth/", "/v1/identity-provider")
_AT_ONCE = 16 * 1024
"""Bytes that are searched on the event loop."""


async def judge_stored_texts(request: Request) -> None:
    """The rule of every route with a body behind a token, but for those that are listed here with a reason.

    Raises:
        Problem: ``invalid-request`` with the place of the text.
    """
    if not body_kinds(request) or (path := request.scope["route"].path) in UNSEARCHED:
        return
    body, left_out = await request.body(), SECRETS if path.startswith(_WITH_SECRETS) else frozenset[str]()
    try:
        if len(body) > _AT_ONCE:
            await anyio.to_thread.run_sync(_search, body, left_out)
        else:
            _search(body, left_out)
    except RefusalError as refusal:
        raise unacceptable(refusal) from refusal


def _search(body: bytes, left_out: frozenset[str]) -> None:
    try:
        document = orjson.loads(body)
        if isinstance(document, dict):
            document = {name: value for name, value in document.items() if name not in left_out}
        refuse_payment_numbers(document, "body")
    except (orjson.JSONDecodeError, RecursionError):
        # YAML, or what its route refuses.
        refuse_payment_number(body.decode(errors="replace"), "body")
