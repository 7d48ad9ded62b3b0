"""What the OpenAPI document says of bodies that FastAPI does not read itself, with examples."""

from __future__ import annotations

from typing import Any

_EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "req-1042",
    "source": "gateway",
    "type": "api.usage",
    "subject": "chat",
    "time": "2023-11-16T09:30:00Z",
    "data": {"model": "gpt-large", "context_tokens": 1310, "generated_tokens": 87},
}
_VOIDING = _EVENT | {"id": "req-1042-void", "replaces": "req-1042", "data": None}
_TEXT = {"type": "string", "maxLength": 256}
EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A CloudEvent 1.0; docs/events.md lists the types that begin with `billing.`. "
    "Numbers of more than 15 significant digits are written as text.",
    "required": ["specversion", "id", "source", "type", "time", "data"],
    "properties": {
        "specversion": {"type": "string", "enum": ["1.0"]},
        "id": _TEXT | {"description": "Unique within `source`: an event counts once."},
        "source": _TEXT | {"description": "The system that sends it."},
        "type": {"type": "string"},
        "subject": {"type": "string", "description": "Customer key, or `customer/subscription`."},
        "time": {"type": "string", "format": "date-time", "description": "When it happened, with offset."},
        "tenant": {"type": "string", "description": "If given, the tenant of the token."},
        "replaces": _TEXT | {"description": "Id of the event that this one amends; `data` null voids it."},
        "data": {"type": ["object", "null"], "description": "Values that meters read."},
    },
}
"""An event, as the component ``Event`` of the OpenAPI document."""
EVENT_STREAM = """: begun

id: 1700126402118-0.1
event: received
data: {"source":"gateway","id":"req-1042","type":"api.usage","customer":"chat","status":"accepted"}

id: 1700126431400-0.1
event: ingested
data: {"source":"gateway","id":"req-1042","type":"api.usage","customer":"chat","status":"accepted","amends":null}

: heartbeat

event: end
data: {"reason":"time_is_over"}

"""
"""What a stream of events looks like."""
_SCHEMA = {"$ref": "#/components/schemas/Event"}
_LIST = {"type": "array", "items": _SCHEMA, "minItems": 1, "maxItems": 100_000}
_ONE = {"summary": "One event", "value": _EVENT}
_MANY = {"summary": "A list", "value": [_EVENT, _VOIDING]}

FATE: dict[str, Any] = {
    "source": "gateway", "id": "req-1042", "outcome": "billed", "type": "api.usage", "time": "2023-11-16T09:30:00Z",
    "received_at": "2023-11-16T09:30:31.400000Z", "file": "northwind-ai/inbox/17.ndjson", "line": 1, "amends": None,
    "conflicts": [],
    "lines": [{"invoice": "northwind-ai-000002", "status": "finalised", "line": "tokens", "kind": "usage",
               "currency": "USD", "name": "Tokens", "amount": "113.28"}],
}  # fmt: skip
"""What became of an event."""


def events_body() -> dict[str, Any]:
    """The request body of ``POST /v1/events``."""
    lines = '{"specversion":"1.0","id":"req-1042","source":"gateway","type":"api.usage","subject":"chat",'
    lines += '"time":"2023-11-16T09:30:00Z","data":{"context_tokens":1310}}\n'
    return {
        "required": True,
        "description": "One CloudEvent, a list of them, or one on each line. In binary mode the attributes are headers "
        "`ce-id`, `ce-source` and so on, and the body is `data`. Content-Encoding: gzip or zstd. At most 16 MiB "
        "as sent, 64 MiB expanded, 100,000 events, 1 MiB each.",
        "content": {
            "application/cloudevents+json": {"schema": _SCHEMA, "example": _EVENT},
            "application/cloudevents-batch+json": {"schema": _LIST, "example": [_EVENT, _VOIDING]},
            "application/json": {
                "schema": {"oneOf": [_SCHEMA, _LIST]},
                "examples": {"one": _ONE, "many": _MANY},
            },
            "application/x-ndjson": {"schema": {"type": "string"}, "example": lines},
        },
    }
