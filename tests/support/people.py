"""People of a tenant in a test: made in the database, signed in over HTTP, and the mails that they got."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from datetime import timedelta
from email import message_from_bytes, policy
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.support.background import jobs_done
from tests.support.billing_rows import TENANTS, invoice_id, secret_of
from tests.support.serving import bearer
from valueverse.platform.access.api_keys import digest
from valueverse.platform.warehouse import connect
from valueverse.services.people import jobs
from valueverse.services.people.passwords import hash_password

if TYPE_CHECKING:
    from email.message import EmailMessage

    import httpx

    from tests.support.serving import Api
    from valueverse.platform.settings import Settings

PASSWORD = "anchor violet teaspoon 82"


@cache
def _hashed() -> str:
    return hash_password(PASSWORD)


def add_person(settings: Settings, role: str, tenant: str = "acme", email: str | None = None) -> tuple[str, str]:
    """Id and address of a person with ``PASSWORD``."""
    user = f"usr_{secrets.token_hex(12)}"
    address = email or f"{user[4:12]}@example.com"
    with connect(settings, "admin") as connection:
        connection.execute(
            "insert into auth.user_account (tenant_id, user_id, email, role, password_hash)"
            " values (%s, %s, %s, %s, %s)",
            [tenant, user, address, role, _hashed()],
        )
    return user, address


async def log_in(api: Api, email: str, password: str = PASSWORD, tenant: str = "acme", **more: str) -> httpx.Response:
    """The answer to a log-in."""
    body = {"tenant": tenant, "email": email, "password": password, **more}
    return await api.client.post("/v1/auth/login", json=body)


async def person(api: Api, settings: Settings, role: str, tenant: str = "acme") -> tuple[str, dict[str, str]]:
    """Id of a new person, and the header of a session of theirs."""
    user, email = add_person(settings, role, tenant)
    answer = await log_in(api, email, tenant=tenant)
    assert answer.status_code == 200, answer.text
    return user, bearer(answer.json()["access_token"])


async def mails(settings: Settings, to: str) -> list[EmailMessage]:
    """What is mailed to an address once the jobs that wait are done, the oldest first."""
    await jobs_done(settings, jobs.KINDS, jobs.QUEUE)
    files = sorted(settings.mail_dir.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
    found = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in files]
    return [mail for mail in found if mail["To"] == to]


def token_in(mail: Any) -> str:
    """The token of a mail's link."""
    found = re.search(r"#(vv\w_\S+)", mail.get_content())
    assert found
    return found.group(1)


def user_of(tenant: str) -> str:
    """The person that the tenant has here."""
    return f"usr_{hashlib.sha256(tenant.encode()).hexdigest()[:24]}"


def provider_of(tenant: str) -> str:
    """The identity provider that the tenant has here."""
    return user_of(tenant).replace("usr", "idp")


def add_people(settings: Settings) -> None:
    """A person and an invitation of each tenant, with its secret in them."""
    with connect(settings, "admin") as connection:
        for tenant in TENANTS:
            secret = secret_of(tenant)
            connection.execute(
                "insert into auth.user_account (tenant_id, user_id, email, role, password_hash)"
                " values (%s, %s, %s, 'viewer', %s)",
                [tenant, user_of(tenant), f"{secret}@example.com", f"hash {secret}"],
            )
            connection.execute(
                "update auth.user_account set totp_secret = %s, totp_since = now(), totp_step = 1 where user_id = %s",
                [secret.encode(), user_of(tenant)],
            )
            connection.execute(
                "insert into auth.recovery_code (tenant_id, user_id, code_hash) values (%s, %s, %s)",
                [tenant, user_of(tenant), f"code of {tenant}"],
            )
            connection.execute(
                "insert into auth.password_reset (tenant_id, token_hash, user_id, created_at, expires_at)"
                " values (%s, %s, %s, now() - interval '1 h', now() + interval '1 d')",
                [tenant, f"reset of {tenant}", user_of(tenant)],
            )
            connection.execute(
                "insert into auth.identity_provider (tenant_id, provider, issuer, client_id, client_secret)"
                " values (%s, %s, %s, %s, %s)",
                [tenant, provider_of(tenant), f"https://{secret}.example", secret, secret.encode()],
            )
            connection.execute(
                "insert into auth.provider_sign_in (tenant_id, state_hash, provider, challenge, expires_at, token_hash,"
                " token_expires_at, subject, user_id)"
                " values (%s, %s, %s, %s, now() + interval '1 d', %s, now() + interval '1 d', %s, %s)",
                [tenant, f"state of {tenant}", provider_of(tenant), secret, f"signed in at {tenant}", secret,
                 user_of(tenant)],
            )  # fmt: skip
            connection.execute(
                "insert into vault.data_key (tenant_id, subject, version, wrapped) values (%s, '', 1, %s)",
                [tenant, secret],
            )
            connection.execute(
                "insert into auth.invitation (tenant_id, invitation, email, role, token_hash, invited_by, expires_at)"
                " values (%s, %s, %s, 'viewer', %s, 'system', now() + interval '1 d')",
                [tenant, user_of(tenant).replace("usr", "inv"), f"new {secret}@example.com", f"invited by {tenant}"],
            )


