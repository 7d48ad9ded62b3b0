"""Signatures of notifications, as Standard Webhooks has them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from standardwebhooks.webhooks import Webhook

from valueverse.platform.access.secrets import secret

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.platform.settings import Settings


def signing_secret(settings: Settings, tenant: str, endpoint: str, version: int) -> str:
    """The secret of an endpoint: derived from one of the installation, so that no database holds it."""
    master = secret(settings.secrets_dir, "webhooks").encode()
    name = f"{tenant}\n{endpoint}\n{version}".encode()
    return f"whsec_{base64.b64encode(hmac.digest(master, name, hashlib.sha256)).decode()}"


def signed_headers(settings: Settings, row: dict[str, Any], now: datetime) -> dict[str, str]:
    """The headers of a notification; two signatures while the secret before goes on."""
    versions = [row["secret_version"], *([row["secret_version"] - 1] if row["signs_previous"] else [])]
    made = [Webhook(signing_secret(settings, row["tenant"], row["endpoint"], version)) for version in versions]
    return {
        "content-type": "application/json",
        "user-agent": "valueverse-webhooks",
        "webhook-id": row["message_id"],
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(one.sign(row["message_id"], now, row["body"]) for one in made),
    }
