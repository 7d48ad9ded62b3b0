"""People and invitations of tenants, as whoever runs the installation sees and changes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import psycopg

from valueverse.errors import RefusalError
from valueverse.platform.queries import row_of, rows_of, value_of

if TYPE_CHECKING:
    from datetime import timedelta

    Connection = psycopg.Connection[Any]


class Invitation(Protocol):
    """What is stored of one."""

    @property
    def tenant(self) -> str:
        """Who invites."""

    @property
    def email(self) -> str:
        """Whom."""

    @property
    def role(self) -> str:
        """That the person will have."""

    @property
    def key(self) -> str:
        """Names it."""

    @property
    def token_hash(self) -> str:
        """Of its token."""


_PEOPLE = """
    select user_id as id, email, role, created_at,
           case when disabled_at is null then 'active' else 'disabled' end as state
      from auth.user_account
     where tenant_id = %(tenant)s
    union all
    select invitation, email, role, created_at, 'invited'
      from auth.invitation
     where tenant_id = %(tenant)s and accepted_at is null and revoked_at is null and expires_at > now()
     order by created_at, id"""


def check_tenant(connection: Connection, tenant: str) -> None:
    """Refuse a tenant that is not known, if only by an API key: its first events may still wait.

    Raises:
        RefusalError: ``unknown_tenant``.
    """
    query = (
        "select exists (select from billing.tenant where tenant_id = %(tenant)s)"
        " or exists (select from auth.api_key where tenant_id = %(tenant)s)"
    )
    if not value_of(connection, query, {"tenant": tenant}):
        raise RefusalError("unknown_tenant", f"there is no tenant {tenant!r}; see `valueverse tenants list`", "tenant")


def has_user(connection: Connection, tenant: str, email: str) -> bool:
    """Whether an address is of a person who may sign in."""
    query = "select exists (select from auth.user_account where tenant_id = %s and email = %s and disabled_at is null)"
    return bool(value_of(connection, query, [tenant, email]))


def add_invitation(connection: Connection, made: Invitation, lifetime: timedelta) -> None:
    """Store an invitation in place of the open ones to the same address; the caller commits."""
    connection.execute(
        "update auth.invitation set revoked_at = now()"
        " where tenant_id = %s and email = %s and accepted_at is null and revoked_at is null",
        [made.tenant, made.email],
    )
    connection.execute(
        "insert into auth.invitation (tenant_id, invitation, email, role, token_hash, invited_by, expires_at)"
        " values (%s, %s, %s, %s, %s, 'system', now() + %s)",
        [made.tenant, made.key, made.email, made.role, made.token_hash, lifetime],
    )


def unsent_invitation(connection: Connection, tenant: str, invitation: str) -> dict[str, Any] | None:
    """email, role of an invitation that can be accepted and was not mailed yet."""
    query = (
        "select email, role from auth.invitation where tenant_id = %s and invitation = %s and mail = 'waiting'"
        " and accepted_at is null and revoked_at is null and expires_at > now()"
    )
    return row_of(connection, query, [tenant, invitation])


def note_mail(connection: Connection, tenant: str, invitation: str, state: str) -> None:
    """State what has become of the mail of an invitation, sent or failed; the caller commits."""
    connection.execute(
        "update auth.invitation set mail = %s where tenant_id = %s and invitation = %s and mail = 'waiting'",
        [state, tenant, invitation],
    )


def address_of_reset(connection: Connection, tenant: str, reset: str) -> str | None:
    """The address of whoever asked for another password, as long as it can be chosen."""
    query = (
        "select a.email from auth.password_reset as p"
        " join auth.user_account as a on a.tenant_id = p.tenant_id and a.user_id = p.user_id"
        " where p.tenant_id = %s and p.reset = %s and p.used_at is null and p.expires_at > now()"
        " and a.disabled_at is null"
    )
    found: str | None = value_of(connection, query, [tenant, reset])
    return found


def people(connection: Connection, tenant: str) -> list[dict[str, Any]]:
    """id, email, role, created_at, state (active, disabled, invited) of a tenant's people, the oldest first."""
    return rows_of(connection, _PEOPLE, {"tenant": tenant})


def disable(connection: Connection, tenant: str, email: str) -> str | None:
    """Disable the person with this address, whose id is given; None: there is none.

    Raises:
        RefusalError: ``last_owner``.
    """
    query = (
        "update auth.user_account set disabled_at = now()"
        " where tenant_id = %s and email = %s and disabled_at is null returning user_id"
    )
    try:
        found: str | None = value_of(connection, query, [tenant, email])
    except psycopg.errors.RestrictViolation as error:
        message = f"{email} is the last owner of {tenant}: make somebody else an owner first"
        raise RefusalError("last_owner", message, "email") from error
    return found
