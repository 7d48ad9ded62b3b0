"""Events as other systems' clients send them: stored as those of ``POST /v1/events``, answered as their systems do."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pyarrow as pa
import pytest

from serving_api.answer_headers import SECURITY_HEADERS
from tests.support.billing_rows import secret_of
from tests.support.serving import Api, assert_problem, bearer, seed_log
from valueverse.landing.dialects import MOST_BYTES
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    import psycopg

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
TIME = "2024-05-01T09:30:00Z"
NO_TIME = "'noon' is not an RFC 3339 time with offset like 2024-01-31T09:30:00Z"
FORMS = "application/x-www-form-urlencoded"
CLOUD = {"specversion": "1.0", "id": "e-1", "source": "gw", "type": "call", "subject": "c1", "time": TIME}
LAGO = {"transaction_id": "e-1", "external_subscription_id": "s1", "code": "call", "timestamp": 1714555800,
        "properties": {"n": 1}}  # fmt: skip
METRONOME = {"transaction_id": "e-1", "customer_id": "c1", "event_type": "call", "timestamp": TIME}
ORB = {"idempotency_key": "e-1", "external_customer_id": "c1", "event_name": "call", "timestamp": TIME,
       "properties": {}}  # fmt: skip
STRIPE = {"event_name": "call", "identifier": "e-1", "timestamp": TIME,
          "payload": {"stripe_customer_id": "c1", "value": "3"}}  # fmt: skip
FORM = {"event_name": "call", "identifier": "e-1", "timestamp": "1714555800", "payload[value]": "3",
        "payload[stripe_customer_id]": "c1"}  # fmt: skip
PATHS: dict[str, Any] = {
    "openmeter/api/v1/events": CLOUD,
    "lago/api/v1/events": {"event": LAGO},
    "lago/api/v1/events/batch": {"events": [LAGO]},
    "metronome/v1/ingest": [METRONOME],
    "orb/v1/ingest": {"events": [ORB]},
    "stripe/v1/billing/meter_events": FORM,
    "stripe/v1/billing/meter_event_adjustments": {
        "type": "cancel", "event_name": "call", "cancel[identifier]": "e-1",
    },
    "stripe/v2/billing/meter_events": STRIPE,
    "stripe/v2/billing/meter_event_adjustments": {
        "type": "cancel", "event_name": "call", "cancel": {"identifier": "e-1"},
    },
    "stripe/v2/billing/meter_event_stream": {"events": [STRIPE]},
}  # fmt: skip


@pytest.fixture(scope="module")
def keys(keys: dict[str, str], module_settings: Settings) -> dict[str, str]:
    """Of tenants with a subscription: s1 of acme's customer c1, t1 of birch's b1."""
    seed_log(module_settings)
    return keys


@pytest.fixture
def inbox(module_settings: Settings, keys: dict[str, str]) -> Iterator[psycopg.Connection[Any]]:
    """The builder's connection to an empty inbox."""
    with connect(module_settings, "builder", autocommit=True) as connection:
        connection.execute("delete from inbox.batch")
        yield connection


def stored(inbox: psycopg.Connection[Any], tenant: str = "acme") -> list[dict[str, Any]]:
    """The events that wait of a tenant."""
    rows = inbox.execute("select body from inbox.batch where tenant_id = %s order by batch_id", [tenant]).fetchall()
    whole = b"".join(pa.CompressedInputStream(pa.BufferReader(body), "zstd").read() for (body,) in rows)
    return [json.loads(line) for line in whole.decode().splitlines()]


async def send(
    api: Api, path: str, content: Any, tenant: str = "acme", headers: dict[str, str] | None = None, prefix: str = ""
) -> httpx.Response:
    """POST by the tenant's API key, a form where the route takes forms; ``prefix``: instead of the dialect's own."""
    form = "/v1/billing/" in path and isinstance(content, dict)
    body = urlencode(content) if form else content if isinstance(content, bytes | str) else json.dumps(content)
    kind = FORMS if "/v1/billing/" in path else "application/json"
    named = bearer(api.keys[tenant]) | {"content-type": kind} | (headers or {})
    address = f"{prefix}{path.partition('/')[2]}" if prefix else f"/compat/{path}"
    return await api.client.post(address, content=body, headers=named)


