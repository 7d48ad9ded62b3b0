"""The public clients of other systems, with base address and key changed alone, against a server process."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pyarrow as pa
import pytest
import stripe
from corehttp.exceptions import ResourceNotFoundError
from lago_agent_sdk import CanonicalUsage, LagoSDK
from lago_python_client.client import Client as Lago
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models import BatchEvent, Event
from metronome import Metronome
from openmeter import Client as OpenMeter
from orb import Orb

from tests.support.metered_world import LARGE, metered_world, month_begins
from tests.support.serving import bearer
from tests.support.serving_process import running
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.serving_process import Server
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
MOMENT = datetime(2024, 5, 1, 9, 30, tzinfo=UTC)
TIME = "2024-05-01T09:30:00Z"


@pytest.fixture(scope="module")
def server(
    module_settings: Settings, keys: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Over ``metered_world``."""
    metered_world(module_settings)
    with running(module_settings, keys, tmp_path_factory.mktemp("clients") / "api.log") as started:
        yield started


def _openmeter(address: str, key: str) -> None:
    event = {"specversion": "1.0", "id": "om", "source": "gw", "type": "call", "subject": "c1", "time": TIME}
    OpenMeter(endpoint=f"{address}/compat/openmeter", token=key).events.ingest_event(event | {"data": {"n": LARGE}})


def _lago_event(identity: str, subscription: str = "s1") -> Event:
    return Event(
        transaction_id=identity, external_subscription_id=subscription, code="call",
        timestamp=int(MOMENT.timestamp()), properties={"n": LARGE},
    )  # fmt: skip


def _lago(address: str, key: str) -> None:
    events = Lago(api_key=key, api_url=f"{address}/compat/lago/").events
    assert events.create(_lago_event("lago")).transaction_id == "lago"
    events.batch_create(BatchEvent(events=[_lago_event("lago-1"), _lago_event("lago-2")]))


def _stripe(address: str, key: str) -> stripe.StripeClient:
    base = f"{address}/compat/stripe"
    return stripe.StripeClient(key, base_addresses={"api": base, "meter_events": base})


def _meter_event(identity: str, timestamp: Any) -> Any:
    payload = {"stripe_customer_id": "c1", "n": LARGE}
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
                "properties": {"n": LARGE},
            }
        ]
    )


def _orb(address: str, key: str) -> None:
    client = Orb(api_key=key, base_url=f"{address}/compat/orb/v1")
    properties = {"n": LARGE}
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
        assert (event["type"], event["data"]["n"]) == ("call", LARGE)
        assert datetime.fromisoformat(event["time"]) == MOMENT


def test_the_agent_of_lago_sends_what_a_model_used_with_its_address_and_key_changed_alone(
    server: Server, module_settings: Settings
) -> None:
    _stored(module_settings)
    address, refused = f"{server.address}/compat/lago/api/v1", []
    sdk = LagoSDK(server.keys["acme"], api_url=address, default_subscription_id="s1")
    sdk.config.on_error = lambda error, where: refused.append((error, where))
    for _ in range(2):
        usage = CanonicalUsage(input=1200, output=80, cache_read=7, model="gpt-large", provider="openai")
        sdk.emit(usage, event_id="call-1", timestamp=MOMENT, dimensions={"team": "search"})
    assert sdk.flush(timeout=30)
    sdk.shutdown()
    assert refused == []
    stored = _stored(module_settings)
    assert {(one["id"], one["source"]) for one in stored} == {
        (f"call-1_tok_{name}", "lago/s1") for name in ("input", "output", "cache_read")
    }
    found = {one["type"]: one for one in stored}
    assert {code: one["data"]["value"] for code, one in found.items()} == {
        "llm_input_tokens": "1200",
        "llm_output_tokens": "80",
        "llm_cached_input_tokens": "7",
    }
    one = found["llm_input_tokens"]
    assert (one["subject"], one["data"]["model"], one["data"]["team"]) == ("c1/s1", "gpt-large", "search")
    assert datetime.fromisoformat(one["time"]) == MOMENT


def test_openmeters_client_reads_meters_and_what_they_come_to(server: Server) -> None:
    meters = OpenMeter(endpoint=f"{server.address}/compat/openmeter", token=server.keys["acme"]).meters
    assert [one.slug for one in meters.list()] == ["calls_of_acme", "tokens", "users"]
    assert (meters.get("tokens").aggregation, meters.get("tokens").event_type) == ("SUM", "call")
    begins, ends = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)
    found = meters.query_json(
        "tokens",
        from_parameter=begins,
        to=ends,
        window_size="DAY",
        window_time_zone="Europe/Berlin",
        subject=["c1"],
        filter_group_by={"at.zone": "z"},
        group_by=["model"],
    )
    assert [(row.subject, row.group_by["model"], row.value) for row in found.data] == [("c1", "a", 1), ("c1", "b", 2.5)]
    assert (found.from_property, found.window_size) == (begins, "DAY")
    assert {row.window_start for row in found.data} == {datetime(2024, 3, 30, 23, tzinfo=UTC)}
    asked = {"from": begins, "to": ends, "groupBy": ["subject"], "filterGroupBy": {"model": ["a"]}}
    posted = meters.query("tokens", asked)
    assert [(row.subject, row.value) for row in posted.data] == [("c1", 1), ("c2", 4)]
    with pytest.raises(ResourceNotFoundError):
        meters.get("calls_of_birch")


def test_lagos_client_reads_what_a_subscription_has_used_so_far(server: Server) -> None:
    # Lago's client waits five seconds at most, and the first question of a process loads what it is answered with.
    first = f"{server.address}/compat/lago/api/v1/customers/c1/current_usage?external_subscription_id=s1"
    assert httpx.get(first, headers=bearer(server.keys["acme"]), timeout=60).status_code == 200
    customers = Lago(api_key=server.keys["acme"], api_url=f"{server.address}/compat/lago/").customers
    usage = customers.current_usage("c1", "s1")
    assert datetime.fromisoformat(usage.from_datetime) == month_begins()
    assert (usage.currency, usage.amount_cents, usage.total_amount_cents) == ("EUR", 1700, 2040)
    tokens = usage.charges_usage[0]
    assert (tokens.units, tokens.amount_cents, tokens.billable_metric.code) == ("210", 1600, "call")
    assert [one.amount_cents for one in tokens.grouped_usage] == [1500, 100]
    with pytest.raises(LagoApiError) as refused:
        customers.current_usage("b1", "t1")
    assert refused.value.status_code == 404


def test_a_public_client_reads_a_refusal_as_its_own_systems(server: Server, module_settings: Settings) -> None:
    _stored(module_settings)
    with pytest.raises(stripe.AuthenticationError):
        _stripe_v1(server.address, "vv_000000000000_" + "S" * 43)
    with pytest.raises(LagoApiError):
        Lago(api_key=server.keys["acme"], api_url=f"{server.address}/compat/lago/").events.create(
            _lago_event("other", "t1")
        )
    assert _stored(module_settings) == []
