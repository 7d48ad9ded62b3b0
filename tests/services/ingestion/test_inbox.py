"""What the API acknowledged is taken once: whatever is killed, however often it is sent, by whichever door."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

import polars as pl
import psycopg
import pytest

from tests.support.forking import Forks
from tests.support.inbox import receive
from tests.support.landing import NOW, Harbour, counts, event, founding
from tests.support.shared_servers import own_cluster
from valueverse.platform.lake import Lake
from valueverse.platform.servers import postgres_server, processes
from valueverse.platform.stores import inbox_store
from valueverse.platform.stores.event_store import EventStore
from valueverse.platform.warehouse import connect
from valueverse.services.billing.explain_event import explain_event
from valueverse.services.ingestion import inbox as draining
from valueverse.services.ingestion.file_manifest import record_published, taken_files
from valueverse.services.ingestion.inbox import Inbox, newest_request
from valueverse.services.ingestion.ingest import IngestionReport, ingest
from valueverse.services.ingestion.run_ingestion import run_ingestion
from valueverse.services.subscriptions.billing_log import read_log, waiting_requests
from valueverse.services.subscriptions.stated_money import Kind, MoneyQuestion, stated_money
from valueverse.services.usage.derive_usage import derive_facts
from valueverse.services.usage.refresh_facts import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
LINE = '{"specversion":"1.0","id":"exact","source":"s","type":"call","subject":"c-1","time":"2024-05-01T00:00:00Z",'
LINE += '"data":{"n":1.10}}'


@pytest.fixture
def world(module_settings: Settings, tmp_path: Any) -> Iterator[tuple[Settings, Harbour, psycopg.Connection[Any]]]:
    """An empty inbox, a landing folder and a lake of the test's own, and the builder's connection."""
    settings = module_settings.model_copy(
        update={"home": tmp_path, "external_landing": tmp_path / "landing", "external_lake_url": str(tmp_path / "lake")}
    )
    settings.landing.mkdir()
    with connect(settings, "builder", autocommit=True) as connection:
        connection.execute("delete from inbox.batch")
        yield settings, Harbour(tmp_path), connection


def take(settings: Settings, harbour: Harbour, connection: psycopg.Connection[Any]) -> IngestionReport:
    inbox = Inbox(connection, settings.home / "inbox")
    report = ingest(harbour.lake, settings.landing, settings.home / "index", NOW, inbox=inbox)
    record_published(harbour.lake)
    return report


def held(connection: psycopg.Connection[Any]) -> int:
    return int(connection.execute("select count(*) from inbox.batch").fetchall()[0][0])


def test_events_of_the_api_and_of_files_are_taken_together_and_the_inbox_is_empty_then(
    world: tuple[Settings, Harbour, psycopg.Connection[Any]],
) -> None:
    settings, harbour, connection = world
    harbour.land("acme/a.ndjson", founding(), event("e-1"))
    assert receive(settings, "acme", event("e-1"), event("e-2"), event("e-3", time="noon")) == {
        "accepted": 2, "duplicate": 0, "refused": 1,
    }  # fmt: skip
    receive(settings, "acme", event("e-2"), LINE, "{")
    receive(settings, "birch", founding("birch"), event("e-1"))
    assert newest_request(settings) is not None
    [waiting, other] = inbox_store.waiting(connection)
    assert (waiting["tenant"], waiting["requests"], waiting["events"]) == ("acme", 2, 6)
    assert other["tenant"] == "birch"
    report = take(settings, harbour, connection)
    taken = counts(report)
    assert taken.pop("acme/a.ndjson") == (2, 2, 0, 0)
    assert {name.rpartition("/")[0]: found for name, found in taken.items()} == {
        "acme/inbox": (6, 2, 2, 2), "birch/inbox": (2, 2, 0, 0),
    }  # fmt: skip
    acme = harbour.events().filter(pl.col("tenant") == "acme")
    assert sorted(acme["id"]) == ["e-1", "e-2", "exact", "founding"]
    assert acme.filter(pl.col("id") == "exact")["data"].to_list() == ['{"n":1.10}']
    assert acme["received_at"].unique().to_list() == [report.moment]
    assert harbour.quarantine()["reason"].to_list() == ["bad_time", "malformed"]
    assert held(connection) == 0
    assert newest_request(settings) is None
    assert not list((settings.home / "inbox").rglob("*.*"))
    assert counts(take(settings, harbour, connection)) == {}


def test_a_duplicate_is_one_however_long_ago_and_whatever_cache_was_lost(
    world: tuple[Settings, Harbour, psycopg.Connection[Any]],
) -> None:
    """Elsewhere duplicates were accepted again when the cache that knew them failed over."""
    settings, harbour, connection = world
    old = event("old", time="1999-12-31T23:59:59Z")
    receive(settings, "acme", founding(), old)
    take(settings, harbour, connection)
    for path in (settings.home / "index" / "keys").iterdir():
        path.unlink()
    receive(settings, "acme", old)
    receive(settings, "acme", old | {"data": {"n": 1.0}})
    report = take(settings, harbour, connection)
    [(received, accepted, duplicate, quarantined)] = counts(report).values()
    assert (received, accepted, duplicate, quarantined) == (2, 0, 2, 0)
    assert harbour.ids() == ["old"]


def test_what_was_refused_as_too_far_ahead_is_so_however_late_it_is_taken(
    world: tuple[Settings, Harbour, psycopg.Connection[Any]],
) -> None:
    """The sender was given that verdict, and has perhaps sent the event again with another id."""
    settings, harbour, connection = world
    early = NOW - timedelta(days=2)
    ahead = {"time": (early + timedelta(hours=25)).isoformat()}
    assert receive(settings, "acme", founding(), event("ahead", **ahead), at=early)["refused"] == 1
    assert receive(settings, "acme", event("in time", **ahead), at=NOW)["accepted"] == 1
    take(settings, harbour, connection)
    assert harbour.ids() == ["in time"]
    assert harbour.quarantine().select("id", "reason").rows() == [("ahead", "too_far_future")]


def test_a_drain_is_bounded_and_its_file_is_the_same_however_often_it_is_written(
    world: tuple[Settings, Harbour, psycopg.Connection[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, harbour, connection = world
    for number in range(5):
        receive(settings, "acme", event(f"e-{number}"))
    monkeypatch.setattr(draining, "_DRAIN_BYTES", 400)
    first, _ = Inbox(connection, settings.home / "inbox").files()
    receive(settings, "acme", event("later"))
    second, _ = Inbox(connection, settings.home / "inbox").files()
    assert 1 < len(first) < 5
    assert [(one.name, one.file_hash) for one in second[: len(first)]] == [(one.name, one.file_hash) for one in first]
    assert len(second) == len(first) + 1
    lines = "".join(one.path.read_text() for one in second).splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["e-0", "e-1", "e-2", "e-3", "e-4", "later"]
    harbour.land("acme/a.ndjson", founding())
    take(settings, harbour, connection)
    assert len(harbour.ids()) == 6


WRITTEN = (
    ("customer", "customer.created", {"customer": "c-1", "name": "First"}),
    ("paid", "payment.received", {"invoice": "F-1", "amount": "5", "currency": "EUR"}),
    ("credited", "credit_note.issued", {"invoice": "F-1", "amount": "1", "reason": "goodwill"}),
    ("added", "one_off.added", {"customer": "c-1", "description": "set-up", "amount": "9", "currency": "EUR"}),
    ("granted", "wallet.granted", {"customer": "c-1", "wallet": "w", "amount": "7", "currency": "EUR"}),
)


def written(mark: str) -> list[dict[str, Any]]:
    return [event(f"{key}-{mark}", data, type=f"billing.{kind}") for key, kind, data in WRITTEN]


def listed(settings: Settings, harbour: Harbour, between: Callable[[], object] = lambda: None) -> list[str]:
    """Ids that lists show; ``between`` is done after the inbox was read and before the lake is."""
    requests = waiting_requests(settings, "acme")
    between()
    log = read_log(harbour.lake, settings.landing, "acme", NOW, requests)
    facts = log.facts().filter(pl.col("type") == "billing.customer.created")["id"].to_list()
    kinds = get_args(Kind)
    rows = [stated_money(log, MoneyQuestion(kind, None, None, [None], 100)) for kind in kinds]
    return sorted([*facts, *(row["id"] for found in rows for row in found)])


def test_what_was_written_is_listed_at_every_step_of_an_ingestion(
    world: tuple[Settings, Harbour, psycopg.Connection[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere: credit notes went from 8 to 3 and back while a run took them (decision 1686)."""
    settings, harbour, connection = world
    seen: list[list[str]] = []

    def watch(owner: Any, name: str) -> None:
        done = getattr(owner, name)

        def step(*given: Any, **named: Any) -> Any:
            seen.append(listed(settings, harbour))
            return done(*given, **named)

        monkeypatch.setattr(owner, name, step)

    watch(Lake, "_write")
    watch(inbox_store, "delete_drain")
    expected: list[str] = []
    for mark in ("first", "second"):
        receive(settings, "acme", founding(), *written(mark), event(f"call-{mark}"))
        harbour.land(f"acme/{mark}.ndjson", *written(f"{mark}-landed"))
        expected = sorted([*expected, *(one["id"] for more in ("", "-landed") for one in written(mark + more))])
        seen.clear()
        # The reader has read the inbox when the whole ingestion happens.
        assert listed(settings, harbour, lambda: take(settings, harbour, connection)) == expected
        assert held(connection) == 0
        assert listed(settings, harbour) == expected  # no facts were derived yet
        derive_facts(harbour.lake)
        assert listed(settings, harbour) == expected
        assert seen
        assert all(found == expected for found in seen)


