"""Traces: a request, what it asks Postgres, and a run of Dagster, as a collector receives them."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from assets.resources import Platform
from tests.support.collector import Collector, collecting
from tests.support.serving import bearer, serving
from valueverse.platform.job_queue import Job, JobKind, Worker
from valueverse.platform.telemetry import tracing
from valueverse.platform.telemetry.logs import make_log
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with collecting(tmp_path_factory.mktemp("collector")) as running:
        yield running


@pytest.fixture
def traced(module_settings: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setattr(tracing, "_PATIENCE", 60)  # other tests beside this one may keep the collector waiting
    yield module_settings.model_copy(update={"otlp_endpoint": collector.address})
    tracing.end()


async def test_a_request_goes_on_with_its_callers_trace_down_to_postgres(
    traced: Settings, keys: dict[str, str], collector: Collector
) -> None:
    async with serving(traced, keys) as api:
        session = await api.sign_in("acme")
        headers = bearer(session["access_token"]) | {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        answer = await api.client.get("/v1/customers/Jane%20Doe/usage", headers=headers)
        (line,) = [line for line in api.logged() if line.get("trace_id") == TRACE]
    spans = collector.spans(TRACE, 3)
    request = spans["GET /v1/customers/{key}/usage"]
    assert (request.parent, request.kind) == (PARENT, "SPAN_KIND_SERVER")
    assert request.attributes == {
        "http.request.method": "GET",
        "http.route": "/v1/customers/{key}/usage",
        "http.response.status_code": "404",
        "valueverse.request_id": answer.headers["x-request-id"],
        "valueverse.tenant": "acme",
    }
    calls = [span for name, span in spans.items() if name.startswith("api.")]
    assert {(call.parent, call.kind) for call in calls} == {(request.id, "SPAN_KIND_CLIENT")}
    assert len(calls) == len(spans) - 1
    assert (line["event"], line["span_id"], line["tenant"]) == ("request", request.id, "acme")
    text = collector.text()
    assert not any(secret in text for secret in (keys["acme"], session["access_token"], "Jane", "Doe"))


async def test_a_job_of_background_work_goes_on_with_the_trace_of_the_request_that_asked_for_it(
    traced: Settings, keys: dict[str, str], collector: Collector
) -> None:
    trace, seen = TRACE[::-1], []

    async def work(_: Settings, job: Job) -> None:
        seen.append((job.tenant, job.key))

    async def give_up(*_: object) -> None:
        raise AssertionError

    async with serving(traced, keys) as api:
        token = api.token("acme", "billing:write")
        headers = bearer(token) | {"traceparent": f"00-{trace}-{PARENT}-01"}
        body = {"catalog": "schema: valueverse.catalog/v1\ncurrency: USD\nplans: [{key: pro}]\n"}
        asked = await api.client.post("/v1/simulations", json=body, headers=headers)
        kind = JobKind("simulate", "computations", work, (), give_up)
        await Worker(traced, [kind], {"computations": 1}, make_log(io.BytesIO())).run_due()
    assert seen == [("acme", asked.json()["id"])]
    spans = collector.spans(trace, 4)
    job = spans["job simulate"]
    assert (job.parent, job.kind) == (spans["POST /v1/simulations"].id, "SPAN_KIND_CONSUMER")
    assert job.attributes["valueverse.request_id"] == asked.headers["x-request-id"]
    assert job.attributes["valueverse.tenant"] == "acme"


@pytest.mark.parametrize("given", ["00-zz-00-01", f"00-{'0' * 32}-{PARENT}-01", "x" * 5000, f"00-{TRACE}-{PARENT}"])
async def test_a_malformed_traceparent_begins_a_trace_of_its_own(
    traced: Settings, keys: dict[str, str], collector: Collector, given: str
) -> None:
    async with serving(traced, keys) as api:
        assert (await api.client.get("/healthz", headers={"traceparent": given})).status_code == 200
        (line,) = [line for line in api.logged() if line["event"] == "request"]
    (span,) = collector.spans(line["trace_id"]).values()
    assert (span.parent, span.name) == ("", "GET /healthz")


async def test_a_trace_is_in_the_log_also_where_no_collector_is_set(
    module_settings: Settings, keys: dict[str, str]
) -> None:
    async with serving(module_settings, keys) as api:
        await api.client.get("/healthz", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        await api.client.get("/healthz", headers={"traceparent": "nonsense"})
        first, second = (line for line in api.logged() if line["event"] == "request")
    assert first["trace_id"] == TRACE
    assert "trace_id" not in second


async def test_a_collector_that_is_gone_costs_a_request_nothing(
    module_settings: Settings, keys: dict[str, str]
) -> None:
    gone = module_settings.model_copy(update={"otlp_endpoint": "http://127.0.0.1:9"})
    async with serving(gone, keys) as api:
        assert tracing.is_on()
        assert (await api.client.get("/healthz")).status_code == 200
    assert not tracing.is_on()


def test_a_run_of_dagster_is_a_span_with_its_statements_below(
    traced: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in traced.environment().items():
        monkeypatch.setenv(name, value)

    @dg.asset
    def counted(platform: Platform) -> None:
        with connect(platform.settings, "builder") as connection:
            connection.execute("select count(*) from billing.invoice where tenant_id = %s", ["a secret value"])

    @dg.asset(deps=[counted])
    def broken(platform: Platform) -> None:
        with connect(platform.settings, "builder") as connection:
            connection.execute("select 1 / 0 as secret_column")

    trace = TRACE[::-1]
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            [counted, broken],
            resources={"platform": Platform()},
            instance=instance,
            tags={"traceparent": f"00-{trace}-{PARENT}-01"},
            raise_on_error=False,
        )
        assert not done.success
    spans = collector.spans(trace, 4)
    (run,) = [span for name, span in spans.items() if name.startswith("run ")]
    assert run.parent == PARENT
    assert run.attributes["dagster.run_id"] == done.run_id
    statement = spans["postgres select"]
    assert (statement.parent, statement.status, statement.message) == (run.id, "STATUS_CODE_ERROR", "DivisionByZero")
    assert "secret" not in collector.text()


def test_nothing_that_sends_spans_is_imported_while_they_are_off() -> None:
    modules = "import sys, serving_api.middleware, valueverse.platform.warehouse; "
    code = f"{modules}print({{'opentelemetry.sdk', 'opentelemetry.exporter'}} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
