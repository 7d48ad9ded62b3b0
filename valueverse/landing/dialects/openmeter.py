"""OpenMeter: CloudEvents with fewer demands, of which ``time`` and ``data`` may be missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.dates import utc_text
from valueverse.landing.dialects.exact_json import read_json
from valueverse.landing.dialects.translation import Fields, Names, Translation, listed

if TYPE_CHECKING:
    from datetime import datetime

_NAMES = Names({})
_OURS = ("tenant", "replaces")
"""Extensions that a client of ours may add."""


def openmeter_events(body: bytes, moment: datetime) -> Translation:
    """The events of ``POST /api/v1/events``: one CloudEvent or a list of them.

    Raises:
        RefusalError: ``malformed_body``, ``too_many_events``.
    """
    value = read_json(body)
    found = Translation(_NAMES)
    for number, one in enumerate(listed(value) if isinstance(value, list) else [value]):
        event = Fields(one, number, "id", found)
        if event.text("specversion") not in {"", "1.0"}:
            event.refuse("specversion", 'must be "1.0"')
        taken = {
            "id": event.text("id"),
            "source": event.text("source"),
            "type": event.event_type("type"),
            "subject": event.text("subject"),
            "time": event.optional("time") or utc_text(moment),
            **{name: event.text(name) for name in _OURS if event.has(name)},
            "data": event.members("data"),
        }
        found.add(taken, {})
    return found