@pytest.mark.parametrize("first", [True, False])
def test_an_event_is_explained_whenever_it_is_taken(
    world: tuple[Settings, Harbour, psycopg.Connection[Any]], monkeypatch: pytest.MonkeyPatch, *, first: bool
) -> None:
    settings, harbour, connection = world
    receive(settings, "acme", founding(), *written("one"))
    wait = EventStore.waiting

    def waiting(store: EventStore, *given: Any) -> list[dict[str, Any]]:
        if first:
            take(settings, harbour, connection)
        found = wait(store, *given)
        if not first:
            take(settings, harbour, connection)
        return found

    monkeypatch.setattr(EventStore, "waiting", waiting)
    monkeypatch.setattr(EventStore, "rejection", lambda *_: None)
    [answer] = explain_event(EventStore(connection), harbour.lake, "s", "added-one", "acme")
    assert answer["outcome"] == "billing_event"


def test_a_damaged_request_stops_nobody_else(world: tuple[Settings, Harbour, psycopg.Connection[Any]]) -> None:
    settings, harbour, connection = world
    receive(settings, "acme", founding(), event("e-1"))
    receive(settings, "birch", founding("birch"), event("e-1"))
    connection.execute("update inbox.batch set body = 'no zstd' where tenant_id = 'acme'")
    report = take(settings, harbour, connection)
    assert harbour.events()["tenant"].unique().to_list() == ["birch"]
    [ignored] = report.ignored
    assert ignored.name.startswith("acme/inbox/")
    assert "damaged" in ignored.reason
    assert held(connection) == 1


