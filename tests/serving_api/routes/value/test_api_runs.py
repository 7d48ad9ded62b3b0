"""Value executor: one value model through architect, committer and executor, three processes of ``valueverse up
--split``, up to a fee accepted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from typer.testing import CliRunner

from tests.support.commits import printed
from tests.support.ledger import World
from tests.support.serving import assert_problem, bearer
from tests.support.value_models import saved_model
from tests.support.warehouse_billing import know_tenant, store
from valueverse.cli import app
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.servers import api_services, supervisor
from valueverse.platform.servers.api_services import address
from valueverse.platform.warehouse import connect
from valueverse.services.audit.sign_log import sign_log
from valueverse.services.value.track_value import track_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
GROUPS = ("architect", "committer", "executor")
NOVEMBER, DECEMBER, JANUARY_5 = date(2023, 11, 1), date(2023, 12, 1), datetime(2024, 1, 5, tzinfo=UTC)
SCOPES = {
    "author": ["billing:read", "value:write"],
    "vendor": ["value:approve"],
    "customer": ["value:approve", "billing:read"],
}
SESSIONS: dict[str, dict[str, str]] = {}
"""By part: a token of one service is good at all."""
FIRST = "s1/value/2023-11..2023-11/1"


@dataclass(frozen=True)
class Servers:
    """Where each group of routes is served, and API keys by part."""

    addresses: dict[str, str]
    keys: dict[str, str]


def world() -> World:
    """A customer who uses 100 tokens a month, on a plan that shares the saving."""
    meter = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
    outcome = {"model": "outcome", "value_model": "saved", "output": "realised.saving", "share": "0.2"}
    charges = [
        {"key": "usage", "meter": "tokens", "price": {"model": "standard", "unit": "0.01"}},
        {"key": "value", "price": outcome},
    ]
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": charges}
    company = World({"currency": "USD", "meters": [meter], "plans": [plan]})
    company.start("2023-11-01")
    for month in (11, 12):
        company.use(f"2023-{month}-05", "tokens", "100")
    return company


def measure(settings: Settings) -> list[Any]:
    """A step of the pipeline; the runs that it added."""
    lake = store(world(), settings)
    report = track_value(settings, lake, NOVEMBER, DECEMBER, as_of=JANUARY_5, run_id="test")
    return [run for run in report.runs if run[-1]]


@pytest.fixture(scope="module")
def servers(module_settings: Settings) -> Iterator[Servers]:
    """A process for each service; acme is measured, and has committed to nothing yet."""
    know_tenant(module_settings)
    with connect(module_settings, "builder") as connection:
        connection.execute(
            "insert into billing.tenant (tenant_id, name, timezone, currency) values ('birch', 'b', 'UTC', 'USD')"
        )
        keys = {part: issue_api_key(connection, "acme", scopes) for part, scopes in SCOPES.items()}
        keys["birch"] = issue_api_key(connection, "birch", ["admin"])
    measure(module_settings)
    started = CliRunner().invoke(app, ["up", "--split", "--only", "api"], env=module_settings.environment())
    try:
        assert started.exit_code == 0, started.output
        yield Servers({group: address(module_settings, group) or "" for group in GROUPS}, keys)
    finally:
        list(supervisor.down(module_settings, (api_services.API, *api_services.BESIDE)))


def send(
    servers: Servers, group: str, part: str, method: str, path: str, body: Any = None, **headers: str
) -> httpx.Response:
    """A request to a service; sessions are of any."""
    if part not in SESSIONS:
        key = bearer(servers.keys[part])
        opened = httpx.post(f"{servers.addresses[group]}/v1/sessions", headers=key, timeout=60)
        assert opened.status_code == 200, opened.text
        SESSIONS[part] = bearer(opened.json()["access_token"])
    given = SESSIONS[part] | {name.replace("_", "-"): text for name, text in headers.items()}
    return httpx.request(method, f"{servers.addresses[group]}/v1{path}", json=body, headers=given, timeout=60)


def agreed(servers: Servers) -> str:
    """The model, committed for c1 from November 2023 and approved by both sides."""
    model = saved_model(missing="error")
    made = send(servers, "architect", "author", "POST", "/value-models", model)
    assert made.status_code in {201, 409}, made.text
    body = {"scenario": "agreed", "customer": "c1", "start": "2023-11-01"}
    commit = send(servers, "committer", "author", "POST", f"/value-models/{model['model']}/commits", body)
    assert commit.status_code in {200, 201}, commit.text
    for side in ("vendor", "customer"):
        send(servers, "committer", side, "POST", f"/commits/{commit.json()['commit']}/approvals", {"side": side})
    return str(commit.json()["commit"])


def test_a_value_model_goes_through_three_processes_up_to_a_fee_that_is_accepted(
    servers: Servers, module_settings: Settings
) -> None:
    commit = agreed(servers)
    elsewhere = send(servers, "architect", "author", "POST", f"/commits/{commit}/runs")
    assert_problem(elsewhere, 404, "other-service")

    run = send(servers, "executor", "author", "POST", f"/commits/{commit}/runs", Idempotency_Key="once")
    assert run.status_code == 201, run.text
    found = run.json()
    assert (found["added"], [one["case"] for one in found["runs"]], found["refused"]) == (
        6,
        ["committed", "forecast", "realised"],
        [],
    )
    assert [(one["proposal"], one["amount"]) for one in found["proposals"]] == [
        (FIRST, "10.00"),
        ("s1/value/2023-12..2023-12/1", "10.00"),
    ]
    again = send(servers, "executor", "author", "POST", f"/commits/{commit}/runs", Idempotency_Key="once")
    assert (again.content, again.headers["idempotent-replayed"]) == (run.content, "true")
    same = send(servers, "executor", "author", "POST", f"/commits/{commit}/runs", {"month": "2023-12"})
    assert (same.status_code, same.json()["added"], same.json()["proposals"]) == (200, 0, [])
    assert measure(module_settings) == [], "what the pipeline runs is what was run"

    realised = next(one["run_hash"] for one in found["runs"] if one["case"] == "realised")
    shown = send(servers, "executor", "author", "GET", f"/runs/{realised}").json()
    assert (shown["commit"], shown["month"]) == (commit, "2023-12")
    assert {"name": "driver.saving", "value": "50", "unit": "USD"} in shown["results"]
    assert shown["known_at"][-1] == shown["computed_at"][-1] == "Z"
    tree = send(servers, "executor", "author", "GET", f"/runs/{realised}/explain?output=saving&to_date=true")
    assert tree.text == printed(
        module_settings, "acme", "explain", "--run", realised, "--output", "saving", "--to-date"
    )
    gap = send(servers, "executor", "author", "GET", f"/commits/{commit}/realisation?month=2023-11")
    assert gap.text == printed(module_settings, "acme", "variance", "--commit", commit, "--month", "2023-11")

    listed = send(servers, "executor", "author", "GET", "/fee-proposals").json()["data"]
    assert listed == [json.loads(line) for line in printed(module_settings, "acme", "proposals").splitlines()]
    name = quote(FIRST, safe="")
    accepted = send(servers, "executor", "customer", "POST", f"/fee-proposals/{name}/accept")
    assert (accepted.status_code, accepted.json()["state"]) == (200, "approved")
    disputed = send(
        servers, "executor", "customer", "POST", f"/fee-proposals/{quote(listed[1]['proposal'], safe='')}/dispute",
        {"reason": "not us"},
    )  # fmt: skip
    assert disputed.json()["state"] == "disputed", disputed.text
    assert {text[-1] for name, text in disputed.json().items() if name.endswith(("_at", "_until"))} == {"Z"}
    one = send(servers, "executor", "customer", "GET", f"/fee-proposals/{name}")
    lines = printed(module_settings, "acme", "proposals").splitlines()
    assert one.text == f"{lines[0]}\n"
    first_page = send(servers, "executor", "author", "GET", "/fee-proposals?limit=1").json()
    rest = send(servers, "executor", "author", "GET", f"/fee-proposals?limit=1&cursor={first_page['next_cursor']}")
    assert [*first_page["data"], *rest.json()["data"]] == [json.loads(line) for line in lines]
    twice = send(servers, "executor", "customer", "POST", f"/fee-proposals/{name}/accept")
    assert_problem(twice, 409, "conflict")
    late = send(servers, "executor", "customer", "POST", f"/fee-proposals/{name}/dispute", {"reason": "late"})
    assert_problem(late, 409, "conflict")

    sign_log(module_settings, whole=True)
    with connect(module_settings, "builder") as connection:
        entries = [
            json.loads(entry)
            for (entry,) in connection.execute("select entry::text from audit.entry where tenant_id = 'acme'")
        ]
    actors = {(entry["action"], entry["actor"]) for entry in entries if entry["request"]}
    keys = servers.keys
    assert ("run.added", keys["author"].split("_")[1]) in actors
    assert ("fee.accepted", keys["customer"].split("_")[1]) in actors
    assert ("fee.disputed", keys["customer"].split("_")[1]) in actors


@pytest.mark.security
def test_runs_and_fees_of_another_tenant_are_not_there_and_each_route_needs_its_scope(
    servers: Servers,
) -> None:
    commit = agreed(servers)
    run = send(servers, "executor", "author", "POST", f"/commits/{commit}/runs").json()["runs"][0]["run_hash"]
    fee = f"/fee-proposals/{quote(FIRST, safe='')}"
    for method, path, body, wrong in (
        ("POST", f"/commits/{commit}/runs", None, "customer"),
        ("GET", f"/commits/{commit}/realisation", None, "vendor"),
        ("GET", f"/runs/{run}", None, "vendor"),
        ("GET", f"/runs/{run}/explain", None, "vendor"),
        ("GET", fee, None, "vendor"),
        ("POST", f"{fee}/accept", None, "author"),
        ("POST", f"{fee}/dispute", {"reason": "r"}, "author"),
    ):
        assert_problem(send(servers, "executor", "birch", method, path, body), 404, "not-found")
        assert_problem(send(servers, "executor", wrong, method, path, body), 403, "insufficient-scope")
    assert send(servers, "executor", "birch", "GET", "/fee-proposals").json()["data"] == []
    assert_problem(
        httpx.get(f"{servers.addresses['executor']}/v1/runs/{run}", headers=bearer("x"), timeout=60),
        401,
        "invalid-token",
    )


def test_what_cannot_be_run_or_explained_is_refused_with_its_place(servers: Servers) -> None:
    commit = agreed(servers)
    body = {"scenario": "agreed", "customer": "c1", "start": "2023-11-01", "seed": 5}
    other = send(servers, "committer", "author", "POST", "/value-models/saved/commits", body).json()["commit"]
    assert "both sides" in assert_problem(
        send(servers, "executor", "author", "POST", f"/commits/{other}/runs"), 409, "conflict"
    )["detail"]  # fmt: skip
    later = send(servers, "executor", "author", "POST", f"/commits/{commit}/runs", {"month": "2024-01"})
    assert "2024-01 is not measured yet" in assert_problem(later, 409, "conflict")["detail"]
    wrong = send(servers, "executor", "author", "POST", f"/commits/{commit}/runs", {"month": "2024-13"})
    assert assert_problem(wrong, 422, "invalid-request")["errors"][0]["path"] == "body.month"
    run = send(servers, "executor", "author", "POST", f"/commits/{commit}/runs").json()["runs"][0]["run_hash"]
    for path in ("/runs/none", f"/runs/{commit}/explain", f"/commits/{other}/realisation", "/fee-proposals/none"):
        assert_problem(send(servers, "executor", "author", "GET", path), 404, "not-found")
    for path, place in (
        (f"/runs/{run}/explain?output=nosuch", "query.output"),
        (f"/commits/{commit}/realisation?month=2023-13", "query.month"),
        (f"/commits/{commit}/realisation?output=nosuch", "query.output"),
    ):
        answer = send(servers, "executor", "author", "GET", path)
        assert [one["path"] for one in assert_problem(answer, 422, "invalid-request")["errors"]] == [place]
        assert "--" not in answer.text
