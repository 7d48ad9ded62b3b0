"""Messages of a topic are taken once, whatever is killed; what is wrong with one of them is its sender's alone."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.broker import PARTITIONS
from tests.support.forking import Forks
from tests.support.landing import NOW, Harbour, counts, event, founding
from valueverse.errors import RefusalError
from valueverse.platform.kafka.topic_reader import PartitionEnds, TopicReader
from valueverse.platform.servers.processes import wait_until
from valueverse.platform.settings import Settings
from valueverse.services.ingestion import topic as reading
from valueverse.services.ingestion.file_manifest import record_published
from valueverse.services.ingestion.ingest import IngestionReport, ingest
from valueverse.services.ingestion.topic import Topic, lags_of, topic_lags
from valueverse.services.lake_tables import EVENTS_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.broker import Broker

LINES = b'{"specversion":"1.0",\r\n"id":"lines",\n"source":"s","type":"call",'
LINES += b'"subject":"c","time":"2024-05-01T00:00:00Z","data":{"n":1}}'
FAR = {"time": (NOW + timedelta(hours=30)).isoformat()}


@pytest.fixture
def settings(broker: Broker, tmp_path: Path) -> Settings:
    """A lake of the test's own, and a topic."""
    return Settings(home=tmp_path, kafka_brokers=broker.address, kafka_topic=tmp_path.name)


def take(settings: Settings, now: datetime = NOW) -> IngestionReport:
    harbour = Harbour(settings.home)
    with closing(TopicReader(settings)) as reader:
        topic = Topic(settings.kafka_topic, reader, settings.home / "topic")
        report = ingest(harbour.lake, settings.landing, settings.home / "index", now, topic=topic)
    record_published(harbour.lake)
    return report


def waiting(settings: Settings) -> dict[int, int]:
    return {one.partition: one.waiting for one in topic_lags(settings)}


def test_messages_are_events_of_the_tenant_that_their_key_names(settings: Settings, broker: Broker) -> None:
    harbour, name = Harbour(settings.home), settings.kafka_topic
    broker.send(name, [("acme", founding()), ("birch", founding("birch")), ("birch", event("e-1"))], 0)
    broker.send(name, [("acme/c-1", event("e-1", {"n": 1.10})), ("acme/c-2", event("e-2"))], 1)
    assert waiting(settings) == {0: 3, 1: 2, 2: 0, 3: 0}
    report = take(settings)
    assert counts(report) == {
        f"acme/kafka/{name}/0/0.ndjson": (1, 1, 0, 0),
        f"birch/kafka/{name}/0/0.ndjson": (2, 2, 0, 0),
        f"acme/kafka/{name}/1/0.ndjson": (2, 2, 0, 0),
    }
    events = harbour.events().select("tenant", "id", "file", "line")
    assert events.rows() == [
        ("acme", "e-1", f"acme/kafka/{name}/1/0.ndjson", 0),
        ("acme", "e-2", f"acme/kafka/{name}/1/0.ndjson", 1),
        ("acme", "founding", f"acme/kafka/{name}/0/0.ndjson", 0),
        ("birch", "e-1", f"birch/kafka/{name}/0/0.ndjson", 2),
        ("birch", "founding", f"birch/kafka/{name}/0/0.ndjson", 1),
    ]
    assert waiting(settings) == dict.fromkeys(range(PARTITIONS), 0)
    assert report.ignored == []
    version = harbour.lake.version(EVENTS_TABLE)
    # The same event again is a duplicate, by whichever partition and door.
    broker.send(name, [("acme", event("e-1", {"n": 1.10}))], 3)
    harbour.land("acme/a.ndjson", event("e-2"))
    assert [row[1:] for row in counts(take(settings)).values()] == [(0, 1, 0), (0, 1, 0)]
    assert counts(take(settings)) == {}
    assert harbour.lake.version(EVENTS_TABLE) == version + 2
    assert not list((settings.home / "topic").rglob("*"))


