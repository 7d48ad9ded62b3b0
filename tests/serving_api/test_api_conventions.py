"""What holds for every answer: headers, problems, versions, request ids, limits, logs."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from typing import TYPE_CHECKING

import psutil
import pytest
from redis.asyncio import Redis

from serving_api.answer_headers import SECURITY_HEADERS, VERSION
from serving_api.middleware import MAX_BODY
from serving_api.security.rate_limits import Limiter
from tests.support.serving import Api, assert_problem, bearer, serving
from valueverse.platform.servers import processes
from valueverse.platform.telemetry.logs import make_log, scrub

if TYPE_CHECKING:
    import httpx

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
MOMENT = 2_000_000_000_000_000
"""Microseconds: a clock that stands still, for no share comes back while a test counts."""


async def every_answer(api: Api) -> dict[str, httpx.Response]:
    client = api.client
    broken = await api.sign_in("acme")
    return {
        "health": await client.get("/healthz"),
        "ready": await client.get("/readyz"),
        "docs": await client.get("/docs"),
        "script": await client.get("/docs/page.js"),
        "openapi": await client.get("/openapi.json"),
        "list": await api.get("acme", "/v1/invoices"),
        "304": await api.get("acme", "/v1/invoices", headers={"If-None-Match": "*"}),
        "401": await client.get("/v1/invoices"),
        "404": await client.get("/nowhere"),
        "404 invoice": await api.get("acme", "/v1/invoices/none"),
        "405": await client.put("/v1/sessions"),
        "405 unknown": await client.request("BREW", "/v1/invoices/acme-000001"),
        "413": await client.post("/v1/sessions", content=b"x" * (MAX_BODY + 1)),
        "422": await api.get("acme", "/v1/invoices", limit=0),
        "422 body": await client.post("/v1/sessions/refresh", json={"token": broken["refresh_token"]}),
        "400": await client.get("/healthz", headers={"Api-Version": "1999-01-01"}),
    }


async def test_security_headers_stand_on_every_answer(api: Api) -> None:
    for name, answer in (await every_answer(api)).items():
        assert set(SECURITY_HEADERS) <= set(answer.headers), name
        assert "default-src 'none'" in answer.headers["content-security-policy"], name
        assert answer.headers["api-version"] == VERSION
        assert uuid.UUID(answer.headers["x-request-id"])


async def test_every_error_is_a_problem_of_a_listed_type(api: Api) -> None:
    answers = await every_answer(api)
    listed = (await api.client.get("/openapi.json")).json()["components"]["schemas"]["Problem"]["properties"]["type"][
        "enum"
    ]
    for name, answer in answers.items():
        if answer.status_code >= 400:
            assert str(answer.status_code) == name[:3]
            assert answer.headers["content-type"] == "application/problem+json", name
            assert answer.json()["type"] in listed
            assert answer.json()["instance"] == f"urn:uuid:{answer.headers['x-request-id']}"
    assert answers["405"].headers["allow"] == "DELETE, POST"


async def test_a_route_of_a_group_that_another_process_serves_says_which_one(
    api: Api, module_settings: Settings
) -> None:
    alone = module_settings.model_copy(update={"api_groups": "architect"})
    async with serving(alone, api.keys) as architect:
        assert (await architect.client.get("/readyz")).status_code == 200
        signed_in = bearer((await architect.sign_in("acme"))["access_token"])
        for method, path in (("GET", "/v1/invoices/acme-000001"), ("GET", "/v1/invoices"), ("POST", "/v1/events")):
            problem = assert_problem(
                await architect.client.request(method, path, headers=signed_in), 404, "other-service"
            )
            assert problem["detail"] == "The service billing answers this address; this one serves architect."
        assert_problem(await architect.client.put("/v1/invoices"), 405, "method-not-allowed")
        assert_problem(await architect.client.get("/nowhere"), 404, "not-found")
        assert (await architect.client.get("/openapi.json")).content == (await api.client.get("/openapi.json")).content
        # A process that serves the group runs on this machine.
        here = processes.Record(
            "api", os.getpid(), psutil.Process().create_time(), "", {"port": "1", "groups": "billing"}
        )
        processes.write_record(alone.run, here)
        try:
            answer = await architect.client.get("/v1/invoices")
        finally:
            processes.forget(alone.run, "api")
        assert "answers this address at http://127.0.0.1:1;" in answer.json()["detail"]


async def test_a_body_of_unknown_length_is_cut_off(api: Api) -> None:
    async def endless():  # type: ignore[no-untyped-def]
        for _ in range(100):
            yield b"x" * 4096

    for path in ("/v1/sessions", "/v1/sessions/refresh"):
        assert_problem(await api.client.post(path, content=endless()), 413, "body-too-large")


async def test_a_fault_of_ours_shows_nothing_outside_and_everything_in_the_log(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_arguments: object) -> list[object]:
        raise RuntimeError(f"lost the key {api.keys['acme']} at postgresql://me:hunter2@db/x")

    await api.sign_in("acme")
    token = (await api.sign_in("acme"))["access_token"]
    for name in ("call", "invoice"):
        monkeypatch.setattr(api.app.state.service.database, name, broken)
    for path in ("/v1/invoices", "/v1/invoices/acme-000001"):
        answer = await api.client.get(path, headers=bearer(token))
        assert_problem(answer, 500, "internal-error")
        assert set(SECURITY_HEADERS) <= set(answer.headers)
    logged = api.log.getvalue().decode()
    assert "RuntimeError" in logged
    assert "hunter2" not in logged
    assert api.keys["acme"] not in logged


async def test_a_request_id_is_taken_if_it_is_one(api: Api) -> None:
    given = str(uuid.uuid4())
    assert (await api.client.get("/healthz", headers={"X-Request-ID": given})).headers["x-request-id"] == given
    for evil in ("x", given + "\tforged", "a" * 500, '{"level":"error"}'):
        answer = await api.client.get("/healthz", headers={"X-Request-ID": evil})
        assert answer.headers["x-request-id"] != evil
        assert evil not in api.log.getvalue().decode()


async def test_log_lines_are_json_and_their_ids_never_cross(api: Api) -> None:
    ids = [str(uuid.uuid4()) for _ in range(30)]
    await asyncio.gather(*(api.client.get("/healthz", headers={"X-Request-ID": one}) for one in ids))
    logged = [line["request_id"] for line in api.logged() if line["event"] == "request"]
    assert sorted(set(logged) & set(ids)) == sorted(ids)
    await api.get("acme", "/v1/customers/Jane%20Doe/usage")
    assert "Jane" not in api.log.getvalue().decode()
    assert {"method", "route", "status", "tenant", "milliseconds", "time", "level"} <= set(api.logged()[-1])


@pytest.mark.parametrize(
    "secret",
    ["vv_abcdefghij12_" + "S" * 43, "vvr_YWNtZQ." + "S" * 43, "eyJhbGciOiJSUzI1NiJ9.eyJSSSS.SSSS", "postgresql://u:SSSS@host/db",
     "Bearer SSSS"],
)  # fmt: skip
def test_secrets_are_scrubbed_wherever_they_stand(secret: str) -> None:
    assert "SSS" not in scrub(f"before {secret} after")
    import io

    sink = io.BytesIO()
    make_log(sink).info("x", nested={"list": [secret, ValueError(secret)]})
    assert b"SSS" not in sink.getvalue()
    assert json.loads(sink.getvalue())["level"] == "info"


async def test_a_hundred_requests_a_minute_and_then_no_more(module_settings: Settings, keys: dict[str, str]) -> None:
    async with serving(module_settings, keys, requests_a_minute=10) as api:
        api.app.state.service.limiter._own.clear()
        token = (await api.sign_in("cedar"))["access_token"]
        answers = [await api.client.get("/v1/customers", headers=bearer(token)) for _ in range(12)]
        assert [answer.status_code for answer in answers] == [200] * 9 + [429] * 3
        assert int(answers[0].headers["ratelimit-remaining"]) == 8
        assert_problem(answers[-1], 429, "rate-limited")
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 6
        assert answers[-1].headers["ratelimit-limit"] == "10"
        assert answers[-1].headers["ratelimit-remaining"] == "0"
        birch = (await api.sign_in("birch"))["access_token"]
        assert (await api.client.get("/v1/customers", headers=bearer(birch))).status_code == 200


async def test_the_limit_is_one_across_workers(settings: Settings) -> None:
    workers = [Limiter(settings.redis_url, make_log(), 50, clock=lambda: MOMENT, patience=60) for _ in range(3)]
    verdicts = await asyncio.gather(*(workers[n % 3].spend("tenant:x") for n in range(90)))
    assert sum(verdict.allowed for verdict in verdicts) == 50
    for worker in workers:
        await worker.close()


async def test_those_who_ask_at_once_are_judged_each_alone_in_few_round_trips(settings: Settings) -> None:
    limiter = Limiter(settings.redis_url, make_log(), 50, clock=lambda: MOMENT, patience=60)
    first = await limiter.spend("tenant:x")
    valkey = Redis.from_url(settings.redis_url, decode_responses=True)
    await valkey.config_resetstat()
    asked = [asyncio.create_task(limiter.spend(f"tenant:{name}")) for name in "xyxyxy" * 20]
    await asyncio.sleep(0)
    asked[3].cancel()  # its connection has ended: those beside it are answered
    verdicts = [verdict for verdict in await asyncio.gather(*asked, return_exceptions=True) if verdict is not None]
    of_x, of_y = verdicts[::2], [verdict for verdict in verdicts[1::2] if not isinstance(verdict, BaseException)]
    assert [one.remaining for one in (first, *of_x) if one.allowed] == list(range(49, -1, -1))
    assert sum(one.allowed for one in of_y) in {49, 50}
    assert {one.retry for one in (*of_x, *of_y) if not one.allowed} == {2}
    assert (await valkey.info("commandstats"))["cmdstat_evalsha"]["calls"] <= 3
    await valkey.aclose()
    await limiter.close()


async def test_who_waits_for_a_verdict_is_limited_by_the_worker_when_it_cannot_come(settings: Settings) -> None:
    limiter = Limiter(settings.redis_url, make_log(), 2, clock=lambda: MOMENT, patience=60)
    asked = [asyncio.create_task(limiter.spend("tenant:z")) for _ in range(3)]
    await asyncio.sleep(0)
    assert limiter._asking is not None
    limiter._asking.cancel()
    assert sorted(one.allowed for one in await asyncio.gather(*asked)) == [False, True, True]
    assert (await limiter.spend("tenant:z")).allowed, "Valkey is asked again"
    await limiter.close()


async def test_a_minutes_share_comes_back_as_time_goes_by(settings: Settings) -> None:
    moment = [MOMENT]
    for url in (settings.redis_url, "unix:///nowhere/valkey.sock"):
        limiter = Limiter(url, make_log(), 50, clock=lambda: moment[0], patience=60)
        assert [(await limiter.spend("tenant:y")).allowed for _ in range(51)] == [True] * 50 + [False]
        moment[0] += 2_400_000
        assert [(await limiter.spend("tenant:y")).allowed for _ in range(3)] == [True] * 2 + [False]
        await limiter.close()


async def test_without_valkey_the_api_goes_on_and_each_worker_limits(
    keys: dict[str, str], module_settings: Settings
) -> None:
    gone = module_settings.model_copy(update={"external_redis_url": "unix:///nowhere/valkey.sock"})
    async with serving(gone, keys, requests_a_minute=5) as api:
        token = (await api.sign_in("acme"))["access_token"]
        statuses = [(await api.client.get("/v1/customers", headers=bearer(token))).status_code for _ in range(6)]
        assert statuses == [200] * 4 + [429] * 2
        assert (await api.client.get("/readyz")).json() == {
            "status": "ready",
            "database": "ok",
            "valkey": "unavailable",
        }
        assert any("each worker alone" in line["event"] for line in api.logged())


async def test_wrong_keys_are_limited_by_address(settings: Settings) -> None:
    async with serving(settings, {}, requests_a_minute=5) as api:
        wrong = [await api.client.post("/v1/sessions", json={"api_key": "x"}) for _ in range(7)]
        assert [answer.status_code for answer in wrong] == [401] * 5 + [429] * 2


async def test_without_postgres_the_api_says_so(settings: Settings) -> None:
    gone = settings.model_copy(update={"external_postgres_url": "postgresql://x@127.0.0.1:1/x"})
    async with serving(gone, {}) as api:
        assert (await api.client.get("/healthz")).status_code == 200
        assert (await api.client.get("/readyz")).status_code == 503
        key = "vv_aaaaaaaaaaaa_" + "x" * 43
        answer = await api.client.post("/v1/sessions", headers=bearer(key))
        assert_problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"]
