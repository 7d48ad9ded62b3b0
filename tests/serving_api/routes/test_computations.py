"""Simulations and re-ratings over HTTP: what the commands answer, worked out in the background, applied once."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import uuid
from typing import TYPE_CHECKING, Any

import polars as pl
import psutil
import pytest
from typer.testing import CliRunner

from tests.support.serving import Api, assert_problem, bearer
from tests.support.warehouse_billing import acme, dearer, rows, run, store
from valueverse.catalog.document import catalog_document
from valueverse.cli import app as command_line
from valueverse.errors import RefusalError
from valueverse.platform.access.api_keys import DEFAULT_SCOPES, issue_api_key
from valueverse.platform.job_queue import Worker
from valueverse.platform.queries import row_of, value_of
from valueverse.platform.servers import processes
from valueverse.platform.stores import computation_store
from valueverse.platform.telemetry.logs import make_log
from valueverse.platform.warehouse import connect
from valueverse.services.background.job_kinds import AT_ONCE, KINDS
from valueverse.services.computations import compute as attempts
from valueverse.services.lake_tables import EVENTS_TABLE

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.support.ledger import World
    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
AS_IT_IS, DEARER = (json.dumps(catalog_document(dearer(unit))) for unit in ("0.01", "0.02"))
WINDOW = {"from": "2023-11-01", "to": "2023-12-31"}


def receive(settings: Settings, world: World) -> None:
    """What the world holds is in the lake, as it would be after ingestion."""
    lake = store(world, settings)
    events = lake.scan(EVENTS_TABLE).collect().with_columns(pl.lit('{"n":"100"}').alias("data"))
    facts = world.lake_facts()
    billing = facts.select(name for name in events.columns if name in facts.columns)
    lake.overwrite(EVENTS_TABLE, pl.concat([events, billing], how="diagonal_relaxed"))


@pytest.fixture(scope="module")
def world(module_settings: Settings) -> World:
    made = acme(2)
    run(made, module_settings)
    receive(module_settings, made)
    return made


@pytest.fixture(scope="module")
def keys(module_settings: Settings, world: World) -> dict[str, str]:
    with connect(module_settings, "builder") as connection:
        connection.execute(
            "insert into billing.tenant (tenant_id, name, timezone, currency) values ('birch', 'b', 'UTC', 'USD')"
        )
        return {tenant: issue_api_key(connection, tenant, DEFAULT_SCOPES) for tenant in ("acme", "birch")}


async def post(api: Api, path: str, body: Any = None, tenant: str = "acme", **headers: str) -> httpx.Response:
    token = api.token(tenant, "billing:write", "billing:read")
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.client.post(path, json=body, headers=bearer(token) | given)


async def asked(api: Api, kind: str, body: dict[str, Any], tenant: str = "acme") -> str:
    """The id of one that waits."""
    answer = await post(api, f"/v1/{kind}", body, tenant)
    assert answer.status_code == 202, answer.text
    state = answer.json()
    assert (state["status"], answer.headers["location"]) == ("waiting", f"/v1/{kind}/{state['id']}")
    return str(state["id"])


async def worked_out(api: Api, settings: Settings, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """What it comes to, worked out here; its job finds it done."""
    made = await asked(api, kind, body)
    assert await asyncio.to_thread(attempts.compute, settings, "acme", made)
    answer = await api.get("acme", f"/v1/{kind}/{made}")
    assert answer.json()["status"] == "done", answer.text
    found: dict[str, Any] = answer.json()
    return found


def typed(settings: Settings, monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """Lines that a command writes to a program."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(command_line, list(words))
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