def test_what_cannot_be_read_is_in_quarantine_at_its_offset_and_stops_nobody(
    settings: Settings, broker: Broker
) -> None:
    harbour, name = Harbour(settings.home), settings.kafka_topic
    card = event("card", {"customer": "c-1", "name": "4111111111111111"}, type="billing.customer.created")
    broker.send(
        name,
        [
            ("acme", founding()), ("acme", b"{"), ("birch", founding("birch")), ("acme", None), ("acme", b" \r\n"),
            ("acme", b"\xff\xfe"), (None, event("a")), ("Not A Key", b"\n{}"), (b"\xff", card),
            (None, founding("stray")), ("acme", LINES), ("birch", event("e-1")),
            ("nobody", event("e-1")),
        ],
        2,
    )  # fmt: skip
    report = take(settings)
    assert harbour.ids() == ["lines", "e-1"]
    found = harbour.quarantine().select("tenant", "file", "line", "reason").rows()
    own, strays = f"acme/kafka/{name}/2/0.ndjson", f"kafka/{name}/2/0.ndjson"
    assert found == [
        ("acme", own, 1, "malformed"), ("acme", own, 3, "malformed"), ("acme", own, 4, "malformed"),
        ("acme", own, 5, "malformed"), (None, strays, 6, "unknown_tenant"), (None, strays, 7, "unknown_tenant"),
        (None, strays, 8, "payment_instrument"), (None, strays, 9, "unknown_tenant"),
        ("nobody", f"nobody/{strays}", 12, "unknown_tenant"),
    ]  # fmt: skip
    assert "4111" not in str(harbour.quarantine()["raw"].to_list())
    [ignored] = report.ignored
    assert ignored.name == f"topic {name}/2"
    assert "4 messages from offset 6 on" in ignored.reason
    assert set(report.files["tenant_id"]) == {"acme", "birch", "nobody"}
    assert waiting(settings) == dict.fromkeys(range(PARTITIONS), 0)


