"""Events over HTTP where there is Kafka: in the topic before they are acknowledged, traced as those of the inbox."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.broker import Broker
from tests.support.landing import event, founding
from tests.support.serving import Api, assert_problem, bearer, fail_to_receive
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.kafka import topic_writer
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.audit.sign_log import sign_log
from valueverse.services.ingestion.run_ingestion import run_ingestion
from valueverse.services.ingestion.topic import topic_lags
from valueverse.services.lake_tables import EVENTS_TABLE, QUARANTINE_TABLE
from valueverse.services.usage.refresh_facts import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx
    import psycopg

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


@pytest.fixture
def world(
    api: Api, module_settings: Settings, broker: Broker, tmp_path: Path
) -> Iterator[tuple[Settings, psycopg.Connection[Any]]]:
    """The API with a topic and a lake of the test's own, and the builder's connection to an empty inbox."""
    own = {"home": tmp_path, "external_secrets_dir": module_settings.secrets_dir, "kafka_topic": tmp_path.name}
    places = {"external_postgres_url": module_settings.postgres_url("admin")}
    settings = module_settings.model_copy(update={**own, **places, "kafka_brokers": broker.address})
    service = api.app.state.service
    service.settings = settings
    vars(service).pop("sender", None)
    with connect(settings, "builder", autocommit=True) as connection:
        connection.execute("delete from inbox.batch")
        api.keys["office"] = issue_api_key(connection, "acme", ["events:write", "billing:write"])
        yield settings, connection
    service.sender.close()


async def send(api: Api, *events: Any) -> httpx.Response:
    return await api.client.post("/v1/events", content=json.dumps(events), headers=bearer(api.keys["office"]))


async def fate(api: Api, key: str) -> dict[str, Any]:
    answer = await api.get("acme", f"/v1/events/s/{key}")
    found: dict[str, Any] = answer.json() | {"status": answer.status_code}
    return found


def rows(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    query = "select receipt::text, body is null, offsets, has_billing from inbox.batch order by batch_id"
    return connection.execute(query).fetchall()


def waiting(settings: Settings) -> int:
    return sum(one.waiting for one in topic_lags(settings))


async def test_events_are_in_the_topic_and_their_fate_and_receipt_are_those_of_the_inbox(
    api: Api, world: tuple[Settings, psycopg.Connection[Any]]
) -> None:
    settings, connection = world
    assert (await send(api, founding())).status_code == 202
    answer = await send(api, event("e-1"), event("e-1"), event("e-2", time="noon"))
    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert body["counts"] == {"accepted": 1, "duplicate": 1, "refused": 1}
    again = (await send(api, event("e-1", {"n": 2}))).json()
    # Billing events are what the next write is judged against: they wait in Postgres.
    assert [row[1:] for row in rows(connection)] == [
        (False, None, True), (True, [0, 1, 2], False), (True, [3], False),
    ]  # fmt: skip
    assert waiting(settings) == 4
    first, second = (await fate(api, "e-1"))["waiting"][:2]
    assert (first["batch"], first["status"], second["status"]) == (body["batch"], "accepted", "duplicate")
    assert first["received_at"] == body["received_at"]
    third = (await fate(api, "e-1"))["waiting"][2]
    assert (third["batch"], third["status"], third["reason"]) == (again["batch"], "refused", "conflict")
    assert (await fate(api, "e-2"))["waiting"][0]["reason"] == "bad_time"
    sign_log(settings, whole=True)
    audit = await api.get("acme", f"/v1/audit/entries?object={body['batch']}")
    assert body["root"] in audit.text
    lake, stream = Lake(settings.lake_url), ("/v1/events/stream", {"last-event-id": "0-0.0"})
    await api.get("acme", *stream, seconds=0)
    run_ingestion(settings, lake, BEGINNING, datetime.now(UTC))
    text = (await api.get("acme", *stream, seconds=0)).text
    assert text.count("event: ingested") == 5
    assert '"reason":"conflict"' in text
    assert rows(connection) == []
    assert waiting(settings) == 0
    found = lake.scan(EVENTS_TABLE).collect().sort("id")
    assert found["id"].to_list() == ["e-1", "founding"]
    place = f"/{settings.kafka_topic}/"
    assert place in found["file"][0]
    assert lake.scan(QUARANTINE_TABLE).collect().sort("line").select("id", "line", "reason").rows() == [
        ("e-2", 2, "bad_time"), ("e-1", 3, "conflict"),
    ]  # fmt: skip
    settled = await fate(api, "e-1")
    assert (settled["line"], "waiting" in settled, settled["conflicts"]) == (0, False, ["conflict"])
    assert (await fate(api, "e-2"))["outcome"] == "quarantined"


async def test_an_event_that_is_too_large_for_a_message_waits_in_the_inbox(
    api: Api, world: tuple[Settings, psycopg.Connection[Any]], tmp_path: Path
) -> None:
    settings, connection = world
    assert (await send(api, event("small"), event("large", {"text": "a" * 950_000}))).status_code == 202
    assert [row[1] for row in rows(connection)] == [False]
    assert (await send(api, event("small"))).status_code == 202
    assert waiting(settings) == 1
    # Also where the topic takes less than is usual; the next request is tried all the same.
    service, path = api.app.state.service, tmp_path / "kafka.properties"
    path.write_text("message.max.bytes=2000\n")
    service.sender.close()
    service.settings = settings.model_copy(update={"kafka_properties": path})
    del service.sender
    assert (await send(api, event("large", {"text": "a" * 5_000}))).status_code == 202
    assert (await send(api, event("small"))).status_code == 202
    assert [row[1] for row in rows(connection)] == [False, True, False, True]


async def test_a_receipt_that_cannot_be_stored_leaves_events_that_count_once_when_sent_again(
    api: Api, world: tuple[Settings, psycopg.Connection[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the process is killed between the two."""
    settings, connection = world
    assert (await send(api, founding())).status_code == 202
    with monkeypatch.context() as patched:
        fail_to_receive(api, patched)
        assert_problem(await send(api, event("again")), 500, "internal-error")
    assert (waiting(settings), len(rows(connection))) == (1, 1)
    assert (await send(api, event("again"))).status_code == 202
    report = run_ingestion(settings, Lake(settings.lake_url), BEGINNING, datetime.now(UTC))
    assert report.counts() == {"received": 3, "accepted": 2, "duplicate": 1, "quarantined": 0}
    assert rows(connection) == []


async def test_a_broker_that_is_away_is_a_503_and_nothing_is_acknowledged(
    api: Api, world: tuple[Settings, psycopg.Connection[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, connection = world
    monkeypatch.setattr(topic_writer, "DELIVERY_SECONDS", 2)
    own = Broker()
    service = api.app.state.service
    service.settings = settings.model_copy(update={"kafka_brokers": own.address})
    assert (await send(api, event("e-1"))).status_code == 202
    own.stop()
    for _ in range(2):  # the second is refused at once, and queues nothing
        answer = await send(api, event("e-2"))
        assert_problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "5"
    assert [row[2] for row in rows(connection)] == [[0]]
    # What waits there cannot be read either; and is not called unknown.
    monkeypatch.setattr("valueverse.platform.kafka.topic_reader._SILENCE_SECONDS", 0.3)
    assert (await fate(api, "e-1"))["status"] == 503
    assert (await send(api, founding())).status_code == 202
