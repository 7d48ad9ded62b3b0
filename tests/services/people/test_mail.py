"""Mails: to a real server over TLS, with a login, or into a folder."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from ipaddress import ip_address
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.serving_process import free_port
from valueverse.platform.settings import Settings
from valueverse.services.people.mail import MailError, send_mail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SENDER = "ValueVerse <billing@example.com>"


class _Inbox:
    """Stores what it is given; refuses one address."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    @property
    def handler(self) -> SimpleNamespace:
        """Its methods by the names that aiosmtpd calls."""
        return SimpleNamespace(handle_RCPT=self._recipient, handle_DATA=self._data)

    async def _recipient(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if address.startswith("nobody@"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def _data(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 OK"


def certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 that signs itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "mail.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@contextmanager
def mail_server(pem: Path, *, implicit: bool, password: bytes) -> Iterator[tuple[_Inbox, int]]:
    """A mail server that takes mails over TLS from whoever logs in, and its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    def known(*given: Any) -> AuthResult:
        return AuthResult(success=given[-1] == LoginPassword(b"billing", password), handled=False)

    inbox = _Inbox()
    options: dict[str, Any] = (
        {"ssl_context": context} if implicit else {"tls_context": context, "require_starttls": True}
    )
    port = free_port()
    controller = Controller(
        inbox.handler,
        "127.0.0.1",
        port,
        authenticator=known,
        auth_required=True,
        auth_require_tls=not implicit,
        **options,
    )
    controller.start()
    try:
        yield inbox, port
    finally:
        controller.stop()


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_mail_reaches_a_server_over_tls_with_a_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    pem = certificate(tmp_path)
    with mail_server(pem, implicit=scheme == "smtps", password=b"p4ss") as (inbox, port):
        settings = Settings(home=tmp_path, smtp_url=f"{scheme}://billing@127.0.0.1:{port}", mail_from=SENDER)
        settings.secrets_dir.mkdir()
        (settings.secrets_dir / "smtp_password").write_text("p4ss\n")
        with pytest.raises(MailError) as untrusted:
            send_mail(settings, "inv_1", "ada@example.com", "Hello", "none")
        assert ("not sent" in str(untrusted.value), inbox.mails) == (True, [])
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        send_mail(settings, "inv_1", "ada@example.com", "Grüße", "Öffnen: https://example.com/#vvi_x.y\n")
        ((sender, to, content),) = inbox.mails
        mail = message_from_bytes(content, policy=policy.default)
        assert (sender, to, mail["From"], mail["Subject"]) == (
            "billing@example.com",
            ["ada@example.com"],
            SENDER,
            "Grüße",
        )
        assert mail.get_content().strip() == "Öffnen: https://example.com/#vvi_x.y"
        assert mail["Message-ID"] == "<inv_1@example.com>"
        for wrong in ("nobody@example.com", None):
            if wrong is None:
                (settings.secrets_dir / "smtp_password").write_text("wrong")
            with pytest.raises(MailError) as refused:
                send_mail(settings, "inv_1", wrong or "ada@example.com", "Hello", "secret text")
            assert "secret text" not in str(refused.value)
        assert len(inbox.mails) == 1


def test_a_server_without_tls_gets_nothing(tmp_path: Path) -> None:
    inbox, port = _Inbox(), free_port()
    controller = Controller(inbox.handler, "127.0.0.1", port)
    controller.start()
    try:
        settings = Settings(home=tmp_path, smtp_url=f"smtp://127.0.0.1:{port}")
        with pytest.raises(MailError) as refused:
            send_mail(settings, "inv_1", "ada@example.com", "Hello", "none")
        assert ("not sent" in str(refused.value), inbox.mails) == (True, [])
    finally:
        controller.stop()


def test_without_a_server_a_folder_that_is_its_owners_alone_gets_the_mails(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, mail_from=SENDER)
    send_mail(settings, "inv_1", "ada@example.com", "Hello", "text")
    (file,) = settings.mail_dir.iterdir()
    assert message_from_bytes(file.read_bytes(), policy=policy.default)["To"] == "ada@example.com"
    assert file.stat().st_mode & 0o077 == 0
    assert settings.mail_dir.stat().st_mode & 0o077 == 0
    with pytest.raises(ValueError, match="linefeed"):
        send_mail(settings, "inv_1", "a@example.com\r\nBcc: b@example.com", "Hello", "text")
