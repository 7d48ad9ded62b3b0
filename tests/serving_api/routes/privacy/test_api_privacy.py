"""Data about people over HTTP: restrictions, and tokens of payment instruments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.support.billing_rows import secret_of
from tests.support.inbox import receive
from tests.support.landing import event
from tests.support.serving import Api, assert_problem, bearer, session_of
from valueverse.errors import RefusalError
from valueverse.platform.access.api_keys import SCOPES
from valueverse.platform.stores import instrument_store, privacy_store
from valueverse.platform.warehouse import connect
from valueverse.services.privacy.erase_subject import refuse_restricted

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration, pytest.mark.security]
KEY = f"customer {secret_of('acme')}"
PLACE = f"/v1/customers/{quote(KEY)}"
INSTRUMENTS = f"{PLACE}/payment-instruments"
CARD, IBAN = "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00"
TOKEN = {"provider": "stripe", "token": "pm_1NXWPnCo6bFb1KQto6C8OWvE", "last_four": "4242"}


@pytest.fixture
async def admin(api: Api, module_settings: Settings) -> dict[str, str]:
    """The header of a session that may administer acme, whose customers nothing is known about yet."""
    with connect(module_settings, "admin") as connection:
        connection.execute("delete from vault.restriction")
        connection.execute("delete from billing.payment_instrument")
    return bearer(await session_of(api, module_settings, "acme", "admin"))


async def marked(api: Api, admin: dict[str, str]) -> list[str]:
    rows = (await api.client.get("/v1/customers", params={"limit": 100}, headers=admin)).json()["data"]
    return [row["customer"] for row in rows if row["restricted"]]


def actions(settings: Settings) -> list[tuple[str, str]]:
    query = "select entry::json ->> 'action', entry::json ->> 'actor' from audit.submitted "
    query += 'where entry like \'%%"action":"privacy.%%\' order by submission'
    with connect(settings, "admin") as connection:
        found = connection.execute(query.replace("%%", "%").encode()).fetchall()
        connection.execute("delete from audit.submitted")
    return found


async def test_a_restriction_marks_the_customer_and_stops_erasure_until_it_is_released(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    actions(module_settings)
    assert await marked(api, admin) == []
    held = [await api.client.post(f"{PLACE}/restrict", json={"reason": "dispute 17"}, headers=admin) for _ in range(2)]
    assert [one.json() for one in held] == [
        {"customer": KEY, "restricted": True, "changed": changed} for changed in (True, False)
    ]
    assert await marked(api, admin) == [KEY]
    (row,) = (await api.client.get("/v1/restrictions", headers=admin)).json()["data"]
    assert (row["customer"], row["reason"]) == (KEY, "dispute 17")
    with pytest.raises(RefusalError, match="dispute 17"):
        refuse_restricted(module_settings, "acme", KEY)
    assert_problem(await api.client.post(INSTRUMENTS, json=TOKEN, headers=admin), 409, "conflict")
    for changed in (True, False):
        released = await api.client.post(f"{PLACE}/release", headers=admin)
        assert released.json() == {"customer": KEY, "restricted": False, "changed": changed}
    assert await marked(api, admin) == []
    refuse_restricted(module_settings, "acme", KEY)
    me = (await api.client.get("/v1/me", headers=admin)).json()["id"]
    assert actions(module_settings) == [("privacy.restricted", me), ("privacy.released", me)]


async def test_a_customer_whom_only_an_event_states_is_restricted_and_nobody_else_is(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    from tests.support.protection import take_in_customer

    take_in_customer(module_settings, "Ada Lovelace")
    for tenant, customer in (("acme", "just-created"), ("birch", "of-birch")):
        stated = event(customer, {"customer": customer}, type="billing.customer.created")
        receive(module_settings, tenant, stated)
    for key in ("c1", "just-created"):
        answer = await api.client.post(f"/v1/customers/{key}/restrict", json={"reason": "r"}, headers=admin)
        assert answer.json()["changed"] is True
    for key in ("nobody", "of-birch", quote(f"customer {secret_of('birch')}"), "a%00b"):
        for verb, body in (("restrict", {"reason": "r"}), ("release", None)):
            answer = await api.client.post(f"/v1/customers/{key}/{verb}", json=body, headers=admin)
            assert_problem(answer, 404, "not-found")
        assert_problem(
            await api.client.get(f"/v1/customers/{key}/payment-instruments", headers=admin), 404, "not-found"
        )
        assert_problem(
            await api.client.post(f"/v1/customers/{key}/payment-instruments", json=TOKEN, headers=admin),
            404,
            "not-found",
        )
    empty = await api.client.post(f"{PLACE}/restrict", json={"reason": " "}, headers=admin)
    assert assert_problem(empty, 422, "invalid-request")["errors"][0]["path"] == "body.reason"


async def test_tokens_of_payment_providers_are_added_listed_and_removed(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    actions(module_settings)
    asked = admin | {"Idempotency-Key": "one token"}
    first, again = [await api.client.post(INSTRUMENTS, json=TOKEN, headers=asked) for _ in range(2)]
    added = first.json()
    assert (first.status_code, again.json(), again.headers["idempotent-replayed"]) == (201, added, "true")
    assert added.items() >= {"customer": KEY, "kind": "card", **TOKEN}.items()
    assert_problem(await api.client.post(INSTRUMENTS, json=TOKEN, headers=admin), 409, "conflict")
    assert (await api.client.get(INSTRUMENTS, headers=admin)).json()["data"] == [added]
    for status, name in ((204, None), (404, "not-found")):
        gone = await api.client.delete(f"{INSTRUMENTS}/{added['instrument']}", headers=admin)
        assert gone.status_code == status
        if name:
            assert_problem(gone, status, name)
    await api.client.post(INSTRUMENTS, json=TOKEN, headers=admin)
    with connect(module_settings, "builder") as connection:
        assert instrument_store.remove_all(connection, "acme", KEY)["billing.payment_instrument"] == 1
    done = [action for action, _ in actions(module_settings)]
    assert done == ["privacy.instrument_added", "privacy.instrument_removed", "privacy.instrument_added"]


async def test_a_write_whose_answer_was_erased_writes_nothing_when_it_comes_again(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    asked = admin | {"Idempotency-Key": "erased since"}
    assert (await api.client.post(INSTRUMENTS, json=TOKEN, headers=asked)).status_code == 201
    with connect(module_settings, "builder") as connection:
        instrument_store.remove_all(connection, "acme", KEY)
        assert privacy_store.erase_traces(connection, "acme", [], [], [TOKEN["token"]])["inbox.answer"] > 0
        left = connection.execute("select count(*) from inbox.answer where body <> '' and status = 410").fetchall()
        assert left == [(0,)]
        connection.commit()
    for _ in range(2):
        problem = assert_problem(await api.client.post(INSTRUMENTS, json=TOKEN, headers=asked), 409, "conflict")
        assert "was erased since" in problem["detail"]
    assert (await api.client.get(INSTRUMENTS, headers=admin)).json()["data"] == []


@pytest.mark.parametrize("number", [CARD, CARD.replace(" ", ""), CARD.replace(" ", "."), IBAN, IBAN.replace(" ", "")])
@pytest.mark.parametrize("name", ["token", "provider"])
async def test_a_number_in_the_place_of_a_token_is_refused_with_the_cure_and_stored_nowhere(
    api: Api, module_settings: Settings, admin: dict[str, str], number: str, name: str
) -> None:
    answer = await api.client.post(
        INSTRUMENTS, json=TOKEN | {name: number}, headers=admin | {"Idempotency-Key": number}
    )
    (error,) = assert_problem(answer, 422, "invalid-request")["errors"]
    assert error["path"] == f"body.{name}"
    assert "send the token that your payment provider made of it" in error["message"]
    assert number not in answer.text
    with connect(module_settings, "admin") as connection:
        stored = connection.execute(
            "select (select count(*) from billing.payment_instrument),"
            " (select string_agg(a::text, '') from inbox.answer as a)"
        ).fetchone()
    assert stored is not None
    assert stored[0] == 0
    assert number not in str(stored[1])
    assert number not in api.log.getvalue().decode()


@pytest.mark.parametrize("number", [CARD, IBAN, CARD.replace(" ", "\u00a0")])
async def test_a_number_in_what_a_person_writes_beside_events_is_refused_and_stored_nowhere(
    api: Api, module_settings: Settings, admin: dict[str, str], number: str
) -> None:
    text = f"paid with {number}"
    commit = f"/v1/commits/{'7d' * 32}"
    places: list[tuple[str, dict[str, Any], str]] = [
        (f"{PLACE}/restrict", {"reason": text}, "reason"),
        ("/v1/api-keys", {"name": text, "scopes": ["billing:read"]}, "name"),
        ("/v1/fee-proposals/p1/dispute", {"reason": text}, "reason"),
        (f"{commit}/closings", {"outcome": "confirmed", "reason": text}, "reason"),
    ]
    for address, body, name in places:
        answer = await api.client.post(address, json=body, headers=admin)
        (error,) = assert_problem(answer, 422, "invalid-request")["errors"]
        assert error["path"] == f"body.{name}", address
        assert "write the token by which your payment provider names it" in error["message"]
        assert number not in answer.text
    with connect(module_settings, "admin") as connection:
        stored = connection.execute(
            "select (select count(*) from vault.restriction), (select count(*) from auth.api_key where name = %s)",
            [text],
        ).fetchone()
    assert stored == (0, 0)


async def test_restrictions_need_admin_and_an_open_session_and_instruments_billing(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    added = (await api.client.post(INSTRUMENTS, json=TOKEN, headers=admin)).json()["instrument"]
    calls: list[tuple[str, str, Any, str]] = [
        ("GET", "/v1/restrictions", None, "admin"), ("POST", f"{PLACE}/restrict", {"reason": "r"}, "admin"),
        ("POST", f"{PLACE}/release", None, "admin"), ("GET", INSTRUMENTS, None, "billing:read"),
        ("POST", INSTRUMENTS, TOKEN, "billing:write"), ("DELETE", f"{INSTRUMENTS}/{added}", None, "billing:write"),
    ]  # fmt: skip
    for method, address, body, needed in calls:
        for scope in (one for one in SCOPES if one not in {needed, "admin"}):
            asked = bearer(api.token("acme", scope))
            assert_problem(
                await api.client.request(method, address, json=body, headers=asked), 403, "insufficient-scope"
            )
    await api.client.delete("/v1/sessions", headers=admin)
    for verb, body in (("restrict", {"reason": "r"}), ("release", None)):
        answer = await api.client.post(f"{PLACE}/{verb}", json=body, headers=admin)
        assert_problem(answer, 401, "invalid-token")
    with connect(module_settings, "admin") as connection:
        assert connection.execute("select count(*) from vault.restriction").fetchone() == (0,)
