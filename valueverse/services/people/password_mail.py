"""The mail to somebody who forgot a password."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from valueverse.platform.access.opaque_tokens import RESET, new_token
from valueverse.services.people.mail import send_mail

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

LIFETIME = timedelta(minutes=30)

_MAIL = """Somebody, probably you, asked for another password at {tenant} on ValueVerse.

Choose it within {minutes} minutes by this link, which is good once:

{link}

If it was not you, leave it: nothing changes then.
"""


def new_reset(tenant: str) -> str:
    """A token by which another password is chosen; its hash alone is stored."""
    return new_token(tenant, RESET)


def send_reset(settings: Settings, tenant: str, email: str, token: str) -> None:
    """Mail a link with the token.

    Raises:
        RefusalError: ``mail_failed``.
    """
    link = f"{settings.app_url}/reset#{token}"
    text = _MAIL.format(tenant=tenant, minutes=LIFETIME.seconds // 60, link=link)
    send_mail(settings, email, f"Another password for {tenant} on ValueVerse", text)
