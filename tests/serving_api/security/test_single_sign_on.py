"""Log-ins by a real identity provider, npm's ``oidc-provider``: who is let in, and who is not."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pyotp
import pytest

from tests.support import identity_provider
from tests.support.identity_provider import (
    APP_VERIFIER,
    CLIENT,
    SECRET,
    Browser,
    account,
    browser,
    challenge,
    parameters,
    provide,
    refused,
    token_of,
)
from tests.support.people import PASSWORD, actions, add_person, age_session, log_in, person
from tests.support.serving import Api, assert_problem, bearer
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.warehouse import connect
from valueverse.services.people import single_sign_on
from valueverse.services.people.identity_providers import ChangedBy, drop_provider, show_provider
from valueverse.services.people.invitations import invite
from valueverse.services.people.provider_client import ASKED_AGAIN_AFTER, ProviderClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration, pytest.mark.security]


@pytest.fixture(scope="module")
def module_settings(module_settings: Settings) -> Settings:
    """The provider of the tests is at a private address."""
    return module_settings.model_copy(update={"oidc_private_addresses": True, "api_url": "http://api.test"})


@pytest.fixture(scope="module")
def keys(module_settings: Settings) -> dict[str, str]:
    """Two tenants, and a key of an administrator of acme."""
    row = "insert into billing.tenant (tenant_id, name, timezone, currency) values (%s, 'n', 'UTC', 'USD')"
    with connect(module_settings, "builder") as connection:
        connection.cursor().executemany(row, [("acme",), ("birch",)])
        return {"acme": issue_api_key(connection, "acme", ["admin"])}


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """A provider that acme and birch share, as tenants share a public one."""
    callbacks = (f"http://api.test/v1/auth/oidc/{one}/callback" for one in ("acme", "birch"))
    with identity_provider.running(*callbacks) as at:
        yield at


@pytest.fixture(autouse=True)
def providers(module_settings: Settings, served: Api, issuer: str) -> None:
    """Both tenants sign in by it."""
    provide(module_settings, "acme", issuer)
    provide(module_settings, "birch", issuer)


async def test_whoever_was_invited_becomes_a_person_in_the_role_of_the_invitation(
    api: Api, module_settings: Settings
) -> None:
    """Without a password; known by the subject from then on, whatever address the provider states later."""
    made = invite(module_settings, "acme", "Ada@example.com", "finance")
    signed_in = await Browser(api).sign_in("ada ada@example.com")
    assert signed_in.status_code == 200, signed_in.text
    me = (await api.client.get("/v1/me", headers=bearer(signed_in.json()["access_token"]))).json()
    assert (me["tenant"], me["user"]["role"], me["user"]["email"]) == ("acme", "finance", "ada@example.com")
    assert account(module_settings, "acme", "ada@example.com") == ("finance", None, "ada")
    assert actions(module_settings, me["id"]) == [("user.created", me["id"]), ("user.provider_linked", me["id"])]
    assert ("invitation.accepted", me["id"]) in actions(module_settings, made["invitation"])
    assert actions(module_settings, me["session"]) == [("session.opened", me["id"])]
    again = await Browser(api).sign_in("ada married@example.com")
    assert (await api.client.get("/v1/me", headers=bearer(again.json()["access_token"]))).json()["id"] == me["id"]
    refused(await log_in(api, "ada@example.com"))


@pytest.mark.parametrize(
    "name", ["s1 nobody@example.com", "s2 eve@example.com unverified", "s3 bob@example.com", "s4 gone@example.com"]
)
async def test_the_provider_makes_nobody_a_person(api: Api, module_settings: Settings, name: str) -> None:
    """A stranger; an invited address that the provider has not verified; one invited by another tenant; one whose
    invitation was taken back."""
    invite(module_settings, "acme", "eve@example.com", "owner")
    invite(module_settings, "birch", "bob@example.com", "owner")
    invite(module_settings, "acme", "gone@example.com", "owner")
    with connect(module_settings, "admin") as connection:
        connection.execute("update auth.invitation set revoked_at = now() where email = 'gone@example.com'")
    refused(await Browser(api).sign_in(name))
    assert account(module_settings, "acme", name.split()[1]) is None


async def test_no_account_is_taken_over_by_an_address(api: Api, module_settings: Settings) -> None:
    """A person of the tenant is found by the address that the provider has verified, once; the same address in another
    tenant, and another subject with the address, are somebody else."""
    user, _ = add_person(module_settings, "admin", "acme", "cleo@example.com")
    add_person(module_settings, "owner", "birch", "cleo@example.com")
    refused(await Browser(api).sign_in("eve cleo@example.com unverified"))
    signed_in = await Browser(api).sign_in("cleo cleo@example.com")
    me = (await api.client.get("/v1/me", headers=bearer(signed_in.json()["access_token"]))).json()
    assert (me["tenant"], me["id"], me["user"]["role"]) == ("acme", user, "admin")
    assert actions(module_settings, user)[-1] == ("user.provider_linked", user)
    refused(await Browser(api).sign_in("eve cleo@example.com"))
    other = account(module_settings, "birch", "cleo@example.com")
    assert other is not None
    assert other[2] is None
    refused(await Browser(api, "birch").sign_in("cleo elsewhere@example.com"))


async def test_a_disabled_person_is_not_let_in_by_the_provider(api: Api, module_settings: Settings) -> None:
    """Neither by the subject nor with a token that was got before."""
    user, _ = add_person(module_settings, "viewer", "acme", "dan@example.com")
    assert (await Browser(api).sign_in("dan dan@example.com")).status_code == 200
    somebody = Browser(api)
    back = await somebody.come_back(await somebody.at_provider("dan dan@example.com"))
    with connect(module_settings, "admin") as connection:
        connection.execute("update auth.user_account set disabled_at = now() where user_id = %s", [user])
    refused(await somebody.finish(token_of(back)))
    refused(await Browser(api).sign_in("dan dan@example.com"))


async def test_a_second_factor_is_asked_for_after_the_provider_too(api: Api, module_settings: Settings) -> None:
    _, email = add_person(module_settings, "viewer", "acme", "fay@example.com")
    header = bearer((await log_in(api, email)).json()["access_token"])
    made = await api.client.post("/v1/auth/second-factor", json={"password": PASSWORD}, headers=header)
    code = {"code": pyotp.TOTP(made.json()["secret"]).now()}
    confirmed = await api.client.post("/v1/auth/second-factor/confirm", json=code, headers=header)
    assert confirmed.status_code == 200, confirmed.text
    somebody = Browser(api)
    token = token_of(await somebody.come_back(await somebody.at_provider(f"fay {email}")))
    assert_problem(await somebody.finish(token), 401, "second-factor-required")
    refused(await somebody.finish(token, code="000000"))
    signed_in = await somebody.finish(token, code=confirmed.json()["recovery_codes"][0])
    assert signed_in.status_code == 200, signed_in.text


async def test_who_has_no_password_begins_and_removes_a_second_factor_right_after_a_log_in(
    api: Api, module_settings: Settings
) -> None:
    invite(module_settings, "acme", "gia@example.com", "viewer")
    factor, nothing = "/v1/auth/second-factor", {"code": "000000"}
    opened = (await Browser(api).sign_in("gia gia@example.com")).json()
    header, token = bearer(opened["access_token"]), opened["refresh_token"]
    age_session(module_settings, token, 11)
    for answer in (
        await api.client.post(factor, json={}, headers=header),
        await api.client.post(f"{factor}/remove", json=nothing, headers=header),
    ):
        (error,) = assert_problem(answer, 422, "invalid-request")["errors"]
        assert error["path"] == "body.password"
        assert "sign in by your identity provider again" in error["message"]
    age_session(module_settings, token, -2)
    made = await api.client.post(factor, json={}, headers=header)
    code = {"code": pyotp.TOTP(made.json()["secret"]).now()}
    recovery = (await api.client.post(f"{factor}/confirm", json=code, headers=header)).json()["recovery_codes"]
    assert_problem(await api.client.post(f"{factor}/remove", json=nothing, headers=header), 422, "invalid-request")
    removed = await api.client.post(f"{factor}/remove", json={"code": recovery[0]}, headers=header)
    assert removed.status_code == 204, removed.text
    # Whoever has a password types it, however new the session is.
    _, email = add_person(module_settings, "viewer", "acme", "uma@example.com")
    typed = bearer((await log_in(api, email)).json()["access_token"])
    problem = assert_problem(await api.client.post(factor, json={}, headers=typed), 422, "invalid-request")
    assert problem["errors"] == [{"path": "body.password", "message": "type your password"}]


async def test_what_comes_back_is_good_once_and_in_the_browser_that_began(api: Api, module_settings: Settings) -> None:
    """State and code are replayed, brought by a browser without the cookie or with another's, and changed."""
    add_person(module_settings, "viewer", "acme", "gil@example.com")
    somebody = Browser(api)
    address = await somebody.at_provider("gil gil@example.com")
    own = dict(api.client.cookies)
    api.client.cookies.clear()
    refused(await somebody.come_back(address))
    await somebody.begin()
    refused(await somebody.come_back(address))
    api.client.cookies.clear()
    api.client.cookies.update(own)
    refused(await somebody.come_back(address.replace("state=e", "state=f")))
    refused(await somebody.come_back(address.replace("/acme/", "/birch/")))
    refused(await somebody.come_back(address.partition("?")[0] + "?" + urlencode({"state": "none", "code": "c"})))
    assert token_of(await somebody.come_back(address))
    api.client.cookies.update(own)
    refused(await somebody.come_back(address))


