"""The second factor, passwords that are changed, and passwords that were forgotten."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyotp
import pytest

from serving_api.security.attempts import FREE
from tests.support.people import PASSWORD, actions, add_person, log_in, mails, token_in
from tests.support.protection import own_secrets
from tests.support.serving import Api, assert_problem, bearer
from valueverse.errors import RefusalError
from valueverse.platform.access.api_keys import digest, issue_api_key
from valueverse.platform.warehouse import connect
from valueverse.services.people import second_factor
from valueverse.services.people.invitations import disable_user
from valueverse.services.privacy.rotate_keys import rotate_data_keys, rotate_wrapping_key

if TYPE_CHECKING:
    import httpx

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration, pytest.mark.security]
NEW = "copper lantern 91 drizzle"
FACTOR, RESET = "/v1/auth/second-factor", "/v1/auth/reset"


@pytest.fixture(scope="module")
def module_settings(module_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """With secrets of its own: a wrapping key is retired here, and other modules' values would not open any more."""
    return own_secrets(module_settings, tmp_path_factory.mktemp("own"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that codes are judged by."""
    now = [float(int(time.time()) // 30 * 30)]
    monkeypatch.setattr("valueverse.services.people.second_factor.time", SimpleNamespace(time=lambda: now[0]))
    return now


async def session_of(api: Api, email: str, **more: str) -> tuple[dict[str, str], dict[str, Any]]:
    answer = await log_in(api, email, **more)
    assert answer.status_code == 200, answer.text
    return bearer(answer.json()["access_token"]), answer.json()


async def enrolled(api: Api, settings: Settings, clock: list[float]) -> tuple[str, str, pyotp.TOTP, list[str]]:
    """Id and address of a person with a second factor, its app, and its recovery codes; a step later."""
    user, email = add_person(settings, "finance")
    header, _ = await session_of(api, email)
    begun = await api.client.post(FACTOR, json={"password": PASSWORD}, headers=header)
    assert begun.status_code == 201, begun.text
    app = pyotp.TOTP(begun.json()["secret"])
    assert pyotp.parse_uri(begun.json()["uri"]).secret == app.secret
    done = await api.client.post(f"{FACTOR}/confirm", json={"code": app.at(clock[0])}, headers=header)
    assert done.status_code == 200, done.text
    clock[0] += 30
    return user, email, app, done.json()["recovery_codes"]


async def change(api: Api, header: dict[str, str], current: str, password: str) -> httpx.Response:
    body = {"current": current, "password": password}
    return await api.client.post("/v1/auth/password", json=body, headers=header)


async def forgot(api: Api, email: str, tenant: str = "acme") -> None:
    answer = await api.client.post(RESET, json={"tenant": tenant, "email": email})
    assert (answer.status_code, answer.content) == (202, b"")
    await api.app.state.service.later.finish()


async def choose(api: Api, token: str, password: str = NEW) -> httpx.Response:
    return await api.client.post(f"{RESET}/confirm", json={"token": token, "password": password})


async def test_a_log_in_needs_a_code_and_each_code_is_good_once(
    api: Api, module_settings: Settings, clock: list[float]
) -> None:
    _, email, app, _ = await enrolled(api, module_settings, clock)
    assert_problem(await log_in(api, email), 401, "second-factor-required")
    assert_problem(await log_in(api, email, "wrong", code=app.at(clock[0])), 401, "invalid-credentials")
    # The code that confirmed the app is used; the same code at once opens one session.
    assert_problem(await log_in(api, email, code=app.at(clock[0] - 30)), 401, "invalid-credentials")
    answers = await asyncio.gather(*(log_in(api, email, code=app.at(clock[0])) for _ in range(2)))
    assert sorted(one.status_code for one in answers) == [200, 401]
    for moved, status in ((30, 200), (0, 401), (90, 401)):
        answer = await log_in(api, email, code=app.at(clock[0] + moved))
        assert answer.status_code == status, moved
        await api.app.state.service.attempts.forget("acme", email)
    for wrong in ("000000", "", "١٢٣٤٥٦"):
        assert (await log_in(api, email, code=wrong)).status_code == 401
        await api.app.state.service.attempts.forget("acme", email)


async def test_guesses_of_a_code_wait_as_guesses_of_a_password_do(
    api: Api, module_settings: Settings, clock: list[float]
) -> None:
    user, email, app, _ = await enrolled(api, module_settings, clock)
    for number in range(FREE):
        assert (await log_in(api, email, code=f"{number:06d}")).status_code == 401
    written = [action for action, _ in actions(module_settings, user)]
    assert written[-FREE - 1 :] == ["user.log_in_failed"] * FREE + ["user.locked_out"]
    assert_problem(await log_in(api, email, code=app.at(clock[0])), 429, "rate-limited")


async def test_codes_that_confirm_or_remove_a_second_factor_are_guessed_no_faster_than_at_a_log_in(
    api: Api, module_settings: Settings, clock: list[float]
) -> None:
    user, email = add_person(module_settings, "finance")
    header, _ = await session_of(api, email)
    begun = await api.client.post(FACTOR, json={"password": PASSWORD}, headers=header)
    for number in range(FREE):
        wrong = await api.client.post(f"{FACTOR}/confirm", json={"code": f"{number:06d}"}, headers=header)
        assert assert_problem(wrong, 422, "invalid-request")["errors"][0]["path"] == "body.code"
    right = {"code": pyotp.TOTP(begun.json()["secret"]).at(clock[0])}
    assert_problem(await api.client.post(f"{FACTOR}/confirm", json=right, headers=header), 429, "rate-limited")
    assert_problem(await log_in(api, email), 429, "rate-limited")
    written = [action for action, _ in actions(module_settings, user)]
    assert written[-FREE - 1 :] == ["user.log_in_failed"] * FREE + ["user.locked_out"]

    _, email, app, _ = await enrolled(api, module_settings, clock)
    header, _ = await session_of(api, email, code=app.at(clock[0]))
    for code in ("000001", "000002", None, "000003", "000004"):
        if code is None:
            # The right password at another route makes none of them forgotten.
            again = await api.client.post(FACTOR, json={"password": PASSWORD}, headers=header)
            assert_problem(again, 409, "conflict")
            continue
        guess = {"password": PASSWORD, "code": code}
        wrong = await api.client.post(f"{FACTOR}/remove", json=guess, headers=header)
        assert assert_problem(wrong, 422, "invalid-request")["errors"][0]["path"] == "body.code"
    assert_problem(await log_in(api, email), 429, "rate-limited")


async def test_a_recovery_code_is_good_once_and_stored_as_a_hash(
    api: Api, module_settings: Settings, clock: list[float]
) -> None:
    user, email, _, codes = await enrolled(api, module_settings, clock)
    assert len(set(codes)) == second_factor.RECOVERY_CODES
    assert (await log_in(api, email, code=codes[0].upper())).status_code == 200
    assert_problem(await log_in(api, email, code=codes[0]), 401, "invalid-credentials")
    assert (await log_in(api, email, code=codes[1].replace("-", ""))).status_code == 200
    _, other, _, _ = await enrolled(api, module_settings, clock)
    assert_problem(await log_in(api, other, code=codes[2]), 401, "invalid-credentials")
    with connect(module_settings, "admin") as connection:
        stored = str(connection.execute("select * from auth.recovery_code").fetchall())
        entries = str(connection.execute("select entry from audit.submitted").fetchall())
    assert digest(codes[2].replace("-", "")) in stored
    assert f'"action":"user.recovery_code_used","actor":"{user}"' in entries
    for code in codes:
        assert code.replace("-", "") not in stored + entries + api.log.getvalue().decode()


async def test_the_secret_is_sealed_for_its_row_and_opens_after_keys_are_replaced(
    api: Api, module_settings: Settings, clock: list[float]
) -> None:
    user, email, app, _ = await enrolled(api, module_settings, clock)
    other, _, _, _ = await enrolled(api, module_settings, clock)
    query = "select totp_secret from auth.user_account where user_id = %s"
    with connect(module_settings, "admin") as connection:
        row = connection.execute(query, [user]).fetchone()
        assert row is not None
        assert app.secret.encode() not in bytes(row[0])
        # A secret that is put into another person's row does not open.
        connection.execute("update auth.user_account set totp_secret = %s where user_id = %s", [row[0], other])
        connection.commit()
        with pytest.raises(RefusalError, match="damaged, or was sealed for another place"):
            second_factor.is_code(module_settings, "acme", other, app.at(clock[0]), "")
    rotate_wrapping_key(module_settings, retire=True)
    rotate_data_keys(module_settings, "acme")
    assert (await log_in(api, email, code=app.at(clock[0]))).status_code == 200


async def test_an_access_token_alone_changes_nothing_of_an_account(api: Api, module_settings: Settings) -> None:
    """Password and second factor are changed by whoever knows the password, and attempts count as those of a log-in."""
    user, email = add_person(module_settings, "viewer")
    header, _ = await session_of(api, email)
    for address, body in (
        ("/v1/auth/password", {"current": "wrong", "password": NEW}),
        (FACTOR, {"password": "wrong"}),
        (f"{FACTOR}/remove", {"password": "wrong", "code": "000000"}),
    ):
        problem = assert_problem(await api.client.post(address, json=body, headers=header), 422, "invalid-request")
        assert problem["errors"][0]["path"] == "body.password"
    for _ in range(FREE - 3):
        await api.client.post(FACTOR, json={"password": "wrong"}, headers=header)
    written = [action for action, _ in actions(module_settings, user)]
    assert written[-FREE - 1 :] == ["user.log_in_failed"] * FREE + ["user.locked_out"]
    assert_problem(await api.client.post(FACTOR, json={"password": PASSWORD}, headers=header), 429, "rate-limited")


async def test_a_second_factor_is_removed_by_password_and_code(
    api: Api, module_settings: Settings, clock: list[float]
) -> None:
    _, email, app, codes = await enrolled(api, module_settings, clock)
    header, _ = await session_of(api, email, code=codes[0])
    again = await api.client.post(FACTOR, json={"password": PASSWORD}, headers=header)
    assert_problem(again, 409, "conflict")
    wrong = await api.client.post(f"{FACTOR}/remove", json={"password": PASSWORD, "code": "000000"}, headers=header)
    assert assert_problem(wrong, 422, "invalid-request")["errors"][0]["path"] == "body.code"
    body = {"password": PASSWORD, "code": app.at(clock[0])}
    assert (await api.client.post(f"{FACTOR}/remove", json=body, headers=header)).status_code == 204
    assert (await log_in(api, email)).status_code == 200


async def test_a_secret_that_no_code_has_confirmed_is_not_asked_for(
    api: Api, module_settings: Settings, clock: list[float]
) -> None:
    _, email = add_person(module_settings, "viewer")
    header, _ = await session_of(api, email)
    for _ in range(2):
        begun = await api.client.post(FACTOR, json={"password": PASSWORD}, headers=header)
    wrong = await api.client.post(f"{FACTOR}/confirm", json={"code": "000000"}, headers=header)
    assert assert_problem(wrong, 422, "invalid-request")["errors"][0]["path"] == "body.code"
    assert (await log_in(api, email)).status_code == 200
    app = pyotp.TOTP(begun.json()["secret"])
    await api.client.delete("/v1/sessions", headers=header)
    late = await api.client.post(f"{FACTOR}/confirm", json={"code": app.at(clock[0])}, headers=header)
    assert_problem(late, 401, "invalid-token")


async def test_a_key_has_neither_password_nor_second_factor(api: Api, module_settings: Settings) -> None:
    with connect(module_settings, "builder") as connection:
        key = issue_api_key(connection, "acme", ["admin"])
    header = bearer((await api.client.post("/v1/sessions", headers=bearer(key))).json()["access_token"])
    assert_problem(await change(api, header, PASSWORD, NEW), 403, "insufficient-role")
    assert_problem(await api.client.post(FACTOR, json={"password": PASSWORD}, headers=header), 403, "insufficient-role")


async def test_a_changed_password_ends_every_other_session(api: Api, module_settings: Settings) -> None:
    _, email = add_person(module_settings, "viewer")
    (header, _), (other, lost) = [await session_of(api, email) for _ in range(2)]
    weak = assert_problem(await change(api, header, PASSWORD, "password12345"), 422, "invalid-request")
    assert weak["errors"][0]["path"] == "body.password"
    assert (await change(api, header, PASSWORD, NEW)).status_code == 204
    assert (await api.client.get("/v1/me", headers=header)).status_code == 200
    assert_problem(await api.client.get("/v1/me", headers=other), 401, "invalid-token")
    refresh = await api.client.post("/v1/sessions/refresh", json={"refresh_token": lost["refresh_token"]})
    assert_problem(refresh, 401, "invalid-credentials")
    assert_problem(await log_in(api, email), 401, "invalid-credentials")
    assert (await log_in(api, email, NEW)).status_code == 200


async def test_a_forgotten_password_is_replaced_by_mail_once(
    api: Api, module_settings: Settings, clock: list[float]
) -> None:
    """It ends every session and leaves the second factor; and who was locked out is in again."""
    _, email, app, codes = await enrolled(api, module_settings, clock)
    header, _ = await session_of(api, email, code=codes[0])
    for _ in range(FREE):
        await log_in(api, email, "wrong")
    await forgot(api, email.upper())
    (mail,) = await mails(module_settings, email)
    token = token_in(mail)
    weak = assert_problem(await choose(api, token, "qwertyuiop123456"), 422, "invalid-request")
    assert weak["errors"][0]["path"] == "body.password"
    answers = await asyncio.gather(*(choose(api, token) for _ in range(3)))
    assert sorted(one.status_code for one in answers) == [204, 401, 401]
    assert_problem(await api.client.get("/v1/me", headers=header), 401, "invalid-token")
    assert_problem(await log_in(api, email, NEW), 401, "second-factor-required")
    assert (await log_in(api, email, NEW, code=app.at(clock[0]))).status_code == 200
    with connect(module_settings, "admin") as connection:
        stored = str(connection.execute("select * from auth.password_reset").fetchall())
    assert digest(token) in stored
    assert token[-43:] not in stored + api.log.getvalue().decode()


async def test_nobody_learns_who_has_an_address_or_floods_a_mailbox(api: Api, module_settings: Settings) -> None:
    _, email = add_person(module_settings, "viewer")
    before = await api.app.state.service.limiter.spend("address:127.0.0.1", 0)
    for _ in range(3):
        await forgot(api, email)
    for address, tenant in (("nobody@example.com", "acme"), (email, "birch"), ("no address", "nowhere")):
        await forgot(api, address, tenant)
    after = await api.app.state.service.limiter.spend("address:127.0.0.1", 0)
    assert before.remaining - after.remaining == 6
    assert len(await mails(module_settings, email)) == 1
    assert await mails(module_settings, "nobody@example.com") == []


async def test_a_link_that_is_over_chooses_no_password(api: Api, module_settings: Settings) -> None:
    """Expired, replaced by another, of somebody who was disabled, changed, or of another kind."""
    tokens = {}
    for name in ("expired", "replaced", "disabled", "moved"):
        _, email = add_person(module_settings, "viewer", email=f"{name}.reset@example.com")
        await forgot(api, email)
        tokens[name] = token_in((await mails(module_settings, email))[0])
    with connect(module_settings, "admin") as connection:
        change = "update auth.password_reset set {} where token_hash = %s"
        connection.execute(change.format("expires_at = now()").encode(), [digest(tokens["expired"])])
        old = change.format("created_at = now() - interval '1 h'").encode()
        connection.execute(old, [digest(tokens["replaced"])])
    await forgot(api, "replaced.reset@example.com")
    disable_user(module_settings, "acme", "disabled.reset@example.com")
    tokens["moved"] = tokens["moved"].replace("YWNtZQ", "YmlyY2g")
    tokens["other"] = tokens["expired"].replace("vvx_", "vvr_")
    for name, token in tokens.items():
        assert_problem(await choose(api, token), 401, "invalid-credentials")
        assert name
    assert (
        await choose(api, token_in((await mails(module_settings, "replaced.reset@example.com"))[1]))
    ).status_code == 204
