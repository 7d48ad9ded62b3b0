"""People of a tenant: invited, signed in, given roles, disabled; and what nobody gets through with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from tests.support.background import jobs_done
from tests.support.people import PASSWORD, actions, add_person, log_in, mails, person, token_in
from tests.support.serving import Api, assert_problem, bearer
from valueverse.errors import RefusalError
from valueverse.platform.access.api_keys import digest, issue_api_key
from valueverse.platform.warehouse import connect
from valueverse.services.people import jobs
from valueverse.services.people.invitations import disable_user, invite, list_users

if TYPE_CHECKING:
    import httpx

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration, pytest.mark.security]
USERS, INVITATIONS = "/v1/users", "/v1/invitations"


async def accept(api: Api, token: str, password: str = PASSWORD) -> httpx.Response:
    return await api.client.post(f"{INVITATIONS}/accept", json={"token": token, "name": "Ada", "password": password})


async def invited(api: Api, header: dict[str, str], email: str, role: str = "viewer") -> httpx.Response:
    return await api.client.post(INVITATIONS, json={"email": email, "role": role}, headers=header)


async def change(api: Api, header: dict[str, str], user: str, role: str) -> httpx.Response:
    tag = (await api.client.get(f"{USERS}/{user}", headers=header)).headers["etag"]
    return await api.client.patch(f"{USERS}/{user}", json={"role": role}, headers=header | {"If-Match": tag})


async def disable(api: Api, header: dict[str, str], user: str) -> httpx.Response:
    return await api.client.post(f"{USERS}/{user}/disable", headers=header)


async def test_an_invited_person_chooses_a_password_and_signs_in(api: Api, module_settings: Settings) -> None:
    made = invite(module_settings, "acme", "Ada@Example.COM", "owner")
    (mail,) = await mails(module_settings, "ada@example.com")
    token = token_in(mail)
    assert made["link"] == f"http://127.0.0.1:3000/invitation#{token}"
    session = await accept(api, token)
    assert session.status_code == 200, session.text
    me = (await api.client.get("/v1/me", headers=bearer(session.json()["access_token"]))).json()
    assert (me["kind"], me["tenant"]) == ("user", "acme")
    assert me["user"] == {"email": "ada@example.com", "name": "Ada", "role": "owner"}
    assert "admin" in me["scopes"]
    for email in ("ada@example.com", "ADA@example.com"):
        again = await log_in(api, email)
        assert again.status_code == 200
        header = bearer(again.json()["access_token"])
        assert (await api.client.get("/v1/invoices", headers=header)).status_code == 200
    refreshed = await api.client.post("/v1/sessions/refresh", json={"refresh_token": again.json()["refresh_token"]})
    assert (await api.client.get(USERS, headers=bearer(refreshed.json()["access_token"]))).status_code == 200
    assert actions(module_settings, made["invitation"]) == [
        ("invitation.created", "system"),
        ("invitation.accepted", me["id"]),
    ]
    assert actions(module_settings, me["id"]) == [("user.created", me["id"])]
    family = jwt.decode(session.json()["access_token"], options={"verify_signature": False})["sid"]
    assert actions(module_settings, family) == [("session.opened", me["id"])]


async def test_a_token_of_an_invitation_is_good_once_and_stored_nowhere(api: Api, module_settings: Settings) -> None:
    _, owner = await person(api, module_settings, "owner")
    answer = await invited(api, owner, "once@example.com")
    assert answer.status_code == 201
    token = token_in((await mails(module_settings, "once@example.com"))[0])
    answers = await asyncio.gather(*(accept(api, token) for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [200, 401, 401, 401]
    with connect(module_settings, "admin") as connection:
        stored = str(connection.execute("select * from auth.invitation").fetchall())
        stored += str(connection.execute("select entry from audit.submitted").fetchall())
        stored += str(connection.execute("select convert_from(body, 'UTF8') from inbox.answer").fetchall())
    assert digest(token) in stored
    for text in (answer.text, stored, api.log.getvalue().decode()):
        assert token[-43:] not in text
    assert "once@example.com" not in str(actions(module_settings, answer.json()["id"]))


async def test_an_invitation_that_is_over_opens_nothing(api: Api, module_settings: Settings) -> None:
    """Revoked, replaced by another, expired, of somebody who was disabled or got another role, and under another
    tenant's name."""
    _, owner = await person(api, module_settings, "owner")
    admin, header = await person(api, module_settings, "admin")
    lowered, before = await person(api, module_settings, "admin")
    made = {}
    for name in ("revoked", "replaced", "expired", "disabled", "lowered", "moved"):
        inviting = {"disabled": header, "lowered": before}.get(name, owner)
        answer = await invited(api, inviting, f"{name}@example.com")
        made[name] = (answer.json()["id"], token_in((await mails(module_settings, f"{name}@example.com"))[0]))
    await invited(api, owner, "replaced@example.com")
    for _ in range(2):
        gone = await api.client.delete(f"{INVITATIONS}/{made['revoked'][0]}", headers=owner)
        assert gone.status_code == 204
    assert (await disable(api, owner, admin)).status_code == 200
    assert (await change(api, owner, lowered, "viewer")).status_code == 200
    with connect(module_settings, "admin") as connection:
        connection.execute("update auth.invitation set expires_at = now() where email = 'expired@example.com'")
    tokens = {name: token for name, (_, token) in made.items()}
    tokens["moved"] = tokens["moved"].replace("YWNtZQ", "YmlyY2g")
    for name, token in tokens.items():
        assert_problem(await accept(api, token), 401, "invalid-credentials")
        assert name
    states = {row["email"]: row["state"] for row in (await api.client.get(INVITATIONS, headers=owner)).json()["data"]}
    assert (states["revoked@example.com"], states["expired@example.com"]) == ("revoked", "expired")
    assert (await accept(api, token_in((await mails(module_settings, "replaced@example.com"))[1]))).status_code == 200
    known = await invited(api, owner, "replaced@example.com")
    assert_problem(known, 409, "conflict")


