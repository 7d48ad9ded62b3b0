"""What became of an event, over HTTP as on the command line: nobody has to guess why usage is 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import polars as pl
import pytest

from tests.support.inbox import receive
from tests.support.landing import event
from tests.support.ledger import instant
from tests.support.serving import Api, assert_problem, bearer, serving, without
from tests.support.warehouse_billing import acme, run
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.lake import Lake
from valueverse.platform.stores.event_store import EventStore
from valueverse.platform.warehouse import connect
from valueverse.schemas.events import QUARANTINE
from valueverse.services.billing.explain_event import explain_event
from valueverse.services.billing.explanations import event_in_sentences
from valueverse.services.lake_tables import EVENTS_TABLE, QUARANTINE_TABLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
SENT = instant("2024-06-02")
SOURCE = "https://gateway/ü?a=1&b"


@pytest.fixture(scope="module")
def keys(module_settings: Settings) -> dict[str, str]:
    """A billed tenant with a late event, usage of nobody, a rejected change and events that wait; and another."""
    settings = module_settings
    world = acme(2)
    run(world, settings, as_of=instant("2023-12-20"))
    world.use("2023-11-07", "tokens", "250", customer="c0", received_at=instant("2023-12-25"))
    world.use("2023-11-20", "tokens", "1", customer="nobody")
    world.record("subscription.changed", "2023-11-12", {"subscription": "s1", "plan": "por"}, id="odd")
    run(world, settings)
    lake = Lake(settings.lake_url)
    facts = world.facts_frame().with_columns(pl.col("time").dt.date().alias("event_date"))
    named = facts.with_columns(payload_hash=pl.lit(""), file=pl.lit("acme/a.ndjson"), line=pl.lit(7, pl.Int64))
    absent = [name for name in EVENTS_TABLE.schema if name not in named.columns]
    events = named.with_columns(pl.lit(None).alias(name) for name in absent)
    lake.append(EVENTS_TABLE, events.select(EVENTS_TABLE.schema.names()).cast(dict(EVENTS_TABLE.schema)))
    refused = {
        "tenant": "acme", "source": SOURCE, "id": "bad", "type": "used", "file": "acme/inbox/3.ndjson",
        "file_hash": "h", "line": 2, "reason": "bad_time", "message": "'noon' is no time", "path": "time", "raw": "{}",
        "received_at": SENT, "received_date": SENT.date(),
    }  # fmt: skip
    earlier = refused | {
        "message": "an earlier one",
        "received_at": instant("2024-06-01"),
        "file": "acme/z.ndjson",
        "received_date": instant("2024-06-01").date(),
    }
    lake.append(QUARANTINE_TABLE, QUARANTINE.conform(pl.DataFrame([refused, earlier], schema=dict(QUARANTINE))))
    new = event("new", source=SOURCE)
    receive(
        settings,
        "acme",
        new,
        event("bad", source=SOURCE),
        new,
        new | {"data": {"n": 2}},
        event("when", time="noon"),
        at=SENT,
    )
    receive(settings, "acme", new, event("u0", source="test", type="used"), at=SENT)
    receive(settings, "birch", event("of birch"), at=SENT)
    with connect(settings, "builder") as connection:
        return {tenant: issue_api_key(connection, tenant) for tenant in ("acme", "birch")}


@pytest.fixture
async def api(module_settings: Settings, keys: dict[str, str]) -> AsyncIterator[Api]:
    async with serving(module_settings, keys) as running:
        yield running


def address(source: str, key: str) -> str:
    return f"/v1/events/{quote(source, safe='')}/{quote(key, safe='')}"


async def fate(api: Api, source: str, key: str) -> dict[str, Any]:
    answer = await api.get("acme", address(source, key))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert (found["source"], found["id"]) == (source, key)
    return found


async def test_an_event_is_found_on_the_lines_that_bill_it(api: Api) -> None:
    found = await fate(api, "test", "u0")
    lines = [(one["invoice"], one["kind"], one["amount"], one["currency"]) for one in found["lines"]]
    assert (found["outcome"], found["type"]) == ("billed", "used")
    assert lines == [("acme-000001", "usage", "1.00", "USD")]
    late = await fate(api, "test", "u2")
    corrected = [(one["invoice"], one["kind"], one["amount"]) for one in late["lines"]]
    assert corrected == [("acme-000003", "adjustment", "2.50")]


async def test_an_event_that_nobody_is_billed_for_has_a_reason_that_its_sender_can_read(api: Api) -> None:
    """Elsewhere events were accepted, the usage stayed 0, and nobody could see why."""
    unbilled = await fate(api, "test", "u3")
    assert (unbilled["outcome"], unbilled["reason"]) == ("unbilled", "no_subscription")
    rejected = await fate(api, "test", "odd")
    assert (rejected["outcome"], rejected["reason"]) == ("rejected", "unknown_plan")
    assert "por" in rejected["message"]
    applied = await fate(api, "test", "b1")
    assert applied["outcome"] == "billing_event"


async def test_an_event_that_was_quarantined_says_why_and_that_it_comes_again(api: Api) -> None:
    found = await fate(api, SOURCE, "bad")
    assert (found["outcome"], found["reason"], found["message"]) == ("quarantined", "bad_time", "'noon' is no time")
    assert [one["status"] for one in found["waiting"]] == ["accepted"]


async def test_an_event_that_waits_says_what_ingestion_will_make_of_it(api: Api) -> None:
    found = await fate(api, SOURCE, "new")
    assert found["outcome"] == "waiting"
    assert [(one["status"], one.get("reason")) for one in found["waiting"]] == [
        ("accepted", None), ("duplicate", "duplicate"), ("refused", "conflict"), ("duplicate", "duplicate"),
    ]  # fmt: skip
    assert len({one["batch"] for one in found["waiting"]}) == 2
    (refused,) = (await fate(api, "s", "when"))["waiting"]
    assert (refused["status"], refused["reason"], refused["path"]) == ("refused", "bad_time", "time")
    (again,) = (await fate(api, "test", "u0"))["waiting"]
    assert (again["status"], again["reason"]) == ("refused", "conflict")


@pytest.mark.parametrize(
    ("source", "key"), [("test", "u0"), ("test", "u3"), ("test", "odd"), (SOURCE, "new"), (SOURCE, "bad")]
)
async def test_the_command_line_says_the_same(api: Api, module_settings: Settings, source: str, key: str) -> None:
    over_http = await fate(api, source, key)
    with connect(module_settings, "builder") as connection:
        lake = Lake(module_settings.lake_url)
        *_, answer = explain_event(EventStore(connection), lake, source, key, None)
    lines = answer.pop("lines", [])
    assert without(over_http, ("lines",)) == without(answer, ("tenant",))
    assert [one["invoice"] for one in lines] == [one["invoice"] for one in over_http.get("lines", [])]
    if "waiting" in answer:
        assert "waits for the next ingestion" in event_in_sentences(answer | {"lines": lines})[-1]


@pytest.mark.security
async def test_another_tenants_event_is_as_one_that_does_not_exist(api: Api) -> None:
    missing = assert_problem(await api.get("acme", address("test", "nosuch")), 404, "not-found")
    for source, key in (("test", "u0"), ("test", "odd"), (SOURCE, "bad"), (SOURCE, "new")):
        answer = await api.get("birch", address(source, key))
        assert without(assert_problem(answer, 404, "not-found")) == without(missing)
    assert_problem(await api.get("acme", address("s", "of birch")), 404, "not-found")
    assert (await api.get("birch", address("s", "of birch"))).json()["outcome"] == "waiting"


async def test_what_can_be_no_key_is_not_found_and_parameters_are_refused(api: Api) -> None:
    for path in ("/v1/events/a", "/v1/events/a/b/c", "/v1/events/a/", "/v1/events/%ff/b", "/v1/events/a/%00"):
        assert_problem(await api.get("acme", path), 404, "not-found")
    assert_problem(await api.get("acme", address("test", "u0"), known="now"), 422, "invalid-request")


@pytest.mark.security
async def test_the_fate_of_an_event_needs_the_scope_to_read_billing(api: Api, module_settings: Settings) -> None:
    with connect(module_settings, "builder") as connection:
        sending = issue_api_key(connection, "acme", ["events:write"])
    session = (await api.client.post("/v1/sessions", headers=bearer(sending))).json()
    answer = await api.client.get(address("test", "u0"), headers=bearer(session["access_token"]))
    assert_problem(answer, 403, "insufficient-scope")
    assert_problem(await api.client.get(address("test", "u0"), headers=bearer(sending)), 401, "invalid-token")


async def pages(api: Api, tenant: str = "acme", **query: Any) -> list[dict[str, Any]]:
    """All rows of the list of events, three to a page."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await api.get(tenant, "/v1/events", limit=3, **query, **cursor)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["data"]
        if not page["has_more"]:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def test_events_are_listed_and_found_by_every_filter(api: Api) -> None:
    every = await pages(api)
    times = [one["time"] for one in every]
    assert times == sorted(times, reverse=True)
    assert len({(one["source"], one["id"]) for one in every}) == len(every) > 6
    used = await pages(api, type="used")
    assert {one["type"] for one in used} == {"used"}
    assert 0 < len(used) < len(every)
    assert [one["id"] for one in await pages(api, customer="nobody")] == ["u3"]
    assert [one["id"] for one in await pages(api, source="test", id="u0")] == ["u0"]
    inside = await pages(api, **{"from": "2023-11-07", "to": "2023-11-13"})
    assert sorted(one["id"] for one in inside) == ["odd", "u2"]
    assert [one["time"] for one in await pages(api, to="2023-11-01")] == [one for one in times if one < "2023-11-01"]


