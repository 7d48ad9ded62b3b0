"""Events have a budget of their own; under overload the API says so early, and no tenant stands in another's way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from serving_api.intake import Bodies, Intake, Turns
from serving_api.security.rate_limits import Limiter
from tests.support.landing import event
from tests.support.serving import assert_problem, bearer, serving
from valueverse.platform.telemetry.logs import make_log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.support.serving import Api
    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
MOMENT = 1_700_000_000_000_000


async def send(api: Api, tenant: str, events: int = 1, path: str = "/v1/events") -> httpx.Response:
    batch = [event(f"e-{number}") for number in range(events)]
    return await api.client.post(path, json=batch, headers=bearer(api.keys[tenant]))


async def test_events_have_a_budget_apart_from_requests_and_each_tenant_its_own(
    module_settings: Settings, keys: dict[str, str]
) -> None:
    own = {"events_a_minute": 50, "events_a_minute_of": "birch=5, cedar = 1000000"}
    async with serving(module_settings.model_copy(update=own), keys, requests_a_minute=3) as api:
        answers = [await send(api, "acme", 10) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [202] * 5 + [429]
        assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["40", "30", "20", "10", "0", "0"]
        assert answers[0].headers["ratelimit-policy"] == "50;w=60"
        assert "50 events a minute" in assert_problem(answers[5], 429, "rate-limited")["detail"]
        assert answers[5].headers["retry-after"] == "2"
        other = await api.client.post(
            "/compat/openmeter/api/v1/events", json=[event("e")], headers=bearer(keys["acme"])
        )
        assert_problem(other, 429, "rate-limited")
        # A batch is taken whole as long as anything is left; the next waits until it is paid back.
        birch = [(await send(api, "birch", 20)).status_code, (await send(api, "birch")).headers["retry-after"]]
        assert birch == [202, "192"]
        assert (await send(api, "cedar", 100)).headers["ratelimit-remaining"] == "999900"
        assert (await api.client.post("/v1/sessions", headers=bearer(keys["acme"]))).status_code == 200


async def test_the_budget_of_events_is_one_across_workers_and_returns_with_time(settings: Settings) -> None:
    moment = [MOMENT]
    for url in (settings.redis_url, "unix:///nowhere/valkey.sock"):
        shared = url == settings.redis_url
        workers = [Limiter(url, make_log(), 5, clock=lambda: moment[0], patience=60) for _ in range(3 if shared else 1)]
        verdicts = [await workers[number % len(workers)].spend("events:x", 40, 100, beyond=True) for number in range(5)]
        assert [(one.allowed, one.remaining) for one in verdicts] == [
            (True, 60), (True, 20), (True, 0), (False, 0), (False, 0),
        ]  # fmt: skip
        moment[0] += 12_600_000
        assert (await workers[0].spend("events:x", 40, 100, beyond=True)).allowed
        for worker in workers:
            await worker.close()


async def test_a_tenant_that_uses_up_its_half_is_shed_and_others_are_answered(
    module_settings: Settings, keys: dict[str, str]
) -> None:
    begun, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        begun.release()
        yield b"{}"
        await go_on.wait()

    async with serving(module_settings, keys) as api:
        api.app.state.service.__dict__["intake"] = Intake(requests=4)
        stalled = [
            asyncio.create_task(api.client.post("/v1/events", content=slow(), headers=bearer(keys["acme"])))
            for _ in range(2)
        ]
        for _ in stalled:
            await begun.acquire()
        shed = await send(api, "acme")
        assert_problem(shed, 503, "unavailable")
        assert shed.headers["retry-after"] == "1"
        assert (await send(api, "cedar")).status_code == 202
        go_on.set()
        assert {(await one).status_code for one in stalled} == {202}
        assert (await send(api, "acme")).status_code == 202


@pytest.mark.security
async def test_bodies_of_all_requests_have_a_bound_together_also_without_a_token(
    module_settings: Settings, keys: dict[str, str]
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"{" + b" " * 1500
        begun.set()
        await go_on.wait()
        yield b"}"

    async with serving(module_settings, keys) as api:
        bodies = api.app.state.service.__dict__["bodies"] = Bodies(2000)
        json = {"Content-Type": "application/json"}
        stalled = asyncio.create_task(api.client.post("/v1/simulations", content=slow(), headers=json))
        await begun.wait()
        shed = await api.client.post("/v1/simulations", content=b"{" + b" " * 600 + b"}", headers=json)
        assert_problem(shed, 503, "unavailable")
        assert shed.headers["retry-after"] == "1"
        assert (await api.client.get("/healthz")).status_code == 200
        go_on.set()
        assert (await stalled).status_code in {401, 422}
        assert bodies.free == 2000


async def test_tenants_take_turns_however_much_work_each_has() -> None:
    turns, order = Turns(1), list[str]()

    async def work(tenant: str) -> None:
        async with turns.turn(tenant):
            order.append(tenant)
            await asyncio.sleep(0)

    async with turns.turn("first"):
        jobs = [asyncio.create_task(work(tenant)) for tenant in ("acme", "acme", "acme", "acme", "birch", "cedar")]
        await asyncio.sleep(0)
        jobs[1].cancel()
        await asyncio.sleep(0)
    await asyncio.gather(*jobs, return_exceptions=True)
    assert order == ["acme", "birch", "cedar", "acme", "acme"]
    # Whoever is gone when its turn comes hands it on.
    async with turns.turn("first"):
        gone, last = asyncio.create_task(work("acme")), asyncio.create_task(work("birch"))
        await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, last, return_exceptions=True)
    assert order[5:] == ["birch"]
    async with asyncio.timeout(5), turns.turn("again"):
        pass