async def test_a_simulation_over_http_is_that_of_the_command(
    api: Api, module_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / name for name in ("catalog.json", "dearer.json")]
    for file, text in zip(files, (AS_IT_IS, DEARER), strict=True):
        file.write_text(text)
    options = ["simulate", "--lake", "--tenant", "acme", "--catalog", str(files[0]), "--from", "2023-11-01"]
    found = await worked_out(api, module_settings, "simulations", {"catalog": AS_IT_IS, "from": "2023-11-01"})
    assert found["result"]["invoices"] == [json.loads(one) for one in typed(module_settings, monkeypatch, *options)]
    assert len(found["result"]["invoices"]) == 2
    assert found["progress"] == {"step": None, "done": 2, "of": 2}
    body = {"catalog": AS_IT_IS, "compare": DEARER, "from": "2023-11-01", "run_at": ["2024-01-05T00:00:00Z"]}
    found = await worked_out(api, module_settings, "simulations", body)
    compared = [*options, "--compare", str(files[1]), "--run-at", "2024-01-05T00:00:00Z", "--json"]
    assert found["result"]["changes"] == [json.loads(one) for one in typed(module_settings, monkeypatch, *compared)]
    assert [one["difference"] for one in found["result"]["changes"]] == ["1.00", "1.00", "2.00"]
    assert any("invoices finalised" in note for note in found["result"]["notes"])
    # It stays, is the newest of the list, and a client that has it is sent it no more.
    place = f"/v1/simulations/{found['id']}"
    tag = (await api.get("acme", place)).headers["etag"]
    assert (await api.get("acme", place, headers={"If-None-Match": tag})).status_code == 304
    first = (await api.get("acme", "/v1/simulations", limit=1)).json()
    assert [one["id"] for one in first["data"]] == [found["id"]]
    assert "result" not in first["data"][0]
    second = (await api.get("acme", "/v1/simulations", limit=1, cursor=first["next_cursor"])).json()
    assert second["data"][0]["id"] != found["id"]
    assert_problem(await api.get("birch", place), 404, "not-found")
    assert_problem(await post(api, f"{place}/cancel"), 409, "conflict")


async def test_a_re_rating_over_http_is_planned_and_applied_as_by_the_command(
    api: Api, module_settings: Settings, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = module_settings
    (tmp_path / "dearer.json").write_text(DEARER)
    catalog, plan = ["--catalog", str(tmp_path / "dearer.json")], tmp_path / "plan.json"
    window = ["--from", WINDOW["from"], "--to", WINDOW["to"]]
    found = await worked_out(api, settings, "reratings", WINDOW | {"catalog": DEARER})
    stale = await worked_out(api, settings, "reratings", WINDOW | {"catalog": DEARER, "customers": ["c1"]})
    typed(settings, monkeypatch, "rerate", "plan", "--tenant", "acme", *window, *catalog, "--out", str(plan), "--json")
    assert found["result"]["plan"] == json.loads(plan.read_text())
    assert [row["difference"] for row in found["result"]["plan"]["rows"]] == ["1.00", "1.00"]
    place, ended = f"/v1/reratings/{found['id']}/apply", f"/v1/reratings/{stale['id']}/apply"
    applied = "select plan_id, catalog_hash, document::json ->> 'currency' from billing.rerating"

    async def apply(address: str) -> httpx.Response:
        """Asked twice at once, with a worker beside."""
        number = address.split("/")[3]
        both = asyncio.gather(post(api, address, Idempotency_Key=number), post(api, address))
        await until(lambda: state_of(settings, number) == "applying")
        assert await asyncio.to_thread(attempts.apply, settings, "acme", number)
        assert not await asyncio.to_thread(attempts.apply, settings, "acme", number)
        one, other = await both
        assert (one.status_code, without_instance(one)) == (other.status_code, without_instance(other))
        return one

    first = await apply(place)
    assert (first.status_code, first.json()["status"], first.json()["applied_invoices"]) == (200, "applied", 2)
    written = rows(settings, applied)
    plan_id = found["result"]["plan"]["plan_id"]
    assert written == [(plan_id, found["result"]["plan"]["catalog_hash"], "USD")] * 2
    printed = typed(settings, monkeypatch, "rerate", "apply", str(plan), *catalog, "--json")
    assert json.loads("".join(printed))["invoices"] == 2
    for key in (str(found["id"]), "another"):
        assert (await post(api, place, Idempotency_Key=key)).json() == first.json()
    assert rows(settings, applied) == written
    world.use("2023-11-07", "tokens", "250", customer="c1")
    receive(settings, world)
    refused = await apply(ended)
    assert "make a new plan" in assert_problem(refused, 409, "conflict")["detail"]
    assert_problem(await post(api, ended), 409, "conflict")
    assert (await api.get("acme", f"/v1/reratings/{stale['id']}")).json()["status"] == "stale"
    assert rows(settings, applied) == written
    waiting = await asked(api, "reratings", WINDOW)
    assert_problem(await post(api, f"/v1/reratings/{waiting}/apply"), 409, "conflict")
    assert_problem(await post(api, f"/v1/reratings/{uuid.uuid4()}/apply"), 404, "not-found")
    assert_problem(await post(api, place, tenant="birch"), 404, "not-found")
    entries = rows(settings, "select entry::json ->> 'action', entry::json ->> 'object' from audit.submitted")
    for action in ("rerating.requested", "rerating.apply_requested"):
        assert (action, found["id"]) in entries
    assert ("rerating.applied", plan_id) in entries


def state_of(settings: Settings, computation: str) -> str:
    return str(rows(settings, f"select state from billing.computation where computation = '{computation}'")[0][0])


def without_instance(answer: httpx.Response) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "instance"}