async def test_an_event_is_stored_before_the_answer_that_its_client_reads(
    api: Api, inbox: psycopg.Connection[Any]
) -> None:
    for number, (path, content) in enumerate(PATHS.items(), start=1):
        answer = await send(api, path, content)
        assert answer.status_code == (204 if path.startswith("openmeter") else 200), answer.text
        events, dialect = stored(inbox), path.partition("/")[0]
        assert len(events) == number
        assert events[-1]["type"] == "call"
        assert events[-1]["source"] == {"openmeter": "gw", "lago": "lago/s1"}.get(dialect, dialect)
        assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
        assert "RateLimit-Remaining" in answer.headers


async def test_the_answers_repeat_what_the_clients_look_for(api: Api, inbox: psycopg.Connection[Any]) -> None:
    one = (await send(api, "lago/api/v1/events", {"event": LAGO})).json()["event"]
    [other] = (await send(api, "lago/api/v1/events/batch", {"events": [LAGO]})).json()["events"]
    assert one["lago_id"] == other["lago_id"]
    assert {name: one[name] for name in LAGO} == LAGO | {"timestamp": TIME}
    form = (await send(api, "stripe/v1/billing/meter_events", FORM)).json()
    assert (form["object"], form["identifier"], form["timestamp"]) == ("billing.meter_event", "e-1", 1714555800)
    assert form["payload"] == STRIPE["payload"]
    json_event = (await send(api, "stripe/v2/billing/meter_events", STRIPE)).json()
    assert json_event["object"] == "v2.billing.meter_event"
    assert {name: json_event[name] for name in STRIPE} == STRIPE
    assert (await send(api, "orb/v1/ingest", {"events": [ORB]})).json() == {"validation_failed": []}
    assert (await send(api, "metronome/v1/ingest", [METRONOME])).content == b""


async def test_stripes_routes_are_at_the_root_too_for_clients_that_take_a_host_alone(
    api: Api, inbox: psycopg.Connection[Any]
) -> None:
    for path, content in PATHS.items():
        if path.startswith("stripe/"):
            answer = await send(api, path, content, prefix="/")
            assert answer.status_code == 200, answer.text
    assert len(stored(inbox)) == 5
    for path in ("stripe/v1/billing/unknown", "stripe/v2/billing/meter_events"):
        wrong = await send(api, path, {}, headers=bearer("vv_wrong"), prefix="/")
        assert wrong.json()["error"]["type"] == "invalid_request_error", path


WRONG: dict[str, tuple[str, Any, int, Any]] = {
    "openmeter": ("openmeter/api/v1/events", [CLOUD, CLOUD | {"id": "e-2", "time": "noon"}], 400, None),
    "lago": (
        "lago/api/v1/events/batch",
        {"events": [LAGO, LAGO | {"transaction_id": "e-2", "timestamp": "noon", "code": None}]},
        422,
        {"status": 422, "error": "Unprocessable Entity", "code": "validation_errors",
         "error_details": {"1": {"code": ["is required"]}}},
    ),
    "lago, as ingestion judges": (
        "lago/api/v1/events/batch",
        {"events": [LAGO, LAGO | {"transaction_id": "e-2", "timestamp": "noon"}]},
        422,
        {"status": 422, "error": "Unprocessable Entity", "code": "validation_errors",
         "error_details": {"1": {"timestamp": [NO_TIME]}}},
    ),
    "metronome": (
        "metronome/v1/ingest",
        [METRONOME, METRONOME | {"customer_id": ""}],
        400,
        {"message": "Nothing is stored: event 1: customer_id: is required"},
    ),
    "stripe": (
        "stripe/v2/billing/meter_event_stream",
        {"events": [STRIPE, STRIPE | {"payload": {}}]},
        400,
        {"error": {"type": "invalid_request_error", "param": "payload.stripe_customer_id",
                   "message": "Nothing is stored: event 1: payload.stripe_customer_id: is required"}},
    ),
    "stripe, a form": (
        "stripe/v1/billing/meter_events",
        FORM | {"amount": "1"},
        400,
        {"error": {"type": "invalid_request_error", "param": "amount",
                   "message": "Received unknown parameter: amount"}},
    ),
}  # fmt: skip


