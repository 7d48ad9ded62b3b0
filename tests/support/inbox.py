"""Events in the inbox, put there by the function of the database that the API calls."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from tests.support.landing import NOW
from valueverse.platform.warehouse import connect
from valueverse.services.ingestion.receive_events import judge_texts

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.platform.settings import Settings


def receive(settings: Settings, tenant: str, *events: Any, at: datetime = NOW) -> dict[str, int]:
    """What the API does with a request, events or their texts; the counts that it answers."""
    texts = [one if isinstance(one, str) else json.dumps(one) for one in events]
    judged = judge_texts(texts, tenant, at)
    stored = (uuid.uuid4(), at, judged.body, judged.events, judged.expanded, judged.key_hashes, judged.root.hex())
    places = ", ".join(["%s"] * (1 + len(stored)))
    with connect(settings, "api") as login:
        login.execute(f"select api.receive_events({places}, 'key', '', true)".encode(), [tenant, *stored])
    return judged.counts
