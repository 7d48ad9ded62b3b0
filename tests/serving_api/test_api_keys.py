"""API keys over HTTP, and who a session is."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.people import entries_of
from tests.support.serving import Api, assert_problem, bearer, session_of
from valueverse.platform.access.api_keys import SCOPES, digest, prefix_of
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    import httpx

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration, pytest.mark.security]
KEYS = "/v1/api-keys"


@pytest.fixture
async def admin(api: Api, module_settings: Settings) -> dict[str, str]:
    """The header of a session that may administer acme."""
    return bearer(await session_of(api, module_settings, "acme", "admin"))


async def opened(api: Api, key: str) -> httpx.Response:
    return await api.client.post("/v1/sessions", headers=bearer(key))


async def made(api: Api, admin: dict[str, str], **body: Any) -> dict[str, Any]:
    answer = await api.client.post(KEYS, json={"scopes": ["billing:read"]} | body, headers=admin)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def logged(settings: Settings, entry: str) -> list[str]:
    with connect(settings, "builder") as connection:
        rows = connection.execute(
            "select entry::json ->> 'actor' from audit.submitted where entry like %s", [f"%{entry}%"]
        ).fetchall()
    return [row[0] for row in rows]


async def test_a_session_says_who_it_is(api: Api) -> None:
    session = await api.sign_in("acme")
    me = (await api.client.get("/v1/me", headers=bearer(session["access_token"]))).json()
    assert me["id"] == prefix_of(api.keys["acme"])
    assert (me["tenant"], me["kind"]) == ("acme", "api_key")
    assert me["scopes"] == ["events:write", "billing:read", "audit:read"]


async def test_a_key_is_shown_once_and_opens_what_its_scopes_say(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    key = await made(api, admin, name="dashboard", expires_in_days=90)
    assert key["key"].startswith(f"vv_{key['prefix']}_")
    assert (key["name"], key["scopes"]) == ("dashboard", ["billing:read"])
    lifetime = datetime.fromisoformat(key["expires_at"]) - datetime.fromisoformat(key["created_at"])
    assert abs(lifetime - timedelta(days=90)) < timedelta(minutes=1)
    session = (await opened(api, key["key"])).json()["access_token"]
    assert (await api.client.get("/v1/invoices", headers=bearer(session))).status_code == 200
    assert_problem(await api.client.get("/v1/audit/entries", headers=bearer(session)), 403, "insufficient-scope")
    listed = await api.client.get(KEYS, params={"limit": 100}, headers=admin)
    assert key["key"] not in listed.text
    assert digest(key["key"]) not in listed.text
    (shown,) = (row for row in listed.json()["data"] if row["prefix"] == key["prefix"])
    assert shown == {name: value for name, value in key.items() if name != "key"}
    (actor,) = await logged(module_settings, f'"action":"api_key.created","actor":"%"object":"{key["prefix"]}"')
    me = (await api.client.get("/v1/me", headers=admin)).json()
    assert actor == me["id"]


@pytest.mark.parametrize("scope", [scope for scope in SCOPES if scope != "admin"])
async def test_a_key_without_admin_makes_and_sees_no_keys(api: Api, scope: str) -> None:
    asked = bearer(api.token("acme", scope))
    for answer in (
        await api.client.post(KEYS, json={"scopes": [scope]}, headers=asked),
        await api.client.post(f"{KEYS}/aaaaaaaaaaaa/rotate", json={}, headers=asked),
        await api.client.delete(f"{KEYS}/aaaaaaaaaaaa", headers=asked),
        await api.client.get(KEYS, headers=asked),
    ):
        assert_problem(answer, 403, "insufficient-scope")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"scopes": []}, "body.scopes"), ({"scopes": ["root"]}, "body.scopes.0"), ({}, "body.scopes"),
        ({"scopes": ["admin"], "tenant": "birch"}, "body.tenant"),
        ({"scopes": ["admin"], "expires_in_days": 0}, "body.expires_in_days"),
        ({"scopes": ["admin"], "expires_in_days": "1"}, "body.expires_in_days"),
        ({"scopes": ["admin"], "name": "a\u0000b"}, "body.name"),
    ],
)  # fmt: skip
async def test_a_key_that_cannot_be_is_refused_with_its_place(
    api: Api, admin: dict[str, str], body: dict[str, Any], path: str
) -> None:
    problem = assert_problem(await api.client.post(KEYS, json=body, headers=admin), 422, "invalid-request")
    assert problem["errors"][0]["path"] == path


async def test_a_key_that_is_refused_is_an_entry_of_its_tenants_log_once_an_hour(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    """Whoever knows a prefix adds an entry an hour at most, from wherever; a prefix of no key adds none."""
    key = await made(api, admin)
    wrong = f"vv_{key['prefix']}_{'x' * 43}"
    for _ in range(3):
        refused = await opened(api, wrong)
        assert_problem(refused, 401, "invalid-credentials")
        assert_problem(await opened(api, f"vv_{'0' * 12}_{'x' * 43}"), 401, "invalid-credentials")
    assert (await opened(api, key["key"])).status_code == 200
    assert (await api.client.delete(f"{KEYS}/{key['prefix']}", headers=admin)).status_code == 204
    assert_problem(await opened(api, key["key"]), 401, "invalid-credentials")
    (first,) = entries_of(module_settings, "api_key.refused")
    assert (first["tenant"], first["object"], first["digest"]) == ("acme", key["prefix"], "")
    assert re.fullmatch("p:[0-9a-f]{32}", first["actor"])
    with connect(module_settings, "admin") as connection:
        connection.execute("update auth.api_key set refused_at = refused_at - interval '1 h'")
    assert_problem(await opened(api, key["key"]), 401, "invalid-credentials")
    assert [entry["object"] for entry in entries_of(module_settings, "api_key.refused")] == [key["prefix"]] * 2


async def test_a_key_that_reads_by_itself_is_an_entry_of_its_tenants_log_once_an_hour(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    """Clients of other systems read with the key and open no session."""
    made_key = await made(api, admin)
    header, meters = {"Authorization": f"Bearer {made_key['key']}"}, "/compat/openmeter/api/v1/meters"
    answers = await asyncio.gather(*(api.client.get(meters, headers=header) for _ in range(3)))
    assert {answer.status_code for answer in answers} == {200}

    def used() -> list[dict[str, str]]:
        return [one for one in entries_of(module_settings, "api_key.used") if one["object"] == made_key["prefix"]]

    (entry,) = used()
    assert (entry["tenant"], entry["actor"], entry["digest"]) == ("acme", made_key["prefix"], "")
    assert entry["request"] in {answer.headers["x-request-id"] for answer in answers}
    with connect(module_settings, "admin") as connection:
        connection.execute("update auth.api_key set used_at = used_at - interval '1 h'")
    assert (await api.client.get(meters, headers=header)).status_code == 200
    assert len(used()) == 2


async def test_an_expired_key_opens_nothing_and_its_sessions_end(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    key = await made(api, admin, scopes=["events:write", "admin"], expires_in_days=1)
    session = (await opened(api, key["key"])).json()
    with connect(module_settings, "admin") as connection:
        connection.execute("update auth.api_key set expires_at = now() where prefix = %s", [key["prefix"]])
    assert_problem(await opened(api, key["key"]), 401, "invalid-credentials")
    assert_problem(
        await api.client.post("/v1/sessions/refresh", json={"refresh_token": session["refresh_token"]}),
        401,
        "invalid-credentials",
    )
    late = await api.client.post(KEYS, json={"scopes": ["admin"]}, headers=bearer(session["access_token"]))
    assert_problem(late, 401, "invalid-token")


async def test_a_replaced_key_goes_on_for_the_overlap_alone(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    old = await made(api, admin, name="sender", scopes=["billing:read", "events:write"])
    answer = await api.client.post(f"{KEYS}/{old['prefix']}/rotate", json={"overlap_seconds": 60}, headers=admin)
    new = answer.json()
    assert answer.status_code == 201
    assert new["prefix"] != old["prefix"] == new["replaces"]
    assert (new["name"], new["scopes"]) == ("sender", ["billing:read", "events:write"])
    for key in (old, new):
        assert (await opened(api, key["key"])).status_code == 200
    with connect(module_settings, "admin") as connection:
        left = connection.execute(
            "select expires_at - now() < '1 min', revoked_at from auth.api_key where prefix = %s", [old["prefix"]]
        ).fetchone()
        assert left == (True, None)
    again = await api.client.post(f"{KEYS}/{new['prefix']}/rotate", json={"overlap_seconds": 0}, headers=admin)
    assert_problem(await opened(api, new["key"]), 401, "invalid-credentials")
    assert (await opened(api, again.json()["key"])).status_code == 200
    twice = await api.client.post(f"{KEYS}/{new['prefix']}/rotate", json={}, headers=admin)
    assert_problem(twice, 404, "not-found")


async def test_a_revoked_key_ends_at_once_and_stays_in_the_list(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    key = await made(api, admin)
    for _ in range(2):
        answer = await api.client.delete(f"{KEYS}/{key['prefix']}", headers=admin)
        assert (answer.status_code, answer.content) == (204, b"")
    assert_problem(await opened(api, key["key"]), 401, "invalid-credentials")
    listed = (await api.client.get(KEYS, params={"limit": 100}, headers=admin)).json()["data"]
    assert next(row for row in listed if row["prefix"] == key["prefix"])["revoked_at"]
    entry = f'"action":"api_key.revoked","actor":"%"object":"{key["prefix"]}"'
    assert len(await logged(module_settings, entry)) == 1


async def test_another_tenants_key_is_as_if_it_were_not_there(api: Api, admin: dict[str, str]) -> None:
    prefix = prefix_of(api.keys["birch"])
    for answer in (
        await api.client.delete(f"{KEYS}/{prefix}", headers=admin),
        await api.client.post(f"{KEYS}/{prefix}/rotate", json={}, headers=admin),
    ):
        assert_problem(answer, 404, "not-found")
    assert (await opened(api, api.keys["birch"])).status_code == 200


async def test_a_repeated_request_makes_no_second_key_and_does_not_show_the_first_again(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    asked = admin | {"Idempotency-Key": "one key"}
    first, second = [await api.client.post(KEYS, json={"scopes": ["admin"]}, headers=asked) for _ in range(2)]
    assert first.json() | {"key": None} == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    other = await api.client.post(KEYS, json={"scopes": ["billing:read"]}, headers=asked)
    assert_problem(other, 422, "idempotency-mismatch")
    with connect(module_settings, "admin") as connection:
        stored = connection.execute("select convert_from(body, 'UTF8') from inbox.answer").fetchall()
    assert first.json()["key"] not in str(stored)


async def test_a_session_that_was_ended_makes_no_keys_in_the_minutes_it_has_left(
    api: Api, module_settings: Settings
) -> None:
    token = await session_of(api, module_settings, "acme", "admin")
    await api.client.delete("/v1/sessions", headers=bearer(token))
    answer = await api.client.post(KEYS, json={"scopes": ["admin"]}, headers=bearer(token))
    assert_problem(answer, 401, "invalid-token")
    prefix = prefix_of(api.keys["acme"])
    assert_problem(await api.client.delete(f"{KEYS}/{prefix}", headers=bearer(token)), 401, "invalid-token")


async def test_keys_are_listed_in_pages_that_miss_and_double_nothing(api: Api, admin: dict[str, str]) -> None:
    whole = (await api.client.get(KEYS, params={"limit": 100}, headers=admin)).json()["data"]
    found, cursor = [], {}
    while True:
        page = (await api.client.get(KEYS, params={"limit": 2} | cursor, headers=admin)).json()
        found += page["data"]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == whole