async def test_a_state_is_good_for_some_minutes(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_sign_on, "AT_THE_PROVIDER", timedelta(seconds=-1))
    refused(await Browser(api).sign_in("late late@example.com"))


async def test_a_code_of_another_log_in_is_good_for_nothing(api: Api, module_settings: Settings) -> None:
    """A stolen code that is put into an own log-in: the provider redeems it with the verifier alone that it was got for
    (PKCE). And the nonce of its ID token would be another."""
    add_person(module_settings, "owner", "acme", "hal@example.com")
    somebody = Browser(api)
    victim = await somebody.at_provider("hal hal@example.com")
    mine = await somebody.at_provider("eve eve@example.com")
    stolen = parameters(victim)["code"]
    query = parameters(mine) | {"code": stolen}
    refused(await somebody.come_back(f"{mine.partition('?')[0]}?{urlencode(query)}"))
    assert "does not know the code" in api.log.getvalue().decode()


async def test_whoever_gives_up_at_the_provider_is_not_signed_in(api: Api) -> None:
    somebody = Browser(api)
    address = await somebody.at_provider(None)
    assert "error=access_denied" in address
    refused(await somebody.come_back(address))


@pytest.mark.parametrize("issuer_stated", ["https://another.example", None])
async def test_an_answer_of_another_issuer_is_refused(api: Api, issuer_stated: str | None) -> None:
    """Mix-up: the provider of the test states its issuer in each answer (RFC 9207)."""
    somebody = Browser(api)
    address = await somebody.at_provider("ida ida@example.com")
    query = parameters(address)
    query.pop("iss")
    query |= {} if issuer_stated is None else {"iss": issuer_stated}
    refused(await somebody.come_back(f"{address.partition('?')[0]}?{urlencode(query)}"))
    assert "issuer" in api.log.getvalue().decode()


