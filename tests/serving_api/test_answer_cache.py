"""Answers that are cached: the same bytes, for nobody else, counted and limited as every other, and never old."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from psycopg.errors import InsufficientPrivilege

from serving_api.answer_cache import Answer, AnswerCache
from serving_api.database import Database
from serving_api.problems import Problem
from serving_api.questions import Together
from serving_api.security.rate_limits import WINDOW, Limiter
from serving_api.security.tokens import Identity
from tests.support import billing_rows
from tests.support.serving import Api, assert_problem, bearer, serving
from valueverse.platform.telemetry.logs import make_log
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
MOMENT = 1_700_000_000_000_000
PATH = "/v1/invoices/{}-000001"
OF_A_REQUEST = {"x-request-id", "ratelimit-remaining", "ratelimit-reset"}


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@pytest.fixture
async def looked_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Whose invoices were read from Postgres; nothing is cached yet, and what changes is heard."""
    service, owners = api.app.state.service, list[tuple[str, ...]]()
    read = service.database.invoice

    async def counted(owner: tuple[str, ...], number: str) -> tuple[str, bool] | None:
        owners.append(owner)
        found: tuple[str, bool] | None = await read(owner, number)
        return found

    monkeypatch.setattr(service.database, "invoice", counted)
    await until(lambda: service.answers._heard > time.monotonic() - 1)
    service.answers.clear()
    return owners


def portal_token(api: Api, tenant: str, customer: str) -> dict[str, str]:
    identity = Identity(tenant, "aaaaaaaaaaaa", frozenset(), uuid.uuid4(), customer)
    return bearer(api.app.state.service.tokens.issue(identity))


def stated(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in OF_A_REQUEST}


async def test_an_answer_that_is_cached_is_the_one_that_was_read_and_is_counted_logged_and_limited(
    api: Api, looked_up: list[tuple[str, ...]]
) -> None:
    token = bearer(api.token("acme", "billing:read"))
    answers = [await api.client.get(PATH.format("acme"), headers=token) for _ in range(5)]
    assert looked_up == [("acme",)]
    assert {answer.content for answer in answers} == {answers[0].content}
    assert all(stated(answer) == stated(answers[0]) for answer in answers)
    assert len({answer.headers["x-request-id"] for answer in answers}) == 5
    left = [int(answer.headers["ratelimit-remaining"]) for answer in answers]
    assert left == list(range(left[0], left[0] - 5, -1))
    own = "0F5D7D0C-1111-4222-8333-444455556666"
    again = {**token, "If-None-Match": f'"x", W/{answers[0].headers["etag"]}', "X-Request-ID": own}
    unchanged = await api.client.get(PATH.format("acme"), headers=again)
    assert (unchanged.status_code, unchanged.content, unchanged.headers["x-request-id"]) == (304, b"", own.lower())
    assert unchanged.headers["etag"] == answers[0].headers["etag"]
    lines = [line for line in api.logged() if line["event"] == "request"]
    assert [(line["route"], line["status"], line["tenant"]) for line in lines] == [
        ("/v1/invoices/{number}", 200, "acme")
    ] * 5 + [("/v1/invoices/{number}", 304, "acme")]
    assert lines[-1]["request_id"] == own.lower()


async def test_what_is_cached_is_for_nobody_else(api: Api, looked_up: list[tuple[str, ...]]) -> None:
    mine = f"customer {billing_rows.secret_of('acme')}"
    reader = bearer(api.token("acme", "billing:read"))
    etag = ""
    for _ in range(3):
        etag = (await api.client.get(PATH.format("acme"), headers=reader)).headers["etag"]
    for _ in range(2):
        own = await api.client.get(PATH.format("acme"), headers=portal_token(api, "acme", mine))
        assert own.status_code == 200
    known = {"If-None-Match": f"{etag}, *"}
    for token in (
        bearer(api.token("birch", "billing:read", "admin")),
        portal_token(api, "acme", "somebody else"),
        portal_token(api, "birch", mine),
    ):
        for headers in (token, token | known):
            for _ in range(2):
                assert_problem(await api.client.get(PATH.format("acme"), headers=headers), 404, "not-found")
    without = bearer(api.token("acme", "events:write"))
    person = Identity("acme", "usr_0123456789abcdef01234567", frozenset({"billing:read"}), uuid.uuid4())
    gone = bearer(api.app.state.service.tokens.issue(person))
    for _ in range(2):
        answer = await api.client.get(PATH.format("acme"), headers=without | known)
        assert_problem(answer, 403, "insufficient-scope")
        assert_problem(await api.client.get(PATH.format("acme"), headers=gone | known), 401, "invalid-token")
    assert looked_up[:2] == [("acme",), ("acme", mine)], "each read once"
    assert looked_up.count(("acme",)) == looked_up.count(("acme", mine)) == 1


