"""Invitations: what a person is sent, and those that the command line makes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.events import refuse_payment_number
from valueverse.platform.access.api_keys import digest
from valueverse.platform.access.opaque_tokens import INVITATION, derived_token
from valueverse.platform.access.people_roles import ROLES
from valueverse.platform.access.secrets import secret
from valueverse.platform.stores import people_store as store
from valueverse.platform.warehouse import connect
from valueverse.services.people.addresses import normal_address
from valueverse.services.people.mail import send_mail

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

LIFETIME = timedelta(days=7)

_MAIL = """You are invited to ValueVerse as {role} of {tenant}.

Open this link within {days} days, and choose a password:

{link}

It is good once. If you expected no invitation, leave it: nothing happens then.
"""


@dataclass(frozen=True)
class NewInvitation:
    """An invitation before it is stored.

    Attributes:
        tenant: who invites.
        email: in its normal form.
        role: that the person will have.
        key: names it.
        token_hash: of the token that the mail carries.
    """

    tenant: str
    email: str
    role: str
    key: str
    token_hash: str


def new_user_id() -> str:
    """The id of a new person."""
    return f"usr_{secrets.token_hex(12)}"


def new_invitation(settings: Settings, tenant: str, email: str, role: str) -> NewInvitation:
    """An invitation to ``tenant``.

    Raises:
        RefusalError: ``bad_email``, ``bad_role``, ``payment_instrument``.
    """
    refuse_payment_number(email, "email")
    if role not in ROLES:
        raise RefusalError.unknown("bad_role", f"{role!r} is no role", role, ROLES, "role")
    address, key = normal_address(email), f"inv_{secrets.token_hex(12)}"
    return NewInvitation(tenant, address, role, key, digest(_token(settings, tenant, key)))


def _token(settings: Settings, tenant: str, invitation: str) -> str:
    return derived_token(tenant, INVITATION, invitation, secret(settings.secrets_dir, "mails"))


def _link(settings: Settings, tenant: str, invitation: str) -> str:
    # After the #, so that neither the web app's server nor a proxy logs it.
    return f"{settings.app_url}/invitation#{_token(settings, tenant, invitation)}"


def send_invitation(settings: Settings, tenant: str, invitation: str, email: str, role: str) -> None:
    """Mail an invitation.

    Raises:
        MailError: the mail server does not take it.
    """
    link = _link(settings, tenant, invitation)
    text = _MAIL.format(role=role, tenant=tenant, days=LIFETIME.days, link=link)
    send_mail(settings, invitation, email, f"Invitation to {tenant} on ValueVerse", text)


def invite(settings: Settings, tenant: str, email: str, role: str) -> dict[str, Any]:
    """Invite a person, as whoever runs the installation; open invitations to the same address are revoked.

    The server ``worker`` mails the link.

    Raises:
        RefusalError: ``bad_email``, ``bad_role``, ``unknown_tenant``, ``user_exists``.
    """
    made = new_invitation(settings, tenant, email, role)
    with connect(settings, "builder") as connection:
        store.check_tenant(connection, tenant)
        if store.has_user(connection, tenant, made.email):
            raise RefusalError("user_exists", f"{made.email} is a user of {tenant} already", "email")
        store.add_invitation(connection, made, LIFETIME)
    link = _link(settings, tenant, made.key)
    shown = {"invitation": made.key, "tenant": tenant, "email": made.email, "role": role, "link": link}
    return shown | {"mail_dir": None if settings.smtp_url else str(settings.mail_dir)}


def list_users(settings: Settings, tenant: str) -> list[dict[str, Any]]:
    """People of a tenant, and invitations that can be accepted."""
    with connect(settings, "builder") as connection:
        return store.people(connection, tenant)


def disable_user(settings: Settings, tenant: str, email: str) -> dict[str, Any]:
    """Disable a person: sessions of theirs end at once.

    Raises:
        RefusalError: ``bad_email``, ``unknown_user``, ``last_owner``.
    """
    address = normal_address(email)
    with connect(settings, "builder") as connection:
        found = store.disable(connection, tenant, address)
    if found is None:
        raise RefusalError("unknown_user", f"{address} is no user of {tenant}; see `valueverse users list`", "email")
    return {"user": found, "tenant": tenant, "email": address, "disabled": True}
