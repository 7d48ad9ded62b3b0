"""Sessions: opened by an API key, refreshed once per token, ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from tests.support.people import actions, entries_of
from tests.support.serving import Api, assert_problem, bearer
from valueverse.platform.access import api_keys
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


def claims_of(session: dict[str, Any]) -> dict[str, Any]:
    return jwt.decode(session["access_token"], options={"verify_signature": False})


async def refresh(api: Api, token: str) -> object:
    return await api.client.post("/v1/sessions/refresh", json={"refresh_token": token})


async def test_an_api_key_opens_a_session(api: Api) -> None:
    answer = await api.client.post("/v1/sessions", headers=bearer(api.keys["acme"]))
    assert answer.status_code == 200
    session = answer.json()
    assert session["token_type"] == "Bearer"
    assert session["expires_in"] == 300
    assert answer.headers["cache-control"] == "no-store"
    claims = claims_of(session)
    assert claims["tenant"] == "acme"
    assert claims["exp"] - claims["iat"] == 300
    assert claims["scope"] == "audit:read billing:read events:write"


async def test_the_key_may_stand_in_the_body(api: Api) -> None:
    answer = await api.client.post("/v1/sessions", json={"api_key": api.keys["birch"]})
    assert answer.status_code == 200


async def test_an_outsider_verifies_a_token_with_the_published_keys(api: Api) -> None:
    token = (await api.sign_in("acme"))["access_token"]
    published = (await api.client.get("/v1/.well-known/jwks.json")).json()
    assert set(published["keys"][0]) == {"kty", "n", "e", "kid", "use", "alg"}
    key = jwt.PyJWKSet.from_dict(published)[jwt.get_unverified_header(token)["kid"]]
    assert (
        jwt.decode(token, key, algorithms=["RS256"], audience="valueverse-api", issuer="valueverse")["tenant"] == "acme"
    )


@pytest.mark.parametrize(
    "key", ["", "vv_", "vv_aaaaaaaaaaaa_" + "x" * 43, "not a key", "vv_aaaaaaaaaaaa_' or 1=1 --", "\u00e9"]
)
async def test_a_wrong_key_is_refused_without_details(api: Api, key: str) -> None:
    problem = assert_problem(await api.client.post("/v1/sessions", json={"api_key": key}), 401, "invalid-credentials")
    assert key == "" or key not in str(problem)


async def test_no_key_at_all_is_refused(api: Api) -> None:
    answer = await api.client.post("/v1/sessions")
    assert_problem(answer, 401, "invalid-credentials")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("body", "status", "name"), [(b"{", 400, "malformed-request"), (b"[]", 422, "invalid-request")]
)
async def test_a_broken_body_is_a_problem(api: Api, body: bytes, status: int, name: str) -> None:
    answer = await api.client.post("/v1/sessions", content=body, headers={"content-type": "application/json"})
    assert_problem(answer, status, name)


async def test_a_refresh_token_gives_new_tokens_once(api: Api) -> None:
    first = await api.sign_in("acme")
    second = await refresh(api, first["refresh_token"])
    assert second.status_code == 200
    assert second.json()["refresh_token"] != first["refresh_token"]
    third = await refresh(api, second.json()["refresh_token"])
    assert third.status_code == 200


async def test_a_reused_refresh_token_ends_the_whole_family(api: Api, module_settings: Settings) -> None:
    first = await api.sign_in("acme")
    other = await api.sign_in("acme")
    second = (await refresh(api, first["refresh_token"])).json()
    assert_problem(await refresh(api, first["refresh_token"]), 401, "invalid-credentials")
    assert_problem(await refresh(api, second["refresh_token"]), 401, "invalid-credentials")
    assert (await refresh(api, other["refresh_token"])).status_code == 200
    assert any("reused" in line["event"] for line in api.logged())
    family, key = claims_of(first)["sid"], api_keys.prefix_of(api.keys["acme"])
    assert_problem(await refresh(api, first["refresh_token"]), 401, "invalid-credentials")
    assert actions(module_settings, family) == [
        (f"session.{what}", key) for what in ("opened", "refreshed", "token_reused")
    ]


async def test_of_fifty_refreshes_at_once_exactly_one_survives(api: Api) -> None:
    token = (await api.sign_in("acme"))["refresh_token"]
    answers = await asyncio.gather(*(refresh(api, token) for _ in range(50)))
    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    assert {answer.status_code for answer in answers} == {200, 401}
    assert (await refresh(api, won[0].json()["refresh_token"])).status_code == 200


async def test_a_refresh_that_races_with_the_end_of_its_family_leaves_nobody_behind(
    api: Api, module_settings: Settings
) -> None:
    first = await api.sign_in("acme")
    second = (await refresh(api, first["refresh_token"])).json()
    await asyncio.gather(*(refresh(api, token) for token in [first["refresh_token"], second["refresh_token"]] * 5))
    family = claims_of(first)["sid"]
    with connect(module_settings, "admin") as connection:
        alive = connection.execute(
            "select count(*) from auth.refresh_token where family = %s and used_at is null and revoked_at is null",
            [family],
        ).fetchone()
    assert alive == (0,)


@pytest.mark.parametrize(
    ("column", "age", "status"),
    [("idle_expires_at", "29 minutes 59 seconds", 200), ("idle_expires_at", "30 minutes 1 second", 401),
     ("expires_at", "11 hours 59 minutes", 200), ("expires_at", "12 hours 1 second", 401)],
)  # fmt: skip
async def test_a_session_ends_by_idleness_and_by_age(
    api: Api, module_settings: Settings, column: str, age: str, status: int
) -> None:
    session = await api.sign_in("cedar")
    with connect(module_settings, "admin") as connection:
        moved = connection.execute(
            f"update auth.refresh_token set {column} = {column} - %s::interval where token_hash = %s",
            [age, api_keys.digest(session["refresh_token"])],
        )
        assert moved.rowcount == 1
    assert (await refresh(api, session["refresh_token"])).status_code == status


async def test_a_closed_session_cannot_be_refreshed_and_its_end_is_one_entry(
    api: Api, module_settings: Settings
) -> None:
    session = await api.sign_in("acme")
    closed = await api.client.delete("/v1/sessions", headers=bearer(session["access_token"]))
    assert (closed.status_code, closed.content) == (204, b"")
    assert_problem(await refresh(api, session["refresh_token"]), 401, "invalid-credentials")
    again = await api.client.delete("/v1/sessions", headers=bearer(session["access_token"]))
    assert again.status_code == 204
    (entry,) = (
        one for one in entries_of(module_settings, "session.closed") if one["object"] == claims_of(session)["sid"]
    )
    assert (entry["tenant"], entry["actor"]) == ("acme", api_keys.prefix_of(api.keys["acme"]))
    assert entry["request"] == closed.headers["x-request-id"]


async def test_a_revoked_key_opens_nothing_and_its_sessions_end(api: Api, module_settings: Settings) -> None:
    with connect(module_settings, "builder") as connection:
        key = api_keys.issue_api_key(connection, "acme", name="short-lived")
    session = (await api.client.post("/v1/sessions", headers=bearer(key))).json()
    with connect(module_settings, "builder") as connection:
        assert api_keys.verify_api_key(connection, key) == "acme"
        assert api_keys.revoke_api_key(connection, key) == "acme"
        assert api_keys.verify_api_key(connection, key) is None
    assert_problem(await api.client.post("/v1/sessions", headers=bearer(key)), 401, "invalid-credentials")
    assert_problem(await refresh(api, session["refresh_token"]), 401, "invalid-credentials")


async def test_a_session_without_the_scope_is_refused(api: Api, module_settings: Settings) -> None:
    with connect(module_settings, "builder") as connection:
        writer = api_keys.issue_api_key(connection, "acme", ["events:write"])
        admin = api_keys.issue_api_key(connection, "acme", ["admin"])
    for key, status in ((writer, 403), (admin, 200)):
        token = (await api.client.post("/v1/sessions", headers=bearer(key))).json()["access_token"]
        for path in ("/v1/invoices", "/v1/invoices/acme-000001", "/v1/customers"):
            answer = await api.client.get(path, headers=bearer(token))
            assert answer.status_code == status
            if status == 403:
                assert_problem(answer, 403, "insufficient-scope")


async def test_no_secret_is_stored_or_logged(api: Api, module_settings: Settings) -> None:
    session = await api.sign_in("acme")
    await refresh(api, session["refresh_token"] + "x")
    secrets = [api.keys["acme"], session["access_token"], session["refresh_token"]]
    with connect(module_settings, "admin") as connection:
        stored = str(connection.execute("select * from auth.api_key").fetchall())
        stored += str(connection.execute("select * from auth.refresh_token").fetchall())
    for secret in secrets:
        assert secret not in stored
        assert secret not in api.log.getvalue().decode()


@pytest.mark.parametrize(
    "token", ["x", "vvr_YWNtZQ." + "a" * 43, "vvr_!!.x", "vvr_" + "Y" * 84 + "." + "a" * 43, "vvr_YQ=.x"]
)
async def test_a_refresh_token_that_never_was_is_refused(api: Api, token: str) -> None:
    assert_problem(await refresh(api, token), 401, "invalid-credentials")