def test_an_event_is_judged_as_of_the_moment_at_which_it_was_received(settings: Settings, broker: Broker) -> None:
    harbour, name = Harbour(settings.home), settings.kafka_topic
    late, early = NOW + timedelta(days=2), NOW - timedelta(days=2)
    broker.send(name, [("acme", founding())], 0, timestamp=_milliseconds(early))
    broker.send(name, [("acme", event("header", **FAR))], 0, headers={"received-at": NOW.isoformat().encode()})
    broker.send(
        name, [("acme", event("no header", **FAR))], 0, headers={"received-at": b"noon"}, timestamp=_milliseconds(NOW)
    )
    broker.send(name, [("acme", event("in time", **FAR))], 0, timestamp=_milliseconds(NOW + timedelta(hours=7)))
    # A timestamp of the future is none: it is received now.
    far = {"time": (late + timedelta(hours=30)).isoformat()}
    broker.send(name, [("acme", event("ahead", **far))], 0, timestamp=_milliseconds(late + timedelta(days=9)))
    take(settings, late)
    assert harbour.ids() == ["in time"]
    assert harbour.quarantine().select("id", "reason").rows() == [
        ("header", "too_far_future"), ("no header", "too_far_future"), ("ahead", "too_far_future"),
    ]  # fmt: skip


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def test_a_range_is_bounded_and_rounds_go_on_until_the_end(
    settings: Settings, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    harbour, name = Harbour(settings.home), settings.kafka_topic
    monkeypatch.setattr(reading, "_PARTITION_BYTES", 400)
    monkeypatch.setattr(reading, "_AT_ONCE", 1)
    broker.send(name, [("acme", founding()), *(("acme", event(f"e-{number}")) for number in range(6))], 0)
    broker.send(name, [("acme", event(f"f-{number}")) for number in range(3)], 1)
    found = counts(take(settings))
    assert len(found) > 4
    assert sum(one[1] for one in found.values()) == 10
    assert harbour.events().select("line", "id").filter(id="e-5").rows() == [(6, "e-5")]
    assert waiting(settings) == dict.fromkeys(range(PARTITIONS), 0)


def test_a_tenant_that_was_made_before_its_first_message_is_known(
    settings: Settings, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How far the topic is read is decided before anything else is looked into."""
    harbour = Harbour(settings.home)
    broker.send(settings.kafka_topic, [("birch", founding("birch"))], 0)
    ends = TopicReader.ends

    def meanwhile(reader: TopicReader) -> list[PartitionEnds]:
        found = ends(reader)
        harbour.land("acme/a.ndjson", founding())
        broker.send(settings.kafka_topic, [("acme", event("e-1"))], 0)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(TopicReader, "ends", meanwhile)
        take(settings)
    take(settings)
    assert harbour.ids() == ["e-1"]
    assert harbour.quarantine().is_empty()


def test_what_is_wrong_with_a_partition_is_reported(tmp_path: Path) -> None:
    lake = Harbour(tmp_path).lake
    lake.append_all(EVENTS_TABLE, [], positions={"a": 10, "b": 10, "c": 10})
    ends = [PartitionEnds(0, 12, 15, "a"), PartitionEnds(1, 0, 9, "b"), PartitionEnds(2, 3, 15, "c")]
    lost, remade, good = lags_of(ends, lake)
    assert (lost.next_offset, lost.waiting, lost.usable) == (12, 3, True)
    assert "messages 10 to 11 were deleted" in lost.problem
    assert (remade.waiting, remade.usable) == (9, False)
    assert "was made again" in remade.problem
    assert (good.waiting, good.problem) == (5, "")


def test_a_topic_that_does_not_answer_stops_no_file_and_is_taken_once_it_does(
    settings: Settings, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from valueverse.platform.kafka import topic_reader

    harbour = Harbour(settings.home)
    monkeypatch.setattr(topic_reader, "ANSWER_SECONDS", 0.3)
    harbour.land("acme/a.ndjson", founding(), event("file"))
    broker.send(settings.kafka_topic, [("acme", event("e-1"))])
    away = settings.model_copy(update={"kafka_brokers": "127.0.0.1:9"})
    [ignored] = take(away).ignored
    assert "Kafka does not answer" in ignored.reason
    assert harbour.ids() == ["file"]
    with pytest.raises(RefusalError, match="does not answer"):
        topic_lags(away)
    take(settings)
    assert harbour.ids() == ["e-1", "file"]


def test_properties_of_clients_are_read_from_a_file_that_is_never_quoted(tmp_path: Path) -> None:
    from valueverse.platform.kafka.connection import connection
    from valueverse.platform.kafka.topic_writer import properties

    path = tmp_path / "kafka.properties"
    path.write_text("# TLS\n\nsecurity.protocol = SASL_SSL\nsasl.password=a=b\nbootstrap.servers=elsewhere:1\n")
    found = connection(Settings(home=tmp_path, kafka_brokers="a:1,b:2", kafka_properties=path))
    assert (found["security.protocol"], found["sasl.password"]) == ("SASL_SSL", "a=b")
    assert found["bootstrap.servers"] == "a:1,b:2"
    path.write_text("acks=0\nenable.idempotence=false\n")
    written = properties(Settings(home=tmp_path, kafka_brokers="a:1", kafka_properties=path))
    assert (written["acks"], written["enable.idempotence"]) == ("all", True)
    path.write_text("security.protocol=SSL\nsecret words\n")
    with pytest.raises(RefusalError, match=r"line 2: write name=value") as caught:
        connection(Settings(home=tmp_path, kafka_properties=path))
    assert "secret" not in caught.value.message
    with pytest.raises(RefusalError, match="cannot be read"):
        connection(Settings(home=tmp_path, kafka_properties=tmp_path / "none"))


KILLED = """
import asyncio, itertools, json, os, signal
from pathlib import Path
import valueverse.services.ingestion.ingest as step
from valueverse.platform.dedup_index import DedupIndex
from valueverse.platform.kafka.topic_writer import TopicWriter
from valueverse.platform.settings import Settings
from valueverse.services.ingestion import topic
from tests.support.landing import event
from tests.services.ingestion import test_topic

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def after(function):
    def run(*arguments, **named):
        function(*arguments, **named)
        die()
    return run

async def send(settings, acknowledged):
    writer = TopicWriter(settings)
    for number in itertools.count():
        events = [event(f"{number}-{one}") for one in range(50)]
        await writer.write("acme", [json.dumps(one).encode() for one in events], [])
        acknowledged.write("".join(f"{one['id']}\\n" for one in events))
        acknowledged.flush()

def main(where, home, brokers, name):
    settings = Settings(home=home, kafka_brokers=brokers, kafka_topic=name)
    if where == "while sending":
        asyncio.run(send(settings, Path(home, "acknowledged").open("w")))
    if where == "after a file":
        topic.Topic._file = after(topic.Topic._file)
    elif where == "before quarantine":
        step._write_quarantine = die
    elif where == "after quarantine":
        step._write_quarantine = after(step._write_quarantine)
    elif where == "after the commit":
        DedupIndex.add = die
    elif where == "before the manifest":
        test_topic.record_published = die
    test_topic.take(settings)
"""
POINTS = [
    "after a file", "before quarantine", "after quarantine", "after the commit", "before the manifest",
]  # fmt: skip


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    found = Forks(KILLED)
    yield found
    found.close()


@pytest.mark.parametrize("point", POINTS)
def test_whatever_step_is_killed_no_message_is_lost_or_taken_twice(
    settings: Settings, broker: Broker, forks: Forks, point: str
) -> None:
    harbour, name = Harbour(settings.home), settings.kafka_topic
    broker.send(name, [("acme", founding()), ("acme", event("e-1")), ("acme", b"{"), ("birch", b"[")], 0)
    broker.send(name, [("acme", event("e-1")), ("acme", event("e-2"))], 1)
    child = forks.start(point, str(settings.home), str(settings.kafka_brokers), name)
    assert forks.wait(child) == -signal.SIGKILL
    # What comes in between is read with what the killed run had read.
    broker.send(name, [("acme", event("e-3")), ("acme", b"}")], 0)
    take(settings)
    take(settings, datetime.now(UTC))
    assert harbour.ids() == ["e-1", "e-2", "e-3"]
    assert harbour.quarantine().select("tenant", "line").rows() == [("acme", 2), ("acme", 5), ("birch", 3)]
    assert waiting(settings) == dict.fromkeys(range(PARTITIONS), 0)


def test_what_was_acknowledged_by_a_sender_that_is_killed_is_there_once(
    settings: Settings, broker: Broker, forks: Forks
) -> None:
    harbour, acknowledged = Harbour(settings.home), settings.home / "acknowledged"
    broker.send(settings.kafka_topic, [("acme", founding())])
    child = forks.start("while sending", str(settings.home), str(settings.kafka_brokers), settings.kafka_topic)
    assert wait_until(lambda: acknowledged.exists() and acknowledged.stat().st_size > 2000, lambda: True, 60)
    os.kill(child, signal.SIGKILL)
    assert forks.wait(child) == -signal.SIGKILL
    known = [line for line in acknowledged.read_text().split("\n")[:-1] if line]
    take(settings)
    taken = harbour.ids()
    assert len(known) >= 300
    assert set(known) <= set(taken)
    assert len(taken) == len(set(taken))
    # The sender has no answer to its last request, and sends it again.
    broker.send(settings.kafka_topic, [("acme", event(one)) for one in taken[-60:]])
    take(settings)
    assert harbour.ids() == taken
