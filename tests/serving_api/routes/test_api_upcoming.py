"""Money that is not final, over HTTP as on the command line: next invoices, and what events would change of them."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from serving_api.engine import Engine
from serving_api.problems import Problem
from tests.support.inbox import receive
from tests.support.ledger import World, instant
from tests.support.serving import Api, assert_problem, bearer, serving, without
from tests.support.serving_fixtures import keys_of_acme_and_birch
from tests.support.warehouse_billing import acme, rows, run, store
from valueverse.cli import app
from valueverse.errors import RefusalError
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.lake import Lake
from valueverse.platform.telemetry.logs import make_log
from valueverse.platform.warehouse import connect
from valueverse.services.billing.customer_usage import UsageCache
from valueverse.services.subscriptions import upcoming_answers
from valueverse.services.subscriptions.preview import upcoming_invoices

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import httpx

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
THEN = "2024-01-05T00:00:00Z"
C0 = "/v1/customers/c0/upcoming-invoice"


@pytest.fixture(scope="module")
def world(module_settings: Settings) -> World:
    """Two customers of acme; November is final, December a draft, and January runs."""
    world = acme(2)
    catalog = json.loads(world.facts[0]["data"])
    [pro] = catalog["plans"]
    catalog["plans"].append(pro | {"key": "max", "fees": [pro["fees"][0] | {"amount": "40"}]})
    world.facts[0]["data"] = json.dumps(catalog)
    world.use("2024-01-03", "tokens", "250", customer="c0")
    run(world, module_settings, instant("2024-01-01T06:00:00"))
    return world


@pytest.fixture(scope="module")
def keys(module_settings: Settings, world: World) -> dict[str, str]:
    return keys_of_acme_and_birch(module_settings)


@pytest.fixture
async def api(module_settings: Settings, keys: dict[str, str]) -> AsyncIterator[Api]:
    async with serving(module_settings, keys) as running:
        yield running


@pytest.fixture
def waiting(module_settings: Settings) -> Iterator[Any]:
    """Puts events of acme into the inbox, and takes them out again."""

    def put(*events: Any) -> None:
        receive(module_settings, "acme", *events, at=datetime.now(UTC))

    yield put
    with connect(module_settings, "builder", autocommit=True) as connection:
        connection.execute("delete from inbox.batch")


async def found(api: Api, address: str = C0, **query: Any) -> dict[str, Any]:
    answer = await api.get("acme", address, **query)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def post(api: Api, body: Any, path: str = "/v1/invoices/preview", tenant: str = "acme") -> httpx.Response:
    if tenant not in api.tokens:
        api.tokens[tenant] = await api.sign_in(tenant)
    content = body if isinstance(body, bytes) else json.dumps(body)
    return await api.client.post(path, content=content, headers=bearer(api.tokens[tenant]["access_token"]))


def called(settings: Settings, *asked: str) -> dict[str, Any]:
    """What a command answers in JSON."""
    done = CliRunner().invoke(app, [*asked, "--json"], env=settings.environment(), catch_exceptions=False)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def ending(on: str = "2024-01-11", key: str = "what-if", **more: Any) -> dict[str, Any]:
    """The event that ends the subscription of c0."""
    event = {
        "specversion": "1.0", "id": key, "source": "sales", "type": "billing.subscription.ended",
        "time": f"{on}T00:00:00Z", "data": {"subscription": "s0"},
    }  # fmt: skip
    return event | more


def totals(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["period"]["from"][:10], one["total"]) for one in answer["invoices"]]


async def test_the_next_invoices_are_the_drafts_and_those_of_the_running_period(api: Api) -> None:
    shown = await found(api, known_at=THEN)
    assert (shown["customer"], shown["until"], shown["held"]) == ("c0", "2024-02-01", [])
    assert totals(shown) == [("2023-12-01", "10.00"), ("2024-01-01", "12.50")]
    usage = shown["invoices"][1]["lines"][1]
    assert (usage["kind"], usage["quantity"], usage["event_count"]) == ("usage", "250", 1)
    assert "changes" not in shown


async def test_a_draft_is_the_document_that_the_billing_run_has_stored(api: Api, module_settings: Settings) -> None:
    query = "select document from billing.invoice where customer = 'c0' and status = 'draft'"
    [(stored,)] = rows(module_settings, query)
    draft, knowledge = json.loads(stored), ("basis", "content_hash")
    assert without((await found(api, known_at=THEN))["invoices"][0], knowledge) == without(draft, knowledge)


async def test_what_was_known_then_is_answered_as_of_then(api: Api) -> None:
    earlier = await found(api, known_at="2024-01-02")
    assert totals(earlier)[1] == ("2024-01-01", "10.00")
    before_any_run = await found(api, known_at="2023-11-20")
    assert totals(before_any_run) == [("2023-11-01", "11.00")]


@pytest.mark.parametrize("options", [{"known_at": THEN}, {"until": "2024-03-01"}])
async def test_the_command_line_gives_the_same_documents(
    api: Api, module_settings: Settings, options: dict[str, str]
) -> None:
    flags = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    over_http = (await api.get("acme", C0, **options)).json()
    assert over_http == called(module_settings, "invoices", "upcoming", "c0", "--tenant", "acme", *flags)


async def test_hypothetical_events_change_the_next_invoices_and_nothing_is_written(
    api: Api, module_settings: Settings, tmp_path: Path
) -> None:
    stored = rows(module_settings, "select invoice_id::text, document from billing.invoice order by 1")
    asked = {"customer": "c0", "until": "2024-03-01", "events": [ending(data={"subscription": "s0"})]}
    answer = (await post(api, asked)).json()
    changes = [(one["period_from"][:10], one["before"], one["after"]) for one in answer["changes"] if not one["line"]]
    assert changes == [
        ("2023-12-01", "10.00", "10.00"), ("2024-01-01", "12.50", "5.73"), ("2024-02-01", "10.00", "0.00"),
    ]  # fmt: skip
    assert totals(answer) == [("2023-12-01", "10.00"), ("2024-01-01", "5.73")]
    file = tmp_path / "events.ndjson"
    file.write_text(f"{json.dumps(ending())}\n\n", encoding="utf-8")
    options = ["--tenant", "acme", "--until", "2024-03-01", "--events", str(file)]
    expected = called(module_settings, "invoices", "upcoming", "c0", *options)
    # Documents say when the events would have been received: now.
    for one in (*answer["invoices"], *expected["invoices"]):
        assert one.pop("content_hash") != one.pop("basis")["events_known_at"]
    assert answer == expected
    assert rows(module_settings, "select count(*) from inbox.batch") == [(0,)]
    assert rows(module_settings, "select invoice_id::text, document from billing.invoice order by 1") == stored


async def test_a_customer_and_its_subscription_may_be_hypothetical(api: Api) -> None:
    made = ending(key="a", type="billing.customer.created", data={"customer": "new", "name": "New"})
    plan = {
        "subscription": "n1",
        "customer": "new",
        "plan": "max",
        "overrides": {"fees": [{"key": "base", "amount": 41.5}]},
    }
    starting = ending(key="b", type="billing.subscription.started", data=plan)
    answer = await post(api, {"customer": "new", "until": "2024-02-01", "events": [made, starting]})
    assert answer.status_code == 200, answer.text
    assert totals(answer.json()) == [("2024-01-11", "28.11")]
    assert_problem(await post(api, {"customer": "new", "until": "2024-02-01"}), 404, "not-found")


async def test_a_change_is_previewed_as_the_command_line_does(api: Api, module_settings: Settings) -> None:
    body = {"plan": "max", "on": "2024-01-16"}
    answer = await post(api, body | {"preview": True}, "/v1/subscriptions/s0/change")
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    options = ["--tenant", "acme", "--plan", "max", "--on", "2024-01-16", "--preview"]
    expected = called(module_settings, "subscriptions", "change", "s0", *options)
    assert (shown["status"], shown["batch"], shown["event"]) == ("preview", None, expected.pop("event"))
    assert [one["plan"] for one in shown["segments"]] == ["pro", "max"]
    rows_shown = [(one["line"], one["before"], one["after"]) for one in shown["preview"]["invoices"]]
    assert rows_shown == [(one["line"], one["before"], one["after"]) for one in expected["invoices"]]
    assert shown["preview"]["until"] == expected["until"]
    assert rows(module_settings, "select count(*) from inbox.batch") == [(0,)]
    wrong = assert_problem(
        await post(api, body | {"preview": 1}, "/v1/subscriptions/s0/change"), 422, "invalid-request"
    )
    assert wrong["errors"][0]["path"] == "body.preview"
    unknown = await post(api, body | {"preview": True, "plan": "mix"}, "/v1/subscriptions/s0/change")
    assert assert_problem(unknown, 422, "invalid-request")["errors"][0]["path"] == "body.plan"


async def test_a_billing_event_that_waits_counts_at_once(api: Api, waiting: Any) -> None:
    before = await found(api, until="2024-02-01")
    waiting(ending(key="for-real"))
    assert totals(before)[1] == ("2024-01-01", "12.50")
    assert totals(await found(api, until="2024-02-01"))[1] == ("2024-01-01", "5.73")


async def test_usage_counts_once_it_is_derived(api: Api, module_settings: Settings, world: World) -> None:
    before = await api.get("acme", C0, until="2024-02-01")
    again = await api.get("acme", C0, headers={"If-None-Match": before.headers["etag"]}, until="2024-02-01")
    assert (again.status_code, again.content) == (304, b"")
    world.use("2024-01-04", "tokens", "750", customer="c0", received_at=instant("2024-01-06"))
    store(world, module_settings)
    assert totals(await found(api, until="2024-02-01"))[1] == ("2024-01-01", "20.00")
    assert totals(await found(api, known_at=THEN))[1] == ("2024-01-01", "12.50")


async def test_an_answer_is_worked_out_again_once_what_it_follows_from_is_another_one(
    api: Api, module_settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked = []

    def counted(*asked: Any) -> Any:
        worked.append(asked[0].customer)
        return upcoming_invoices(*asked)

    monkeypatch.setattr(upcoming_answers, "upcoming_invoices", counted)
    for _ in range(3):
        first = totals(await found(api, until="2024-03-01"))
    await found(api, known_at=THEN)
    await found(api, known_at=THEN)
    assert worked == ["c0", "c0"]
    world.use("2024-01-04", "tokens", "1", customer="c1")
    store(world, module_settings)
    assert totals(await found(api, until="2024-03-01")) == first
    assert worked == ["c0", "c0"]
    run(world, module_settings, instant("2024-01-03"))
    assert totals(await found(api, until="2024-03-01")) == first[1:]
    assert worked == ["c0", "c0", "c0"]
    assert totals(await found(api, until="2024-02-01")) == first[1:2]


def test_what_is_stored_is_bounded(module_settings: Settings, world: World) -> None:
    lake = Lake(module_settings.lake_url)
    whole = UsageCache()
    assert {one: whole.read(lake, "acme", one).rows.height for one in ("c0", "c1", "c0")} == {"c0": 3, "c1": 2}
    assert [key[2] for key in whole._customers] == ["c1", "c0"]
    size = max(whole._customers.getsizeof(days) for days in whole._customers.values())
    narrow = UsageCache(size)
    assert [narrow.read(lake, "acme", one).rows.height for one in ("c0", "c1", "c0")] == [3, 2, 3]
    assert narrow._customers.currsize == size
    none = UsageCache(1)
    assert none.read(lake, "acme", "c0").mark == whole.read(lake, "acme", "c0").mark
    assert not none._customers
    answers = upcoming_answers.UpcomingAnswers(most=3_000)
    for day in range(1, 5):
        asked = upcoming_answers.Question("acme", "c0", date(2024, 2, day))
        assert answers.answer(module_settings, asked, [], datetime.now(UTC))
    assert 1 <= len(answers._answers) < 4
    assert answers._answers.currsize == sum(len(body) for body, _ in answers._answers.values()) <= 3_000


async def test_catalogs_are_listed_as_they_were_known(api: Api) -> None:
    (shown,) = (await found(api, "/v1/catalogs"))["data"]
    assert ([one["key"] for one in shown["plans"]], shown["from"]) == (["pro", "max"], "2023-01-01T00:00:00Z")
    assert (await found(api, "/v1/catalogs", known_at="2022-12-31"))["data"] == []
    assert (await api.get("birch", "/v1/catalogs")).json()["data"] == []
    assert_problem(await api.get("acme", "/v1/catalogs", known="2022-12-31"), 422, "invalid-request")


@pytest.mark.security
async def test_another_tenants_customer_is_as_one_that_does_not_exist(api: Api) -> None:
    missing = assert_problem(await api.get("acme", "/v1/customers/nosuch/upcoming-invoice"), 404, "not-found")
    for address in (C0, "/v1/customers/c%01/upcoming-invoice"):
        assert without(assert_problem(await api.get("birch", address), 404, "not-found")) == without(missing)
    assert_problem(await post(api, {"customer": "c0"}, tenant="birch"), 404, "not-found")
    stolen = {"customer": "c0", "events": [ending(tenant="acme")]}
    assert_problem(await post(api, stolen, tenant="birch"), 422, "invalid-request")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "body.customer"),
        ({"customer": "c0", "cutsomer": 1}, "body.cutsomer"),
        ({"customer": "c0", "until": "2300-01-01"}, "body.until"),
        ({"customer": "c0", "events": [1]}, "body.events.0"),
        ({"customer": "c0", "events": [ending()] * 101}, "body.events"),
        ({"customer": "c0", "events": [ending(type="used")]}, "body.events[0]"),
        ({"customer": "c0", "events": [ending(), ending(key="b", time="noon")]}, "body.events[1].time"),
        ({"customer": "c0", "events": [ending(data={"subscription": "s7"})]}, "body.events[0]"),
        ({"customer": "c0", "events": [ending(tenant="birch")]}, "body.events[0].tenant"),
        ({"customer": "c0", "events": [ending(source="test", key="b1")]}, "body.events[0].id"),
        (b"[1]", "body"),
    ],
)
async def test_what_cannot_be_previewed_says_where(api: Api, body: Any, path: str) -> None:
    problem = assert_problem(await post(api, body), 422, "invalid-request")
    assert problem["errors"][0]["path"] == path, problem


async def test_bad_questions_are_refused(api: Api) -> None:
    assert_problem(await post(api, b"{"), 400, "malformed-request")
    for query in ({"until": "1969-01-01"}, {"known_at": "2999-01-01"}, {"known_at": "noon"}, {"unitl": "2024-01-01"}):
        assert_problem(await api.get("acme", C0, **query), 422, "invalid-request")
    twice = await api.client.get(
        f"{C0}?until=2024-01-01&until=2024-01-02", headers=bearer(api.tokens["acme"]["access_token"])
    )
    assert_problem(twice, 422, "invalid-request")


@pytest.mark.security
async def test_it_needs_the_scope_to_read_billing(api: Api, module_settings: Settings) -> None:
    with connect(module_settings, "builder") as connection:
        api.keys = api.keys | {"acme": issue_api_key(connection, "acme", ["events:write"])}
    for answer in (await api.get("acme", C0), await post(api, {"customer": "c0"})):
        assert_problem(answer, 403, "insufficient-scope")


async def test_a_lake_that_cannot_be_read_is_unavailable(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise RefusalError("lake_failed", "the lake at /secret failed")

    monkeypatch.setattr(Lake, "scan", failing)
    answer = await api.get("acme", C0)
    assert "secret" not in assert_problem(answer, 503, "unavailable")["detail"]
    assert answer.headers["retry-after"] == "5"


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Work that waits for it ends at last with the test."""
    event = threading.Event()
    yield event
    event.set()


