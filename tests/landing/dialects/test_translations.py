"""Bodies of other systems' clients become CloudEvents, with every digit, or problems that name the place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from valueverse.errors import RefusalError
from valueverse.landing import dialects

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from valueverse.landing.dialects import Translation

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
NOON = "2024-05-01T12:00:00Z"
TIME = "2024-04-30T09:30:00.250Z"


def owners(subscriptions: Collection[str]) -> dict[str, str]:
    return {one: "c-1" for one in subscriptions if one != "unknown"}


DIALECTS: dict[str, Callable[[bytes, datetime], Translation]] = {
    "openmeter": dialects.openmeter_events,
    "lago": partial(dialects.lago_event, owners=owners),
    "lago batch": partial(dialects.lago_batch, owners=owners),
    "metronome": dialects.metronome_events,
    "orb": dialects.orb_events,
    "stripe v1": partial(dialects.stripe_form, key="key-1"),
    "stripe v2": partial(dialects.stripe_event, key="key-1"),
    "stripe stream": partial(dialects.stripe_stream, key="key-1"),
    "stripe v1 adjustment": dialects.stripe_form_adjustment,
    "stripe v2 adjustment": dialects.stripe_adjustment,
}


def translated(dialect: str, body: Any) -> Translation:
    """Of a form where the dialect takes forms; else of JSON."""
    form = dialect.startswith("stripe v1") and isinstance(body, dict | list)
    text = urlencode(body) if form else body if isinstance(body, str) else json.dumps(body)
    return DIALECTS[dialect](text.encode(), NOW)


DATA = {"n": 3, "region": "süd"}
CLOUD = {"specversion": "1.0", "id": "e-1", "source": "gw", "type": "call", "subject": "c-1"}
LAGO = {"transaction_id": "e-1", "external_subscription_id": "s-1", "code": "call", "properties": DATA}
METRONOME = {"transaction_id": "e-1", "customer_id": "c-1", "event_type": "call", "timestamp": TIME, "properties": DATA}
ORB = {"idempotency_key": "e-1", "external_customer_id": "c-1", "event_name": "call", "timestamp": TIME,
       "properties": DATA}  # fmt: skip
PAYLOAD = {"stripe_customer_id": "c-1", "value": "3"}
STRIPE = {"event_name": "call", "identifier": "e-1", "timestamp": TIME, "payload": PAYLOAD}
FORM = {"event_name": "call", "identifier": "e-1", "timestamp": "1714469400", "payload[value]": "3",
        "payload[stripe_customer_id]": "c-1"}  # fmt: skip
CANCEL = {"type": "cancel", "event_name": "call", "cancel": {"identifier": "e-1"}}
VOID = {"id": "e-1/cancel", "source": "stripe", "time": NOON, "replaces": "e-1", "data": None, "subject": None}
TRANSLATED: dict[str, tuple[str, Any, list[dict[str, Any]]]] = {
    "a CloudEvent": ("openmeter", CLOUD | {"time": TIME, "data": DATA}, [{"source": "gw"}]),
    "CloudEvents without time and data": (
        "openmeter",
        [CLOUD, CLOUD | {"id": "e-2", "time": None, "data": None, "replaces": "e-1", "tenant": "acme"}],
        [
            {"source": "gw", "time": NOON, "data": {}},
            {"id": "e-2", "source": "gw", "time": NOON, "data": {}, "replaces": "e-1", "tenant": "acme"},
        ],
    ),
    "of a subscription, without time and properties": (
        "lago",
        {"event": {name: value for name, value in LAGO.items() if name != "properties"}},
        [{"source": "lago/s-1", "subject": "c-1/s-1", "time": NOON, "data": {}}],
    ),
    "of a subscription, by the second": (
        "lago batch",
        {
            "events": [
                LAGO | {"timestamp": 1714469400},
                LAGO | {"timestamp": "1714469400.1234567"},
                LAGO | {"timestamp": TIME, "precise_total_amount_cents": "12.345"},
            ]
        },
        [
            {"source": "lago/s-1", "subject": "c-1/s-1", "time": "2024-04-30T09:30:00Z"},
            {"source": "lago/s-1", "subject": "c-1/s-1", "time": "2024-04-30T09:30:00.123456Z"},
            {"source": "lago/s-1", "subject": "c-1/s-1", "data": {"precise_total_amount_cents": "12.345", **DATA}},
        ],
    ),
    "of Metronome": ("metronome", [METRONOME], [{"source": "metronome"}]),
    "of Orb": (
        "orb",
        {"events": [ORB, ORB | {"timestamp": "2024-04-30T09:30:00", "external_customer_id": None, "customer_id": "o"}]},
        [{"source": "orb"}, {"source": "orb", "time": "2024-04-30T09:30:00Z", "subject": "o"}],
    ),
    "a form": (
        "stripe v1",
        FORM | {"expand[0]": "x"},
        [{"source": "stripe", "time": "2024-04-30T09:30:00Z", "data": {"value": "3"}}],
    ),
    "a form without identifier and time": (
        "stripe v1",
        {name: value for name, value in FORM.items() if name not in {"identifier", "timestamp"}},
        [{"id": "key-1", "source": "stripe", "time": NOON, "data": {"value": "3"}}],
    ),
    "a meter event": ("stripe v2", STRIPE, [{"source": "stripe", "data": {"value": "3"}}]),
    "a stream": (
        "stripe stream",
        {"events": [STRIPE, {name: value for name, value in STRIPE.items() if name != "identifier"}]},
        [{"source": "stripe", "data": {"value": "3"}}, {"id": "key-1/1", "source": "stripe", "data": {"value": "3"}}],
    ),
    "a cancelled form": (
        "stripe v1 adjustment",
        {"type": "cancel", "event_name": "call", "cancel[identifier]": "e-1"},
        [VOID],
    ),
    "a cancelled event": ("stripe v2 adjustment", CANCEL, [VOID]),
}


@pytest.mark.parametrize("case", TRANSLATED)
def test_an_event_of_another_system_becomes_ours(case: str) -> None:
    dialect, body, expected = TRANSLATED[case]
    found = translated(dialect, body)
    assert found.problems == []
    usual = {"specversion": "1.0", "id": "e-1", "type": "call", "subject": "c-1", "time": TIME, "data": DATA}
    whole = [usual | {name: value for name, value in one.items() if value is not None} for one in expected]
    for event, one in zip(whole, expected, strict=True):
        for name in [name for name, value in one.items() if value is None]:
            if name == "data":
                event[name] = None
            else:
                del event[name]
    assert [json.loads(text) for text in found.texts] == whole
    assert len(found.sent) == len(found.texts)


def test_numbers_keep_their_digits_and_texts_their_letters() -> None:
    data = '{"n":1.10,"large":12345678901234567890.000000001,"e":1E+2,"deep":[{"m":-0.0}],"text":"süd 1.10","on":true}'
    body = json.dumps(METRONOME | {"properties": "HERE"}).replace('"HERE"', data)
    [text] = translated("metronome", f"[{body}]").texts
    assert text.endswith(f'"data":{data}}}')


WRONG: dict[str, tuple[str, Any, list[tuple[int, str | None, str]]]] = {
    "no object": ("openmeter", [CLOUD, 5], [(1, None, ""), *[(1, None, name) for name in CLOUD]]),
    "another version": ("openmeter", CLOUD | {"specversion": "0.3"}, [(0, "e-1", "specversion")]),
    "numbers for texts": ("metronome", [METRONOME | {"customer_id": 7}], [(0, "e-1", "customer_id")]),
    "data that is no object": ("metronome", [METRONOME | {"properties": [1]}], [(0, "e-1", "properties")]),
    "properties in properties": (
        "lago batch",
        {"events": [LAGO, LAGO | {"properties": {"a": {"b": 1}}}]},
        [(1, "e-1", "properties.a")],
    ),
    "a subscription that nobody has": (
        "lago",
        {"event": LAGO | {"external_subscription_id": "unknown"}},
        [(0, "e-1", "external_subscription_id")],
    ),
    "a time that is none": ("lago", {"event": LAGO | {"timestamp": True}}, [(0, "e-1", "timestamp")]),
    "a time without end": ("lago", {"event": LAGO | {"timestamp": 10**14}}, [(0, "e-1", "timestamp")]),
    "two customers": ("orb", {"events": [ORB | {"customer_id": "o"}]}, [(0, "e-1", "external_customer_id")]),
    "no customer": ("stripe v2", STRIPE | {"payload": {"value": "3"}}, [(0, "e-1", "payload.stripe_customer_id")]),
    "no name": ("stripe v1", {"payload[stripe_customer_id]": "c-1"}, [(0, None, "event_name")]),
    "another adjustment": ("stripe v2 adjustment", CANCEL | {"type": "all"}, [(0, None, "type")]),
    "nothing to cancel": ("stripe v2 adjustment", CANCEL | {"cancel": None}, [(0, None, "cancel.identifier")]),
    "a billing event": ("metronome", [METRONOME | {"event_type": "billing.x"}], [(0, "e-1", "event_type")]),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_an_event_names_its_place(case: str) -> None:
    dialect, body, expected = WRONG[case]
    found = translated(dialect, body)
    assert {(one.number, one.key, one.place) for one in found.problems} == set(expected)
    assert all(one.message for one in found.problems)


UNREADABLE: dict[str, tuple[str, Any, str]] = {
    "no JSON": ("openmeter", "{", "body"),
    "a number that is none": ("openmeter", '{"a": NaN}', "body"),
    "a member twice": ("openmeter", '{"id": "a", "id": "b"}', "body"),
    "half a letter": ("metronome", json.dumps([METRONOME | {"transaction_id": "\ud800"}]), "body"),
    "nested without end": ("orb", "[" * 100_000, "body"),
    "no list": ("metronome", METRONOME, "body"),
    "an empty list": ("lago batch", {"events": []}, "events"),
    "no event": ("lago", LAGO, "event"),
    "too many for a stream": ("stripe stream", {"events": [STRIPE] * 101}, "events"),
    "a parameter that there is not": ("stripe v1", FORM | {"amount": "1"}, "amount"),
    "a parameter twice": ("stripe v1", [*FORM.items(), ("event_name", "other")], "event_name"),
    "a text and an object": ("stripe v1", {"payload": "x", "payload[value]": "1"}, "payload[value]"),
    "no form": ("stripe v1", "\ufffd".join("=&"), "body"),
    "a form without end": ("stripe v1", "&".join(["payload[a]=1"] * 1_001), "body"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_body_that_holds_no_events_of_the_dialect_is_refused(case: str) -> None:
    dialect, body, path = UNREADABLE[case]
    with pytest.raises(RefusalError) as refused:
        translated(dialect, body)
    assert refused.value.path == path
    assert refused.value.code in {"malformed_body", "too_many_events"}
