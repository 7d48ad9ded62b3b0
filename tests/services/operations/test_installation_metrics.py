"""What Prometheus reads of an installation: the inbox, the audit log, held tenants, the stages."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.broker import Broker
from tests.support.inbox import receive
from tests.support.landing import event
from valueverse.platform.lake import Lake
from valueverse.platform.stores import inbox_store
from valueverse.platform.telemetry.logs import make_log
from valueverse.platform.warehouse import connect
from valueverse.services.audit.sign_log import sign_log
from valueverse.services.ingestion.topic import topic_lags
from valueverse.services.lake_tables import EVENTS_TABLE
from valueverse.services.operations.findings import business_findings, topic_sentence
from valueverse.services.operations.installation_metrics import InstallationMetrics, _by_stage
from valueverse.services.operations.installation_status import read_status
from valueverse.services.webhooks.endpoints import add_endpoint, send_test

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def values(settings: Settings, sink: io.BytesIO | None = None) -> dict[str, float]:
    families = InstallationMetrics(settings, make_log(sink or io.BytesIO())).collect()
    samples = [sample for family in families for sample in family.samples]
    return {"".join((one.name, *(f" {label}" for label in one.labels.values()))): one.value for one in samples}


def test_what_waits_is_counted_and_aged_until_it_is_taken_and_signed(settings: Settings) -> None:
    assert values(settings)["valueverse_inbox_oldest_seconds"] == 0
    at = datetime.now(UTC) - timedelta(minutes=2)
    for tenant in ("acme", "birch"):
        receive(settings, tenant, event("1"), event("2"), at=at)
    found = values(settings)
    assert found["valueverse_inbox_requests waiting"] == 2
    assert found["valueverse_inbox_events"] == 4
    assert 120 <= found["valueverse_inbox_oldest_seconds"] < 720
    assert found["valueverse_inbox_drains_total"] == 0
    assert found["valueverse_audit_waiting_entries"] == 2
    assert found["valueverse_audit_waiting_seconds"] > 0
    assert found["valueverse_held_tenants release"] == 0
    assert found["valueverse_webhooks_overdue_seconds"] == 0
    made = add_endpoint(settings, "acme", "https://example.com/", [])
    send_test(settings, "acme", made["endpoint"])
    with connect(settings, "builder") as connection:
        connection.execute("update billing.webhook_delivery set due_at = now() - interval '700 s'")
        connection.execute("select queue.defer('acme', 'computations', 'try', '1', now() - interval '800 s')")
    found = values(settings)
    assert found["valueverse_webhooks_waiting"] == 1
    assert 700 <= found["valueverse_webhooks_overdue_seconds"] < 1300
    assert [found[f"valueverse_queue_jobs computations {one}"] for one in ("waiting", "working", "failed")] == [1, 0, 0]
    assert 800 <= found["valueverse_queue_overdue_seconds computations"] < 1400
    assert not any("acme" in name or "birch" in name for name in found)
    with connect(settings, "builder") as connection:
        inbox_store.claim(connection, 2**20)
    found = values(settings)
    assert (found["valueverse_inbox_requests draining"], found["valueverse_inbox_drains_total"]) == (2, 2)
    sign_log(settings, whole=True)
    found = values(settings)
    assert (found["valueverse_audit_waiting_entries"], found["valueverse_audit_unsigned_logs"]) == (0, 0)
    (settings.audit_dir / "acme.checkpoints").unlink()
    assert values(settings)["valueverse_audit_unsigned_logs"] == 1


def test_a_database_that_does_not_answer_costs_its_own_metrics_and_is_named(settings: Settings) -> None:
    sink = io.BytesIO()
    found = values(settings.model_copy(update={"dagster_database": "no_such_database"}), sink)
    assert found["valueverse_database_readable dagster"] == 0
    assert found["valueverse_database_readable warehouse"] == 1
    assert found["valueverse_inbox_events"] == 0
    (line,) = [json.loads(line) for line in sink.getvalue().splitlines()]
    assert "no_such_database" in line["reason"]


def test_runs_that_no_stage_asked_for_share_one_name() -> None:
    rows = [
        {"job": "billing_job", "status": "SUCCESS", "runs": 3, "ended": 10.5},
        {"job": "__ASSET_JOB", "status": "FAILURE", "runs": 1, "ended": 7.0},
        {"job": "made by a person", "status": "FAILURE", "runs": 2, "ended": 9.0},
        {"job": "billing_job", "status": "STARTED", "runs": 1, "ended": None},
        {"job": "billing_job", "status": "QUEUED", "runs": 1, "ended": None},
    ]
    assert _by_stage(rows) == {
        ("billing", "success"): (3, 10.5),
        ("other", "failure"): (3, 9.0),
        ("billing", None): (2, 0.0),
    }


def test_each_partition_has_its_lag_and_a_topic_that_does_not_answer_is_named(settings: Settings) -> None:
    assert not any("topic" in name for name in values(settings))
    broker, sink = Broker(), io.BytesIO()
    with_topic = settings.model_copy(update={"kafka_brokers": broker.address, "kafka_topic": "lag"})
    broker.send("lag", [("acme", event("1")), ("acme", event("2"))], 1)
    Lake(settings.lake_url).append_all(
        EVENTS_TABLE, [], positions={one.application: one.partition for one in topic_lags(with_topic)}
    )
    found = values(with_topic)
    assert [found[f"valueverse_topic_{name} 1"] for name in ("waiting_messages", "next_offset", "problem")] == [1, 1, 0]
    assert found["valueverse_topic_problem 2"] == 1
    assert found["valueverse_topic_readable"] == 1
    status = read_status(with_topic, datetime.now(UTC))
    assert [one["partition"] for one in status.topic] == [1, 2, 3]
    assert "1 message waits from offset 1 on" in topic_sentence(status.topic[0])
    assert any("was made again" in one.what for one in business_findings(with_topic, status))
    away = with_topic.model_copy(update={"kafka_topic": "nowhere"})
    assert values(away, sink)["valueverse_topic_readable"] == 0
    assert b"VALUEVERSE_KAFKA_TOPIC" in sink.getvalue()
    assert any("make it" in one for one in read_status(away, datetime.now(UTC)).unknown)
    broker.stop()
