"""Installations with secrets that no other test shares, so that wrapping keys can be rotated and retired."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.landing import NOW, event, founding
from valueverse.platform.lake import Lake
from valueverse.services.ingestion.run_ingestion import run_ingestion
from valueverse.services.usage.refresh_facts import BEGINNING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from valueverse.platform.settings import Settings


def own_secrets(settings: Settings, folder: Path) -> Settings:
    """The same installation with a folder of secrets of its own, which has the roles' passwords."""
    own = folder / "secrets"
    own.mkdir()
    for name in ("postgres_builder", "postgres_admin", "postgres_api"):
        (own / name).write_text((settings.secrets_dir / name).read_text())
    return settings.model_copy(update={"external_secrets_dir": own})


def own_environment(settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As ``own_secrets``, and the installation of whatever command the test runs."""
    own = own_secrets(settings, folder)
    for name, value in own.environment().items():
        monkeypatch.setenv(name, value)
    return own


def take_in_customer(own: Settings, name: str) -> Lake:
    """The lake of an installation whose only customer, acme's c1, has this name; the file is ``acme/a.ndjson``."""
    customer = event("c", {"customer": "c1", "name": name}, type="billing.customer.created")
    (own.landing / "acme").mkdir()
    (own.landing / "acme" / "a.ndjson").write_text(f"{json.dumps(founding())}\n{json.dumps(customer)}\n")
    lake = Lake(own.lake_url)
    run_ingestion(own, lake, BEGINNING, NOW)
    return lake
