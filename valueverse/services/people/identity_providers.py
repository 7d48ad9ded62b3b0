"""A tenant's identity provider: set, shown, removed. Everything is asked of the database as the API's login.

The client secret is sealed by the tenant's own data key, for the very issuer and client that it is of: neither another
row nor a changed issuer opens it.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.events import refuse_payment_numbers
from valueverse.platform.protection import own_keys
from valueverse.platform.stores import people_store
from valueverse.platform.stores.functions import call
from valueverse.platform.warehouse import connect
from valueverse.services.people.provider import Provider
from valueverse.services.people.provider_client import ProviderClient

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    import psycopg

    from valueverse.platform.settings import Settings


@dataclass(frozen=True)
class ChangedBy:
    """Who changes a provider.

    Attributes:
        family: the session; None: the command line.
        actor: person.
        request: id of the request.
    """

    family: uuid.UUID | None = None
    actor: str = "system"
    request: str = ""


def redirect_uri(settings: Settings, tenant: str) -> str:
    """Where the tenant's provider sends browsers back to: of each tenant another one, so that no provider's answer can
    be taken for another's (RFC 9700, section 4.4)."""
    return f"{settings.api_url}/v1/auth/oidc/{tenant}/callback"


def stored_provider(settings: Settings, tenant: str) -> Provider | None:
    """The tenant's provider with its secret; None: it has none.

    Raises:
        RefusalError: what opens the secret refuses.
    """
    with connect(settings, "api") as connection:
        row = _row(connection, tenant)
        if row is None:
            return None
        found = Provider(tenant, row["issuer"], row["client_id"], "", row["provider"])
        (secret,) = own_keys(settings, connection).open([(found.cell, bytes(row["client_secret"]))])
    if secret is None:
        raise RefusalError("data_key_unreadable", f"the data key that sealed the provider of {tenant} is destroyed")
    return replace(found, client_secret=secret.decode())


def store_provider(settings: Settings, given: Provider, by: ChangedBy, before: str | None) -> None:
    """Put a provider in the place of the one named ``before``; None: there is none.

    Raises:
        RefusalError: ``session_ended``, ``provider_moved``; what seals the secret refuses.
    """
    with connect(settings, "api") as connection:
        (sealed,) = own_keys(settings, connection).seal([(given.cell, given.client_secret.encode())])
        stated = (f"idp_{secrets.token_hex(12)}", given.issuer, given.client_id, sealed)
        _change(connection, given.tenant, by, before, stated)


def drop_provider(settings: Settings, tenant: str, by: ChangedBy, before: str) -> None:
    """Remove the provider named ``before``.

    Raises:
        RefusalError: ``session_ended``, ``provider_moved``.
    """
    with connect(settings, "api") as connection:
        _change(connection, tenant, by, before, (None, None, None, None))


def shown(settings: Settings, tenant: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``api.identity_provider`` as people see it: never the secret."""
    stated = {name: row[name] for name in ("issuer", "client_id")}
    return {**stated, "redirect_uri": redirect_uri(settings, tenant), "changed_at": utc_text(row["changed_at"])}


def set_provider(settings: Settings, given: Provider) -> dict[str, Any]:
    """Give a tenant an identity provider, as whoever runs the installation, once it has answered.

    Raises:
        RefusalError: ``unknown_tenant``, ``bad_provider``, ``provider_unavailable``, ``provider_moved``,
            ``payment_instrument``; what seals the secret refuses.
    """
    refuse_payment_numbers({"issuer": given.issuer, "client_id": given.client_id}, "provider")
    with connect(settings, "builder") as connection:
        people_store.check_tenant(connection, given.tenant)
    if not given.client_secret or not (given.client_id.isascii() and given.client_id.isprintable()):
        raise RefusalError("bad_provider", "the client id is text of ASCII, and the secret is not empty", "client")
    asyncio.run(ProviderClient(settings).check(given.tenant, given.issuer))
    before = show_provider(settings, given.tenant)
    store_provider(settings, given, ChangedBy(), before["provider"] if before else None)
    return show_provider(settings, given.tenant) or {}


def show_provider(settings: Settings, tenant: str) -> dict[str, Any] | None:
    """A tenant's provider without its secret; None: it has none."""
    with connect(settings, "api") as connection:
        row = _row(connection, tenant)
    return row and {"tenant": tenant, "provider": row["provider"], **shown(settings, tenant, row)}


def remove_provider(settings: Settings, tenant: str) -> None:
    """Remove a tenant's identity provider, as whoever runs the installation.

    Raises:
        RefusalError: ``no_provider``, ``provider_moved``.
    """
    before = show_provider(settings, tenant)
    if before is None:
        raise RefusalError("no_provider", f"{tenant} has no identity provider", "tenant")
    drop_provider(settings, tenant, ChangedBy(), before["provider"])


def _row(connection: psycopg.Connection[Any], tenant: str) -> dict[str, Any] | None:
    found = call(connection, "identity_provider", tenant)
    return found[0] if found else None


def _change(
    connection: psycopg.Connection[Any], tenant: str, by: ChangedBy, before: str | None, stated: tuple[object, ...]
) -> None:
    asked = (tenant, by.family, before, *stated, by.actor, by.request)
    (done,) = call(connection, "change_identity_provider", *asked)
    outcome = done["change_identity_provider"]
    if outcome == "ended":
        raise RefusalError("session_ended", "the session has ended")
    if outcome == "moved":
        raise RefusalError("provider_moved", "the identity provider was changed at this moment: read it again")
