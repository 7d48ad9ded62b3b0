"""Portal sessions: a customer of a tenant sees its own invoices and usage, and nothing else of anybody."""

from __future__ import annotations

import asyncio
import re
import uuid
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jwt
import pytest

from serving_api.security.tokens import Identity
from tests.support.billing_rows import secret_of
from tests.support.inbox import receive
from tests.support.landing import event, founding
from tests.support.people import actions, add_person, log_in
from tests.support.serving import ODD_CUSTOMER, Api, assert_problem, bearer, without
from valueverse.dates import utc_text
from valueverse.platform.access.api_keys import digest, issue_api_key, prefix_of, revoke_api_key
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    import httpx

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration, pytest.mark.security]
LINKS = "/v1/portal-sessions"
MINE = f"customer {secret_of('acme')}"
OPEN = {
    ("GET", "/v1/invoices"), ("GET", "/v1/invoices/{number}"), ("GET", "/v1/customers/{key}/usage"),
    ("GET", "/v1/customers/{key}/upcoming-invoice"), ("GET", "/v1/me"), ("DELETE", "/v1/sessions"),
}  # fmt: skip
"""What a portal session may ask; each of them is judged below."""
ANONYMOUS = re.compile(
    "/v1/sessions(/refresh)?|/v1/portal-sessions/exchange|/v1/auth/login|/v1/auth/reset(/confirm)?"
    "|/v1/auth/oidc/session|/v1/auth/oidc/{tenant}/(start|callback)|/v1/invitations/accept"
    "|/v1/.well-known/jwks.json|/openapi.json|/docs.*|/healthz|/readyz"
)
"""What nobody needs a token for; a portal's is no API key to sign in with."""


@pytest.fixture
async def key(module_settings: Settings) -> str:
    """An API key of acme that may make links."""
    with connect(module_settings, "builder") as connection:
        return issue_api_key(connection, "acme", ["billing:write"])


@pytest.fixture
async def writer(api: Api, key: str) -> dict[str, str]:
    """The header of its session."""
    return bearer((await api.client.post("/v1/sessions", headers=bearer(key))).json()["access_token"])


async def link(api: Api, writer: dict[str, str], customer: str = MINE) -> str:
    answer = await api.client.post(LINKS, json={"customer": customer}, headers=writer)
    assert answer.status_code == 201, answer.text
    token: str = answer.json()["token"]
    return token


async def exchange(api: Api, token: str) -> httpx.Response:
    return await api.client.post(f"{LINKS}/exchange", json={"token": token})


async def signed_in(api: Api, writer: dict[str, str], customer: str = MINE) -> dict[str, Any]:
    answer = await exchange(api, await link(api, writer, customer))
    assert answer.status_code == 200, answer.text
    session: dict[str, Any] = answer.json()
    return session


def token_of(api: Api, customer: str, tenant: str = "acme") -> str:
    identity = Identity(tenant, "aaaaaaaaaaaa", frozenset(), uuid.uuid4(), customer)
    token: str = api.app.state.service.tokens.issue(identity)
    return token


async def test_a_link_opens_a_session_of_one_customer(api: Api, writer: dict[str, str]) -> None:
    session = await signed_in(api, writer)
    claims = jwt.decode(session["access_token"], options={"verify_signature": False})
    assert (claims["aud"], claims["tenant"], claims["customer"], claims["scope"]) == ("portal", "acme", MINE, "")
    mine = bearer(session["access_token"])
    me = (await api.client.get("/v1/me", headers=mine)).json()
    assert (me["kind"], me["id"], me["tenant"], me["scopes"]) == ("portal", MINE, "acme", [])
    invoices = (await api.client.get("/v1/invoices", headers=mine)).json()["data"]
    assert [row["number"] for row in invoices] == ["acme-000002", "acme-000001"]
    now = utc_text(datetime.now(UTC))
    for form in ("json", "pdf", "xml"):
        for query in ({"format": form}, {"format": form, "known_at": now}):
            answer = await api.client.get("/v1/invoices/acme-000001", params=query, headers=mine)
            expected = await api.get("acme", "/v1/invoices/acme-000001", **query)
            assert (answer.status_code, answer.headers["content-type"]) == (
                expected.status_code,
                expected.headers["content-type"],
            )
            assert expected.status_code == 422 or answer.content == expected.content
    for query, count in (({"known_at": now}, 2), ({"known_at": "2000-01-01"}, 0)):
        assert len((await api.client.get("/v1/invoices", params=query, headers=mine)).json()["data"]) == count
    assert len((await api.client.get(f"/v1/customers/{quote(MINE)}/usage", headers=mine)).json()["data"]) == 4