async def test_a_weak_password_is_refused_with_its_place_and_the_invitation_stays_good(
    api: Api, module_settings: Settings
) -> None:
    token = invite(module_settings, "acme", "grace.hopper@example.com", "viewer")["link"].partition("#")[2]
    for weak in ("short", "password12345", "qwertyuiop123456", "111111111111111", "grace.hopper@example.com"):
        problem = assert_problem(await accept(api, token, weak), 422, "invalid-request")
        assert problem["errors"][0]["path"] == "body.password"
    assert (await accept(api, token)).status_code == 200


async def test_a_disabled_person_is_out_at_once(api: Api, module_settings: Settings) -> None:
    _, owner = await person(api, module_settings, "owner")
    user, email = add_person(module_settings, "admin")
    session = (await log_in(api, email)).json()
    header = bearer(session["access_token"])
    assert (await api.client.get("/v1/invoices", headers=header)).status_code == 200
    done = await disable(api, owner, user)
    assert (done.status_code, done.json()["disabled_at"] is None) == (200, False)
    assert_problem(await api.client.get("/v1/invoices", headers=header), 401, "invalid-token")
    assert_problem(
        await api.client.post("/v1/api-keys", json={"scopes": ["admin"]}, headers=header), 401, "invalid-token"
    )
    refresh = await api.client.post("/v1/sessions/refresh", json={"refresh_token": session["refresh_token"]})
    assert_problem(refresh, 401, "invalid-credentials")
    assert_problem(await log_in(api, email), 401, "invalid-credentials")
    assert (await disable(api, owner, user)).json() == done.json()
    assert_problem(await change_blindly(api, owner, user, "viewer"), 409, "conflict")
    assert ("user.disabled", (await api.client.get("/v1/me", headers=owner)).json()["id"]) in actions(
        module_settings, user
    )


async def change_blindly(api: Api, header: dict[str, str], user: str, role: str) -> httpx.Response:
    return await api.client.patch(f"{USERS}/{user}", json={"role": role}, headers=header | {"If-Match": "*"})


async def test_another_role_and_a_sign_out_hold_from_the_next_request_on(api: Api, module_settings: Settings) -> None:
    owner_id, owner = await person(api, module_settings, "owner")
    user, header = await person(api, module_settings, "viewer")
    assert_problem(await api.client.get("/v1/audit/entries", headers=header), 403, "insufficient-scope")
    changed = await change(api, owner, user, "finance")
    assert (changed.status_code, changed.json()["role"]) == (200, "finance")
    assert changed.headers["etag"] == (await api.client.get(f"{USERS}/{user}", headers=owner)).headers["etag"]
    assert (await api.client.get("/v1/audit/entries", headers=header)).status_code == 200
    assert ("user.role_changed", owner_id) in actions(module_settings, user)
    await api.client.delete("/v1/sessions", headers=header)
    assert_problem(await api.client.get("/v1/me", headers=header), 401, "invalid-token")