async def until(ready: Any) -> None:
    assert await asyncio.to_thread(processes.wait_until, ready, lambda: True, 60)


async def test_a_simulation_whose_worker_is_killed_is_finished_once(
    api: Api, module_settings: Settings, tmp_path: Path
) -> None:
    settings = module_settings
    with connect(settings, "builder") as connection:
        connection.execute("delete from queue.procrastinate_jobs")
    made = await asked(api, "simulations", {"catalog": DEARER})
    broken = await asked(api, "simulations", {"catalog": DEARER}, tenant="birch")
    command = [sys.executable, "-m", "valueverse.services.background.run_worker"]
    with (tmp_path / "log").open("wb") as log:
        worker = await asyncio.create_subprocess_exec(*command, env=os.environ | settings.environment(), stdout=log)
    with connect(settings, "builder") as connection:
        taken = "select 1 from billing.computation where computation = %s and state = 'running' for update"

        def is_running() -> bool:
            connection.rollback()
            return row_of(connection, taken, [made]) is not None

        # It cannot end while its row is locked.
        await until(is_running)
        children = psutil.Process(worker.pid).children()
        worker.kill()
        await worker.wait()
        # What it had begun ends with it.
        await asyncio.to_thread(psutil.wait_procs, children, 60)
        assert not any(child.is_running() for child in children)
    with connect(settings, "builder") as connection:
        connection.execute("update queue.procrastinate_workers set last_heartbeat = now() - interval '1 minute'")
    sink = io.BytesIO()
    await Worker(settings, KINDS, AT_ONCE, make_log(sink)).run_due()
    found = (await api.get("acme", f"/v1/simulations/{made}")).json()
    assert (found["status"], found["problem"]) == ("done", None), sink.getvalue()
    assert len(found["result"]["invoices"]) >= 2
    assert rows(settings, f"select attempt from billing.computation where computation = '{made}'") == [(2,)]
    # Nothing of a tenant that has sent nothing can be billed: its answer is why, and it stops nobody.
    failed = (await api.get("birch", f"/v1/simulations/{broken}")).json()
    print(
        failed,
        sink.getvalue().decode(),
        rows(settings, "select * from queue.procrastinate_jobs"),
        (tmp_path / "log").read_text(),
    )
    assert (failed["status"], failed["problem"]["code"]) == ("failed", "no_events")
    assert "ingest some first" in failed["problem"]["message"]
    assert rows(settings, "select * from queue.procrastinate_jobs") == []
    # An attempt that is not the newest one stores nothing, even if it comes to its end.
    with connect(settings, "builder") as connection:
        assert not computation_store.end(connection, "acme", made, "done", attempt=1, result="{}")


