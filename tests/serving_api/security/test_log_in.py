"""Log-ins by password: the same answer to whoever is not let in, waits after wrong ones, bounded work."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher

from serving_api.routes.identity import sign_in
from serving_api.security.attempts import FREE, Attempts
from serving_api.security.hashing import Hashing
from tests.support.people import PASSWORD, actions, add_person, entries_of, log_in
from tests.support.serving import Api, assert_problem, without
from valueverse.platform.warehouse import connect
from valueverse.services.people.passwords import is_password

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration, pytest.mark.security]


async def test_a_log_in_answers_alike_whoever_is_not_let_in(
    api: Api, module_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong password, an address or tenant that is not there, a disabled person: one answer, after the same work."""
    _, known = add_person(module_settings, "viewer")
    gone, disabled = add_person(module_settings, "viewer")
    with connect(module_settings, "admin") as connection:
        connection.execute("update auth.user_account set disabled_at = now() where user_id = %s", [gone])
    judged = []

    def counted(password: str, hashed: str | None) -> bool:
        judged.append(hashed is not None)
        return is_password(password, hashed)

    monkeypatch.setattr(sign_in, "is_password", counted)
    problems = [
        assert_problem(await log_in(api, known, "another password"), 401, "invalid-credentials"),
        assert_problem(await log_in(api, "nobody@example.com"), 401, "invalid-credentials"),
        assert_problem(await log_in(api, "no address"), 401, "invalid-credentials"),
        assert_problem(await log_in(api, known, tenant="birch"), 401, "invalid-credentials"),
        assert_problem(await log_in(api, known, tenant="nowhere"), 401, "invalid-credentials"),
        assert_problem(await log_in(api, disabled), 401, "invalid-credentials"),
    ]
    assert all(without(one) == without(problems[0]) for one in problems)
    assert judged == [True, False, False, False, False, False]
    assert PASSWORD not in api.log.getvalue().decode()


@pytest.mark.parametrize("exists", [True, False])
async def test_an_account_waits_longer_after_each_wrong_password(
    api: Api, module_settings: Settings, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    """Whether or not somebody has the address; even at once no more are judged; and nobody else waits. The audit log
    has what was judged and each wait, of people alone: an address that nobody has leaves nothing, however often tried.
    """
    now = [1_700_000_000_000_000]
    service = api.app.state.service
    monkeypatch.setattr(service, "attempts", Attempts(module_settings.redis_url, clock=lambda: now[0]))
    user, email = add_person(module_settings, "viewer") if exists else ("", "stranger@example.com")
    before = entries_of(module_settings, "user.l%")
    answers = await asyncio.gather(*(log_in(api, email, "wrong") for _ in range(FREE + 3)))
    assert sorted(one.status_code for one in answers) == [401] * FREE + [429] * 3
    for seconds in (30, 60, 120):
        blocked = await log_in(api, email)
        assert assert_problem(blocked, 429, "rate-limited")
        assert blocked.headers["retry-after"] == str(seconds)
        now[0] += seconds * 1_000_000
        assert (await log_in(api, email, "wrong")).status_code == 401
    written = entries_of(module_settings, "user.l%")[len(before) :]
    assert [row["object"] for row in written] == [user] * (FREE + 3 + 4 if exists else 0)
    assert [row["action"] for row in written].count("user.locked_out") == (4 if exists else 0)
    assert all(row["tenant"] == "acme" and re.fullmatch("p:[0-9a-f]{32}", row["actor"]) for row in written)
    now[0] += 240 * 1_000_000
    _, other = add_person(module_settings, "viewer")
    assert (await log_in(api, other)).status_code == 200
    if exists:
        assert (await log_in(api, email)).status_code == 200
        assert [(await log_in(api, email, "wrong")).status_code for _ in range(FREE)] == [401] * FREE


async def test_nobody_signs_in_by_password_while_attempts_cannot_be_counted(
    api: Api, module_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, email = add_person(module_settings, "viewer")
    monkeypatch.setattr(api.app.state.service, "attempts", Attempts("redis://127.0.0.1:1"))
    assert_problem(await log_in(api, email), 503, "unavailable")


async def test_wrong_passwords_count_against_the_address_they_come_from(api: Api) -> None:
    before = await api.app.state.service.limiter.spend("address:127.0.0.1", 0)
    await log_in(api, "nobody.at.all@example.com")
    after = await api.app.state.service.limiter.spend("address:127.0.0.1", 0)
    assert after.remaining == before.remaining - 1


async def test_few_passwords_are_hashed_at_once_and_too_many_are_refused(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Log-ins cannot use up memory: 19 MiB each, a few at once, and a bounded number that waits."""
    running, most, lock, go = 0, 0, threading.Lock(), threading.Event()

    def slow(_password: str, _hashed: str | None) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go.wait(10)
        with lock:
            running -= 1
        return False

    monkeypatch.setattr(sign_in, "is_password", slow)
    monkeypatch.setattr(api.app.state.service, "hashing", Hashing(at_once=2, waiting=3))
    asked = [asyncio.create_task(log_in(api, f"crowd{number}@example.com")) for number in range(9)]
    refused = asyncio.as_completed(asked)
    for _ in range(4):
        await next(refused)
    go.set()
    answers = await asyncio.gather(*asked)
    assert most == 2
    assert sorted(one.status_code for one in answers) == [401] * 5 + [503] * 4


async def test_a_password_is_hashed_again_when_the_parameters_have_changed(api: Api, module_settings: Settings) -> None:
    user, email = add_person(module_settings, "viewer")
    old = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
    with connect(module_settings, "admin") as connection:
        connection.execute("update auth.user_account set password_hash = %s where user_id = %s", [old, user])
        connection.commit()
        entries = actions(module_settings, user)
        assert (await log_in(api, email)).status_code == 200
        row = connection.execute("select password_hash from auth.user_account where user_id = %s", [user]).fetchone()
    assert row is not None
    assert row[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert actions(module_settings, user) == entries
    assert (await log_in(api, email)).status_code == 200
