"""Writes over HTTP: the billing events that the command line writes, once for each key, judged with all that waits."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from serving_api.database import Transaction
from serving_api.writes import WRITES
from tests.support.billing_rows import TENANTS
from tests.support.serving import Api, assert_problem, bearer, seed_log
from tests.support.wrong_writes import WRONG_WRITES
from valueverse.cli import app
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    import psycopg

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
LATE = "2024-04-01"


@pytest.fixture(scope="module")
def keys(keys: dict[str, str], module_settings: Settings) -> dict[str, str]:
    """Keys that may write. The lake has a customer of acme on a plan, another one of birch, and nothing of cedar."""
    seed_log(module_settings)
    with connect(module_settings, "builder") as connection:
        return {one: issue_api_key(connection, one, ["billing:read", "billing:write"]) for one in TENANTS}


@pytest.fixture
def inbox(module_settings: Settings, keys: dict[str, str]) -> Iterator[psycopg.Connection[Any]]:
    """The builder's connection to an empty inbox."""
    with connect(module_settings, "builder", autocommit=True) as connection:
        connection.execute("delete from inbox.batch")
        connection.execute("delete from inbox.answer")
        yield connection


def stored(inbox: psycopg.Connection[Any], tenant: str = "acme") -> list[str]:
    """The lines that wait of a tenant."""
    rows = inbox.execute("select body from inbox.batch where tenant_id = %s order by batch_id", [tenant]).fetchall()
    whole = b"".join(pa.CompressedInputStream(pa.BufferReader(body), "zstd").read() for (body,) in rows)
    return whole.decode().splitlines()


async def send(
    api: Api, path: str, body: Any = None, *, method: str = "POST", tenant: str = "acme", key: str | None = None
) -> httpx.Response:
    """A write as a tenant; what is no text goes as JSON."""
    if tenant not in api.tokens:
        api.tokens[tenant] = await api.sign_in(tenant)
    headers = bearer(api.tokens[tenant]["access_token"]) | ({"Idempotency-Key": key} if key else {})
    content = body if isinstance(body, str | bytes) else json.dumps(body or {})
    return await api.client.request(method, f"/v1{path}", content=content, headers=headers)


