"""Mails to people: by SMTP, or into a folder where no server is set."""

from __future__ import annotations

import smtplib
import ssl
import uuid
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.platform.settings import Settings

_SECONDS = 10
"""That a mail server may take for each of its answers."""


class MailError(Exception):
    """A mail that is not sent: later it may be."""


def send_mail(settings: Settings, name: str, to: str, subject: str, text: str) -> None:
    """Hand a mail to the server of ``smtp_url``, or write it into ``mail_dir``.

    Args:
        settings: of the installation.
        name: of what is mailed about: the same in each attempt, so that a mail that is sent twice can be known.
        to: an address.
        subject: one line.
        text: with line ends ``\\n``.

    Raises:
        MailError: the server does not answer, or does not take it.
    """
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = settings.mail_from, to, subject
    message["Message-ID"] = f"<{name}@{settings.mail_from.rpartition('@')[2].rstrip('>')}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    try:
        if settings.smtp_url is None:
            _write(settings.mail_dir, message)
        else:
            _send(settings, message)
    except (OSError, smtplib.SMTPException) as error:
        # Without the server's answer: it may repeat the mail.
        raise MailError(f"the mail is not sent: {type(error).__name__}") from None


def _write(folder: Path, message: EmailMessage) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f".{uuid.uuid4()}"
    draft.touch(mode=0o600)
    draft.write_bytes(message.as_bytes())
    draft.replace(folder / f"{uuid.uuid4()}.eml")


def _send(settings: Settings, message: EmailMessage) -> None:
    parts = urlsplit(settings.smtp_url or "")
    host, implicit = parts.hostname or "", parts.scheme == "smtps"
    context = ssl.create_default_context()
    server: smtplib.SMTP
    if implicit:
        server = smtplib.SMTP_SSL(host, parts.port or 465, timeout=_SECONDS, context=context)
    else:
        server = smtplib.SMTP(host, parts.port or 587, timeout=_SECONDS)
    with server:
        if parts.scheme == "smtp":
            server.starttls(context=context)
        if parts.username:
            password = (settings.secrets_dir / "smtp_password").read_text(encoding="utf-8").strip()
            server.login(unquote(parts.username), password)
        server.send_message(message)
