"""What operations are called in the OpenAPI document, and so in the clients that are generated from it."""

from __future__ import annotations

import re

_ENDINGS = (("ies", "y"), ("s", ""))
"""Of a plural, and of its singular."""
_NO_PLURALS = ("ss", "us")


def operation_name(method: str, path: str) -> str:
    """Method and nouns of the path, in the singular where a key follows.

    ``GET /v1/invoices`` is ``get_invoices``, ``GET /v1/invoices/{number}`` ``get_invoice``, ``POST
    /v1/subscriptions/{key}/change`` ``post_subscription_change``. A noun without a plural says what follows it:
    ``GET /v1/library/{name}`` is ``get_library_by_name``. So routes with other addresses have other names, and a name
    does not change when a route is added beside it.
    """
    parts = path.removeprefix("/v1").strip("/").split("/")
    nouns = [method.lower()]
    for part, following in zip(parts, [*parts[1:], ""], strict=True):
        if part.startswith("{"):
            continue
        noun = re.sub(r"[^a-z0-9]+", "_", part.lower()).strip("_")
        nouns.append(_before_a_key(noun, following[1:-1]) if following.startswith("{") else noun)
    return "_".join(nouns)


def _before_a_key(noun: str, key: str) -> str:
    for plural, singular in _ENDINGS:
        if noun.endswith(plural) and not noun.endswith(_NO_PLURALS):
            return noun.removesuffix(plural) + singular
    return f"{noun}_by_{key}"