async def written(api: Api, path: str, body: Any = None, status: int = 201, **how: Any) -> dict[str, Any]:
    answer = await send(api, path, body, **how)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def lines_of(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()


ZENITH = {"customer": "zenith", "name": "Zenith AG", "country": "DE", "metadata": {"tax_id": "DE1"}, "on": LATE}
STARTED = {"subscription": "z1", "customer": "zenith", "plan": "pro", "quantities": {"seats": "2"}, "on": LATE}


async def test_the_same_writes_by_file_and_over_http_are_the_same_bytes(
    api: Api, inbox: psycopg.Connection[Any], module_settings: Settings, tmp_path: Path
) -> None:
    environment = {"VALUEVERSE_HOME": str(module_settings.home), "VALUEVERSE_LANDING": str(tmp_path)}
    commands = [
        "customers add zenith --country DE --name Zenith --tax-id DE1 --on 2024-04-01",
        "subscriptions start z1 --customer zenith --plan pro --quantity seats=2 --on 2024-04-01",
        "subscriptions change z1 --quantity seats=4 --on 2024-04-05",
        "subscriptions end z1 --on 2024-06-01",
    ]
    files = []
    for command in commands:
        result = CliRunner().invoke(app, [*command.split(), "--tenant", "acme", "--json"], env=environment)
        answer = json.loads(result.stdout)
        assert answer["delivered"]
        files += lines_of(answer["file"])
    await written(api, "/customers", ZENITH | {"name": "Zenith"})
    await written(api, "/subscriptions", STARTED)
    await written(api, "/subscriptions/z1/change", {"on": "2024-04-05", "quantities": {"seats": "4"}})
    await written(api, "/subscriptions/z1/end", {"on": "2024-06-01"})
    assert stored(inbox) == files


async def test_what_waits_in_the_inbox_is_known_to_the_next_write_and_to_the_command_line(
    api: Api, inbox: psycopg.Connection[Any], module_settings: Settings
) -> None:
    first = await written(api, "/customers", ZENITH)
    assert first["customer"] == {
        "customer": "zenith", "name": "Zenith AG", "email": None, "currency": None, "timezone": None, "country": "DE",
        "metadata": {"tax_id": "DE1"},
    }  # fmt: skip
    started = await written(api, "/subscriptions", STARTED)
    (segment,) = started["segments"]
    assert (segment["plan"], segment["from"], segment["to"]) == ("pro", "2024-03-31T15:00:00Z", None)
    assert segment["quantities"] == {"seats": "2"}
    again = await written(api, "/subscriptions", STARTED, status=200)
    assert (again["status"], again["batch"], again["event"]) == ("known", None, started["event"])
    changed = await written(api, "/subscriptions/z1/change", {"plan": "basic", "on": "2024-04-11"})
    assert [one["plan"] for one in changed["segments"]] == ["pro", "basic"]
    await written(api, "/subscriptions/z1/pause", {"on": "2024-04-12"})
    resumed = await written(api, "/subscriptions/z1/resume", {"on": "2024-04-14"})
    assert [one["from"][:10] for one in resumed["segments"]] == ["2024-03-31", "2024-04-10", "2024-04-13"]
    ended = await written(api, "/subscriptions/z1/end", {"on": "2024-05-01"})
    assert ended["segments"][-1]["to"] == "2024-04-30T15:00:00Z"
    updated = await written(api, "/customers/zenith", {"name": "Zenith SE"}, 200, method="PATCH")
    assert (updated["status"], updated["customer"]["name"]) == ("recorded", "Zenith SE")
    assert len(stored(inbox)) == 7
    called = CliRunner().invoke(
        app,
        ["customers", "add", "zenith", "--tenant", "acme", "--name", "Other"],
        env=module_settings.environment(),
    )
    assert "there is a customer 'zenith'" in str(called.exception)


@pytest.mark.parametrize("mistake", WRONG_WRITES)
async def test_a_mistake_names_its_field_and_writes_nothing(
    api: Api, inbox: psycopg.Connection[Any], mistake: str
) -> None:
    method, path, body, status, name, place = WRONG_WRITES[mistake]
    problem = assert_problem(await send(api, path, body, method=method, key="k"), status, name)
    assert [one["path"] for one in problem.get("errors", [])] == ([place] if place else [])
    assert "--" not in json.dumps(problem)
    assert stored(inbox) == []
    assert inbox.execute("select count(*) from inbox.answer").fetchall() == [(0,)]


async def test_money_is_stated_exactly_and_about_the_tenants_own_invoices(
    api: Api, inbox: psycopg.Connection[Any]
) -> None:
    invoice = "acme-000001"
    paid = '{"invoice": "acme-000001", "amount": 71.10, "currency": "USD", "reference": "SEPA-1"}'
    assert (await written(api, "/payments", paid))["event"]["data"]["amount"] == "71.10"
    kinds = [
        ("/payments", {"type": "refunded", "invoice": invoice, "amount": "1", "currency": "USD"}, "payment.refunded"),
        ("/credit-notes", {"invoice": invoice, "amount": "5.00", "reason": "outage"}, "credit_note.issued"),
        ("/one-offs", {"description": "Day", "customer": "c1", "amount": "-5", "currency": "EUR"}, "one_off.added"),
        (
            "/wallets",
            {"type": "purchased", "customer": "c1", "wallet": "w", "amount": 5, "currency": "EUR"},
            "wallet.purchased",
        ),
        (f"/invoices/{invoice}/void", {"reason": "wrong"}, "invoice.voided"),
    ]
    for path, body, kind in kinds:
        event = (await written(api, path, body))["event"]
        assert event["type"] == f"billing.{kind}"
        assert "type" not in event["data"]
    assert [json.loads(line)["type"] for line in stored(inbox)] == [
        "billing.payment.received",
        *(f"billing.{kind}" for *_, kind in kinds),
    ]
    assert_problem(await send(api, "/invoices/birch-000001/void", {"reason": "x"}), 404, "not-found")


async def test_what_waits_counts_against_an_invoice_and_voids_it_once(
    api: Api, inbox: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 71.10 40 are credited once. A void ahead stands in the way of later ones. No connection is made by the way."""
    monkeypatch.setattr("psycopg.connect", None)
    await written(api, "/invoices/acme-000001/void", {"reason": "merged", "on": "2199-01-01"})
    assert_problem(await send(api, "/invoices/acme-000001/void", {"reason": "x", "on": "2199-02-01"}), 409, "conflict")
    note = {"invoice": "acme-000001", "amount": "40.00", "reason": "outage"}
    await written(api, "/credit-notes", note)
    problem = assert_problem(await send(api, "/credit-notes", note | {"reason": "again"}), 422, "invalid-request")
    assert problem["errors"][0]["path"] == "body.amount"
    await written(api, "/invoices/acme-000001/void", {"reason": "wrong"})
    again = await send(api, "/invoices/acme-000001/void", {"reason": "still wrong"})
    assert assert_problem(again, 409, "conflict")["errors"][0]["path"] == "path.key"
    late = await send(api, "/credit-notes", note | {"amount": "1"})
    assert assert_problem(late, 422, "invalid-request")["errors"][0]["path"] == "body.invoice"
    assert len(stored(inbox)) == 3


async def test_a_void_that_was_received_before_its_invoice_had_the_number_is_in_nobodys_way(
    api: Api, inbox: psycopg.Connection[Any]
) -> None:
    """Billing rejects it (decision 0720), so that the invoice may be credited, and voided by another event."""
    await written(api, "/invoices/acme-000001/void", {"reason": "too early"})
    inbox.execute("update inbox.batch set received_at = '2000-01-01T00:00:00Z'")
    await written(api, "/credit-notes", {"invoice": "acme-000001", "amount": "1", "reason": "outage"})
    await written(api, "/invoices/acme-000001/void", {"reason": "wrong"})


async def test_of_credit_notes_at_once_that_are_together_too_much_one_is_refused(
    api: Api, inbox: psycopg.Connection[Any]
) -> None:
    notes = [{"invoice": "acme-000001", "amount": "40.00", "reason": f"outage {number}"} for number in range(4)]
    answers = await asyncio.gather(*(send(api, "/credit-notes", note) for note in notes))
    assert sorted(answer.status_code for answer in answers) == [201, *[422] * 3]
    assert len(stored(inbox)) == 1


CATALOG = """schema: valueverse.catalog/v1
currency: EUR
timezone: Asia/Tokyo
plans:
  - key: pro
    version: 3
    fees: [{key: base, amount: 0.10}]
"""


@pytest.fixture
def catalog_file(tmp_path: Path) -> Path:
    (tmp_path / "catalog.yaml").write_text(CATALOG, encoding="utf-8")
    return tmp_path / "catalog.yaml"


async def test_a_catalog_is_checked_and_published_as_the_command_line_does(
    api: Api, inbox: psycopg.Connection[Any], module_settings: Settings, tmp_path: Path, catalog_file: Path
) -> None:
    checked = await send_catalog(api, "/catalogs/check", CATALOG)
    assert (checked.status_code, checked.json()["ok"], checked.json()["plans"][0]["version"]) == (200, True, 3)
    wrong = await send_catalog(api, "/catalogs/check", CATALOG.replace("amount", "amont").replace("EUR", "EURO"))
    found = [(one["path"], one["line"]) for one in wrong.json()["problems"]]
    assert ("currency", 2) in found
    assert ("plans[0].fees[0].amont", 7) in found
    refused = await send_catalog(api, "/catalogs", CATALOG.replace("EUR", "EURO"))
    assert assert_problem(refused, 422, "invalid-request")["errors"][0]["path"] == "body.currency"
    late = await send_catalog(api, "/catalogs?on=31.1.2024", CATALOG)
    assert assert_problem(late, 422, "invalid-request")["errors"][0]["path"] == "query.on"
    assert stored(inbox) == []
    published = await send_catalog(api, "/catalogs?on=2024-05-01", CATALOG, "day 1")
    assert (published.status_code, published.json()["catalog"]["currency"]) == (201, "EUR")
    again = await send_catalog(api, "/catalogs?on=2024-05-01", CATALOG)
    assert (again.status_code, again.json()["status"]) == (200, "known")
    assert_problem(await send_catalog(api, "/catalogs?on=2024-05-02", CATALOG, "day 1"), 422, "idempotency-mismatch")
    other = await send_catalog(api, "/catalogs?on=2024-05-01", CATALOG.replace("0.10", "0.11"))
    assert_problem(other, 409, "conflict")
    of_birch = await send_catalog(api, "/catalogs?on=2024-05-01", CATALOG.replace("0.10", "0.12"), tenant="birch")
    assert (of_birch.status_code, "acme" in of_birch.text) == (201, False)
    inbox_lines = stored(inbox)
    inbox.execute("delete from inbox.batch")
    command = ["catalog", "publish", str(catalog_file), "--tenant", "acme", "--effective", "2024-05-01", "--json"]
    environment = {"VALUEVERSE_HOME": str(module_settings.home), "VALUEVERSE_LANDING": str(tmp_path)}
    answer = json.loads(CliRunner().invoke(app, command, env=environment).stdout)
    assert lines_of(answer["file"]) == inbox_lines


async def send_catalog(api: Api, path: str, text: str, key: str | None = None, tenant: str = "acme") -> httpx.Response:
    token = (await api.sign_in(tenant))["access_token"]
    headers = bearer(token) | {"content-type": "application/yaml"} | ({"Idempotency-Key": key} if key else {})
    return await api.client.post(f"/v1{path}", content=text, headers=headers)


async def test_a_write_that_comes_again_with_its_key_is_answered_and_written_once(
    api: Api, inbox: psycopg.Connection[Any]
) -> None:
    body = {"customer": "c1", "description": "Day", "amount": "5", "currency": "EUR"}
    first = await send(api, "/one-offs", body, key="day 1")
    again = await send(api, "/one-offs", body, key="day 1")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len(stored(inbox)) == 1
    assert_problem(await send(api, "/one-offs", body | {"amount": "6"}, key="day 1"), 422, "idempotency-mismatch")
    assert_problem(await send(api, "/one-offs", body, key="day 1", tenant="cedar"), 409, "conflict")
    inbox.execute("update inbox.answer set answered_at = now() - interval '24 hours'")
    assert "idempotent-replayed" not in (await send(api, "/one-offs", body, key="day 1")).headers
    assert len(stored(inbox)) == 2
    assert inbox.execute("select count(*) from inbox.answer").fetchall() == [(1,)]


@pytest.mark.parametrize("key", ["x" * 256, "ümlaut", " "])
async def test_a_key_that_is_none_is_refused(api: Api, inbox: psycopg.Connection[Any], key: str) -> None:
    token = (await api.sign_in("acme"))["access_token"]
    headers = [(b"authorization", f"Bearer {token}".encode()), (b"idempotency-key", key.encode())]
    answer = await api.client.post("/v1/customers", content=b'{"customer": "x"}', headers=headers)
    assert assert_problem(answer, 422, "invalid-request")["errors"][0]["path"] == "header.idempotency-key"


async def test_many_at_once_with_one_key_are_one_write(api: Api, inbox: psycopg.Connection[Any]) -> None:
    body = {"customer": "c1", "description": "Day", "amount": "5", "currency": "EUR"}
    answers = await asyncio.gather(*(send(api, "/one-offs", body, key="once") for _ in range(12)))
    assert len(stored(inbox)) == 1
    for answer in answers:
        if answer.status_code != 201:
            assert_problem(answer, 409, "idempotency-in-flight")
    good = [answer for answer in answers if answer.status_code == 201]
    assert {answer.content for answer in good} == {good[0].content}
    assert sum("idempotent-replayed" not in answer.headers for answer in good) == 1
    replayed = await send(api, "/one-offs", body, key="once")
    assert (replayed.content, replayed.headers["idempotent-replayed"]) == (good[0].content, "true")


async def test_of_writes_at_once_that_contradict_each_other_one_is_refused(
    api: Api, inbox: psycopg.Connection[Any]
) -> None:
    bodies = [{"customer": "new", "name": f"Name {number}"} for number in range(6)]
    answers = await asyncio.gather(*(send(api, "/customers", body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 5]
    assert len(stored(inbox)) == 1


async def test_a_write_that_fails_leaves_neither_event_nor_answer(
    api: Api, inbox: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = Transaction.call

    async def failing(self: Transaction, function: str, *arguments: object) -> Any:
        if function == "keep_answer":
            raise RuntimeError("killed before the answer was stored")
        return await call(self, function, *arguments)

    monkeypatch.setattr(Transaction, "call", failing)
    assert_problem(await send(api, "/customers", {"customer": "late"}, key="k"), 500, "internal-error")
    assert stored(inbox) == []
    monkeypatch.undo()
    assert (await send(api, "/customers", {"customer": "late"}, key="k")).status_code == 201


async def test_writes_need_their_scope_and_a_session(api: Api, inbox: psycopg.Connection[Any]) -> None:
    answer = await api.client.post("/v1/customers", json={"customer": "x"}, headers=bearer(api.keys["acme"]))
    assert_problem(answer, 401, "invalid-token")
    with connect(api.app.state.service.settings, "builder") as connection:
        api.keys = api.keys | {"reader": issue_api_key(connection, "acme", ["billing:read"])}
    assert_problem(await send(api, "/customers", {"customer": "x"}, tenant="reader"), 403, "insufficient-scope")
    for kind in ("text/plain", "application/json; charset=latin-1"):
        headers = bearer((await api.sign_in("acme"))["access_token"]) | {"content-type": kind}
        answer = await api.client.post("/v1/customers", content=b"{}", headers=headers)
        assert_problem(answer, 415, "unsupported-media-type")


async def test_the_log_of_changes_names_the_key_that_wrote(api: Api, inbox: psycopg.Connection[Any]) -> None:
    answer = await written(api, "/customers", {"customer": "audited"})
    query = "select entry from audit.submitted where entry like %s"
    (entry,) = [json.loads(text) for (text,) in inbox.execute(query, [f"%{answer['batch']}%"])]
    assert (entry["action"], entry["actor"]) == ("events.received", api.keys["acme"].split("_")[1])


OF_ACME: dict[tuple[str, str], tuple[str, Any]] = {
    ("POST", "/v1/customers"): ("/customers", {"customer": "c1", "name": "x"}),
    ("PATCH", "/v1/customers/{key}"): ("/customers/c1", {"name": "x"}),
    ("POST", "/v1/subscriptions"): ("/subscriptions", {"subscription": "s1", "customer": "c1", "plan": "pro"}),
    ("POST", "/v1/subscriptions/{key}/change"): ("/subscriptions/s1/change", {"plan": "basic"}),
    ("POST", "/v1/subscriptions/{key}/pause"): ("/subscriptions/s1/pause", {}),
    ("POST", "/v1/subscriptions/{key}/resume"): ("/subscriptions/s1/resume", {}),
    ("POST", "/v1/subscriptions/{key}/end"): ("/subscriptions/s1/end", {}),
    ("POST", "/v1/payments"): ("/payments", {"invoice": "acme-000001", "amount": "1", "currency": "USD"}),
    ("POST", "/v1/credit-notes"): ("/credit-notes", {"invoice": "acme-000001", "amount": "1", "reason": "x"}),
    ("POST", "/v1/one-offs"): ("/one-offs", {"customer": "c1", "description": "x", "amount": "1", "currency": "EUR"}),
    ("POST", "/v1/wallets"): (
        "/wallets",
        {"type": "granted", "customer": "c1", "wallet": "w", "amount": "1", "currency": "EUR"},
    ),
    ("POST", "/v1/invoices/{key}/void"): ("/invoices/acme-000001/void", {"reason": "x"}),
}
"""A write about something of acme's by every route; what is new to birch is no conflict for it."""


def test_every_write_is_tried_by_another_tenant() -> None:
    assert set(OF_ACME) == {(write.method, write.path) for write in WRITES}


@pytest.mark.security
@pytest.mark.parametrize("route", OF_ACME)
async def test_what_is_another_tenants_is_answered_as_what_does_not_exist(
    api: Api, inbox: psycopg.Connection[Any], route: tuple[str, str]
) -> None:
    path, body = OF_ACME[route]
    answer = await send(api, path, body, method=route[0], tenant="birch", key="k")
    if route == ("POST", "/v1/customers"):
        assert (answer.status_code, answer.json()["customer"]["name"]) == (201, "x")
    else:
        missing = json.loads(json.dumps(body).replace("c1", "no").replace("acme-000001", "nothing"))
        nobody = path.replace("c1", "no").replace("s1", "no").replace("acme-000001", "nothing")
        other = await send(api, nobody, missing, method=route[0], tenant="birch")
        assert answer.status_code in {404, 422}
        assert (answer.status_code, answer.json()["type"]) == (other.status_code, other.json()["type"])
        assert [one["path"] for one in answer.json().get("errors", [])] == [
            one["path"] for one in other.json().get("errors", [])
        ]
        assert stored(inbox, "birch") == []
    assert "acme" not in answer.text.replace("acme-000001", "")
    assert stored(inbox) == []
