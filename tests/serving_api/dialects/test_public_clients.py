"""The public clients of other systems, with base address and key changed alone, against a server process."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import stripe
from lago_python_client.client import Client as Lago
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models import BatchEvent, Event
from metronome import Metronome
from openmeter import Client as OpenMeter
from orb import Orb

from tests.support.serving import seed_log
from tests.support.serving_process import running
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.serving_process import Server
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
MOMENT = datetime(2024, 5, 1, 9, 30, tzinfo=UTC)
TIME = "2024-05-01T09:30:00Z"
TOKENS = "12345678901234567890.123456789"
"""Digits that a float cannot hold: clients that take texts must get them through."""


@pytest.fixture(scope="module")
def server(
    module_settings: Settings, keys: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """With a subscription s1 of acme's customer c1."""
    seed_log(module_settings)
    with running(module_settings, keys, tmp_path_factory.mktemp("clients") / "api.log") as started:
        yield started


def _openmeter(address: str, key: str) -> None:
    event = {"specversion": "1.0", "id": "om", "source": "gw", "type": "call", "subject": "c1", "time": TIME}
    OpenMeter(endpoint=f"{address}/compat/openmeter", token=key).events.ingest_event(event | {"data": {"n": TOKENS}})


def _lago_event(identity: str, subscription: str = "s1") -> Event:
    return Event(
        transaction_id=identity, external_subscription_id=subscription, code="call",
        timestamp=int(MOMENT.timestamp()), properties={"n": TOKENS},
    )  # fmt: skip


def _lago(address: str, key: str) -> None:
    events = Lago(api_key=key, api_url=f"{address}/compat/lago/").events
    assert events.create(_lago_event("lago")).transaction_id == "lago"
    events.batch_create(BatchEvent(events=[_lago_event("lago-1"), _lago_event("lago-2")]))


def _stripe(address: str, key: str) -> stripe.StripeClient:
    base = f"{address}/compat/stripe"
    return stripe.StripeClient(key, base_addresses={"api": base, "meter_events": base})


def _meter_event(identity: str, timestamp: Any) -> Any:
    payload = {"stripe_customer_id": "c1", "n": TOKENS}
    return {"event_name": "call", "identifier": identity, "timestamp": timestamp, "payload": payload}


def _stripe_v1(address: str, key: str) -> None:
    made = _stripe(address, key).v1.billing.meter_events.create(_meter_event("v1", int(MOMENT.timestamp())))
    assert made.identifier == "v1"


def _stripe_v2(address: str, key: str) -> None:
    made = _stripe(address, key).v2.billing.meter_events.create(_meter_event("v2", TIME))
    assert made.identifier == "v2"


def _stripe_stream(address: str, key: str) -> None:
    session = _stripe(address, key).v2.billing.meter_event_session.create()
    stream = _stripe(address, session.authentication_token).v2.billing.meter_event_stream
    stream.create({"events": [_meter_event("stream-1", TIME), _meter_event("stream-2", TIME)]})


def _metronome(address: str, key: str) -> None:
    client = Metronome(bearer_token=key, base_url=f"{address}/compat/metronome")
    client.v1.usage.ingest(
        usage=[
            {
                "transaction_id": "me",
                "customer_id": "c1",
                "event_type": "call",
                "timestamp": TIME,
                "properties": {"n": TOKENS},
            }
        ]
    )


def _orb(address: str, key: str) -> None:
    client = Orb(api_key=key, base_url=f"{address}/compat/orb/v1")
    properties = {"n": TOKENS}
    answer = client.events.ingest(
        events=[
            {
                "idempotency_key": "orb",
                "event_name": "call",
                "external_customer_id": "c1",
                "timestamp": MOMENT,
                "properties": properties,
            }
        ]
    )
    assert answer.validation_failed == []


SENDING: dict[str, tuple[Callable[[str, str], None], set[str]]] = {
    "openmeter": (_openmeter, {"om"}),
    "lago": (_lago, {"lago", "lago-1", "lago-2"}),
    "stripe v1": (_stripe_v1, {"v1"}),
    "stripe v2": (_stripe_v2, {"v2"}),
    "stripe stream": (_stripe_stream, {"stream-1", "stream-2"}),
    "metronome": (_metronome, {"me"}),
    "orb": (_orb, {"orb"}),
}
"""Client -> what sends with it, ids of the events that are sent."""


def _stored(settings: Settings) -> list[dict[str, Any]]:
    with connect(settings, "builder") as connection:
        rows = connection.execute(
            "delete from inbox.batch where tenant_id = 'acme' returning body, expanded"
        ).fetchall()
    texts = [pa.decompress(body, expanded, codec="zstd", asbytes=True).decode() for body, expanded in rows]
    return [json.loads(line) for text in texts for line in text.splitlines()]


@pytest.mark.parametrize("client", SENDING)
def test_a_public_client_sends_with_its_base_address_and_key_changed_alone(
    client: str, server: Server, module_settings: Settings
) -> None:
    send, identities = SENDING[client]
    _stored(module_settings)
    send(server.address, server.keys["acme"])
    send(server.address, server.keys["acme"])
    stored = _stored(module_settings)
    # Sent twice, stored as often as sent: ingestion counts each once for its source and id.
    assert sorted(event["id"] for event in stored) == sorted([*identities, *identities])
    for event in stored:
        # Lago names the subscription too.
        assert event["subject"] in ({"c1/s1"} if client == "lago" else {"c1"})
        assert (event["type"], event["data"]["n"]) == ("call", TOKENS)
        assert datetime.fromisoformat(event["time"]) == MOMENT


def test_a_public_client_reads_a_refusal_as_its_own_systems(server: Server, module_settings: Settings) -> None:
    _stored(module_settings)
    with pytest.raises(stripe.AuthenticationError):
        _stripe_v1(server.address, "vv_000000000000_" + "S" * 43)
    with pytest.raises(LagoApiError):
        Lago(api_key=server.keys["acme"], api_url=f"{server.address}/compat/lago/").events.create(
            _lago_event("other", "t1")
        )
    assert _stored(module_settings) == []