async def test_a_request_with_a_wrong_event_is_refused_whole_as_its_client_expects(
    api: Api, inbox: psycopg.Connection[Any]
) -> None:
    for case, (path, content, status, expected) in WRONG.items():
        answer = await send(api, path, content)
        assert (answer.status_code, stored(inbox)) == (status, []), case
        if expected is None:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["errors"][0]["path"] == "[1].time"
        else:
            assert answer.json() == expected


async def test_orb_names_the_events_that_failed_by_their_keys(api: Api, inbox: psycopg.Connection[Any]) -> None:
    answer = await send(api, "orb/v1/ingest", {"events": [ORB, ORB | {"idempotency_key": "e-2", "timestamp": "noon"}]})
    assert (answer.status_code, stored(inbox)) == (400, [])
    [failed] = answer.json()["validation_failed"]
    assert failed["idempotency_key"] == "e-2"
    assert failed["validation_errors"][0].startswith("timestamp: 'noon'")


async def test_the_same_key_with_another_content_in_one_request_is_refused(
    api: Api, inbox: psycopg.Connection[Any]
) -> None:
    same = await send(api, "metronome/v1/ingest", [METRONOME, METRONOME])
    other = await send(api, "metronome/v1/ingest", [METRONOME, METRONOME | {"properties": {"n": 2}}])
    assert (same.status_code, other.status_code, len(stored(inbox))) == (200, 400, 2)


UNREADABLE: dict[str, tuple[str, Any, dict[str, str], int]] = {
    "no JSON": ("metronome/v1/ingest", "{", {}, 400),
    "another type": ("orb/v1/ingest", {}, {"content-type": "text/csv"}, 415),
    "another character set": ("orb/v1/ingest", {}, {"content-type": "application/json; charset=utf-16"}, 415),
    "a form for JSON": ("stripe/v2/billing/meter_events", "a=b", {"content-type": FORMS}, 415),
    "another encoding": ("openmeter/api/v1/events", CLOUD, {"content-encoding": "br"}, 415),
    "too large": ("metronome/v1/ingest", b" " * (MOST_BYTES + 1), {}, 413),
    "a bomb": (
        "metronome/v1/ingest",
        pa.compress(b" " * (MOST_BYTES + 1), codec="zstd", asbytes=True),
        {"content-encoding": "zstd"},
        413,
    ),
    "a parameter": ("orb/v1/ingest?backfill_id=x", {"events": [ORB]}, {}, 400),
    "a key of control characters": ("stripe/v2/billing/meter_events", STRIPE, {"idempotency-key": "\x7f"}, 400),
}  # fmt: skip


async def test_what_cannot_be_read_is_refused(api: Api, inbox: psycopg.Connection[Any]) -> None:
    for case, (path, content, headers, status) in UNREADABLE.items():
        answer = await send(api, path, content, headers=headers)
        assert (answer.status_code, stored(inbox)) == (status, []), case
        if path.startswith("openmeter"):
            assert_problem(answer, status, "unsupported-media-type")


async def test_errors_have_the_shape_of_the_dialect_wherever_they_arise(api: Api) -> None:
    for path, name in (("lago/api/v1/events", "error"), ("stripe/v1/x", "error"), ("metronome/x", "message"),
                       ("orb/v1/ingest", "title"), ("openmeter/api/v1/events", "type")):  # fmt: skip
        found = await api.client.post(f"/compat/{path}", content=b"{}", headers=bearer("vv_wrong"))
        assert found.status_code in {401, 404}
        assert name in found.json(), path
    wrong = await api.client.get("/compat/orb/v1/ingest", headers=bearer(api.keys["acme"]))
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


