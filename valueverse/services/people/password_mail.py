"""The mail to somebody who forgot a password."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from valueverse.platform.access.opaque_tokens import RESET, derived_token
from valueverse.platform.access.secrets import secret
from valueverse.services.people.mail import send_mail

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

LIFETIME = timedelta(minutes=30)

_MAIL = """Somebody, probably you, asked for another password at {tenant} on ValueVerse.

Choose it within {minutes} minutes by this link, which is good once:

{link}

If it was not you, leave it: nothing changes then.
"""


def reset_token(settings: Settings, tenant: str, reset: str) -> str:
    """The token by which another password is chosen, of what ``reset`` names; its hash alone is stored."""
    return derived_token(tenant, RESET, reset, secret(settings.secrets_dir, "mails"))


def send_reset(settings: Settings, tenant: str, email: str, reset: str) -> None:
    """Mail a link with the token.

    Raises:
        MailError: the mail server does not take it.
    """
    link = f"{settings.app_url}/reset#{reset_token(settings, tenant, reset)}"
    text = _MAIL.format(tenant=tenant, minutes=LIFETIME.seconds // 60, link=link)
    send_mail(settings, reset, email, f"Another password for {tenant} on ValueVerse", text)