async def test_a_change_names_what_it_changes(api: Api, module_settings: Settings) -> None:
    _, owner = await person(api, module_settings, "owner")
    user, _ = add_person(module_settings, "viewer")
    address, body = f"{USERS}/{user}", {"role": "analyst"}
    assert_problem(await api.client.patch(address, json=body, headers=owner), 428, "precondition-required")
    old = owner | {"If-Match": (await api.client.get(address, headers=owner)).headers["etag"]}
    assert (await api.client.patch(address, json=body, headers=old)).status_code == 200
    assert_problem(await api.client.patch(address, json=body, headers=old), 412, "precondition-failed")
    for wrong in (
        {"role": "root"},
        {},
        {"role": "viewer", "tenant": "birch"},
        {"role": "viewer", "email": "x@example.com"},
    ):
        assert_problem(await api.client.patch(address, json=wrong, headers=old), 422, "invalid-request")


async def test_nobody_becomes_an_owner_but_by_an_owner(api: Api, module_settings: Settings) -> None:
    """An admin invites, makes, changes and disables no owner: by a session, or by a key that the admin makes."""
    add_person(module_settings, "owner")
    owner, _ = add_person(module_settings, "owner")
    admin, header = await person(api, module_settings, "admin")
    made = await api.client.post("/v1/api-keys", json={"scopes": ["admin"]}, headers=header)
    session = await api.client.post("/v1/sessions", headers=bearer(made.json()["key"]))
    for asker in (header, bearer(session.json()["access_token"])):
        for answer in (
            await change(api, asker, admin, "owner"),
            await change(api, asker, owner, "viewer"),
            await disable(api, asker, owner),
            await invited(api, asker, "second@example.com", "owner"),
        ):
            assert_problem(answer, 403, "insufficient-role")
        assert (await invited(api, asker, "third@example.com", "admin")).status_code == 201
    with connect(module_settings, "admin") as connection:
        rows = connection.execute("select role from auth.user_account where user_id = any(%s)", [[owner, admin]])
        assert sorted(row[0] for row in rows) == ["admin", "owner"]
    assert await mails(module_settings, "second@example.com") == []


@pytest.mark.parametrize("role", ["finance", "viewer"])
async def test_nobody_raises_the_own_role_or_sees_people_without_being_an_admin(
    api: Api, module_settings: Settings, role: str
) -> None:
    user, header = await person(api, module_settings, role)
    for answer in (
        await change_blindly(api, header, user, "admin"),
        await disable(api, header, user),
        await invited(api, header, "friend@example.com", "viewer"),
        await api.client.get(USERS, headers=header),
        await api.client.get(INVITATIONS, headers=header),
        await api.client.post("/v1/api-keys", json={"scopes": ["admin"]}, headers=header),
    ):
        assert_problem(answer, 403, "insufficient-scope")


async def test_the_last_owner_stays(api: Api, module_settings: Settings) -> None:
    """Also where two owners remove each other at once, and on the command line."""
    (one, first), (two, second) = [await person(api, module_settings, "owner", "cedar") for _ in range(2)]
    both = await asyncio.gather(disable(api, first, two), disable(api, second, one))
    assert min(answer.status_code for answer in both) == 200
    with connect(module_settings, "admin") as connection:
        rows = connection.execute(
            "select user_id, email from auth.user_account"
            " where tenant_id = 'cedar' and role = 'owner' and disabled_at is null"
        ).fetchall()
    ((left, email),) = rows
    header = first if left == one else second
    assert_problem(await change(api, header, left, "admin"), 409, "conflict")
    assert_problem(await disable(api, header, left), 409, "conflict")
    with pytest.raises(RefusalError, match="last owner"):
        disable_user(module_settings, "cedar", email)
    assert (await api.client.get(USERS, headers=header)).status_code == 200


async def test_another_tenants_people_are_as_if_they_were_not_there(api: Api, module_settings: Settings) -> None:
    _, owner = await person(api, module_settings, "owner")
    other, _ = add_person(module_settings, "viewer", "birch")
    theirs = invite(module_settings, "birch", "theirs@example.com", "viewer")["invitation"]
    answers = [
        await api.client.get(f"{USERS}/{other}", headers=owner),
        await change_blindly(api, owner, other, "admin"),
        await disable(api, owner, other),
        await api.client.delete(f"{INVITATIONS}/{theirs}", headers=owner),
    ]
    for answer in answers:
        assert_problem(answer, 404, "not-found")
    assert other not in (await api.client.get(USERS, params={"limit": 100}, headers=owner)).text


