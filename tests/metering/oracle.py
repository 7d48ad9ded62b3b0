"""Metering done slowly, one event after the other, straight from the rules: what the vectorised engine
must equal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from zoneinfo import ZoneInfo

EIGHTEEN = Decimal(1).scaleb(-18)


@dataclass(frozen=True)
class Event:
    time: datetime
    id: str
    value: Decimal = Decimal(0)
    text: str = ""
    operation: str = "add"


@dataclass(frozen=True)
class Window:
    start: datetime
    end: datetime
    full_start: datetime
    full_end: datetime
    zone: str = "UTC"

    def day(self, instant: datetime) -> int:
        return instant.astimezone(ZoneInfo(self.zone)).toordinal()

    @property
    def last_day(self) -> int:
        return self.day(self.end - timedelta(microseconds=1))

    @property
    def full_days(self) -> int:
        return self.day(self.full_end - timedelta(microseconds=1)) - self.day(self.full_start) + 1


def ratio(numerator: Decimal, denominator: int | Decimal) -> Decimal:
    with localcontext(prec=80):
        return (numerator / denominator).quantize(EIGHTEEN, rounding=ROUND_HALF_UP)


def seen(events: list[Event], window: Window, carry_over: bool) -> list[Event]:
    ordered = sorted(events, key=lambda event: (event.time, event.id))
    return [event for event in ordered if event.time < window.end and (carry_over or event.time >= window.start)]


def weighted_sum(events: list[Event], window: Window, carry_over: bool) -> Decimal:
    """Walk along the changes of the level and add up level x seconds."""
    level, at, area = Decimal(0), window.start, Decimal(0)
    for event in seen(events, window, carry_over):
        if event.time > at:
            area += level * seconds(event.time - at)
            at = event.time
        level += event.value
    area += level * seconds(window.end - at)
    return ratio(area, seconds(window.full_end - window.full_start))


def seconds(duration: timedelta) -> Decimal:
    return Decimal(duration // timedelta(microseconds=1)) / 1_000_000


def unique_count(events: list[Event], window: Window, carry_over: bool) -> Decimal:
    members: set[str] = set()
    for event in seen(events, window, carry_over):
        (members.add if event.operation == "add" else members.discard)(event.text)
    return Decimal(len(members))


def prorated_unique_count(events: list[Event], window: Window, carry_over: bool) -> Decimal:
    """The set of days on which each member was present, both ends of each stay included."""
    present: dict[str, datetime] = {}
    days: set[tuple[str, int]] = set()

    def stay(member: str, start: datetime, last: int) -> None:
        first = window.day(max(start, window.start))
        days.update((member, day) for day in range(first, last + 1))

    for event in seen(events, window, carry_over):
        if event.operation == "add":
            present.setdefault(event.text, event.time)
        elif event.text in present:
            start = present.pop(event.text)
            if event.time >= window.start:
                stay(event.text, start, window.day(event.time))
    for member, start in present.items():
        stay(member, start, window.last_day)
    return ratio(Decimal(len(days)), window.full_days)


def prorated_sum(events: list[Event], window: Window, carry_over: bool) -> Decimal:
    total = Decimal(0)
    for event in seen(events, window, carry_over):
        first = window.day(max(event.time, window.start))
        total += event.value * (window.last_day - first + 1)
    return ratio(total, window.full_days)


def latest(events: list[Event], window: Window, carry_over: bool) -> Decimal | None:
    found = seen(events, window, carry_over)
    return found[-1].value if found else None


START = datetime(2026, 3, 1, tzinfo=UTC)
