"""What the API counts: every request once, by names that no client chooses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from prometheus_client import REGISTRY

from tests.support.landing import event
from tests.support.serving import Api, bearer, serving

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


def counted() -> dict[str, float]:
    """Every sample of ours with its labels."""
    samples = [sample for family in REGISTRY.collect() for sample in family.samples]
    return {
        " ".join((one.name.removeprefix("valueverse_"), *one.labels.values())): one.value
        for one in samples
        if one.name.startswith("valueverse_") and not one.name.endswith(("_bucket", "_created", "_sum"))
    }


async def test_requests_are_counted_by_route_and_status_and_problems_by_type(api: Api) -> None:
    before = counted()
    await api.get("acme", "/v1/invoices/acme-000001")
    await api.get("acme", "/v1/invoices/secret-path")
    await api.get("acme", "/v1/customers/Jane%20Doe/usage")
    await api.client.request("BREW", "/nowhere/at-all")
    answer = await api.client.post("/v1/events", json=event("m1"), headers=bearer(api.keys["acme"]))
    assert answer.status_code == 202
    grown = {name: value - before.get(name, 0) for name, value in counted().items() if value != before.get(name, 0)}
    assert grown == {
        "http_requests_total POST /v1/sessions 200": 1,
        "http_request_duration_seconds_count POST /v1/sessions": 1,
        "http_requests_total GET /v1/invoices/{number} 200": 1,
        "http_requests_total GET /v1/invoices/{number} 404": 1,
        "http_request_duration_seconds_count GET /v1/invoices/{number}": 2,
        "http_requests_total GET /v1/customers/{key}/usage 404": 1,
        "http_request_duration_seconds_count GET /v1/customers/{key}/usage": 1,
        "http_requests_total other none 404": 1,
        "http_request_duration_seconds_count other none": 1,
        "http_requests_total POST /v1/events 202": 1,
        "http_request_duration_seconds_count POST /v1/events": 1,
        "http_problems_total not-found": 3,
        "events_received_total": 1,
    }
    assert counted()["http_requests_in_progress"] == 0
    assert counted()["events_body_bytes"] == 0


async def test_limited_and_shed_requests_are_counted(module_settings: Settings, keys: dict[str, str]) -> None:
    before = counted()
    async with serving(module_settings, keys, requests_a_minute=2) as api:
        api.app.state.service.intake._most = 3
        key, token = bearer(api.keys["cedar"]), bearer(api.token("cedar", "billing:read"))
        shed = [(await api.client.post("/v1/events", json=event("m2"), headers=key)).status_code for _ in range(2)]
        read = [(await api.client.get("/v1/customers", headers=token)).status_code for _ in range(4)]
        assert (shed, set(read)) == ([503, 503], {200, 429})
        after = counted()
        assert after["events_shed_total"] - before["events_shed_total"] == 2
        for problem, number in {"unavailable": 2, "rate-limited": read.count(429)}.items():
            name = f"http_problems_total {problem}"
            assert after[name] - before.get(name, 0) == number
    gone = module_settings.model_copy(update={"external_redis_url": "unix:///nowhere/valkey.sock"})
    async with serving(gone, keys, requests_a_minute=5) as api:
        await api.client.post("/v1/sessions", headers=bearer(api.keys["acme"]))
    assert counted()["rate_limits_alone_total"] > before["rate_limits_alone_total"]


async def test_no_label_has_a_value_of_a_tenant_or_a_client(api: Api) -> None:
    await api.get("acme", "/v1/invoices")
    routes = {route.path for route in api.app.state.routes} | {"none"}
    labels = [sample.labels for family in REGISTRY.collect() for sample in family.samples if "route" in sample.labels]
    assert {one["route"] for one in labels} <= routes
    assert {one["method"] for one in labels} <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"}
    names = {name for family in REGISTRY.collect() for sample in family.samples for name in sample.labels}
    assert names & {"tenant", "customer", "key", "path", "address"} == set()


async def test_each_line_that_a_request_writes_carries_its_id_and_its_tenant(api: Api) -> None:
    await api.client.get("/v1/invoices", headers={"Authorization": "Bearer nonsense"})
    api.app.state.service.limiter._silent_until = 0
    await api.get("birch", "/v1/invoices")
    await api.client.post("/v1/sessions", headers=bearer("vv_000000000000_" + "S" * 43))
    lines = api.logged()
    assert all(re.fullmatch(r"[0-9a-f-]{36}", line["request_id"]) for line in lines if line["event"] == "request")
    assert [line["tenant"] for line in lines if line["event"] == "request"] == [None, "birch", "birch", None]
    (refused,) = [line for line in lines if line["event"] == "sign-in refused"]
    assert (refused["request_id"], refused["tenant"]) == (lines[-1]["request_id"], None)
