"""Live events over HTTP: what any worker receives is announced to who follows, of one tenant, and not to the slow."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from serving_api import live_events
from serving_api.routes import event_stream
from serving_api.security import tokens
from tests.support.landing import event, founding
from tests.support.serving import Api, assert_problem, bearer, serving
from valueverse.platform.access.api_keys import issue_api_key, prefix_of
from valueverse.platform.lake import Lake
from valueverse.platform.live_events import EventAnnouncer, written
from valueverse.platform.warehouse import connect
from valueverse.services.ingestion.run_ingestion import run_ingestion
from valueverse.services.lake_tables import EVENTS_TABLE
from valueverse.services.usage.refresh_facts import BEGINNING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
STREAM = "/v1/events/stream"
TENANTS = ("acme", "birch")


def announced(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Kind and data of each event of a stream; the id of the event among its data."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"]) | ({"at": lines["id"]} if "id" in lines else {})))
    return found


def named(text: str) -> list[str]:
    """Ids of the events that were received."""
    return [data["id"] for kind, data in announced(text) if kind == "received"]


async def send(api: Api, *events: Any, tenant: str = "acme") -> None:
    answer = await api.client.post("/v1/events", json=list(events), headers=bearer(api.keys[tenant]))
    assert answer.status_code == 202, answer.text


async def follow(api: Api, tenant: str = "acme", after: str | None = None, **query: Any) -> str:
    """What a stream holds that ends at once."""
    headers = {} if after is None else {"last-event-id": after}
    answer = await api.get(tenant, STREAM, headers, seconds=0, **query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "content-length" not in answer.headers
    return answer.text


async def test_events_are_sent_with_what_was_found_of_them_and_go_on_after_the_last_that_came(api: Api) -> None:
    begun = await follow(api)
    assert announced(begun) == [("end", {"reason": "time_is_over"})]
    await send(
        api, event("a", {"n": 1}, subject="c1/s1"), event("a", {"n": 1}, subject="c1/s1"), event("b", time="noon")
    )
    await send(api, event("c", type="other", subject="c2"))
    whole = await follow(api, after="0-0.0")
    (kind, first), (_, again), (_, wrong), (_, other), _ = announced(whole)
    assert (kind, first["status"], again["status"], wrong["status"]) == ("received", "accepted", "duplicate", "refused")
    assert (first["customer"], first["subscription"], first["type"]) == ("c1", "s1", "call")
    assert (wrong["id"], wrong["reason"]) == ("b", "bad_time")
    assert uuid.UUID(first["batch"]) != uuid.UUID(other["batch"])
    assert named(await follow(api, after=again["at"])) == ["b", "c"]
    assert announced(await follow(api, after=other["at"])) == [("end", {"reason": "time_is_over"})]
    assert named(await follow(api, after="0-0.0", customer="c2")) == ["c"]
    assert named(await follow(api, after="0-0.0", type="call", customer="c1")) == ["a", "a"]


async def test_events_that_are_not_stored_any_more_are_a_gap(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_events, "STORED", 2)
    await follow(api)
    for number in range(4):
        await send(api, event(f"g{number}"))
    kinds = [kind for kind, _ in announced(await follow(api, after="1700000000000-0.1"))]
    assert kinds == ["gap", "received", "received", "end"]


async def test_of_a_large_request_the_first_are_sent_and_how_many_more_there_are(api: Api) -> None:
    await follow(api)
    await send(api, *(event(f"l{number}") for number in range(250)))
    text = await follow(api, after="0-0.0")
    large = [one for one in named(text) if one.startswith("l")]
    [(_, more)] = [one for one in announced(text) if one[0] == "more"]
    assert (large, more["events"]) == ([f"l{number}" for number in range(200)], 50)
    assert announced(await follow(api, after=more["at"])) == [("end", {"reason": "time_is_over"})]


async def test_what_cannot_be_followed_is_refused(api: Api) -> None:
    for headers, query in (({"last-event-id": "x"}, {}), ({}, {"seconds": 301}), ({}, {"subject": "c1"})):
        assert_problem(await api.get("acme", STREAM, headers, **query), 422, "invalid-request")
    sender = bearer(api.token("acme", "events:write"))
    assert_problem(await api.client.get(STREAM, headers=sender), 403, "insufficient-scope")


@pytest.mark.security
async def test_a_tenant_follows_its_own_events_alone_whatever_place_it_names(api: Api) -> None:
    for tenant in ("acme", "birch"):
        await follow(api, tenant)
    await send(api, event("of-acme"), tenant="acme")
    await send(api, event("of-birch"), tenant="birch")
    theirs = announced(await follow(api, "acme", after="0-0.0"))[-2][1]["at"]
    for after in ("0-0.0", theirs):
        text = await follow(api, "birch", after=after)
        assert "of-acme" not in text
    assert named(await follow(api, "birch", after="0-0.0")) == ["of-birch"]


def ingested(text: str) -> list[tuple[str, ...]]:
    """id, status, reason and amended event of each that was ingested."""
    names = ("id", "status", "reason", "amends")
    return [tuple(str(data[name]) for name in names) for kind, data in announced(text) if kind == "ingested"]


def taken(settings: Settings, **changes: Any) -> None:
    """An ingestion of all that waits."""
    own = settings.model_copy(update=changes)
    run_ingestion(own, Lake(settings.lake_url), BEGINNING, datetime.now(UTC))


@pytest.mark.security
async def test_what_ingestion_made_of_events_is_sent_to_their_tenant_alone(api: Api, module_settings: Settings) -> None:
    with connect(module_settings, "builder") as connection:
        keys = {tenant: issue_api_key(connection, tenant, ["events:write", "billing:write"]) for tenant in TENANTS}
    for tenant in TENANTS:
        await api.client.post("/v1/events", json=[founding(tenant)], headers=bearer(keys[tenant]))
    taken(module_settings)
    last = {tenant: announced(await follow(api, tenant, after="0-0.0"))[-2][1]["at"] for tenant in TENANTS}
    await send(api, event("i-1"), event("i-1"), event("i-2", time="noon"))
    await send(api, event("i-1", {"n": 2}), event("i-3", {"n": 3}, replaces="i-1", subject="c9/s9"))
    taken(module_settings)
    text = await follow(api, after=last["acme"])
    assert ingested(text) == [
        ("i-1", "accepted", "None", "None"),
        ("i-1", "duplicate", "None", "None"),
        ("i-2", "quarantined", "bad_time", "None"),
        ("i-1", "quarantined", "conflict", "None"),
        ("i-3", "accepted", "None", "i-1"),
    ]
    kinds = [kind for kind, _ in announced(text)]
    assert kinds == ["received"] * 5 + ["ingested"] * 5 + ["end"]
    first = announced(text)[5][1]
    fate = (await api.get("acme", "/v1/events/s/i-1")).json()
    assert {name: first[name] for name in ("file", "line", "received_at")} == {
        name: fate[name] for name in ("file", "line", "received_at")
    }
    assert ingested(await follow(api, after=first["at"])) == ingested(text)[1:]
    assert [one[0] for one in ingested(await follow(api, after="0-0.0", customer="c9"))] == ["i-3"]
    assert announced(await follow(api, "birch", after=last["birch"])) == [("end", {"reason": "time_is_over"})]


async def test_of_a_large_file_the_first_events_are_sent_and_the_others_counted(
    api: Api, module_settings: Settings
) -> None:
    await follow(api)
    folder = module_settings.landing / "acme"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [event(f"f{number}", **({"time": "noon"} if number > 240 else {})) for number in range(250)]
    text = "".join(f"{json.dumps(line)}\n" for line in [founding(), *lines, event("f0")])
    (folder / "one.ndjson").write_text(text)
    taken(module_settings)
    found = announced(await follow(api, after="0-0.0"))
    mine = [data for kind, data in found if kind == "ingested" and data["file"] == "acme/one.ndjson"]
    more = next(data for kind, data in reversed(found) if kind == "more" and "quarantined" in data)
    assert len(mine) == 200
    assert (more["events"], more["accepted"] + more["duplicate"], more["quarantined"]) == (52, 43, 9)
    # A copy of the file is known by its hash, and only counted.
    (folder / "two.ndjson").write_text(text)
    taken(module_settings)
    kind, copy = announced(await follow(api, after=more["at"]))[0]
    assert (kind, copy["events"], copy["duplicate"], copy["quarantined"]) == ("more", 252, 243, 9)


async def test_events_are_ingested_while_nobody_can_follow_and_where_nobody_follows(
    api: Api, module_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    await follow(api)
    await send(api, event("unheard-of"))
    taken(module_settings, external_redis_url="redis://127.0.0.1:1/0")
    assert "unheard-of" in Lake(module_settings.lake_url).scan(EVENTS_TABLE).collect()["id"]
    assert [line for line in caplog.messages if line.startswith("nobody is announced of what this ingestion makes")]
    with EventAnnouncer(module_settings) as announcer:
        assert announcer.followed({"acme", "nobody"}) == {"acme"}
        assert "unheard-of" not in [one[0] for one in ingested(await follow(api, after="0-0.0"))]


@asynccontextmanager
async def streaming(api: Api, session: dict[str, str], seconds: int = 60) -> AsyncIterator[asyncio.Task[str]]:
    """A stream that has begun; the task gives all of it once it has ended."""
    begun = asyncio.Event()
    whole: list[bytes] = []

    async def take(piece: bytes) -> None:
        whole.append(piece)
        begun.set()

    task = asyncio.create_task(answered(api, session, seconds, take))
    await asyncio.wait_for(begun.wait(), 30)
    try:
        yield task
    finally:
        task.cancel()


async def answered(api: Api, session: dict[str, str], seconds: int, take: Callable[[bytes], Awaitable[None]]) -> str:
    """What the app sends of a stream, which ``take`` is given piece by piece; the next one waits for it."""
    pieces: list[bytes] = []
    request = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        for message in request:
            return message
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200
        elif message["body"]:
            pieces.append(message["body"])
            await take(message["body"])

    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": STREAM, "raw_path": b"",
        "query_string": f"seconds={seconds}".encode(), "client": ("10.0.0.1", 1), "server": ("api", 80),
        "headers": [(b"authorization", session["Authorization"].encode())],
    }  # fmt: skip
    await api.app(scope, receive, send)
    return b"".join(pieces).decode()


async def test_what_one_process_receives_another_sends_at_once(
    api: Api, module_settings: Settings, keys: dict[str, str]
) -> None:
    session = bearer((await api.sign_in("acme"))["access_token"])
    async with (
        serving(module_settings, keys) as other,
        streaming(api, session, 2) as one,
        streaming(other, session, 2) as second,
    ):
        await send(api, event("from-one"))
        await send(other, event("from-other"))
        await send(other, event("of-birch"), tenant="birch")
        for stream in (one, second):
            assert named(await stream) == ["from-one", "from-other"]


@pytest.mark.security
async def test_a_stream_ends_with_its_session_and_with_the_key_that_opened_it(
    api: Api, module_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT", 0.2)
    with connect(module_settings, "builder") as connection:
        key = issue_api_key(connection, "acme", ["billing:read"])
    opened = [await api.client.post("/v1/sessions", headers=bearer(one)) for one in (api.keys["acme"], key)]
    closed, keyed = (bearer(answer.json()["access_token"]) for answer in opened)
    async with streaming(api, closed) as first, streaming(api, keyed) as second:
        await asyncio.sleep(0.5)
        assert not first.done()
        await api.client.delete("/v1/sessions", headers=closed)
        text = await first
        assert announced(text) == [("end", {"reason": "session_ended"})]
        assert ": heartbeat" in text
        assert not second.done()
        with connect(module_settings, "builder") as connection:
            connection.execute("update auth.api_key set revoked_at = now() where prefix = %s", [prefix_of(key)])
        assert announced(await second) == [("end", {"reason": "session_ended"})]


@pytest.mark.security
async def test_a_stream_ends_with_its_access_token(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    session = bearer((await api.sign_in("acme"))["access_token"])
    monkeypatch.setattr(tokens.Tokens, "expiry", lambda _self, _token: int(time.time()) + 1)
    async with streaming(api, session, 300) as stream:
        assert announced(await asyncio.wait_for(stream, 30)) == [("end", {"reason": "time_is_over"})]


async def test_more_streams_of_a_tenant_than_may_be_open_are_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_events, "MOST_LISTENERS", 1)
    session = bearer((await api.sign_in("acme"))["access_token"])
    async with streaming(api, session):
        refused = assert_problem(await api.client.get(STREAM, headers=session), 429, "rate-limited")
        assert "end one of them" in refused["detail"]
        assert named(await follow(api, "birch")) == []
    await asyncio.sleep(0.1)
    assert await follow(api)


async def test_a_client_that_is_slow_or_takes_nothing_is_let_go_of(
    api: Api, module_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_events, "_MOST_WAITING", 4)
    monkeypatch.setattr(live_events, "MOST_LISTENERS", 1)
    session = bearer((await api.sign_in("acme"))["access_token"])
    ready, begun = asyncio.Event(), asyncio.Event()

    async def slowly(_piece: bytes) -> None:
        begun.set()
        await ready.wait()

    slow = asyncio.create_task(answered(api, session, 60, slowly))
    await begun.wait()
    entry = written("ingested", [{"id": "s"}], None)
    with EventAnnouncer(module_settings) as announcer:
        for number in range(4):
            await send(api, event(f"s{number}"))
            announcer.announce({"acme": entry})
    await asyncio.sleep(0.5)
    ready.set()
    assert announced(await slow)[-1] == ("end", {"reason": "too_slow"})
    monkeypatch.setattr(event_stream, "SEND_SECONDS", 0.2)
    ready.clear()
    assert await asyncio.wait_for(answered(api, session, 60, slowly), 30) == ": begun\n\n"
    # Its place is free again.
    assert await follow(api)


async def test_events_are_received_while_nobody_can_follow(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await follow(api)

    async def away(*_arguments: Any, **_more: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(api.app.state.service.live._valkey, "exists", away)
    await send(api, event("unheard"))
    assert any(line["event"] == "nobody is announced of events" for line in api.logged())
    monkeypatch.setattr(api.app.state.service.live._valkey, "set", away)
    assert_problem(await api.get("acme", STREAM), 503, "unavailable")
