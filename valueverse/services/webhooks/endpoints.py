"""A tenant's endpoints: made, listed, given another secret, tried, disabled; and what was delivered to them."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.platform.stores import webhook_store as store
from valueverse.platform.warehouse import connect
from valueverse.services.webhooks.signing import signing_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.platform.settings import Settings

TYPES = (
    *("invoice.drafted", "invoice.finalised", "invoice.voided", "credit_note.issued", "commit.proposed"),
    *("commit.approved", "fee.proposed", "fee.disputed", "run.completed", "quality.held"),
)
"""What is notified of."""
TEST = "webhook.test"
OVERLAP_HOURS = 24
"""How long the secret before goes on signing beside a new one."""


def add_endpoint(settings: Settings, tenant: str, url: str, types: Sequence[str]) -> dict[str, Any]:
    """A new endpoint, with its secret: the only time that it is shown, until it is replaced.

    Raises:
        RefusalError: ``bad_webhook_url``, ``bad_webhook_type``.
    """
    _check_url(settings, url)
    if unknown := sorted(set(types) - set(TYPES)):
        message = f"{unknown[0]!r} is no type of notification; there are {', '.join(TYPES)}"
        raise RefusalError("bad_webhook_type", message, "--type")
    endpoint = f"we_{secrets.token_hex(12)}"
    with connect(settings, "builder") as connection:
        store.add_endpoint(connection, tenant, endpoint, url, sorted(set(types)))
    return {"endpoint": endpoint, "url": url, "secret": signing_secret(settings, tenant, endpoint, 1)}


def _check_url(settings: Settings, url: str) -> None:
    try:
        parts = urlsplit(url)
        bad = not parts.hostname or parts.username is not None or parts.fragment or (parts.port or 1) > 65_535
    except ValueError:
        bad, parts = True, urlsplit("")
    schemes = ("https", "http") if settings.webhook_private_addresses else ("https",)
    if (
        bad
        or parts.scheme not in schemes
        or not url.isascii()
        or not url.isprintable()
        or " " in url
        or len(url) > 2000
    ):
        message = f"{url!r} is no address of a webhook: {' or '.join(schemes)}://host/path, without login and fragment"
        raise RefusalError("bad_webhook_url", message, "URL")


def list_endpoints(settings: Settings, tenant: str) -> list[dict[str, Any]]:
    """A tenant's endpoints, without their secrets."""
    with connect(settings, "builder") as connection:
        return store.endpoints(connection, tenant)


def rotate_secret(settings: Settings, tenant: str, endpoint: str) -> dict[str, Any]:
    """A new secret for an endpoint; the one before signs beside it for a day.

    Raises:
        RefusalError: ``unknown_endpoint``.
    """
    with connect(settings, "builder") as connection:
        version = store.rotate(connection, tenant, endpoint, OVERLAP_HOURS)
    if version is None:
        raise _unknown(endpoint)
    return {"endpoint": endpoint, "secret": signing_secret(settings, tenant, endpoint, version)}


def disable_endpoint(settings: Settings, tenant: str, endpoint: str) -> None:
    """Send an endpoint nothing more.

    Raises:
        RefusalError: ``unknown_endpoint``.
    """
    with connect(settings, "builder") as connection:
        if not store.disable(connection, tenant, endpoint, "disabled by the tenant"):
            raise _unknown(endpoint)


def send_test(settings: Settings, tenant: str, endpoint: str) -> int:
    """Send an endpoint a notification that is about nothing; the number of its delivery.

    Raises:
        RefusalError: ``unknown_endpoint``.
    """
    body = {"type": TEST, "timestamp": utc_text(datetime.now(UTC)), "data": {}}
    with connect(settings, "builder") as connection:
        known = {row["endpoint"] for row in store.endpoints(connection, tenant) if row["disabled_at"] is None}
        if endpoint not in known:
            raise _unknown(endpoint)
        return store.enqueue(connection, tenant, endpoint, TEST, f"msg_{uuid.uuid4().hex}", body)


def list_deliveries(settings: Settings, tenant: str, state: str | None, at_most: int) -> list[dict[str, Any]]:
    """A tenant's deliveries, the newest first; those that are ``dead`` were given up."""
    with connect(settings, "builder") as connection:
        return store.deliveries(connection, tenant, state, at_most)


def replay_delivery(settings: Settings, tenant: str, delivery: int) -> dict[str, Any]:
    """Deliver a notification once more, with the id that it had.

    Raises:
        RefusalError: ``unknown_delivery``.
    """
    with connect(settings, "builder") as connection:
        found = store.replay(connection, tenant, delivery)
    if found is None:
        message = f"no delivery {delivery} to an endpoint that is not disabled; see `valueverse webhooks deliveries`"
        raise RefusalError("unknown_delivery", message, "DELIVERY")
    return found


def _unknown(endpoint: str) -> RefusalError:
    message = f"the tenant has no such endpoint: {endpoint!r}; see `valueverse webhooks list`"
    return RefusalError("unknown_endpoint", message, "ENDPOINT")