async def test_the_browser_is_sent_to_stated_addresses_alone(api: Api, module_settings: Settings, issuer: str) -> None:
    """Neither a header nor a parameter changes where the provider sends it back to, or where it ends up."""
    query = {"code_challenge": challenge(APP_VERIFIER)}
    start = "/v1/auth/oidc/acme/start"
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    begun = await api.client.get(start, params=query, headers=headers)
    asked = parameters(begun.headers["location"])
    assert begun.headers["location"].startswith(f"{issuer}/auth?")
    assert asked["redirect_uri"] == "http://api.test/v1/auth/oidc/acme/callback"
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert len(asked["code_challenge"]) == 43
    for name in ("redirect_uri", "return_to", "next"):
        assert_problem(await api.client.get(start, params=query | {name: "//evil.example"}), 422, "invalid-request")
    assert_problem(await api.client.get(start), 422, "invalid-request")
    for other in ("http://api.test/v1/auth/oidc/acme/callback/", "http://evil.example/v1/auth/oidc/acme/callback"):
        async with browser() as client:
            changed = f"{issuer}/auth?{urlencode(asked | {'redirect_uri': other})}"
            assert (await client.get(changed)).status_code == 400
    cookie = begun.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    add_person(module_settings, "viewer", "acme", "jan@example.com")
    await Browser(api).begin()
    somebody = Browser(api)
    back = await somebody.come_back(await somebody.at_provider("jan jan@example.com"))
    assert back.headers["location"].startswith(f"{module_settings.app_url}/signed-in#vvo_")
    assert back.headers["referrer-policy"] == "no-referrer"


