"""Hostile input of the tenant ``evil``, seeded: events and catalogs, each with the reasons that may answer it.

``events`` gives lines of NDJSON, ``catalogs`` events that publish a catalog; files are made by ``hostile_files``. Every
item is a ``Hostile``: what it attacks with (``kind``), the bytes, and the outcomes that are right for it: reasons of
quarantine, or ``accepted`` (what the event alone shows is fine; what a later step makes of it is a reason of that
step's). The same seed gives the same items.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from tests.support.hostile_values import ACCEPTED, ANY, BILLING, CATALOG, DURATIONS, NUMBERS, TEXTS, TIMES, Hostile

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Raw(str):
    """JSON text to be put into a document as it stands."""

    __slots__ = ()


def dumps(value: Any) -> str:
    """JSON with whatever stands in it: raw numbers, and texts that hold half a surrogate pair or NUL as escapes."""
    if isinstance(value, _Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dumps, value)) + "]"
    return json.dumps(value)


def _numbered(value: Any, number: int) -> Any:
    if isinstance(value, dict):
        return {key: _numbered(item, number) for key, item in value.items()}
    return value.replace("{n}", str(number)) if isinstance(value, str) else value


def _scalar(rng: random.Random) -> Any:
    pick = rng.randrange(5)
    if pick == 0:
        return _Raw(rng.choice(NUMBERS))
    if pick == 1:
        return rng.choice([*TIMES, *DURATIONS])
    if pick == 2:
        return rng.choice([None, True, [], {}, [[]], {"a": {"b": []}}, "\ud800", ["\udfff"], 0, -1, 10**11, {"": ""}])
    return rng.choice(TEXTS)


def _leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _leaves(item, (*place, key))


def _put(value: Any, place: tuple[Any, ...], item: Any) -> Any:
    """A copy of the document with ``item`` at a place."""
    if not place:
        return item
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = _put(value[place[0]], place[1:], item)
    return copy


def usage(number: int, **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"evil-{number}",
        "source": "office",
        "type": "call",
        "subject": f"c-{number % 50}",
        "time": f"2024-01-{number % 28 + 1:02d}T00:00:00Z",
        "data": {"n": "3", "model": "m", "user": "u"},
    } | more


def _attribute(rng: random.Random, number: int) -> Hostile:
    name = rng.choice(["specversion", "id", "source", "type", "subject", "time", "tenant", "replaces", "data"])
    value = rng.choice(TIMES) if name == "time" and rng.random() < 0.6 else _scalar(rng)
    return Hostile(f"{name} = {str(value)[:30]!r}", dumps(usage(number) | {name: value}).encode(), ANY)


def _usage(rng: random.Random, number: int) -> Hostile:
    name = rng.choice(["n", "model", "user", "other", "", "n" * 300])
    value: Any = _scalar(rng)
    for _ in range(rng.choice([0, 0, 1, 99, 120])):
        value = [value]
    return Hostile(
        f"data.{name[:9]} = {str(value)[:30]!r}", dumps(usage(number, data={"n": "1", name: value})).encode(), ANY
    )


def _billing(rng: random.Random, number: int) -> Hostile:
    kind = rng.choice(sorted(BILLING))
    data = _numbered(BILLING[kind], number % 50)
    place = rng.choice(list(_leaves(data)))
    value = _scalar(rng)
    if rng.random() < 0.1:
        data = _put(data, place, data) if rng.random() < 0.5 else {**data, "unknown": value}
    else:
        data = _put(data, place, value)
    content = dumps(usage(number, type=f"billing.{kind}", data=data)).encode()
    return Hostile(f"{kind} {place} = {str(value)[:30]!r}", content, ANY)


def _right_billing(rng: random.Random, number: int) -> Hostile:
    """Nothing is wrong with it alone: much of it together is a state that nobody has planned."""
    kind = rng.choice(sorted(BILLING))
    time = rng.choice(
        [
            "1970-01-01T00:00:00Z",
            "2024-01-01T00:00:00Z",
            "2023-12-31T23:59:59.999999Z",
            "2200-01-01T00:00:00Z",
            f"2024-01-{number % 28 + 1:02d}T12:00:00+14:00",
        ]
    )
    data = _numbered(BILLING[kind], number % 50)
    return Hostile(
        f"{kind} at {time}", dumps(usage(number, type=f"billing.{kind}", time=time, data=data)).encode(), ANY
    )


def _broken(rng: random.Random, number: int) -> Hostile:
    whole = dumps(usage(number))
    malformed = frozenset({"malformed"})
    items = [
        ("cut", whole[: rng.randrange(1, len(whole))].encode(), malformed),
        ("a key twice", whole.replace('"id":', '"id":"other","id":', 1).encode(), malformed),
        ("a key twice in data", whole.replace('"n":', '"n":1,"\\u006e":', 1).encode(), malformed),
        ("two objects", (whole + whole).encode(), malformed),
        ("a list", f"[{whole}]".encode(), malformed),
        ("a scalar", rng.choice([b"5", b"null", b'"text"', b"true", b"-", b"{", b"}", b"\\"]), malformed),
        ("deep", (whole[:-1] + ',"deep":' + "[" * 5_000 + "]" * 5_000 + "}").encode(), malformed),
        ("deeper", b"[" * 100_000, malformed),
        ("no UTF-8", whole.encode().replace(b"office", b"off\xff\xfeice"), malformed),
        ("an encoded surrogate", whole.encode().replace(b"office", b"\xed\xa0\x80"), malformed),
        ("UTF-16", whole.encode("utf-16-le").replace(b"\n", b" "), malformed),
        ("a raw control character", whole.replace("office", "off\x01ice").encode(), malformed),
        ("NUL", whole.replace("office", "off\x00ice").encode(), malformed),
        ("an escaped NUL", whole.replace("office", "off\\u0000ice").encode(), malformed),
        ("half a surrogate pair", whole.replace("office", "off\\ud800ice").encode(), malformed),
        ("a comment", (whole + " // yes").encode(), malformed),
        ("single quotes", whole.replace('"', "'").encode(), malformed),
        ("a byte order mark inside", b"\xef\xbb\xbf" + whole.encode(), ANY),
        ("another tenant", dumps(usage(number, tenant="good")).encode(), frozenset({"unknown_tenant"})),
        ("the far future", dumps(usage(number, time="2190-01-01T00:00:00Z")).encode(), frozenset({"too_far_future"})),
        (
            "the id of another",
            dumps(usage(number, id="evil-1", data={"n": number})).encode(),
            frozenset({"conflict", ACCEPTED, "malformed"}),
        ),
        ("a chain of amendments", dumps(usage(number, replaces=f"evil-{number - 1}")).encode(), ANY),
        ("a ring of amendments", dumps(usage(number, replaces=f"evil-{number + 1}")).encode(), ANY),
    ]
    if number % 400 == 0:
        items = [
            ("over a mebibyte", dumps(usage(number, data={"n": 1, "t": "x" * 2**20})).encode(), frozenset({"too_long"}))
        ]
    kind, content, reasons = rng.choice(items)
    return Hostile(kind, content, reasons)


def events(count: int, seed: int = 1) -> Iterator[Hostile]:
    """Hostile lines of NDJSON of the tenant ``evil``, which sells CATALOG; no line holds a line end."""
    rng = random.Random(seed)
    makers = [_attribute, _usage, _billing, _billing, _right_billing, _broken]
    for number in range(count):
        yield rng.choice(makers)(rng, number)


def catalogs(count: int, seed: int = 1) -> Iterator[Hostile]:
    """Hostile documents of ``billing.catalog.published``: CATALOG with one part of it replaced."""
    rng = random.Random(seed)
    places = list(_leaves(CATALOG))
    large: list[tuple[str, Any]] = [
        ("many tiers", [{"up_to": str(n + 1), "unit": "1"} for n in range(10_001)] + [{"up_to": None, "unit": "1"}]),
        ("a deep formula", "(" * 5_000 + "n" + ")" * 5_000),
        ("a long formula", "+".join(["n"] * 3_000)),
        ("a costly formula", "n^16^16^16"),
        ("deep nesting", _Raw("[" * 5_000 + "]" * 5_000)),
        ("many keys", {f"k{n}": 1 for n in range(10_001)}),
    ]
    for number in range(count):
        place = rng.choice(places)
        kind, value = rng.choice(large) if rng.random() < 0.1 else ("", _scalar(rng))
        data = {
            "type": "billing.catalog.published",
            "time": "2024-01-10T00:00:00Z",
            "data": _put(CATALOG, place, value),
        }
        content = dumps(usage(10**6 + number) | data).encode()
        yield Hostile(f"catalog {place} = {kind or str(value)[:30]!r}", content, ANY)