async def test_those_who_ask_at_once_are_answered_each_what_is_theirs(api: Api, module_settings: Settings) -> None:
    database = api.app.state.service.database
    owners: list[tuple[str, ...]] = [(tenant,) for tenant in billing_rows.TENANTS]
    owners += [(tenant, f"customer {billing_rows.secret_of(tenant)}") for tenant in billing_rows.TENANTS]
    asked = [(owner, f"{tenant}-000002") for owner in owners for tenant in billing_rows.TENANTS] * 20
    jobs = [asyncio.create_task(database.invoice(*one)) for one in asked]
    await asyncio.sleep(0)
    jobs[5].cancel()
    for (owner, number), found in zip(asked, await asyncio.gather(*jobs, return_exceptions=True), strict=True):
        if isinstance(found, BaseException):
            assert isinstance(found, asyncio.CancelledError)
        elif number.startswith(owner[0]):
            assert found is not None
            assert f'"number":"{number}"' in found[0]
        else:
            assert found is None
    away = module_settings.model_copy(update={"external_postgres_url": "postgresql://x@127.0.0.1:1/x"})
    gone = Database(away, make_log())
    failed = await asyncio.gather(*(gone.invoice(("acme",), "1") for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in failed] == [Problem] * 3


async def test_what_has_more_to_be_judged_is_judged(api: Api, looked_up: list[tuple[str, ...]]) -> None:
    reader = bearer(api.token("acme", "billing:read"))
    for _ in range(2):
        await api.client.get(PATH.format("acme"), headers=reader)
    for headers, query, status in (
        ({"Api-Version": "1999-01-01"}, "", 400),
        ({"Content-Length": "x"}, "", 400),
        ({}, "?formt=pdf", 422),
        ({"Authorization": "Bearer nonsense"}, "", 401),
        ({"Authorization": reader["Authorization"] + "="}, "", 401),
    ):
        answer = await api.client.get(PATH.format("acme") + query, headers=reader | headers)
        assert answer.status_code == status, (headers, query, answer.text)
    twice = [("Authorization", reader["Authorization"])] * 2
    assert_problem(await api.client.get(PATH.format("acme"), headers=twice), 401, "invalid-token")
    assert looked_up == [("acme",)]


async def test_an_invoice_that_is_voided_is_answered_so_and_nothing_is_cached_that_would_not_hear_of_it(
    api: Api, looked_up: list[tuple[str, ...]], module_settings: Settings
) -> None:
    answers, reader = api.app.state.service.answers, bearer(api.token("cedar", "billing:read"))
    for _ in range(3):
        assert (await api.client.get(PATH.format("cedar"), headers=reader)).json()["status"] == "finalised"
    assert len(looked_up) == 1
    changes = answers.changes
    with connect(module_settings, "builder") as connection:
        connection.execute(
            "insert into billing.invoice_void (tenant_id, invoice_id, reason, voided_at)"
            " values ('cedar', %s, 'r', now())",
            [billing_rows.invoice_id("cedar", "2023-10")],
        )
    await until(lambda: answers.changes > changes)
    for _ in range(2):
        assert (await api.client.get(PATH.format("cedar"), headers=reader)).json()["status"] == "voided"
    assert len(looked_up) == 2
    # Its connection is lost: what is answered comes from Postgres until it is heard again.
    changes = answers.changes
    with connect(module_settings, "admin") as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where usename = 'valueverse_api' and datname = current_database() and query in ('select 1', 'LISTEN ')"
            " or query ilike 'listen %answers_%'"
        )
    await until(lambda: answers.changes > changes)
    answers._heard = float("-inf")
    assert (await api.client.get(PATH.format("cedar"), headers=reader)).status_code == 200
    assert len(looked_up) == 3
    await until(lambda: answers._heard > time.monotonic() - 1)


@pytest.mark.security
async def test_no_other_login_of_the_database_empties_what_is_cached(
    api: Api, looked_up: list[tuple[str, ...]], module_settings: Settings
) -> None:
    service, reader = api.app.state.service, bearer(api.token("birch", "billing:read"))
    [(channel,)] = await service.database.call("answer_channel")
    assert (await api.client.get(PATH.format("birch"), headers=reader)).status_code == 200
    changes = service.answers.changes
    with connect(module_settings, "builder", autocommit=True) as other:
        for question in ("select * from auth.answer_channel", "select api.answer_channel()"):
            with pytest.raises(InsufficientPrivilege):
                other.execute(question)
        written = (
            "select count(*) from pg_proc where position(%(name)s in prosrc) > 0",
            "select count(*) from pg_trigger where position(%(name)s in pg_get_triggerdef(oid)) > 0",
            "select count(*) from pg_stat_activity where position(%(name)s in query) > 0 and pid <> pg_backend_pid()",
        )
        for question in written:
            assert other.execute(question, {"name": channel}).fetchone() == (0,), question
        for name in ("invoices_changed", "answers_changed"):
            other.execute(f"notify {name}".encode())
    heard = service.answers._heard
    await until(lambda: service.answers._heard > heard)
    assert service.answers.changes == changes
    assert (await api.client.get(PATH.format("birch"), headers=reader)).status_code == 200
    assert len(looked_up) == 1