async def test_a_cookie_is_of_the_host_alone_where_the_api_has_tls(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    service = api.app.state.service
    settings = service.settings.model_copy(update={"api_url": "https://billing.example.com"})
    monkeypatch.setattr(service, "settings", settings)
    cookie = (await Browser(api).begin()).headers["set-cookie"]
    assert cookie.startswith("__Host-valueverse-sign-in=")
    assert "Secure" in cookie
    assert "Domain" not in cookie


async def test_the_token_of_the_web_app_is_good_once_for_whoever_began(api: Api, module_settings: Settings) -> None:
    """Somebody who reads it, or is sent to the web app with another's, has not the verifier."""
    add_person(module_settings, "viewer", "acme", "kim@example.com")
    somebody = Browser(api)

    async def token() -> str:
        at = await somebody.at_provider("kim kim@example.com")
        return token_of(await somebody.come_back(at))

    first = await token()
    body = {"token": first, "code_verifier": "x" * 43}
    refused(await api.client.post("/v1/auth/oidc/session", json=body))
    assert (await somebody.finish(first)).status_code == 200
    refused(await somebody.finish(first))
    late = await token()
    with connect(module_settings, "admin") as connection:
        connection.execute("update auth.provider_sign_in set token_expires_at = now() where used_at is null")
    refused(await somebody.finish(late))


async def test_a_log_in_ends_with_the_provider_that_it_began_at(
    api: Api, module_settings: Settings, issuer: str
) -> None:
    """Replaced or removed in between, at each step; subjects of another client are nobody's."""
    add_person(module_settings, "viewer", "acme", "lea@example.com")
    somebody = Browser(api)
    address = await somebody.at_provider("lea lea@example.com")
    provide(module_settings, "acme", issuer)
    refused(await somebody.come_back(address))
    address = await somebody.at_provider("lea lea@example.com")
    token = token_of(await somebody.come_back(address))
    provide(module_settings, "acme", issuer)
    refused(await somebody.finish(token))
    assert (await somebody.sign_in("lea lea@example.com")).status_code == 200
    provide(module_settings, "acme", issuer, "another")
    found = account(module_settings, "acme", "lea@example.com")
    assert found is not None
    assert found[2] is None
    before = show_provider(module_settings, "acme")
    assert before is not None
    drop_provider(module_settings, "acme", ChangedBy(), before["provider"])
    assert_problem(await somebody.begin(), 404, "not-found")


async def test_new_keys_of_the_provider_are_taken(api: Api, module_settings: Settings, issuer: str) -> None:
    """A token that names an unknown key has keys asked for again, not more often than every few seconds."""
    add_person(module_settings, "viewer", "acme", "mia@example.com")
    now = [0.0]
    client = ProviderClient(module_settings, clock=lambda: now[0])
    api.app.state.service.single_sign_on = single_sign_on.SingleSignOn(module_settings, client)
    assert (await Browser(api).sign_in("mia mia@example.com")).status_code == 200
    async with browser() as other:
        await other.get(f"{issuer}/rotate")
    refused(await Browser(api).sign_in("mia mia@example.com"))
    now[0] += ASKED_AGAIN_AFTER
    assert (await Browser(api).sign_in("mia mia@example.com")).status_code == 200


PROVIDER = "/v1/identity-provider"


async def test_owners_alone_set_the_provider_and_nobody_reads_its_secret(
    api: Api, module_settings: Settings, issuer: str
) -> None:
    """Whoever sets it signs in as anybody: an administrator, or a key that one has made, would be an owner by it."""
    _, admin = await person(api, module_settings, "admin")
    user, owner = await person(api, module_settings, "owner")
    key = bearer((await api.sign_in("acme"))["access_token"])
    body = {"issuer": issuer, "client_id": CLIENT, "client_secret": SECRET}
    read = await api.client.get(PROVIDER, headers=admin)
    matching = {"If-Match": read.headers["etag"]}
    for header in (admin, key):
        for method, given in (("PUT", {"json": body}), ("DELETE", {})):
            answer = await api.client.request(method, PROVIDER, headers=header | matching, **given)
            assert_problem(answer, 403, "insufficient-role")
    assert_problem(await api.client.put(PROVIDER, json=body, headers=owner), 428, "precondition-required")
    stale = owner | {"If-Match": '"of-before"'}
    assert_problem(await api.client.put(PROVIDER, json=body, headers=stale), 412, "precondition-failed")
    changed = await api.client.put(PROVIDER, json=body, headers=owner | matching)
    assert changed.status_code == 200, changed.text
    assert set(changed.json()) == {"issuer", "client_id", "redirect_uri", "changed_at"}
    stored = show_provider(module_settings, "acme")
    assert stored is not None
    assert actions(module_settings, stored["provider"]) == [("identity_provider.set", user)]
    with connect(module_settings, "admin") as connection:
        everything = str(connection.execute("select i::text from auth.identity_provider as i").fetchall())
        everything += str(connection.execute("select entry from audit.submitted").fetchall())
        sealed = connection.execute("select client_secret from auth.identity_provider").fetchall()
    assert SECRET not in everything
    assert all(SECRET.encode() not in bytes(one) for (one,) in sealed)
    assert SECRET not in changed.text + read.text + api.log.getvalue().decode()
    assert_problem(await api.client.delete(PROVIDER, headers=owner | matching), 412, "precondition-failed")
    matching = {"If-Match": changed.headers["etag"]}
    assert (await api.client.delete(PROVIDER, headers=owner | matching)).status_code == 204
    assert actions(module_settings, stored["provider"])[-1] == ("identity_provider.removed", user)
    assert_problem(await api.client.get(PROVIDER, headers=admin), 404, "not-found")
    assert_problem(await api.client.delete(PROVIDER, headers=owner | matching), 412, "precondition-failed")
    assert (await api.client.put(PROVIDER, json=body, headers=owner)).status_code == 200


async def test_a_provider_that_does_not_answer_is_not_stored_and_one_that_fails_is_unavailable(
    api: Api, module_settings: Settings, issuer: str
) -> None:
    """And another tenant signs in meanwhile."""
    _, owner = await person(api, module_settings, "owner")
    read = await api.client.get(PROVIDER, headers=owner)
    matching = owner | {"If-Match": read.headers["etag"]}
    for wrong in (f"{issuer}/", "http://127.0.0.1:1", "no address"):
        body = {"issuer": wrong, "client_id": CLIENT, "client_secret": SECRET}
        problem = assert_problem(await api.client.put(PROVIDER, json=body, headers=matching), 422, "invalid-request")
        assert [one["path"] for one in problem["errors"]] == ["body.issuer"]
    assert (await api.client.get(PROVIDER, headers=owner)).text == read.text
    provide(module_settings, "acme", "http://127.0.0.1:1")
    assert_problem(await Browser(api).begin(), 503, "unavailable")
    add_person(module_settings, "viewer", "birch", "noa@example.com")
    assert (await Browser(api, "birch").sign_in("noa noa@example.com")).status_code == 200


async def test_log_ins_that_fail_count_against_the_address_they_come_from(api: Api) -> None:
    """The start too: it has us ask the provider."""
    limiter = api.app.state.service.limiter
    before = (await limiter.spend("address:127.0.0.1", 0)).remaining
    await Browser(api).begin()
    refused(await Browser(api).come_back("/v1/auth/oidc/acme/callback?state=none&code=c"))
    refused(await Browser(api).finish("vvo_YWNtZQ." + "x" * 43))
    assert (await limiter.spend("address:127.0.0.1", 0)).remaining == before - 3
