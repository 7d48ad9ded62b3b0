"""Events over HTTP: every form, durable before they are acknowledged, judged as a file's lines are."""

from __future__ import annotations

import gzip
import json
import time
from typing import TYPE_CHECKING, Any

import anyio
import pyarrow as pa
import pytest

from serving_api import intake, middleware
from serving_api.middleware import MAX_BODIES
from tests.support.billing_rows import TENANTS
from tests.support.landing import event
from tests.support.serving import Api, assert_problem, bearer, fail_to_receive, without
from valueverse.landing import bodies
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx
    import psycopg

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
NDJSON = "application/x-ndjson"
BATCH = "application/cloudevents-batch+json"


@pytest.fixture
def inbox(module_settings: Settings, keys: dict[str, str]) -> Iterator[psycopg.Connection[Any]]:
    """The builder's connection to an empty inbox."""
    with connect(module_settings, "builder", autocommit=True) as connection:
        connection.execute("delete from inbox.batch")
        yield connection


def stored(inbox: psycopg.Connection[Any], tenant: str = "acme") -> list[str]:
    """The lines that wait of a tenant."""
    rows = inbox.execute("select body from inbox.batch where tenant_id = %s order by batch_id", [tenant]).fetchall()
    whole = b"".join(pa.CompressedInputStream(pa.BufferReader(body), "zstd").read() for (body,) in rows)
    return whole.decode().splitlines()


async def send(api: Api, content: Any, kind: str | None = "application/json", **headers: str) -> httpx.Response:
    """POST as acme by its API key; what is no bytes or text goes as JSON."""
    body = content if isinstance(content, bytes | str) else json.dumps(content)
    named = {"content-type": kind} if kind else {}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.client.post("/v1/events", content=body, headers=bearer(api.keys["acme"]) | named)