async def test_a_key_is_taken_as_bearer_as_user_name_or_as_a_session(api: Api, inbox: psycopg.Connection[Any]) -> None:
    path = "/compat/metronome/v1/ingest"
    user = base64.b64encode(f"{api.keys['acme']}:".encode()).decode()
    token = (await api.sign_in("acme"))["access_token"]
    for credentials in (f"Basic {user}", f"Bearer {token}", f"Bearer {api.keys['acme']}"):
        answer = await api.client.post(path, json=[METRONOME], headers={"authorization": credentials})
        assert answer.status_code == 200, answer.text
    for credentials in ("Basic ?", "Basic dnY6", "Digest x", ""):
        answer = await api.client.post(path, json=[METRONOME], headers={"authorization": credentials})
        assert answer.status_code == 401
    assert len(stored(inbox)) == 3


async def test_a_key_without_the_scope_sends_nothing(
    api: Api, inbox: psycopg.Connection[Any], module_settings: Settings
) -> None:
    with connect(module_settings, "builder") as connection:
        key = issue_api_key(connection, "acme", ["billing:read", "billing:write"])
    for path in (*PATHS, "stripe/v2/billing/meter_event_session"):
        answer = await send(api, path, PATHS.get(path, {}), headers=bearer(key))
        assert answer.status_code == 403, path
    assert stored(inbox) == []


async def test_a_session_of_meter_events_sends_events_and_nothing_else(
    api: Api, inbox: psycopg.Connection[Any]
) -> None:
    answer = await send(api, "stripe/v2/billing/meter_event_session", "{}")
    session = answer.json()
    assert session["object"] == "v2.billing.meter_event_session"
    assert session["expires_at"] > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    token = bearer(session["authentication_token"])
    stream = "stripe/v2/billing/meter_event_stream"
    assert (await send(api, stream, PATHS[stream], headers=token)).status_code == 200
    assert_problem(await api.client.get("/v1/invoices", headers=token), 403, "insufficient-scope")
    expired = (await send(api, stream, PATHS[stream], headers=bearer("eyJ"))).json()
    assert expired["error"]["type"] == "temporary_session_expired"
    assert len(stored(inbox)) == 1


async def test_an_event_without_identifier_is_named_by_the_key_that_its_client_repeats(
    api: Api, inbox: psycopg.Connection[Any]
) -> None:
    bare = {name: value for name, value in STRIPE.items() if name != "identifier"}
    for _ in range(2):
        await send(api, "stripe/v2/billing/meter_events", bare, headers={"idempotency-key": "again"})
    await send(api, "stripe/v2/billing/meter_events", bare)
    first, second, third = (one["id"] for one in stored(inbox))
    assert first == second == "again" != third


async def test_a_subscription_is_found_as_soon_as_it_is_written(
    api: Api, inbox: psycopg.Connection[Any], module_settings: Settings
) -> None:
    event = {"event": LAGO | {"external_subscription_id": "s9"}}
    assert (await send(api, "lago/api/v1/events", event)).status_code == 422
    with connect(module_settings, "builder") as connection:
        key = issue_api_key(connection, "acme", ["billing:write"])
    body = {"subscription": "s9", "customer": "c1", "plan": "pro", "quantities": {"seats": "1"}, "on": "2024-05-01"}
    session = (await api.client.post("/v1/sessions", headers=bearer(key))).json()["access_token"]
    headers = bearer(session) | {"idempotency-key": "s9"}
    written = await api.client.post("/v1/subscriptions", json=body, headers=headers)
    assert written.status_code == 201, written.text
    assert (await send(api, "lago/api/v1/events", event)).status_code == 200
    assert stored(inbox)[-1]["subject"] == "c1/s9"


@pytest.mark.security
@pytest.mark.parametrize("path", PATHS)
async def test_events_are_of_the_tenant_of_the_key_alone(api: Api, inbox: psycopg.Connection[Any], path: str) -> None:
    answer = await send(api, path, PATHS[path], "birch")
    if path.startswith("lago"):
        assert answer.status_code == 422, "the subscription is acme's"
        assert "c1" not in answer.text
    assert stored(inbox) == []
    assert secret_of("acme") not in answer.text


async def test_the_dialects_are_no_part_of_our_document(api: Api) -> None:
    document = json.dumps(api.app.openapi())
    assert "/compat/" not in document
