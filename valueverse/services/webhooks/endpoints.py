"""A tenant's endpoints: made, listed, changed, given another secret, tried, disabled and enabled."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.events import refuse_payment_number
from valueverse.platform.outbound import is_address, states_private_address
from valueverse.platform.stores.functions import call
from valueverse.platform.warehouse import connect
from valueverse.services.webhooks.signing import signing_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.platform.settings import Settings

TYPES = (
    *("invoice.drafted", "invoice.finalised", "invoice.voided", "payment.received", "payment.failed"),
    *("credit_note.issued", "usage.threshold", "wallet.low", "commit.proposed", "commit.approved"),
    *("fee.proposed", "fee.disputed", "run.completed", "quality.held"),
)
"""What is notified of."""
TEST = "webhook.test"
OVERLAP = timedelta(hours=24)
"""How long the secret before goes on signing beside a new one."""
MOST = 20
"""Endpoints of a tenant that are not disabled: each notification is written once for each of them."""
DISABLED = "disabled by the tenant"
_COMMAND_LINE = ("system", "")
"""Who changes something from the command line, and in which request."""


def new_name() -> str:
    """The name of a new endpoint."""
    return f"we_{secrets.token_hex(12)}"


def check_endpoint(settings: Settings, url: str | None, types: Sequence[str] | None) -> list[str] | None:
    """The types in order, each once; empty: all. None is not looked at.

    Raises:
        RefusalError: ``bad_webhook_url``, ``bad_webhook_type``, ``payment_instrument``.
    """
    if url is not None:
        refuse_payment_number(url, "URL")
        _check_url(settings, url)
    if unknown := sorted(set(types or ()) - set(TYPES)):
        message = f"{unknown[0]!r} is no type of notification; there are {', '.join(TYPES)}"
        raise RefusalError("bad_webhook_type", message, "--type")
    return None if types is None else sorted(set(types))


def _check_url(settings: Settings, url: str) -> None:
    private = settings.webhook_private_addresses
    if not is_address(url, private=private) or (not private and states_private_address(url)):
        schemes = "https or http" if private else "https"
        public = "" if private else ", the host a name or a public address"
        message = f"{url!r} is no address of a webhook: {schemes}://host/path, without login and fragment{public}"
        raise RefusalError("bad_webhook_url", message, "URL")


def trial() -> tuple[str, str, str]:
    """Type, id and body of a notification that is about nothing."""
    body = {"type": TEST, "timestamp": utc_text(datetime.now(UTC)), "data": {}}
    return TEST, f"msg_{uuid.uuid4().hex}", orjson.dumps(body).decode()


def refused(outcome: str, endpoint: str) -> RefusalError:
    """What a function of the database says instead of doing it."""
    if outcome == "full":
        message = f"the tenant has {MOST} endpoints already that are not disabled: disable one of them first"
        return RefusalError("too_many_endpoints", message, "ENDPOINT")
    message = f"the tenant has no such endpoint: {endpoint!r}; see `valueverse webhooks list`"
    return RefusalError("unknown_endpoint", message, "ENDPOINT")


def add_endpoint(settings: Settings, tenant: str, url: str, types: Sequence[str]) -> dict[str, Any]:
    """A new endpoint, with its secret: the only time that it is shown, until it is replaced.

    Raises:
        RefusalError: ``bad_webhook_url``, ``bad_webhook_type``, ``too_many_endpoints``.
    """
    taken, endpoint = check_endpoint(settings, url, types), new_name()
    with connect(settings, "api") as connection:
        asked = (tenant, None, endpoint, url, taken, MOST, *_COMMAND_LINE)
        (made,) = call(connection, "add_webhook_endpoint", *asked)
    if made["add_webhook_endpoint"] != "made":
        raise refused(made["add_webhook_endpoint"], endpoint)
    return {"endpoint": endpoint, "url": url, "secret": signing_secret(settings, tenant, endpoint, 1)}


def list_endpoints(settings: Settings, tenant: str, endpoint: str | None = None) -> list[dict[str, Any]]:
    """A tenant's endpoints, or the one of this name, without their secrets; the oldest first."""
    with connect(settings, "api") as connection:
        return call(connection, "webhook_endpoints", tenant, endpoint, None, None, 1000)


def rotate_secret(settings: Settings, tenant: str, endpoint: str) -> dict[str, Any]:
    """A new secret for an endpoint; the one before signs beside it for a day.

    Raises:
        RefusalError: ``unknown_endpoint``.
    """
    version = _change(settings, tenant, endpoint, overlap=OVERLAP)["secret_version"]
    return {"endpoint": endpoint, "secret": signing_secret(settings, tenant, endpoint, version)}


def disable_endpoint(settings: Settings, tenant: str, endpoint: str) -> None:
    """Send an endpoint nothing more.

    Raises:
        RefusalError: ``unknown_endpoint``.
    """
    _change(settings, tenant, endpoint, disabled=DISABLED)


def enable_endpoint(settings: Settings, tenant: str, endpoint: str) -> None:
    """Notify a disabled endpoint again, of what happens from now on.

    Raises:
        RefusalError: ``unknown_endpoint``, ``too_many_endpoints``.
    """
    _change(settings, tenant, endpoint, disabled="")


def _change(
    settings: Settings, tenant: str, endpoint: str, disabled: str | None = None, overlap: timedelta | None = None
) -> dict[str, Any]:
    with connect(settings, "api") as connection:
        asked = (tenant, None, endpoint, None, None, disabled, overlap, MOST, *_COMMAND_LINE)
        (changed,) = call(connection, "change_webhook_endpoint", *asked)
        if changed["change_webhook_endpoint"] != "changed":
            raise refused(changed["change_webhook_endpoint"], endpoint)
        (found,) = call(connection, "webhook_endpoints", tenant, endpoint, None, None, 1)
    return found


def send_test(settings: Settings, tenant: str, endpoint: str) -> int:
    """Send an endpoint a notification that is about nothing; the number of its delivery.

    Raises:
        RefusalError: ``unknown_endpoint``.
    """
    with connect(settings, "api") as connection:
        asked = (tenant, None, endpoint, *trial(), *_COMMAND_LINE)
        (sent,) = call(connection, "send_webhook_test", *asked)
    if sent["outcome"] != "sent":
        raise refused(sent["outcome"], endpoint)
    number: int = sent["delivery"]
    return number
