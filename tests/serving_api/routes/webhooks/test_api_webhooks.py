"""Webhooks over HTTP: endpoints, their secrets, and what was delivered to them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.serving import Api, assert_problem, bearer, session_of
from valueverse.platform.access.api_keys import SCOPES
from valueverse.platform.warehouse import connect
from valueverse.services.webhooks.endpoints import MOST, list_endpoints
from valueverse.services.webhooks.signing import signing_secret

if TYPE_CHECKING:
    import httpx

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration, pytest.mark.security]
ENDPOINTS, DELIVERIES = "/v1/webhook-endpoints", "/v1/webhook-deliveries"
URL = "https://example.com/hooks"


@pytest.fixture
async def admin(api: Api, module_settings: Settings) -> dict[str, str]:
    """The header of a session that may administer acme, where nothing was made before."""
    with connect(module_settings, "admin") as connection:
        connection.execute("delete from billing.webhook_delivery")
        connection.execute("delete from billing.webhook_endpoint")
    return bearer(await session_of(api, module_settings, "acme", "admin"))


async def made(api: Api, admin: dict[str, str], **body: Any) -> dict[str, Any]:
    return answered(await api.client.post(ENDPOINTS, json={"url": URL} | body, headers=admin), 201)


def answered(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def actions(settings: Settings, name: object) -> list[tuple[str, str]]:
    """Action and actor of entries about an endpoint or a delivery, in their order."""
    query = "select entry::json ->> 'action', entry::json ->> 'actor' from audit.submitted "
    query += "where entry::json ->> 'object' = %s order by submission"
    with connect(settings, "builder") as connection:
        return connection.execute(query.encode(), [str(name)]).fetchall()


async def test_a_secret_is_shown_once_and_is_the_one_that_signs(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    asked = admin | {"Idempotency-Key": str(uuid.uuid4())}
    body = {"url": URL, "types": ["invoice.voided", "invoice.drafted", "invoice.voided"]}
    first, again = [await api.client.post(ENDPOINTS, json=body, headers=asked) for _ in range(2)]
    endpoint = answered(first, 201)
    name = endpoint["endpoint"]
    assert endpoint["types"] == ["invoice.drafted", "invoice.voided"]
    assert endpoint["secret"] == signing_secret(module_settings, "acme", name, 1)
    assert answered(again, 201) == endpoint | {"secret": None}
    assert again.headers["idempotent-replayed"] == "true"
    shown = answered(await api.client.get(f"{ENDPOINTS}/{name}", headers=admin))
    assert shown == {key: value for key, value in endpoint.items() if key != "secret"}
    assert answered(await api.client.get(ENDPOINTS, headers=admin))["data"] == [shown]
    rotated = answered(
        await api.client.post(f"{ENDPOINTS}/{name}/rotate", headers=asked, json={"overlap_seconds": 60}), 422
    )
    assert rotated["type"].endswith("idempotency-mismatch")
    rotated = answered(await api.client.post(f"{ENDPOINTS}/{name}/rotate", headers=admin), 201)
    assert rotated["secret"] == signing_secret(module_settings, "acme", name, 2)
    assert rotated["previous_until"] > rotated["created_at"]
    with connect(module_settings, "admin") as connection:
        stored = str(connection.execute("select convert_from(body, 'UTF8') from inbox.answer").fetchall())
    assert not any(one["secret"] in stored for one in (endpoint, rotated))
    me = (await api.client.get("/v1/me", headers=admin)).json()["id"]
    assert actions(module_settings, name) == [
        ("webhook_endpoint.created", me),
        ("webhook_endpoint.secret_rotated", me),
    ]


async def test_a_change_needs_the_etag_of_what_it_changes(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    name = (await made(api, admin))["endpoint"]
    place = f"{ENDPOINTS}/{name}"
    tag = (await api.client.get(place, headers=admin)).headers["etag"]
    assert_problem(await api.client.patch(place, json={"types": []}, headers=admin), 428, "precondition-required")
    change = {"url": "https://example.com/other", "types": ["fee.disputed"]}
    changed = await api.client.patch(place, json=change, headers=admin | {"If-Match": tag})
    assert answered(changed).items() >= change.items()
    late = await api.client.patch(place, json={"types": []}, headers=admin | {"If-Match": tag})
    assert_problem(late, 412, "precondition-failed")
    assert (await api.client.get(place, headers=admin)).headers["etag"] == changed.headers["etag"]
    assert (await api.client.get(place, headers=admin | {"If-None-Match": changed.headers["etag"]})).status_code == 304
    assert [action for action, _ in actions(module_settings, name)][1:] == ["webhook_endpoint.changed"]


async def test_a_disabled_endpoint_gets_nothing_until_it_is_enabled_and_what_it_missed_is_made_again(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    name = (await made(api, admin))["endpoint"]
    sent = [
        answered(await api.client.post(f"{ENDPOINTS}/{name}/test", headers=admin), 202)["delivery"] for _ in range(3)
    ]
    for _ in range(2):
        disabled = answered(await api.client.post(f"{ENDPOINTS}/{name}/disable", headers=admin))
    assert disabled["disabled_reason"] == "disabled by the tenant"
    assert_problem(await api.client.post(f"{ENDPOINTS}/{name}/test", headers=admin), 409, "conflict")
    assert_problem(await api.client.post(f"{DELIVERIES}/{sent[0]}/replay", headers=admin), 409, "conflict")
    dead = answered(await api.client.get(f"{DELIVERIES}?state=dead&endpoint={name}", headers=admin))["data"]
    assert [row["delivery"] for row in dead] == sent[::-1]
    assert {(row["type"], row["due_at"], row["reason"]) for row in dead} == {
        ("webhook.test", None, "disabled by the tenant")
    }
    nothing = {"replayed": 0, "has_more": False, "next_cursor": None}
    assert answered(await api.client.post(f"{DELIVERIES}/replay", headers=admin)) == nothing
    enabled = answered(await api.client.post(f"{ENDPOINTS}/{name}/enable", headers=admin))
    assert (enabled["disabled_at"], enabled["disabled_reason"]) == (None, None)
    one = answered(await api.client.post(f"{DELIVERIES}/{sent[1]}/replay", headers=admin))
    assert (one["state"], one["message_id"]) == ("waiting", dead[1]["message_id"])
    others = await api.client.post(
        f"{DELIVERIES}/replay", json={"endpoint": name, "type": "webhook.test"}, headers=admin
    )
    assert answered(others) == nothing | {"replayed": 2}
    done = [action for action, _ in actions(module_settings, name)]
    assert done[-3:] == ["webhook_endpoint.disabled", "webhook_endpoint.enabled", "webhook_deliveries.replayed"]


async def test_deliveries_are_filtered_and_paged_and_one_shows_its_attempts(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    first, second = [(await made(api, admin))["endpoint"] for _ in range(2)]
    sent = [
        answered(await api.client.post(f"{ENDPOINTS}/{name}/test", headers=admin), 202)["delivery"]
        for name in (first, first, first, second)
    ]
    with connect(module_settings, "builder") as connection:
        connection.execute(
            "insert into billing.webhook_attempt (tenant_id, delivery, status, reason, milliseconds) "
            "values ('acme', %s, 500, null, 12), ('acme', %s, null, 'no answer within 15 s', 15000)",
            [sent[0], sent[0]],
        )
        connection.execute(
            "update billing.webhook_delivery set created_at = '2024-01-01Z' where delivery = %s", [sent[1]]
        )

    async def listed(**query: Any) -> list[int]:
        return [
            row["delivery"] for row in (await api.client.get(DELIVERIES, params=query, headers=admin)).json()["data"]
        ]

    assert await listed() == sent[::-1]
    assert await listed(endpoint=second) == [sent[3]]
    assert await listed(type="invoice.voided") == await listed(state="delivered") == []
    assert await listed(**{"from": "2023-12-31T23:00:00Z", "to": "2024-01-01T02:00:00+01:00"}) == [sent[1]]
    pages, cursor = [], {}
    while True:
        page = answered(await api.client.get(DELIVERIES, params={"limit": 3} | cursor, headers=admin))
        pages.append([row["delivery"] for row in page["data"]])
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert pages == [sent[:0:-1], sent[:1]]
    other = await api.client.get(DELIVERIES, params={"state": "dead"} | cursor, headers=admin)
    assert_problem(other, 400, "invalid-cursor")
    detail = answered(await api.client.get(f"{DELIVERIES}/{sent[0]}", headers=admin))
    assert (detail["body"]["type"], detail["body"]["data"]) == ("webhook.test", {})
    assert [(one["status"], one["reason"], one["milliseconds"]) for one in detail["history"]] == [
        (500, None, 12),
        (None, "no answer within 15 s", 15000),
    ]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"url": "http://example.com/"}, "body.url"), ({"url": "https://a:b@example.com/"}, "body.url"),
        ({"types": ["invoice.finalized"]}, "body.types"), ({"secret": "whsec_x"}, "body.secret"),
        ({"types": ["webhook.test"]}, "body.types"), ({"url": None}, "body.url"),
    ],
)  # fmt: skip
async def test_an_endpoint_that_cannot_be_is_refused_with_its_place(
    api: Api, admin: dict[str, str], body: dict[str, Any], path: str
) -> None:
    answer = await api.client.post(ENDPOINTS, json={"url": URL} | body, headers=admin)
    assert assert_problem(answer, 422, "invalid-request")["errors"][0]["path"] == path
    assert answered(await api.client.get(ENDPOINTS, headers=admin))["data"] == []


async def test_a_tenant_has_no_more_endpoints_than_each_change_can_be_written_for(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    names = [(await made(api, admin))["endpoint"] for _ in range(MOST)]
    assert_problem(await api.client.post(ENDPOINTS, json={"url": URL}, headers=admin), 409, "conflict")
    await api.client.post(f"{ENDPOINTS}/{names[0]}/disable", headers=admin)
    await made(api, admin)
    assert_problem(await api.client.post(f"{ENDPOINTS}/{names[0]}/enable", headers=admin), 409, "conflict")
    assert len([row for row in list_endpoints(module_settings, "acme") if row["disabled_at"] is None]) == MOST


async def test_no_scope_but_admin_changes_and_none_but_billing_reads(api: Api, admin: dict[str, str]) -> None:
    name = (await made(api, admin))["endpoint"]
    number = answered(await api.client.post(f"{ENDPOINTS}/{name}/test", headers=admin), 202)["delivery"]
    reads = (ENDPOINTS, f"{ENDPOINTS}/{name}", DELIVERIES, f"{DELIVERIES}/{number}")
    writes = [
        ("POST", ENDPOINTS), ("PATCH", f"{ENDPOINTS}/{name}"), ("POST", f"{DELIVERIES}/replay"),
        ("POST", f"{DELIVERIES}/{number}/replay"),
        *(("POST", f"{ENDPOINTS}/{name}/{verb}") for verb in ("rotate", "disable", "enable", "test")),
    ]  # fmt: skip
    for scope in (one for one in SCOPES if one != "admin"):
        asked = bearer(api.token("acme", scope))
        for address in reads:
            answer = await api.client.get(address, headers=asked)
            assert answer.status_code == (200 if scope == "billing:read" else 403), (scope, address)
        for method, address in writes:
            answer = await api.client.request(method, address, json={"url": URL}, headers=asked)
            assert_problem(answer, 403, "insufficient-scope")


async def test_a_session_that_was_ended_points_no_notifications_elsewhere(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    name = (await made(api, admin))["endpoint"]
    number = answered(await api.client.post(f"{ENDPOINTS}/{name}/test", headers=admin), 202)["delivery"]
    tag = (await api.client.get(f"{ENDPOINTS}/{name}", headers=admin)).headers["etag"]
    await api.client.delete("/v1/sessions", headers=admin)
    asked = admin | {"If-Match": tag}
    for method, address in (
        ("POST", ENDPOINTS),
        ("PATCH", f"{ENDPOINTS}/{name}"),
        *(("POST", f"{ENDPOINTS}/{name}/{verb}") for verb in ("rotate", "disable", "enable", "test")),
        ("POST", f"{DELIVERIES}/{number}/replay"),
        ("POST", f"{DELIVERIES}/replay"),
    ):
        body = {"url": "https://evil.example/"} if address == ENDPOINTS or method == "PATCH" else None
        assert_problem(await api.client.request(method, address, json=body, headers=asked), 401, "invalid-token")
    (endpoint,) = list_endpoints(module_settings, "acme")
    assert (endpoint["url"], endpoint["secret_version"], endpoint["disabled_at"]) == (URL, 1, None)


async def test_another_tenants_endpoints_and_deliveries_are_as_if_they_were_not_there(
    api: Api, module_settings: Settings, admin: dict[str, str]
) -> None:
    name = (await made(api, admin))["endpoint"]
    number = answered(await api.client.post(f"{ENDPOINTS}/{name}/test", headers=admin), 202)["delivery"]
    other = bearer(await session_of(api, module_settings, "birch", "admin")) | {"If-Match": "*"}
    for method, address in (
        ("GET", f"{ENDPOINTS}/{name}"),
        ("PATCH", f"{ENDPOINTS}/{name}"),
        *(("POST", f"{ENDPOINTS}/{name}/{verb}") for verb in ("rotate", "disable", "enable", "test")),
        ("GET", f"{DELIVERIES}/{number}"),
        ("POST", f"{DELIVERIES}/{number}/replay"),
    ):
        body = {} if method == "PATCH" else None
        assert_problem(await api.client.request(method, address, headers=other, json=body), 404, "not-found")
    for address in (ENDPOINTS, DELIVERIES, f"{DELIVERIES}?endpoint={name}"):
        assert answered(await api.client.get(address, headers=other))["data"] == []
    replayed = answered(await api.client.post(f"{DELIVERIES}/replay", json={"endpoint": name}, headers=other))
    assert replayed["replayed"] == 0