def actions(settings: Settings, what: str) -> list[tuple[str, str]]:
    """Action and actor of entries about an object."""
    with connect(settings, "builder") as connection:
        rows = connection.execute(
            "select entry::json ->> 'action', entry::json ->> 'actor' from audit.submitted "
            "where entry::json ->> 'object' = %s order by submission",
            [what],
        ).fetchall()
    return [(str(action), str(actor)) for action, actor in rows]


def entries_of(settings: Settings, action: str) -> list[dict[str, str]]:
    """Entries of all tenants that have no place in a log yet, with an action like this, in the order they were made."""
    with connect(settings, "builder") as connection:
        rows = connection.execute(
            "select entry from audit.submitted where entry::json ->> 'action' like %s order by submission", [action]
        ).fetchall()
    return [json.loads(entry) for (entry,) in rows]


def people_calls(owner: str) -> dict[str, tuple[str, list[Any]]]:
    """Arguments behind the tenant's, for functions about people, that would find rows of ``owner``."""
    return {
        "begin_second_factor": ("%s, %s, 'sealed'", [invoice_id(owner, "family"), user_of(owner)]),
        "second_factor": ("%s", [user_of(owner)]),
        "confirm_second_factor": ("%s, %s, 9, '{h}', ''", [invoice_id(owner, "family"), user_of(owner)]),
        "use_code": ("%s, 9", [user_of(owner)]),
        "use_recovery_code": ("%s, %s, ''", [user_of(owner), f"code of {owner}"]),
        "remove_second_factor": ("%s, %s, ''", [invoice_id(owner, "family"), user_of(owner)]),
        "begin_reset": ("%s, gen_random_uuid(), 'made', '1 h', ''", [f"{secret_of(owner)}@example.com"]),
        "reset_email": ("%s", [f"reset of {owner}"]),
        "reset_password": ("%s, 'worse', ''", [f"reset of {owner}"]),
        "change_password": (
            "%s, %s, %s, 'worse', ''",
            [invoice_id(owner, "family"), user_of(owner), f"hash {secret_of(owner)}"],
        ),
        "identity_provider": ("", []),
        "change_identity_provider": (
            "%s, %s, null, null, null, null, 'key', ''",
            [invoice_id(owner, "family"), provider_of(owner)],
        ),
        "take_sign_in_state": ("'new', %s, 'c', now() + '1 h'", [provider_of(owner)]),
        "name_provider_subject": ("%s, %s, null, 'new', '1 h'", [f"state of {owner}", secret_of(owner)]),
        "provider_sign_in": ("%s", [f"signed in at {owner}"]),
        "finish_provider_sign_in": ("%s, 'usr_000000000000000000000000', ''", [f"signed in at {owner}"]),
        "data_keys": ("", []),
        "take_data_key": ("1, 9", []),
        "add_data_key": ("2, 'of whoever asks'", []),
        "sign_in_account": ("%s", [f"{secret_of(owner)}@example.com"]),
        "record_failed_log_in": ("%s, true, '::1', ''", [f"{secret_of(owner)}@example.com"]),
        "open_user_session": ("%s, gen_random_uuid(), 'h', '1 h', '1 h', ''", [user_of(owner)]),
        "user_session": ("%s, %s", [invoice_id(owner, "family"), user_of(owner)]),
        "session_end": ("%s", [invoice_id(owner, "family")]),
        "users": ("%s, null, null, 100", [user_of(owner)]),
        "change_user": ("%s, %s, 'viewer', 'owner', 'key', ''", [invoice_id(owner, "family"), user_of(owner)]),
        "invitations": ("null, null, null, 100", []),
        "create_invitation": (
            "%s, 'inv_000000000000000000000000', 'n@x', 'owner', 'h', '1 h', 'key', ''",
            [invoice_id(owner, "family")],
        ),
        "revoke_invitation": (
            "%s, %s, 'key', ''",
            [invoice_id(owner, "family"), user_of(owner).replace("usr", "inv")],
        ),
        "invited_email": ("%s", [f"invited by {owner}"]),
        "accept_invitation": ("%s, 'usr_000000000000000000000000', 'N', 'hash', ''", [f"invited by {owner}"]),
        "rehash_password": ("%s, %s, 'worse'", [user_of(owner), f"hash {secret_of(owner)}"]),
    }


def age_session(settings: Settings, refresh_token: str, minutes: int) -> None:
    """Make a session begin so many minutes earlier."""
    with connect(settings, "admin") as connection:
        connection.execute(
            "update auth.refresh_token set expires_at = expires_at - %s where token_hash = %s",
            [timedelta(minutes=minutes), digest(refresh_token)],
        )