async def test_a_link_is_good_once_and_its_token_is_stored_nowhere(
    api: Api, module_settings: Settings, writer: dict[str, str]
) -> None:
    token = await link(api, writer)
    answers = await asyncio.gather(*(exchange(api, token) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]
    with connect(module_settings, "admin") as connection:
        stored = str(connection.execute("select * from auth.portal_link").fetchall())
        entries = str(connection.execute("select entry from audit.submitted where tenant_id = 'acme'").fetchall())
    assert digest(token) in stored
    for text in (token, token[-20:]):
        assert text not in stored
        assert text not in api.log.getvalue().decode()
    assert "portal_link.created" in entries
    assert MINE not in entries


async def test_a_link_ends_when_whoever_made_it_gets_another_role(
    api: Api, module_settings: Settings, writer: dict[str, str]
) -> None:
    user, email = add_person(module_settings, "finance")
    maker = bearer((await log_in(api, email)).json()["access_token"])
    used, unused = [await link(api, maker) for _ in range(2)]
    others = await link(api, writer)
    assert (await exchange(api, used)).status_code == 200
    _, owner = add_person(module_settings, "owner")
    acts = bearer((await log_in(api, owner)).json()["access_token"])
    known = (await api.client.get(f"/v1/users/{user}", headers=acts)).headers["etag"]
    changed = await api.client.patch(f"/v1/users/{user}", json={"role": "analyst"}, headers=acts | {"If-Match": known})
    assert changed.status_code == 200, changed.text
    assert_problem(await exchange(api, unused), 401, "invalid-credentials")
    assert (await exchange(api, others)).status_code == 200


async def test_a_link_that_is_old_changed_or_of_a_revoked_key_opens_nothing(
    api: Api, module_settings: Settings, writer: dict[str, str], key: str
) -> None:
    old, changed, revoked = [await link(api, writer) for _ in range(3)]
    session = await signed_in(api, writer)
    with connect(module_settings, "admin") as connection:
        connection.execute("update auth.portal_link set expires_at = now() where link_hash = %s", [digest(old)])
    assert_problem(await exchange(api, old), 401, "invalid-credentials")
    birch = changed.replace("YWNtZQ", "YmlyY2g")
    for token in (changed + "x", changed[:-1], birch, session["refresh_token"], "vvp_x"):
        assert_problem(await exchange(api, token), 401, "invalid-credentials")
    with connect(module_settings, "builder") as connection:
        revoke_api_key(connection, prefix_of(key) or "")
    assert_problem(await exchange(api, revoked), 401, "invalid-credentials")
    refresh = await api.client.post("/v1/sessions/refresh", json={"refresh_token": session["refresh_token"]})
    assert_problem(refresh, 401, "invalid-credentials")


async def test_a_refreshed_portal_session_stays_with_its_customer(
    api: Api, module_settings: Settings, writer: dict[str, str]
) -> None:
    """Who went on with it and ended it is in the audit log by the pseudonym of the customer."""
    session = await signed_in(api, writer)
    again = await api.client.post("/v1/sessions/refresh", json={"refresh_token": session["refresh_token"]})
    claims = jwt.decode(again.json()["access_token"], options={"verify_signature": False})
    assert (claims["aud"], claims["customer"]) == ("portal", MINE)
    closed = await api.client.delete("/v1/sessions", headers=bearer(again.json()["access_token"]))
    assert closed.status_code == 204
    ended = await api.client.post("/v1/sessions/refresh", json={"refresh_token": again.json()["refresh_token"]})
    assert_problem(ended, 401, "invalid-credentials")
    entries = actions(module_settings, claims["sid"])
    assert [action for action, _ in entries] == ["session.opened", "session.refreshed", "session.closed"]
    assert {actor[:2] for _, actor in entries} == {"p:"}
    assert len({actor for _, actor in entries}) == 1


async def test_every_other_route_refuses_a_portal_session(api: Api) -> None:
    mine = bearer(token_of(api, MINE))
    asked = set()
    filled = {"key": quote(MINE), "number": "acme-000001", "sequence": "1", "prefix": "aaaaaaaaaaaa"}
    filled |= {"user": f"usr_{'a' * 24}", "invitation": f"inv_{'a' * 24}"}
    for route in api.app.state.routes:
        for method in route.methods - {"HEAD"}:
            asked.add((method, route.path))
            if (method, route.path) in OPEN or ANONYMOUS.fullmatch(route.path):
                continue
            address = re.sub(r"\{(\w+)(:path)?\}", lambda found: filled.get(found.group(1), "one"), route.path)
            for body in ({}, {"customer": MINE}):
                answer = await api.client.request(method, address, json=body, headers=mine)
                assert answer.status_code == 401, (method, route.path, answer.status_code, answer.text)
    assert asked >= OPEN


async def test_a_customer_sees_nothing_of_another(api: Api) -> None:
    """Two customers of one tenant, and one of another that has the same key."""
    other = bearer(token_of(api, ODD_CUSTOMER))
    stranger = bearer(token_of(api, MINE, "birch"))
    missing = assert_problem(await api.client.get("/v1/invoices/none", headers=other), 404, "not-found")
    now = {"known_at": utc_text(datetime.now(UTC))}
    unknown = assert_problem(await api.client.get("/v1/customers/nobody/usage", headers=other), 404, "not-found")
    for asker in (other, stranger):
        for form in ("json", "pdf", "xml", "cii"):
            for tag, known_at in product(({}, {"If-None-Match": "*"}), ({}, now)):
                query = {"format": form} | known_at
                answer = await api.client.get("/v1/invoices/acme-000001", params=query, headers=asker | tag)
                assert without(assert_problem(answer, 404, "not-found")) == without(missing)
        for query in ({}, {"customer": MINE}, {"status": "finalised"}, now):
            assert (await api.client.get("/v1/invoices", params=query, headers=asker)).json()["data"] == []
        for what in ("usage", "upcoming-invoice"):
            answer = await api.client.get(f"/v1/customers/{quote(MINE)}/{what}", headers=asker)
            assert without(assert_problem(answer, 404, "not-found")) == without(unknown)
    own = await api.client.get(f"/v1/customers/{quote(ODD_CUSTOMER, safe='')}/usage", headers=other)
    assert len(own.json()["data"]) == 1


async def test_drafts_are_not_shown_to_customers(api: Api, module_settings: Settings) -> None:
    with connect(module_settings, "admin") as connection:
        connection.execute(
            "insert into billing.invoice select (jsonb_populate_record(i, jsonb_build_object('invoice_id', "
            "gen_random_uuid(), 'status', 'draft', 'number', null, 'sequence', null, 'customer', %s::text, "
            "'finalised_at', null, 'previous_hash', null, 'chain_hash', null))).* "
            "from billing.invoice as i where tenant_id = 'acme' and number = 'acme-000001'",
            [ODD_CUSTOMER],
        )
    shown = await api.client.get("/v1/invoices", headers=bearer(token_of(api, ODD_CUSTOMER)))
    assert shown.json()["data"] == []
    assert len((await api.get("acme", "/v1/invoices", customer=ODD_CUSTOMER)).json()["data"]) == 1


async def test_a_cursor_of_the_tenant_or_another_customer_is_refused_in_the_portal(api: Api) -> None:
    mine, other = bearer(token_of(api, MINE)), bearer(token_of(api, ODD_CUSTOMER))
    cursors = [(await api.get("acme", "/v1/invoices", limit=1)).json()["next_cursor"]]
    cursors += [(await api.client.get("/v1/invoices?limit=1", headers=mine)).json()["next_cursor"]]
    for cursor in cursors:
        answer = await api.client.get("/v1/invoices", params={"limit": 1, "cursor": cursor}, headers=other)
        assert_problem(answer, 400, "invalid-cursor")


async def test_no_link_is_made_without_the_scope_for_nobody_or_in_an_ended_session(
    api: Api, writer: dict[str, str]
) -> None:
    reader = bearer((await api.sign_in("acme"))["access_token"])
    answer = await api.client.post(LINKS, json={"customer": MINE}, headers=reader)
    assert_problem(answer, 403, "insufficient-scope")
    for customer in ("nobody", f"customer {secret_of('birch')}"):
        answer = await api.client.post(LINKS, json={"customer": customer}, headers=writer)
        assert assert_problem(answer, 422, "invalid-request")["errors"][0]["path"] == "body.customer"
    once = writer | {"Idempotency-Key": "one link"}
    first, second = [await api.client.post(LINKS, json={"customer": MINE}, headers=once) for _ in range(2)]
    assert second.json() == first.json() | {"token": None}
    await api.client.delete("/v1/sessions", headers=writer)
    answer = await api.client.post(LINKS, json={"customer": MINE}, headers=writer)
    assert_problem(answer, 401, "invalid-token")


async def test_a_link_is_made_for_a_customer_who_waits_for_ingestion(
    api: Api, module_settings: Settings, writer: dict[str, str]
) -> None:
    """The key of another tenant's customer who waits makes none."""
    for tenant, customer in (("acme", "just created"), ("birch", "of birch alone")):
        created = event("created", {"customer": customer}, type="billing.customer.created")
        receive(module_settings, tenant, founding(tenant), created)
    answer = await api.client.post(LINKS, json={"customer": "of birch alone"}, headers=writer)
    assert assert_problem(answer, 422, "invalid-request")["errors"][0]["path"] == "body.customer"
    once, wanted = writer | {"Idempotency-Key": "link of one who waits"}, {"customer": "just created"}
    first, second = [await api.client.post(LINKS, json=wanted, headers=once) for _ in range(2)]
    assert (first.status_code, second.json()) == (201, first.json() | {"token": None})
    mine = bearer((await exchange(api, first.json()["token"])).json()["access_token"])
    assert (await api.client.get("/v1/me", headers=mine)).json()["id"] == "just created"
    assert (await api.client.get("/v1/invoices", headers=mine)).json()["data"] == []
    with connect(module_settings, "builder") as connection:
        connection.execute("delete from inbox.batch")


async def test_a_portal_session_makes_neither_keys_nor_links_in_the_database_either(
    api: Api, module_settings: Settings, writer: dict[str, str]
) -> None:
    session = await signed_in(api, writer)
    family = jwt.decode(session["access_token"], options={"verify_signature": False})["sid"]
    with connect(module_settings, "api", autocommit=True) as connection:
        made = connection.execute(
            "select * from api.create_api_key('acme', %s, 'p', 'h', '{admin}', null, null, 'a', '')", [family]
        ).fetchall()
        linked = connection.execute(
            "select api.create_portal_link('acme', %s, %s, 'h', '1 h', 'a', '')", [family, MINE]
        ).fetchone()
    assert (made, linked) == ([], ("ended",))


@pytest.mark.parametrize("aud", ["valueverse-api", ["portal"], ["portal", "valueverse-api"], "Portal"])
async def test_a_token_that_names_a_customer_is_a_portals_or_nothing(api: Api, aud: Any) -> None:
    service = api.app.state.service
    claims = jwt.decode(token_of(api, MINE), options={"verify_signature": False})
    signer = service.ring.signer()
    headers = {"kid": signer.kid, "typ": "at+jwt"}
    for changed in ({"aud": aud}, {"customer": None}, {"customer": ""}, {"customer": [MINE]}):
        token = jwt.encode(claims | changed, signer.private, algorithm="RS256", headers=headers)
        assert_problem(await api.client.get("/v1/invoices", headers=bearer(token)), 401, "invalid-token")


async def test_a_customer_does_not_use_up_its_tenants_requests(api: Api) -> None:
    answer = await api.client.get("/v1/invoices", headers=bearer(token_of(api, "patient")))
    again = await api.client.get("/v1/invoices", headers=bearer(token_of(api, "other")))
    assert answer.headers["ratelimit-remaining"] == again.headers["ratelimit-remaining"]
