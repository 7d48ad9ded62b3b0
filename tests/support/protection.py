"""Secrets that no other test shares: wrapping keys can be rotated and retired."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.platform.settings import Settings


def own_secrets(settings: Settings, folder: Path) -> Settings:
    """The same installation with a folder of secrets of its own, which has the roles' passwords."""
    own = folder / "secrets"
    own.mkdir()
    for name in ("postgres_builder", "postgres_admin", "postgres_api"):
        (own / name).write_text((settings.secrets_dir / name).read_text())
    return settings.model_copy(update={"external_secrets_dir": own})