async def test_one_that_waits_is_cancelled_and_never_worked_out(api: Api, module_settings: Settings) -> None:
    made = await asked(api, "simulations", {"catalog": DEARER})
    place = f"/v1/simulations/{made}"
    assert_problem(await post(api, f"{place}/cancel", tenant="birch"), 404, "not-found")
    assert (await post(api, f"{place}/cancel", Idempotency_Key="1")).json()["status"] == "cancelled"
    again = await post(api, f"{place}/cancel", Idempotency_Key="1")
    assert (again.json()["status"], again.headers["idempotent-replayed"]) == ("cancelled", "true")
    assert (await post(api, f"{place}/cancel")).status_code == 200
    assert not attempts.compute(module_settings, "acme", made)
    with connect(module_settings, "builder") as connection:
        query = "select status::text from queue.procrastinate_jobs where args ->> 'key' = %s"
        assert value_of(connection, query, [made]) == "cancelled"


@pytest.mark.parametrize(
    ("kind", "body", "place"),
    [
        ("simulations", {}, "body.catalog"),
        ("simulations", {"catalog": DEARER, "price": "1"}, "body.price"),
        ("simulations", {"catalog": "plans: ["}, "body.catalog"),
        ("simulations", {"catalog": DEARER, "compare": AS_IT_IS.replace('"0.01"', '"x"')}, "body.compare.plans[0]"),
        ("simulations", {"catalog": DEARER, "from": "2024-02-01", "to": "2024-01-01"}, "body.from"),
        ("simulations", {"catalog": DEARER, "known_at": "2024-01-01T00:00:00"}, "body.known_at"),
        (
            "simulations",
            {"catalog": DEARER, "known_at": "2024-01-01T00:00:00Z", "run_at": ["2024-01-01T00:00:00Z"]},
            "body.run_at",
        ),
        ("reratings", {"from": "2024-01-01"}, "body.to"),
        ("reratings", WINDOW | {"catalog": "schema: other"}, "body.catalog"),
        ("reratings", WINDOW | {"customers": [""]}, "body.customers.0"),
    ],
)
async def test_what_is_asked_for_is_judged_before_it_waits(
    api: Api, kind: str, body: dict[str, Any], place: str
) -> None:
    problem = assert_problem(await post(api, f"/v1/{kind}", body), 422, "invalid-request")
    assert problem["errors"][0]["path"].startswith(place), problem


async def test_who_may_not_write_asks_for_nothing_and_what_is_too_large_is_refused(
    api: Api, module_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = bearer(api.token("acme", "billing:read"))
    for path, body in (("simulations", {"catalog": DEARER}), ("reratings", WINDOW)):
        answer = await api.client.post(f"/v1/{path}", json=body, headers=reader)
        assert_problem(answer, 403, "insufficient-scope")
        made = await asked(api, path, body)
        for verb in ("cancel", "apply") if path == "reratings" else ("cancel",):
            answer = await api.client.post(f"/v1/{path}/{made}/{verb}", headers=reader)
            assert_problem(answer, 403, "insufficient-scope")
    assert_problem(await post(api, "/v1/simulations", {"catalog": "x" * 2**21}), 413, "body-too-large")
    body = {"catalog": DEARER}
    first = await post(api, "/v1/simulations", body, Idempotency_Key="2")
    again = await post(api, "/v1/simulations", body, Idempotency_Key="2")
    assert (again.json(), again.headers["location"]) == (first.json(), first.headers["location"])
    other = await post(api, "/v1/simulations", {"catalog": AS_IT_IS}, Idempotency_Key="2")
    assert_problem(other, 422, "idempotency-mismatch")
    monkeypatch.setattr(attempts, "MOST_BYTES", 10)
    with pytest.raises(RefusalError, match="ask for a shorter time") as refused:
        attempts.compute(module_settings, "acme", first.json()["id"])
    assert refused.value.code == "too_large"


async def test_a_tenant_has_a_bounded_number_open(api: Api, module_settings: Settings) -> None:
    with connect(module_settings, "builder") as connection:
        connection.execute("delete from billing.computation where tenant_id = 'birch'")
    for _ in range(20):
        await asked(api, "simulations", {"catalog": DEARER}, tenant="birch")
    refused = await post(api, "/v1/simulations", {"catalog": DEARER}, tenant="birch")
    assert "cancel it" in assert_problem(refused, 429, "rate-limited")["detail"]
    assert refused.headers["retry-after"] == "10"
