"""Reads of money over HTTP: lines explained down to their events, and all of it as it was known earlier."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tests.support.ledger import World, instant
from tests.support.serving import Api, assert_problem, bearer, serving, without
from tests.support.serving_fixtures import keys_of_acme_and_birch
from tests.support.warehouse_billing import run
from valueverse.cli import app
from valueverse.dates import utc_text
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.billing.book_journal import book_journal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
LARGE, SMALL = '{"model":"large"}', '{"model":"small"}'
THEN = "2023-12-20"
USAGE = "/v1/customers/c0/usage"
LISTS = (USAGE, "/v1/invoices?status=finalised", "/v1/wallets", "/v1/one-offs", "/v1/payments", "/v1/credit-notes")
LINE = "/v1/invoices/acme-000001/lines/usage/explain"
OF_C0, FORMS = "/v1/invoices/acme-000002", ("json", "pdf", "xml", "cii")


@pytest.fixture(scope="module")
def world(module_settings: Settings) -> World:
    """Two customers of acme, each with usage of two models, as it was known once November was final; c1 is billed in
    Tokyo."""
    meter = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n", "dimensions": ["model"]}
    tiers = [{"up_to": "100", "unit": "0.01"}, {"up_to": None, "unit": "0.005"}]
    charge = {"key": "usage", "meter": "tokens", "split_by": ["model"], "price": {"model": "graduated", "tiers": tiers}}
    fee = {"key": "base", "amount": "10", "timing": "in_arrears"}
    plan = {"key": "pro", "period": {"align": "calendar"}, "fees": [fee], "charges": [charge]}
    world = World({"currency": "USD", "meters": [meter], "plans": [plan]})
    world.record("tenant.updated", "2023-01-01", {"name": "Acme AG", "country": "DE", "address": {"city": "Bonn"}})
    world.record("customer.created", "2023-01-01", {"customer": "c0", "name": "Cobalt", "country": "DE"})
    world.record("customer.created", "2023-01-01", {"customer": "c1", "timezone": "Asia/Tokyo"})
    given = {"amount": "5.50", "currency": "USD"}
    world.record(
        "wallet.granted", "2023-12-15", given | {"customer": "c1", "wallet": "prepaid", "restrict_to": ["base"]}
    )
    world.record("one_off.added", "2023-12-15", given | {"customer": "c1", "description": "Setup"})
    stray = {"customer": "nobody", "description": "Setup", "amount": "1e1"}
    world.record("one_off.added", "2023-12-15", given | stray)
    world.record("payment.received", "2023-12-15", given | {"invoice": "acme-000099"})
    for number in range(2):
        customer = f"c{number}"
        world.start("2023-11-01", subscription=f"s{number}", customer=customer)
        begins = instant("2023-11-05T10:30:00")
        for hour in range(5):
            world.use((begins + timedelta(hours=hour)).isoformat(), "tokens", "40", customer, dimensions=LARGE)
        world.use("2023-11-06", "tokens", "7", customer, dimensions=SMALL)
    run(world, module_settings, instant(THEN))
    return world


@pytest.fixture(scope="module")
def keys(module_settings: Settings, world: World) -> dict[str, str]:
    return keys_of_acme_and_birch(module_settings)


@pytest.fixture(scope="module")
async def recorded(module_settings: Settings, world: World, keys: dict[str, str]) -> dict[str, Any]:
    """What was answered then. An event of November came after, and the next invoice corrects it: December is final
    too, and January runs."""
    async with serving(module_settings, keys) as running:
        answers = {address: await found(running, address) for address in LISTS}
        answers |= {form: (await running.get("acme", OF_C0, format=form)).content for form in FORMS}
    late = instant("2023-12-25")
    for number in ("acme-000001", "acme-000002"):
        lines = {"lines": [{"amount": "0.25"}, {"amount": "0.5"}]}
        world.record("credit_note.issued", "2023-12-25", lines | {"invoice": number, "reason": "kind"})
    void = {"invoice": "acme-000001", "reason": "wrong"}
    world.record("invoice.voided", "2023-12-28", void, received_at=instant("2024-01-10"))
    world.record("tenant.updated", "2023-12-25", {"name": "Acme SE", "country": "FR"})
    world.record("customer.updated", "2023-12-25", {"customer": "c0", "name": "Copper"})
    paid = {"invoice": "acme-000002", "amount": "5", "currency": "USD"}
    world.record("payment.received", "2023-12-19", paid, received_at=late)
    world.use("2023-11-07", "tokens", "10", "c0", dimensions=LARGE, received_at=late)
    world.use("2023-12-07", "tokens", "3", "c0", dimensions=LARGE, received_at=late)
    run(world, module_settings, instant("2024-01-20"))
    book_journal(module_settings, Lake(module_settings.lake_url), as_of=instant("2024-01-20"), run_id="test")
    return answers


@pytest.fixture
async def api(module_settings: Settings, keys: dict[str, str], recorded: dict[str, Any]) -> AsyncIterator[Api]:
    async with serving(module_settings, keys) as running:
        yield running


async def found(api: Api, address: str, **query: Any) -> dict[str, Any]:
    answer = await api.get("acme", address, **query)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def called(settings: Settings, *asked: str) -> Any:
    """What a command answers in JSON."""
    done = CliRunner().invoke(app, [*asked, "--json"], env=settings.environment(), catch_exceptions=False)
    return json.loads(done.stdout)


async def newest(api: Api) -> str:
    """The number of the newest invoice of c0, which corrects the one before."""
    rows = (await found(api, "/v1/invoices", customer="c0", status="finalised"))["data"]
    return str(rows[0]["number"])


WORDS = ("title", "sentences", "steps", "result", "next_cursor")


async def test_a_line_is_explained_as_the_command_line_does(api: Api, module_settings: Settings) -> None:
    for number in ("acme-000001", await newest(api)):
        shown = await found(api, f"/v1/invoices/{number}/lines/usage/explain")
        expected = called(module_settings, "explain", "invoice", number, "--line", "usage")
        assert shown | {"lines": [without(line, WORDS) for line in shown["lines"]]} == expected
    large, small = (await found(api, LINE))["lines"]
    assert (large["dimensions"], large["reproduced"], large["event_count"]) == ({"model": "large"}, True, 5)
    assert large["steps"] == [
        {"text": "0 to 100 at 0.01 each", "amount": "1.00 USD"},
        {"text": "100 to 200 at 0.005 each", "amount": "0.50 USD"},
    ]
    assert small["events"][0]["value"] == "7"


async def test_the_events_of_a_line_are_paged_by_signed_cursors(api: Api) -> None:
    whole = (await found(api, LINE))["lines"]
    first = await found(api, LINE, limit=2)
    assert [(len(line["events"]), line["more_events"]) for line in first["lines"]] == [(2, 3), (1, 0)]
    assert first["lines"][1]["next_cursor"] is None
    events, cursor = first["lines"][0]["events"], first["lines"][0]["next_cursor"]
    while cursor:
        [line] = (await found(api, LINE, limit=2, cursor=cursor))["lines"]
        assert line["dimensions"] == {"model": "large"}
        events, cursor = events + line["events"], line["next_cursor"]
    assert events == whole[0]["events"]
    bare = (await found(api, LINE, limit=0))["lines"][0]
    assert (bare["events"], bare["more_events"], bare["next_cursor"]) == ([], 5, None)
    for line, cursor in ((LINE.replace("000001", "000002"), first["lines"][0]["next_cursor"]), (LINE, "AAAA")):
        assert_problem(await api.get("acme", line, cursor=cursor), 400, "invalid-cursor")


async def test_a_correction_names_the_events_that_made_it(api: Api) -> None:
    shown = await found(api, LINE.replace("acme-000001", await newest(api)))
    correction = next(line for line in shown["lines"] if line["kind"] == "adjustment")
    assert (correction["correction"]["invoice"], correction["amount"]) == ("acme-000002", "0.05")
    assert [(one["id"], one["change"]) for one in correction["events"]] == [("u12", "late")]


@pytest.mark.security
async def test_a_line_that_is_not_yours_or_was_not_billed_yet_is_not_found(api: Api) -> None:
    missing = assert_problem(await api.get("acme", LINE.replace("000001", "000099")), 404, "not-found")
    for tenant, address, query in (
        ("birch", LINE, {}),
        ("acme", LINE.replace("usage", "nosuch"), {}),
        ("acme", LINE.replace("usage", "us%01age"), {}),
        ("acme", LINE, {"known_at": "2023-12-19"}),
    ):
        answer = assert_problem(await api.get(tenant, address, **query), 404, "not-found")
        assert without(answer) == without(missing)
    assert (await found(api, LINE, known_at="2023-12-21"))["invoice"] == "acme-000001"
    assert_problem(await api.get("acme", LINE, limit="1e2"), 422, "invalid-request")


async def test_what_is_on_no_final_invoice_is_what_the_next_invoices_bill_of_usage(api: Api) -> None:
    asked = {"known_at": "2023-12-26"}
    shown = await found(api, "/v1/unbilled-usage", **asked)
    assert (shown["has_more"], [one["customer"] for one in shown["data"]]) == (False, ["c0"])
    [one] = shown["data"]
    upcoming = await found(api, "/v1/customers/c0/upcoming-invoice", **asked)
    billed = [line for invoice in upcoming["invoices"] for line in invoice["lines"] if line["key"] == "usage"]
    named = ("kind", "meter", "dimensions", "quantity", "amount", "event_count", "service_period")
    assert [[row[name] for name in named] for row in one["charges"]] == [
        [row[name] for name in named] for row in billed
    ]
    assert [(row["kind"], row["quantity"], row["amount"]) for row in one["charges"]] == [
        ("usage", "3", "0.03"), ("adjustment", "10", "0.05"),
    ]  # fmt: skip
    assert one["totals"] == [{"currency": "USD", "amount": "0.08"}]


async def test_unbilled_usage_is_paged_by_customer_and_as_it_was_known(api: Api) -> None:
    before = {"known_at": "2023-12-01"}
    whole = await found(api, "/v1/unbilled-usage", **before)
    assert [(one["customer"], one["totals"][0]["amount"]) for one in whole["data"]] == [("c0", "1.57"), ("c1", "1.57")]
    first = await found(api, "/v1/unbilled-usage", limit=1, **before)
    second = await found(api, "/v1/unbilled-usage", limit=1, cursor=first["next_cursor"], **before)
    assert (first["data"] + second["data"], second["next_cursor"]) == (whole["data"], None)
    only = await found(api, "/v1/unbilled-usage", customer="c1", **before)
    assert only["data"] == second["data"]
    for known_at in ("2023-10-01", "2023-12-21"):
        assert (await found(api, "/v1/unbilled-usage", known_at=known_at))["data"] == []
    assert (await api.get("birch", "/v1/unbilled-usage")).json()["data"] == []


async def test_usage_comes_in_windows_of_the_customers_time_zone(api: Api) -> None:
    hours = await found(api, USAGE, meter="tokens", window="hour", to="2023-11-06")
    assert [(one["window_start"], one["quantity"]) for one in hours["data"][:2]] == [
        ("2023-11-05T10:00:00Z", "40"), ("2023-11-05T11:00:00Z", "40"),
    ]  # fmt: skip
    days = await found(api, USAGE, meter="tokens", window="day", to="2023-12-01", timezone="Pacific/Kiritimati")
    assert [(one["window_start"], one["quantity"], one["timezone"]) for one in days["data"]] == [
        ("2023-11-05T10:00:00Z", "207", "Pacific/Kiritimati"),
        ("2023-11-06T10:00:00Z", "10", "Pacific/Kiritimati"),
    ]  # fmt: skip
    months = {"meter": "tokens", "window": "month"}
    whole = await found(api, USAGE, **months)
    assert [(one["window_end"], one["dimensions"], one["quantity"]) for one in whole["data"]] == [
        ("2023-12-01T00:00:00Z", {}, "217"), ("2024-01-01T00:00:00Z", {}, "3"),
    ]  # fmt: skip
    tokyo = await found(api, USAGE.replace("c0", "c1"), **months)
    assert [(one["window_start"], one["timezone"]) for one in tokyo["data"]] == [("2023-10-31T15:00:00Z", "Asia/Tokyo")]
    earlier = await found(api, USAGE, known_at="2023-12-24", **months)
    assert [one["quantity"] for one in earlier["data"]] == ["207"]
    first = await found(api, USAGE, group_by="model", limit=2, **months)
    second = await found(api, USAGE, group_by="model", limit=2, cursor=first["next_cursor"], **months)
    assert [(one["dimensions"]["model"], one["quantity"]) for one in first["data"] + second["data"]] == [
        ("large", "210"), ("small", "7"), ("large", "3"),
    ]  # fmt: skip
    assert second["next_cursor"] is None
    wrong = await api.get("acme", USAGE, limit=2, cursor=first["next_cursor"], **months)
    assert_problem(wrong, 400, "invalid-cursor")


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({"window": "day"}, "query.meter"),
        ({"group_by": "model"}, "query.group_by"),
        ({"timezone": "UTC"}, "query.timezone"),
        ({"window": "day", "meter": "tokins"}, "query.meter"),
        ({"window": "day", "meter": "tokens", "group_by": "modle"}, "query.group_by"),
        ({"window": "day", "meter": "tokens", "timezone": "Mars/Base"}, "query.timezone"),
        ({"window": "week", "meter": "tokens"}, "query.window"),
        ({"window": "day", "meter": "tokens", "timezone": "Europe/Berlin", "from": "0001-01-01"}, "query.from"),
        ({"window": "day", "meter": "tokens", "timezone": "Asia/Tokyo", "to": "9999-12-31"}, "query.to"),
    ],
)
async def test_windows_that_cannot_be_say_why(api: Api, query: dict[str, str], place: str) -> None:
    assert assert_problem(await api.get("acme", USAGE, **query), 422, "invalid-request")["errors"][0]["path"] == place


async def test_daily_usage_is_what_it_was_when_it_was_recorded(
    api: Api, module_settings: Settings, recorded: dict[str, Any]
) -> None:
    assert recorded[USAGE]["data"] == (await found(api, USAGE, known_at="2023-12-20"))["data"]
    now = await found(api, USAGE)
    assert now["data"] != recorded[USAGE]["data"]
    assert now["data"] == (await found(api, USAGE, known_at="2024-02-01"))["data"]
    asked = {"known_at": "2024-02-01", "limit": 2, "meter": "tokens", "from": "2023-11-06"}
    first = await found(api, USAGE, **asked)
    rest = await found(api, USAGE, cursor=first["next_cursor"], **asked)
    assert first["data"] + rest["data"] == now["data"][1:]
    for missing in ({"known_at": "2022-10-01"}, {"window": "day", "meter": "tokens", "known_at": "2022-10-01"}):
        assert_problem(await api.get("acme", USAGE, **missing), 404, "not-found")
        assert_problem(await api.get("birch", USAGE, **missing), 404, "not-found")


async def test_the_plans_in_force_are_listed_as_their_catalog_writes_them(api: Api) -> None:
    [plan] = (await found(api, "/v1/plans"))["data"]
    assert (plan["key"], plan["currency"], plan["from"]) == ("pro", "USD", "2023-01-01T00:00:00Z")
    assert [one["key"] for one in (*plan["fees"], *plan["charges"])] == ["base", "usage"]
    assert (await found(api, "/v1/plans", catalog=plan["catalog"]))["data"] == [plan]
    assert (await found(api, "/v1/plans", known_at="2022-12-31"))["data"] == []
    for tenant, query in (("acme", "nosuch"), ("birch", plan["catalog"])):
        assert_problem(await api.get(tenant, "/v1/plans", catalog=query), 404, "not-found")


async def test_lists_of_money_are_as_they_were_known(api: Api, recorded: dict[str, Any]) -> None:
    for address in LISTS[1:]:
        then = (await found(api, f"{address}{'&' if '?' in address else '?'}known_at={THEN}"))["data"]
        recorded_rows = recorded[address]["data"]
        assert then == [one | ({"rejected": None} if "rejected" in one else {}) for one in recorded_rows], address
    assert {one["number"] for one in recorded[LISTS[1]]["data"]} == {"acme-000002", "acme-000001"}
    assert len((await found(api, "/v1/invoices", known_at="2024-02-01"))["data"]) > 2
    assert (await found(api, "/v1/invoices/acme-000001"))["status"] == "voided"
    assert (await found(api, "/v1/invoices/acme-000001", known_at=THEN))["status"] == "finalised"
    # It was voided from the 28th on, and nobody knew before the run of the 20th of January.
    late = {"known_at": "2024-01-19"}
    assert (await found(api, "/v1/invoices/acme-000001", **late))["status"] == "finalised"
    assert (await found(api, "/v1/invoices", customer="c1", **late))["data"][0]["status"] == "finalised"
    assert_problem(await api.get("acme", "/v1/invoices/acme-000001", known_at="2023-12-01"), 404, "not-found")
    assert_problem(await api.get("birch", "/v1/invoices/acme-000001", known_at=THEN), 404, "not-found")
    for query in ({"known_at": "noon"}, {"known_at": "2999-01-01"}, {"known_at": "2999-01-01", "format": "pdf"}):
        problem = assert_problem(await api.get("acme", "/v1/invoices/acme-000001", **query), 422, "invalid-request")
        assert problem["errors"][0]["path"] == "query.known_at"


async def test_the_documents_of_an_invoice_are_those_that_were_sent_then(
    api: Api, module_settings: Settings, recorded: dict[str, Any], tmp_path: Path
) -> None:
    for form in FORMS:
        then = await api.get("acme", OF_C0, format=form, known_at="2024-01-19")
        assert then.content == recorded[form], form
        tag = {"If-None-Match": then.headers["etag"]}
        assert (await api.get("acme", OF_C0, tag, format=form, known_at=THEN)).status_code == 304
        now = await api.get("acme", OF_C0, tag, format=form)
        assert (now.status_code, now.content == then.content) == ((304, False) if form == "json" else (200, False))
        assert (await api.get("acme", OF_C0, format=form, known_at="2024-02-01")).content == (
            now.content or then.content
        )
        for tenant, known_at in (("acme", "2023-12-01"), ("birch", THEN)):
            assert_problem(await api.get(tenant, OF_C0, format=form, known_at=known_at), 404, "not-found")
    assert all(name in recorded["xml"] for name in (b"Acme AG", b"Cobalt"))
    for form in ("pdf", "xml"):
        path = tmp_path / form
        called(module_settings, "invoices", form, "acme-000002", "--known-at", THEN, "--out", str(path))
        assert path.read_bytes() == recorded[form]
    shown = called(module_settings, "invoices", "show", "acme-000001", "--known-at", "2024-01-19")
    assert shown["status"] == "finalised"


async def test_what_events_state_of_money_is_listed_with_what_billing_refused(api: Api) -> None:
    [paid] = (await found(api, "/v1/payments", invoice="acme-000099"))["data"]
    assert (paid["type"], paid["amount"], paid["rejected"]["reason"]) == ("received", "5.50", "unknown_invoice")
    [stray] = (await found(api, "/v1/one-offs", customer="nobody"))["data"]
    assert (stray["description"], stray["amount"]) == ("Setup", "10")
    assert stray["rejected"]["reason"] == "unknown_customer"
    notes = await found(api, "/v1/credit-notes", limit=1)
    assert [(one["invoice"], one["amount"]) for one in notes["data"]] == [("acme-000001", "0.75")]
    rest = await found(api, "/v1/credit-notes", limit=1, cursor=notes["next_cursor"])
    assert ([one["invoice"] for one in rest["data"]], rest["has_more"]) == (["acme-000002"], False)
    assert (await found(api, "/v1/credit-notes", invoice="acme-000002"))["data"] == rest["data"]
    [credit] = (await found(api, "/v1/wallets", customer="c1"))["data"]
    assert (credit["wallet"], credit["restrict_to"], credit["expires_at"]) == ("prepaid", ["base"], None)
    assert (await found(api, "/v1/one-offs", customer="c0"))["data"] == []


async def test_subscriptions_are_listed_with_their_timelines(api: Api) -> None:
    first = await found(api, "/v1/subscriptions", limit=1)
    second = await found(api, "/v1/subscriptions", limit=1, cursor=first["next_cursor"])
    assert [(one["subscription"], one["status"]) for one in first["data"] + second["data"]] == [
        ("s0", "active"), ("s1", "active"),
    ]  # fmt: skip
    one = await found(api, "/v1/subscriptions/s1")
    assert ([part["plan"] for part in one["segments"]], one["customer"], one["ended_at"]) == (["pro"], "c1", None)
    for tenant, query in (("acme", {"known_at": "2023-10-31"}), ("birch", {})):
        assert (await api.get(tenant, "/v1/subscriptions", **query)).json()["data"] == []
        for address in ("/v1/subscriptions/s1", "/v1/subscriptions/s%01"):
            assert_problem(await api.get(tenant, address, **query), 404, "not-found")


async def test_a_customer_is_changed_only_as_it_was_read(api: Api, module_settings: Settings) -> None:
    address = "/v1/customers/c1"
    read = await api.get("acme", address)
    assert (read.json()["timezone"], read.json()["name"]) == ("Asia/Tokyo", "c1")
    assert_problem(await api.get("birch", address), 404, "not-found")
    token, tag = api.tokens["acme"]["access_token"], read.headers["etag"]
    for key, match, status in (("a", tag, 200), ("a", tag, 200), ("b", tag, 412), ("c", '"other"', 412)):
        headers = bearer(token) | {"If-Match": match, "Idempotency-Key": f"change-{key}"}
        answer = await api.client.patch(address, json={"name": "Cora", "on": "2024-01-01"}, headers=headers)
        assert answer.status_code == status, answer.text
    assert (await found(api, address))["name"] == "Cora"
    assert (await found(api, address, known_at="2024-02-01"))["name"] == "c1"
    # What waits is known once it is ingested: a question about the past is answered as it will be then.
    assert (await found(api, address, known_at=utc_text(datetime.now(UTC))))["name"] == "c1"
    with connect(module_settings, "builder", autocommit=True) as connection:
        connection.execute("delete from inbox.batch")
