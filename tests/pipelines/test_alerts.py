from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._daemon.freshness import FreshnessState, FreshnessStateChange

from pipelines.alerts import alert_on_check_failure, alert_on_run_failure, freshness_sensor, send
from pipelines.stages import by_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """Messages that a receiver on this machine got; its address is set as the place for alerts."""
    messages: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("VALUEVERSE_ALERT_URLS", f"json://127.0.0.1:{server.server_port}/")
    yield messages
    server.shutdown()
    thread.join()
    server.server_close()


@dg.op
def break_down() -> None:
    raise ValueError("no such meter")


@dg.job
def breaking_job() -> None:
    break_down()


FOUND: list[str | None] = [None]
"""What the check of ``ledger`` finds; None: nothing."""


@dg.asset(check_specs=[dg.AssetCheckSpec("adds_up", asset="ledger")])
def ledger() -> dg.MaterializeResult:  # type: ignore[type-arg]
    return dg.MaterializeResult(
        check_results=[
            dg.AssetCheckResult(
                check_name="adds_up", passed=FOUND[0] is None, description=FOUND[0],
                metadata={"runbook": "docs/runbooks/checks.md#adds_up"},
            )
        ]
    )  # fmt: skip


def test_without_an_address_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VALUEVERSE_ALERT_URLS", raising=False)
    assert not send("title", "body")


def test_a_failed_run_is_reported_with_its_job(tmp_path: Path, inbox: list[dict[str, Any]]) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        result = breaking_job.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name="alert_on_run_failure",
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            dagster_event=result.get_run_failure_event(),
        ).for_run_failure()
        alert_on_run_failure(context)
    (message,) = inbox
    assert "breaking_job failed" in message["title"]
    assert result.run_id in message["message"]


def test_a_check_that_does_not_pass_is_reported_once_until_it_passes_or_finds_something_else(
    tmp_path: Path, inbox: list[dict[str, Any]]
) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        for finds in ("1 row", "1 row", "2 rows"):
            FOUND[0] = finds
            result = dg.materialize([ledger], instance=instance)
            context = dg.build_run_status_sensor_context(
                sensor_name="alert_on_check_failure",
                dagster_instance=instance,
                dagster_run=result.dagster_run,
                dagster_event=result.get_run_success_event(),
            )
            alert_on_check_failure(context)
    assert [message["message"].splitlines()[-1] for message in inbox] == [
        f"ledger: adds_up ({finds}); see docs/runbooks/checks.md#adds_up" for finds in ("1 row", "2 rows")
    ]


def test_an_asset_that_is_not_fresh_is_reported_once_until_it_is_fresh(
    tmp_path: Path, inbox: list[dict[str, Any]]
) -> None:
    sensor = freshness_sensor([by_name()["usage"], by_name()["release"]])
    cursor = None
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        for number, state in enumerate(["PASS", "FAIL", "FAIL", "PASS", "FAIL"]):
            instance.report_runless_asset_event(
                FreshnessStateChange(
                    key=by_name()["usage"].assets[0].key,
                    previous_state=FreshnessState.UNKNOWN,
                    new_state=FreshnessState(state),
                    state_change_timestamp=float(number),
                )
            )
            cursor = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor)).cursor
    assert [message["title"] for message in inbox] == ["ValueVerse: 1 assets are not fresh"] * 2
    assert "lake/usage" in inbox[0]["message"]