def accepted(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    assert sum(found["counts"].values()) == len(found["results"])
    return found


LINE = '{"specversion":"1.0","id":"e-%s","source":"s","type":"call","subject":"c-1","time":"2024-05-01T00:00:00Z",'
DATA = '"data":{"n":1.10,"large":"12345678901234567890.000000001"}'
LINE += DATA + "}"
ONE, TWO = LINE % 1, LINE % 2
FORMS: dict[str, tuple[str | bytes, str | None, dict[str, str], list[str]]] = {
    "one event": (ONE, "application/json", {}, [ONE]),
    "one event, structured": (ONE, "application/cloudevents+json; charset=UTF-8", {}, [ONE]),
    "without a content type": (ONE, None, {}, [ONE]),
    "a list": (f"[{ONE},\n {TWO}]", "application/json", {}, [ONE, TWO]),
    "a batch": (f" [{ONE},{TWO}] ", BATCH, {}, [ONE, TWO]),
    "lines": (f"\ufeff{ONE}\r\n\n{TWO}", NDJSON, {}, [ONE, TWO]),
    "lines of an old Mac": (f"{ONE}\r\r{TWO}", NDJSON, {}, [ONE, TWO]),
    "over several lines": (ONE.replace(',"data"', ',\r\n"data"'), BATCH, {}, [ONE.replace(',"data"', ',  "data"')]),
    "gzip": (gzip.compress(ONE.encode()), "application/json", {"content_encoding": "gzip"}, [ONE]),
    "zstd": (pa.compress(TWO.encode(), codec="zstd", asbytes=True), NDJSON, {"content_encoding": "zstd"}, [TWO]),
    "binary": (
        '{"n": 1.10}',
        "application/json",
        {"ce_specversion": "1.0", "ce_id": "e-1", "ce_source": "s%C3%BCd", "ce_type": "call", "ce_subject": "c-1",
        "ce_time": "2024-05-01T00:00:00Z"},
        [ONE.replace('"s"', '"süd"').replace(DATA, '"data":{"n": 1.10}')],
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
async def test_events_are_stored_as_they_came_with_every_digit(
    api: Api, inbox: psycopg.Connection[Any], form: str
) -> None:
    content, kind, headers, lines = FORMS[form]
    answer = accepted(await send(api, content, kind, **headers))
    assert answer["counts"] == {"accepted": len(lines), "duplicate": 0, "refused": 0}
    assert [(one["id"], one["status"]) for one in answer["results"]] == [
        (json.loads(line)["id"], "accepted") for line in lines
    ]
    assert stored(inbox) == lines
    found = inbox.execute("select receipt::text, events, length(key_hashes), tenant_id from inbox.batch").fetchall()
    assert found == [(answer["batch"], len(lines), 16 * len(lines), "acme")]


async def test_what_is_refused_is_answered_with_its_place_and_stored_all_the_same(
    api: Api, inbox: psycopg.Connection[Any]
) -> None:
    good, other = event("e-1"), event("e-1", {"n": 2})
    body = [good, good, other, event("e-2", time="noon"), event("e-3", tenant="birch"), 5, event("e-4", specversion=1)]
    answer = accepted(await send(api, body))
    assert answer["counts"] == {"accepted": 1, "duplicate": 1, "refused": 5}
    answered = [(one["id"], one["status"], one.get("reason"), one.get("path")) for one in answer["results"]]
    assert answered == [
        ("e-1", "accepted", None, None),
        ("e-1", "duplicate", "duplicate", None),
        ("e-1", "refused", "conflict", None),
        ("e-2", "refused", "bad_time", "time"),
        ("e-3", "refused", "unknown_tenant", "tenant"),
        (None, "refused", "malformed", ""),
        ("e-4", "refused", "malformed", "specversion"),
    ]
    assert "RFC 3339" in answer["results"][3]["message"]
    assert len(stored(inbox)) == 7


async def test_an_old_event_is_accepted_and_stays(api: Api, inbox: psycopg.Connection[Any]) -> None:
    """Elsewhere an event whose time was older than the retention of the broker vanished after it was acknowledged."""
    answer = accepted(await send(api, event("old", time="1999-12-31T23:59:59Z")))
    assert answer["counts"]["accepted"] == 1
    assert len(stored(inbox)) == 1


async def test_an_event_is_not_claimed_before_it_is_stored(
    api: Api, inbox: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere the key was claimed before the write, so that the retry of a failed write was metered zero times."""
    with monkeypatch.context() as patched:
        fail_to_receive(api, patched)
        assert_problem(await send(api, event("again")), 500, "internal-error")
    assert stored(inbox) == []
    assert accepted(await send(api, event("again")))["counts"]["accepted"] == 1
    assert len(stored(inbox)) == 1


CARD = json.dumps(
    event("k", {"customer": "c1", "metadata": {"card": "4111111111111111"}}, type="billing.customer.created")
)
REFUSED: dict[str, tuple[Any, str, dict[str, str], int, str]] = {
    "no JSON": ("{", "application/json", {}, 400, "malformed-request"),
    "two values": ("{} {}", "application/json", {}, 400, "malformed-request"),
    "no object": ("5", "application/json", {}, 400, "malformed-request"),
    "nothing": ("", "application/json", {}, 400, "malformed-request"),
    "an empty list": ("[]", BATCH, {}, 400, "malformed-request"),
    "a list that breaks off": (f"[{ONE},", BATCH, {}, 400, "malformed-request"),
    "a list that goes on": (f"[{ONE}]]", BATCH, {}, 400, "malformed-request"),
    "nested without end": ("[" * 100_000, BATCH, {}, 400, "malformed-request"),
    "lines of none": ("a\nb", NDJSON, {}, 400, "malformed-request"),
    "no UTF-8": (b'{"id":"\xff"}', "application/json", {}, 400, "malformed-request"),
    "binary, no JSON": ("n=1", "application/json", {"ce_id": "e"}, 400, "malformed-request"),
    "binary, no UTF-8": (b"\xff", "application/json", {"ce_id": "e"}, 400, "malformed-request"),
    "cut gzip": (gzip.compress(ONE.encode())[:-4], "application/json", {"content_encoding": "gzip"}, 400,
    "malformed-request"),
    "no gzip": (ONE, "application/json", {"content_encoding": "gzip"}, 400, "malformed-request"),
    "brotli": (ONE, "application/json", {"content_encoding": "br"}, 415, "unsupported-media-type"),
    "a form": ("a=b", "application/x-www-form-urlencoded", {}, 415, "unsupported-media-type"),
    "latin-1": (ONE, "application/json; charset=latin-1", {}, 415, "unsupported-media-type"),
    "a card number": (ONE + "\n" + CARD, NDJSON, {}, 400, "malformed-request"),
    "binary, of lines": (ONE, NDJSON, {"ce_id": "e"}, 415, "unsupported-media-type"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_a_body_that_holds_no_events_is_refused_and_nothing_of_it_is_stored(
    api: Api, inbox: psycopg.Connection[Any], case: str
) -> None:
    content, kind, headers, status, name = REFUSED[case]
    assert_problem(await send(api, content, kind, **headers), status, name)
    assert stored(inbox) == []


async def test_a_parameter_is_refused(api: Api, inbox: psycopg.Connection[Any]) -> None:
    answer = await api.client.post("/v1/events?dryrun=1", content=ONE, headers=bearer(api.keys["acme"]))
    assert assert_problem(answer, 422, "invalid-request")["errors"][0]["path"] == "query.dryrun"
    assert stored(inbox) == []


async def test_too_much_is_refused_without_being_expanded(
    api: Api, inbox: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = gzip.compress(b" " * (bodies.MOST_EXPANDED + 1), 9)
    assert_problem(await send(api, bomb, content_encoding="gzip"), 413, "body-too-large")
    assert_problem(await send(api, ONE + "\n" * 2 * bodies.MOST_EVENTS + ONE, NDJSON), 413, "body-too-large")
    monkeypatch.setattr(bodies, "MOST_EVENTS", 2)
    for content, kind in ((f"{ONE}\n" * 3, NDJSON), (f"[{ONE},{ONE},{ONE}]", BATCH)):
        assert_problem(await send(api, content, kind), 413, "body-too-large")
    most = MAX_BODIES["POST", "/v1/events"]
    assert_problem(await send(api, b" " * (most + 1)), 413, "body-too-large")
    # An element is not decoded beyond the longest event: what it would become in memory is a multiple of it.
    long = f'[{{"a":[{"1," * 1_100_000}1]}}]'
    assert_problem(await send(api, long, BATCH), 400, "malformed-request")
    assert stored(inbox) == []


async def test_requests_that_are_read_share_the_memory(
    api: Api, inbox: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = api.app.state.service
    service.__dict__["intake"] = intake.Intake(1_000)
    refused = await send(api, b" " * 501)
    assert_problem(refused, 503, "unavailable")
    assert refused.headers["retry-after"] == "1"
    for _ in range(5):
        assert accepted(await send(api, ONE))["counts"]["accepted"] == 1
    monkeypatch.setattr(middleware, "PATIENCE", 0.5)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await anyio.sleep(5)

    began = time.monotonic()
    answer = await api.client.post("/v1/events", content=slow(), headers=bearer(api.keys["acme"]))
    assert_problem(answer, 408, "request-timeout")
    assert time.monotonic() - began < 4
    assert not service.intake._held
    assert not service.intake._answered


async def test_a_session_sends_too_and_the_scope_is_asked_for(
    api: Api, inbox: psycopg.Connection[Any], module_settings: Settings
) -> None:
    token = (await api.sign_in("acme"))["access_token"]
    assert accepted(await api.client.post("/v1/events", content=ONE, headers=bearer(token)))
    billing = event("b-1", {"customer": "c"}, type="billing.customer.created")
    with connect(module_settings, "builder") as connection:
        reading = issue_api_key(connection, "acme", ["billing:read"])
        writing = issue_api_key(connection, "acme", ["events:write", "billing:write"])
    inbox.execute("delete from inbox.batch")
    for key, content in ((reading, ONE), (api.keys["acme"], json.dumps([event("e"), billing]))):
        assert_problem(
            await api.client.post("/v1/events", content=content, headers=bearer(key)), 403, "insufficient-scope"
        )
    assert stored(inbox) == []
    assert accepted(await api.client.post("/v1/events", json=billing, headers=bearer(writing)))
    for headers, name in (({}, "invalid-token"), (bearer("vv_" + "a" * 12 + "_" + "b" * 43), "invalid-credentials")):
        assert_problem(await api.client.post("/v1/events", content=ONE, headers=headers), 401, name)


@pytest.mark.security
@pytest.mark.parametrize("sender", TENANTS)
async def test_events_go_to_the_tenant_of_the_credentials_alone(
    api: Api, inbox: psycopg.Connection[Any], sender: str
) -> None:
    token = (await api.sign_in(sender))["access_token"]
    answers = []
    for credentials in (token, api.keys[sender]):
        for owner in TENANTS:
            sent = [event("e", tenant=owner), event("f")]
            answer = await api.client.post("/v1/events", json=sent, headers=bearer(credentials))
            refused = 0 if owner == sender else 1
            assert accepted(answer)["counts"] == {"accepted": 2 - refused, "duplicate": 0, "refused": refused}
            answers.append(without(answer.json(), ("batch", "received_at", "receipt")))
    assert answers[:3] == answers[3:]
    assert inbox.execute("select distinct tenant_id::text from inbox.batch").fetchall() == [(sender,)]


def test_a_value_that_reaches_the_edge_of_what_is_decoded_at_once_is_read_whole() -> None:
    elements = ["12345", '"a,b]"', '{"n":[1,2]}', "true", "-1.50e3"]
    text = f"[{' , '.join(elements)} ]"
    for longest in range(12, len(text) + 2):
        assert list(bodies.list_elements(text, longest)) == elements
    with pytest.raises(bodies.BrokenListError):
        list(bodies.list_elements(text, 8))