async def test_a_mail_that_is_not_taken_is_tried_again_later_and_given_up_and_the_invitation_says_so(
    api: Api, module_settings: Settings
) -> None:
    _, owner = await person(api, module_settings, "owner")
    away = module_settings.model_copy(update={"smtp_url": "smtps://127.0.0.1:1"})

    async def state() -> str:
        listed = (await api.client.get(INVITATIONS, params={"limit": 100}, headers=owner)).json()["data"]
        (found,) = (one["mail"] for one in listed if one["email"] == "unsent@example.com")
        return str(found)

    def due(attempts: int) -> None:
        with connect(module_settings, "builder") as connection:
            connection.execute(
                "update queue.procrastinate_jobs set scheduled_at = now(), attempts = %s where status = 'todo'",
                [attempts],
            )

    assert await mails(module_settings, "unsent@example.com") == []
    answer = await invited(api, owner, "unsent@example.com")
    assert (answer.status_code, answer.json()["mail"]) == (201, "waiting")
    (line,) = await jobs_done(away, jobs.KINDS, jobs.QUEUE)
    assert (line["again"], await state()) == (True, "waiting")
    due(6)
    (line,) = await jobs_done(away, jobs.KINDS, jobs.QUEUE)
    assert (line["again"], await state()) == (False, "failed")
    # Whoever invites again replaces it, and what was mailed once is not mailed again.
    for _ in range(2):
        await invited(api, owner, "unsent@example.com")
    assert len(await mails(module_settings, "unsent@example.com")) == 1
    with connect(module_settings, "builder") as connection:
        connection.execute(
            "select queue.defer('acme', 'mails', 'mail_invitation', invitation) from auth.invitation"
            " where email = 'unsent@example.com'"
        )
    assert len(await mails(module_settings, "unsent@example.com")) == 1


async def test_a_repeated_invitation_mails_once(api: Api, module_settings: Settings) -> None:
    _, owner = await person(api, module_settings, "owner")
    once = owner | {"Idempotency-Key": "one invitation"}
    first, second = [await invited(api, once, "repeated@example.com") for _ in range(2)]
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert len(await mails(module_settings, "repeated@example.com")) == 1
    for wrong in ("no address", "a@b", "a@@example.com", "a@example.com\r\nBcc: b@example.com"):
        problem = assert_problem(await invited(api, owner, wrong), 422, "invalid-request")
        assert problem["errors"][0]["path"] == "body.email"


async def test_people_are_listed_in_pages_that_miss_and_double_nobody(api: Api, module_settings: Settings) -> None:
    _, owner = await person(api, module_settings, "owner")
    whole = (await api.client.get(USERS, params={"limit": 100}, headers=owner)).json()["data"]
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await api.client.get(USERS, params={"limit": 4} | cursor, headers=owner)).json()
        found += page["data"]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == whole
    assert "password" not in str(whole)


async def test_a_key_that_may_administer_invites_too_until_it_is_revoked(api: Api, module_settings: Settings) -> None:
    with connect(module_settings, "builder") as connection:
        key = issue_api_key(connection, "acme", ["admin"])
    session = (await api.client.post("/v1/sessions", headers=bearer(key))).json()
    header = bearer(session["access_token"])
    assert (await invited(api, header, "by.key@example.com")).status_code == 201
    await api.client.delete("/v1/sessions", headers=header)
    assert_problem(await invited(api, header, "later@example.com"), 401, "invalid-token")


def test_the_command_line_refuses_whom_it_cannot_invite_or_disable(
    module_settings: Settings, keys: dict[str, str]
) -> None:
    _, email = add_person(module_settings, "viewer")
    for tenant, whom, role, code in (
        ("nowhere", "new@example.com", "owner", "unknown_tenant"),
        ("acme", email, "owner", "user_exists"),
        ("acme", "new@example.com", "ower", "bad_role"),
        ("acme", "no address", "owner", "bad_email"),
    ):
        with pytest.raises(RefusalError) as refused:
            invite(module_settings, tenant, whom, role)
        assert refused.value.code == code
    with pytest.raises(RefusalError) as refused:
        disable_user(module_settings, "birch", email)
    assert refused.value.code == "unknown_user"
    states = {row["email"]: row["state"] for row in list_users(module_settings, "acme")}
    assert states[email] == "active"
    disable_user(module_settings, "acme", email)
    assert {row["email"]: row["state"] for row in list_users(module_settings, "acme")}[email] == "disabled"