async def test_memory_is_bounded_and_an_answer_that_was_read_before_a_change_is_not_cached() -> None:
    cache = AnswerCache(10)

    def answer(length: int, until: float = 60) -> Answer:
        return Answer("t", [], [], b"x" * length, time.monotonic() + until)

    cache.keep(("a", "1"), answer(4), 0)
    assert cache.take(("a", "1")) is None, "nothing was heard yet"
    cache.hear()
    for name in "abc":
        cache.keep((name, "1"), answer(4), cache.changes)
    assert [cache.take((name, "1")) is not None for name in "abc"] == [False, True, True]
    cache.keep(("b", "1"), answer(6), cache.changes)
    assert [cache.take((name, "1")) is not None for name in "bc"] == [True, True]
    cache.keep(("d", "1"), answer(11), cache.changes)
    cache.keep(("e", "1"), answer(1, -1), cache.changes)
    assert [cache.take((name, "1")) for name in "de"] == [None, None]
    before = cache.changes
    cache.clear()
    cache.keep(("f", "1"), answer(1), before)
    assert cache.take(("f", "1")) is None


async def test_a_lease_never_allows_what_the_limit_would_not(settings: Settings) -> None:
    moment, limit, chance = [MOMENT], 40, random.Random(7)
    workers = [Limiter(settings.redis_url, make_log(), limit, clock=lambda: moment[0], patience=60) for _ in range(3)]
    share, full, allowed, leased = WINDOW * 1_000_000 // limit, 0, 0, 0
    for step in range(400):
        moment[0] += chance.choice((0, share // 2, share, share * 2)) if step % 80 < 40 else 0
        worker = chance.choice(workers)
        verdict = worker.take("tenant:leased")
        leased += verdict is not None
        verdict = verdict or await worker.spend_ahead("tenant:leased")
        if verdict.allowed:
            # As one bucket would judge it that nobody takes from in advance.
            full = max(full, moment[0]) + share
            allowed += 1
            assert full - moment[0] <= WINDOW * 1_000_000
    assert leased > 20
    assert allowed > limit
    alone = [await workers[0].spend("tenant:x") for _ in range(limit + 1)]
    assert [one.allowed for one in alone] == [True] * limit + [False]
    first = await workers[0].spend_ahead("tenant:y")
    rest = [workers[0].take("tenant:y") for _ in range(11)]
    assert [one and one.remaining for one in (first, *rest)] == [*range(39, 28, -1), None]
    for one in workers:
        await one.close()


async def test_an_error_of_one_question_is_not_the_answer_to_another() -> None:
    async def ask(questions: Sequence[int]) -> list[int]:
        await asyncio.sleep(0)
        return [10 // question for question in questions]

    together = Together(ask)
    found = await asyncio.gather(*(together.ask(one) for one in (1, 0, 5)), return_exceptions=True)
    assert (found[0], type(found[1]), found[2]) == (10, ZeroDivisionError, 2)


async def test_every_question_is_answered_whenever_it_comes() -> None:
    async def ask(questions: Sequence[int]) -> list[int]:
        for _ in range(questions[0] % 3):
            await asyncio.sleep(0)
        return [-question for question in questions]

    async def asked(number: int) -> int:
        for _ in range(number % 11):
            await asyncio.sleep(0)
        return await asyncio.wait_for(together.ask(number), 5)

    together = Together(ask)
    numbers = list(range(500))
    assert await asyncio.gather(*map(asked, numbers)) == [-number for number in numbers]


async def test_each_read_counts_once_and_those_beyond_the_limit_are_refused(
    module_settings: Settings, keys: dict[str, str]
) -> None:
    """Also one that finds nothing: it is answered the usual way, with the verdict that it has."""
    async with serving(module_settings, keys, requests_a_minute=10) as limited:
        token = portal_token(limited, "acme", f"nobody {uuid.uuid4()}")
        answers = [await limited.client.get(PATH.format("acme"), headers=token) for _ in range(12)]
        assert [answer.status_code for answer in answers] == [404] * 10 + [429] * 2
        assert [int(answer.headers["ratelimit-remaining"]) for answer in answers[:10]] == list(range(9, -1, -1))
        assert_problem(answers[-1], 429, "rate-limited")