async def test_one_tenants_endless_work_holds_back_nobody_else(gate: threading.Event) -> None:
    engine = Engine(make_log(), threads=2, waiting=3, seconds=0.3)
    endless = asyncio.gather(*(engine.work("acme", gate.wait) for _ in range(3)), return_exceptions=True)
    assert await engine.work("birch", lambda: 7) == 7
    await asyncio.sleep(0)
    with pytest.raises(Problem, match="Too many"):
        await engine.work("acme", lambda: 7)
    late = await endless
    assert [one.name for one in late if isinstance(one, Problem)] == ["unavailable"] * 3
    assert [one.headers for one in late if isinstance(one, Problem)] == [{"Retry-After": "5"}] * 3
    # The thread still works for acme, which has its turn again once it is done; birch has the other one.
    with pytest.raises(Problem, match="within"):
        await engine.work("acme", lambda: 7)
    assert await engine.work("birch", lambda: 8) == 8
    gate.set()
    assert await engine.work("acme", lambda: 9) == 9
    engine.close()


async def test_what_work_refuses_is_refused_and_what_is_away_is_unavailable() -> None:
    engine = Engine(make_log())

    def refuse(code: str) -> None:
        raise RefusalError(code, "the lake at /secret failed")

    with pytest.raises(RefusalError):
        await engine.work("acme", lambda: refuse("unknown_customer"))
    with pytest.raises(Problem) as away:
        await engine.work("acme", lambda: refuse("warehouse_unreachable"))
    assert (away.value.name, away.value.headers) == ("unavailable", {"Retry-After": "5"})
    assert "secret" not in away.value.detail
    assert engine._turns == {}
    engine.close()