def test_an_ingestion_records_what_came_by_the_api_in_the_warehouse(
    world: tuple[Settings, Harbour, psycopg.Connection[Any]],
) -> None:
    settings, harbour, connection = world
    receive(settings, "acme", founding(), event("e-1"), event("e-2", time="noon"))
    report = run_ingestion(settings, harbour.lake, BEGINNING, NOW)
    assert report.counts() == {"received": 3, "accepted": 2, "duplicate": 0, "quarantined": 1}
    rows = connection.execute("select tenant_id::text, file, received from billing.ingestion_file").fetchall()
    [(tenant, file, received)] = rows
    assert (tenant, received) == ("acme", 3)
    assert file.startswith("acme/inbox/")
    assert held(connection) == 0


KILLED = """
import os, signal
from datetime import UTC, datetime
from pathlib import Path
import valueverse.services.ingestion.ingest as step
from valueverse.landing import LandingFile
from valueverse.platform.dedup_index import DedupIndex
from valueverse.platform.lake import Lake
from valueverse.platform.settings import Settings
from valueverse.platform.stores import inbox_store
from valueverse.services.ingestion import inbox, run_ingestion
from valueverse.services.subscriptions.billing_log import read_log, waiting_requests
from valueverse.services.subscriptions.stated_money import Kind, MoneyQuestion, stated_money
from valueverse.services.usage.derive_usage import derive_facts
from valueverse.services.usage.refresh_facts import BEGINNING
from tests.support.inbox import receive
from tests.support.landing import NOW

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def after(function):
    def run(*arguments, **named):
        function(*arguments, **named)
        die()
    return run

def main(where, *given):
    settings = Settings(**dict(zip(given[::2], given[1::2])))
    if where == "before claim":
        inbox_store.claim = die
    elif where == "after claim":
        inbox_store.claim = after(inbox_store.claim)
    elif where == "within spool file":
        inbox_store.batches = lambda *_: iter([(NOW, 1, die())])
    elif where == "after spool file":
        inbox.Inbox._write = after(inbox.Inbox._write)
    elif where == "before quarantine":
        step._write_quarantine = die
    elif where == "after quarantine":
        step._write_quarantine = after(step._write_quarantine)
    elif where == "after commit":
        DedupIndex.add = die
    elif where == "before rows go":
        inbox_store.delete_drain = die
    elif where == "after rows went":
        inbox_store.delete_drain = after(inbox_store.delete_drain)
    elif where == "before warehouse":
        run_ingestion.publish_ingestion = die
    elif where == "before manifest":
        run_ingestion.record_published = die
    run_ingestion.run_ingestion(settings, Lake(settings.lake_url), BEGINNING, NOW)
"""
POINTS = [
    "before claim", "after claim", "within spool file", "after spool file", "before quarantine", "after quarantine",
    "after commit", "before rows go", "after rows went", "before warehouse", "before manifest",
]  # fmt: skip


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    found = Forks(KILLED)
    yield found
    found.close()


