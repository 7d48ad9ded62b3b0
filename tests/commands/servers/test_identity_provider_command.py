"""``valueverse identity-provider``: set once the provider has answered, shown without its secret, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from tests.support.identity_provider import CLIENT, SECRET, running
from valueverse import cli
from valueverse.errors import RefusalError
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.warehouse import connect
from valueverse.services.people.identity_providers import stored_provider

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def test_the_commands_set_show_and_remove_the_provider(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"oidc_private_addresses": True, "api_url": "https://billing.example.com"})
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    with connect(settings, "builder") as connection:
        issue_api_key(connection, "acme")

    def ask(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli.app, ["identity-provider", *arguments])
        return done.exit_code, done.exception.code if isinstance(done.exception, RefusalError) else done.output

    with running() as issuer:
        secret = tmp_path / "secret.txt"
        secret.write_text(f"{SECRET}\n")
        given = ("--tenant", "acme", "--client-id", CLIENT, "--secret-file", str(secret), "--issuer")
        assert ask("set", *given, issuer)[1].endswith("https://billing.example.com/v1/auth/oidc/acme/callback\n")
        stored = stored_provider(settings, "acme")
        assert stored is not None
        assert (stored.issuer, stored.client_id, stored.client_secret) == (issuer, CLIENT, SECRET)
        shown = ask("show", "--tenant", "acme")[1]
        assert issuer in shown
        assert SECRET not in shown
        assert ask("set", *given, "http://127.0.0.1:1") == (1, "provider_unavailable")
        assert ask("set", "--tenant", "nowhere", *given[2:], issuer) == (1, "unknown_tenant")
        secret.write_text("")
        assert ask("set", *given, issuer) == (1, "bad_provider")
        assert ask("remove", "--tenant", "acme")[0] == 0
        assert ask("remove", "--tenant", "acme") == (1, "no_provider")
        assert "signs in by no provider" in ask("show", "--tenant", "acme")[1]
