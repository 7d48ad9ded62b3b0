"""What the readers of all dialects share: one event as another system's client sends it, and what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.landing.bodies import MOST_EVENTS
from valueverse.landing.dialects.exact_json import Number, json_text

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES = 4 * 2**20
"""Bytes of a body, sent and expanded: as values its JSON takes some twenty times as much."""
_UNIX = re.compile(r"-?\d{1,15}(?:\.\d{1,18})?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = Decimal(253_402_300_799)
"""The last second that a date can have."""
_SCALARS = (str, bool)


@dataclass(frozen=True)
class EventProblem:
    """What is wrong with one event.

    Attributes:
        number: of the event in its request, from 0.
        key: its idempotency key, where it has one.
        place: the field, as its dialect calls it.
        message: what is wrong, and what would be taken.
    """

    number: int
    key: str | None
    place: str
    message: str


@dataclass(frozen=True)
class Names:
    """What a dialect calls the parts of an event: our attribute -> its field."""

    places: Mapping[str, str]

    def of(self, path: str) -> str:
        """The dialect's name of a place in one of our events."""
        head, dot, rest = path.partition(".")
        return f"{self.places.get(head, head)}{dot}{rest}"


@dataclass
class Translation:
    """The events of a request, and what is wrong with them; with any problem nothing of the request is stored.

    Attributes:
        names: of the dialect.
        texts: our CloudEvents, in the order of the request.
        sent: what an answer repeats of each.
        problems: one of each thing that is wrong.
    """

    names: Names
    texts: list[str] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    problems: list[EventProblem] = field(default_factory=list)

    def add(self, event: Mapping[str, Any], sent: dict[str, Any]) -> None:
        """Take one of our CloudEvents, without ``specversion``, and what an answer repeats of it."""
        self.texts.append(json_text({"specversion": "1.0", **event}))
        self.sent.append(sent)


class Fields:
    """The fields of one event as it was sent; asking for one that is missing or wrong notes a problem."""

    def __init__(self, value: Any, number: int, key: str, translation: Translation) -> None:
        self._found: dict[str, Any] = value if isinstance(value, dict) else {}
        self._number = number
        self._key = key
        self._translation = translation
        if not isinstance(value, dict):
            self.refuse("", "an event is a JSON object")

    def refuse(self, name: str, message: str) -> None:
        """Note a problem."""
        given = self._found.get(self._key)
        key = str(given) if isinstance(given, str) and given else None
        self._translation.problems.append(EventProblem(self._number, key, name, message))

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._found.get(name) is not None

    def text(self, name: str) -> str:
        """A text that must be there; empty after a problem."""
        return self._text(self._found.get(name), name)

    def text_in(self, name: str, member: str) -> str:
        """A text in an object, both of which must be there; empty after a problem."""
        return self._text(self.members(name).get(member), f"{name}.{member}")

    def _text(self, value: Any, place: str) -> str:
        if isinstance(value, str) and not isinstance(value, Number) and value:
            return value
        self.refuse(place, "is required" if value is None or value == "" else "must be a text")
        return ""

    def optional(self, name: str) -> str | None:
        """A text, or None where there is none."""
        return self.text(name) if self.has(name) else None

    def event_type(self, name: str) -> str:
        """The name of the event. Those that begin with ``billing.`` are refused: usage comes in this way, no more."""
        value = self.text(name)
        if value.startswith("billing."):
            self.refuse(name, "names that begin with 'billing.' are reserved: send such events to /v1/events")
        return value

    def members(self, name: str) -> dict[str, Any]:
        """An object, empty where there is none."""
        value = self._found.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.refuse(name, "must be a JSON object")
            return {}
        return value

    def flat(self, name: str) -> dict[str, Any]:
        """An object of texts, numbers and booleans."""
        found = self.members(name)
        for member, value in found.items():
            if value is not None and not isinstance(value, _SCALARS):
                self.refuse(f"{name}.{member[:60]}", "must be a text, a number or a boolean")
        return found

    def unix(self, name: str, moment: datetime) -> str:
        """Seconds since 1970 as RFC 3339, a number or a text; a time as text stays; ``moment`` where there is none."""
        value = self._found.get(name)
        if value is None:
            return utc_text(moment)
        if not isinstance(value, str):
            self.refuse(name, "must be seconds since 1970, or a time such as 2024-01-31T09:30:00Z")
            return ""
        if not _UNIX.fullmatch(value):
            return str(value)
        seconds = Decimal(value)
        if not 0 <= seconds <= _LAST:
            self.refuse(name, "must be seconds since 1970")
            return ""
        micros = int(seconds * 1_000_000)
        return utc_text(_EPOCH + timedelta(microseconds=micros))


def listed(value: Any, name: str = "") -> list[Any]:
    """The events of a body: a list, or the member ``name`` of an object.

    Raises:
        RefusalError: ``malformed_body``; ``too_many_events``.
    """
    found = value.get(name) if name and isinstance(value, dict) else value
    if not isinstance(found, list) or not found:
        what = f'an object with a list "{name}" of at least one event' if name else "a list of at least one event"
        raise RefusalError("malformed_body", f"the body must be {what}", name or "body")
    if len(found) > MOST_EVENTS:
        raise RefusalError("too_many_events", f"the body holds more than {MOST_EVENTS} events", name or "body")
    return found