async def test_quarantined_lines_are_listed_with_their_reasons(api: Api) -> None:
    found = await pages(api, fate="quarantined")
    assert [(one["id"], one["reason"], one["message"]) for one in found] == [
        ("bad", "bad_time", "'noon' is no time"), ("bad", "bad_time", "an earlier one"),
    ]  # fmt: skip
    assert await pages(api, fate="quarantined", **{"from": "2024-06-03"}) == []
    assert len(await pages(api, fate="quarantined", source=SOURCE, to="2024-06-02")) == 1
    answer = await api.get("acme", "/v1/events", fate="quarantined", customer="c0")
    assert_problem(answer, 422, "invalid-request")


@pytest.mark.security
async def test_a_list_of_events_is_of_the_own_tenant_and_its_cursor_too(api: Api) -> None:
    assert await pages(api, "birch") == await pages(api, "birch", fate="quarantined") == []
    first = (await api.get("acme", "/v1/events", limit=3)).json()
    for tenant, query in (("birch", {}), ("acme", {"type": "used"}), ("acme", {"fate": "quarantined"})):
        answer = await api.get(tenant, "/v1/events", limit=3, cursor=first["next_cursor"], **query)
        assert_problem(answer, 400, "invalid-cursor")
    assert_problem(await api.get("acme", "/v1/events", kind="used"), 422, "invalid-request")


async def test_a_lake_that_cannot_be_read_is_unavailable(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from valueverse.errors import RefusalError

    def failing(*_: object) -> None:
        raise RefusalError("lake_failed", "the lake at /secret failed")

    monkeypatch.setattr(Lake, "scan", failing)
    answer = await api.get("acme", address("test", "u0"))
    assert "secret" not in assert_problem(answer, 503, "unavailable")["detail"]
    assert_problem(await api.get("acme", "/v1/events"), 503, "unavailable")
