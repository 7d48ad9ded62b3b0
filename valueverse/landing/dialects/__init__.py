"""Bodies that the clients of other billing systems send, as CloudEvents: translated, never judged.

Pure: no rule of billing stands here. What an event means is the catalog's to say: its ``type`` is what the other
system calls its code, event name or event type, and meters take it by ``event_type``.
"""

from valueverse.landing.dialects.exact_json import Number, json_text, read_json
from valueverse.landing.dialects.lago import lago_batch, lago_event
from valueverse.landing.dialects.metronome import metronome_events
from valueverse.landing.dialects.openmeter import openmeter_events
from valueverse.landing.dialects.orb import orb_events
from valueverse.landing.dialects.stripe import (
    stripe_adjustment,
    stripe_event,
    stripe_form,
    stripe_form_adjustment,
    stripe_stream,
)
from valueverse.landing.dialects.translation import MOST_BYTES, EventProblem, Translation

__all__ = [
    "MOST_BYTES",
    "EventProblem",
    "Number",
    "Translation",
    "json_text",
    "lago_batch",
    "lago_event",
    "metronome_events",
    "openmeter_events",
    "orb_events",
    "read_json",
    "stripe_adjustment",
    "stripe_event",
    "stripe_form",
    "stripe_form_adjustment",
    "stripe_stream",
]