@pytest.mark.parametrize("point", POINTS)
def test_whatever_step_of_the_drain_is_killed_nothing_acknowledged_is_lost_or_doubled(
    world: tuple[Settings, Harbour, psycopg.Connection[Any]], forks: Forks, point: str
) -> None:
    settings, harbour, connection = world
    connection.execute("delete from billing.quarantine_summary; delete from billing.ingestion_file")
    receive(settings, "acme", founding(), event("e-1"), event("e-2", time="noon"))
    receive(settings, "acme", event("e-1"), event("e-3"))
    given = {name: str(getattr(settings, name)) for name in ("home", *sorted(settings.model_fields_set - {"home"}))}
    assert forks.wait(forks.start(point, *[word for pair in given.items() for word in pair])) == -signal.SIGKILL
    # What comes between the killed run and the next one is a drain of its own.
    receive(settings, "acme", event("e-4"), event("e-3"))
    run_ingestion(settings, harbour.lake, BEGINNING, NOW)
    assert harbour.ids() == ["e-1", "e-3", "e-4"]
    assert harbour.quarantine()["reason"].to_list() == ["bad_time"]
    assert held(connection) == 0
    totals = connection.execute(
        "select sum(received)::int, sum(accepted)::int, sum(duplicate)::int, sum(quarantined)::int"
        " from billing.ingestion_file"
    ).fetchall()
    assert totals == [(7, 4, 2, 1)]
    assert int(taken_files(harbour.lake)["received"].sum()) == 7
    assert not list((settings.home / "inbox").rglob("*.ndjson"))
    run_ingestion(settings, harbour.lake, BEGINNING, datetime.now(UTC))
    assert len(harbour.events()) == 4


def test_what_was_acknowledged_survives_a_kill_of_postgres_and_of_the_drain_that_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the server's default is to answer a commit before it is written."""
    with own_cluster() as settings:
        with connect(settings, "admin", autocommit=True) as admin:
            admin.execute("alter role valueverse_api set synchronous_commit = off")
            admin.execute("alter system set wal_writer_delay = '10s'")
            admin.execute("select pg_reload_conf()")
        settings.landing.mkdir(parents=True)
        harbour = Harbour(settings.home)
        receive(settings, "acme", founding(), event("e-1"))
        _killed_and_started_again(settings)
        with connect(settings, "builder") as connection:
            assert held(connection) == 1
        forget = inbox_store.delete_drain

        def killed(*arguments: Any) -> None:
            _killed_and_started_again(settings)
            forget(*arguments)

        monkeypatch.setattr(inbox_store, "delete_drain", killed)
        with pytest.raises(psycopg.OperationalError):
            run_ingestion(settings, harbour.lake, BEGINNING, NOW)
        monkeypatch.setattr(inbox_store, "delete_drain", forget)
        run_ingestion(settings, harbour.lake, BEGINNING, NOW)
        assert harbour.ids() == ["e-1"]
        with connect(settings, "builder") as connection:
            assert held(connection) == 0
            assert connection.execute("select received, accepted from billing.ingestion_file").fetchall() == [(2, 2)]


def _killed_and_started_again(settings: Settings) -> None:
    record = processes.read_record(settings.run, "postgres")
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    processes.wait_until(lambda: not processes.alive(record), lambda: True, 60)
    postgres_server.start(settings, durable=False)
