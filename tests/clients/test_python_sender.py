"""The Python sender over a transport that fails as a test says: nothing that was taken is lost or gets another id."""

from __future__ import annotations

import gzip
import json
import stat
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from valueverse_client import AsyncSender, Batching, Retries, Sender, SpoolFullError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUICK = Retries(first_wait=0.001, longest_wait=0.002, jitter=0.0)
SECONDS = 60
PATIENT = Batching(linger=SECONDS)
"""Events wait for a flush, so that a test knows what is sent together."""


class Receiver:
    """``POST /v1/events``: stores what comes, unless ``before`` answers first."""

    def __init__(self, before: Callable[[list[dict[str, Any]]], httpx.Response | None] = lambda _: None) -> None:
        self.before = before
        self.requests: list[list[dict[str, Any]]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer vv_k"
        events = [json.loads(line) for line in gzip.decompress(request.content).splitlines()]
        self.requests.append(events)
        return self.before(events) or stored(events)

    @property
    def ids(self) -> list[str]:
        return [one["id"] for events in self.requests for one in events]

    def sender(self, spool: Path, **options: Any) -> Sender:
        given = {"source": "s", "retries": QUICK, "batching": PATIENT, **options}
        return Sender("vv_k", "http://api.test", spool=spool, transport=httpx.MockTransport(self), **given)


def stored(events: list[dict[str, Any]]) -> httpx.Response:
    results = [{"source": one["source"], "id": one["id"], "status": "accepted", "leaf": ""} for one in events]
    return httpx.Response(202, json={"results": results})


def usage(number: int | str, **more: Any) -> Any:
    return {"type": "call", "subject": "c", "id": f"e-{number}", "data": {"n": 1}, **more}


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "below" / "usage.spool"


def test_events_are_sent_in_batches_in_their_order_with_what_was_left_out_filled(spool: Path) -> None:
    receiver = Receiver()
    with receiver.sender(spool, batching=Batching(events=2, linger=SECONDS)) as sender:
        named = sender.add({"type": "call", "data": {"amount": Decimal("0.1")}})
        sender.add_all([usage(number) for number in range(4)])
        sender.flush(SECONDS)
        assert sender.waiting == 0
        assert sender._spool._number("pragma synchronous") == 2  # full: what is taken is synced to the disk
        assert {stat.S_IMODE(path.stat().st_mode) for path in spool.parent.iterdir()} == {0o600}
    assert [len(events) for events in receiver.requests] == [2, 2, 1]
    assert receiver.ids == [named, "e-0", "e-1", "e-2", "e-3"]
    first = receiver.requests[0][0]
    assert {**first, "time": ""} == {
        "specversion": "1.0", "id": named, "source": "s", "type": "call", "time": "", "data": {"amount": "0.1"},
    }  # fmt: skip
    assert first["time"].endswith("+00:00")


def test_a_full_batch_goes_at_once_and_a_lone_event_after_a_while(spool: Path) -> None:
    receiver = Receiver()
    with receiver.sender(spool, batching=Batching(events=2, linger=0.01)) as sender:
        sender.add(usage(1))
        with sender._changed:
            assert sender._changed.wait_for(lambda: sender.waiting == 0, SECONDS)
    assert receiver.ids == ["e-1"]


def test_what_was_taken_while_the_network_is_away_is_sent_by_the_next_sender_with_the_same_ids(spool: Path) -> None:
    def away(_: Any) -> httpx.Response:
        raise httpx.ConnectError("away")

    first = Receiver(away)
    sender = first.sender(spool)
    ids = sender.add_all([usage(1), {"type": "call", "data": {}}])
    with pytest.raises(TimeoutError, match="2 events are not sent yet: away"):
        sender.flush(0.05)
    assert isinstance(sender.failure, httpx.ConnectError)
    assert sender.close(0) == 2
    assert sender.close() == 0
    second = Receiver()
    with second.sender(spool) as sender:
        sender.flush(SECONDS)
        assert sender.failure is None
    assert second.ids == ids


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(401, json={}),
        httpx.Response(429, headers={"retry-after": "0"}),
        httpx.Response(200, text="<html>sign in to this network</html>"),
        httpx.Response(202, text="<html>"),
        httpx.Response(202, json={"results": []}),
        httpx.Response(302, headers={"location": "http://elsewhere.test"}),
    ],
    ids=["500", "401", "429", "a portal", "no JSON", "no result", "elsewhere"],
)
def test_whatever_else_answers_only_the_apis_own_word_removes_an_event(spool: Path, answer: httpx.Response) -> None:
    answers = [answer, answer]
    receiver = Receiver(lambda _: answers.pop() if answers else None)
    with receiver.sender(spool) as sender:
        sender.add(usage(1))
        sender.flush(SECONDS)
    assert receiver.ids == ["e-1"] * 3


def test_a_batch_that_is_refused_is_divided_and_the_event_at_fault_set_aside(spool: Path) -> None:
    def refuse(events: list[dict[str, Any]]) -> httpx.Response | None:
        return httpx.Response(400, json={}) if any(one["id"] == "e-3" for one in events) else None

    receiver, refused = Receiver(refuse), []
    with receiver.sender(spool, on_refused=refused.append) as sender:
        sender.add_all([usage(number) for number in range(6)])
        sender.flush(SECONDS)
    answered = [one["id"] for events in receiver.requests if refuse(events) is None for one in events]
    assert answered == ["e-0", "e-1", "e-2", "e-4", "e-5"]
    [result] = refused
    assert (result["status"], result["message"]) == ("refused", "HTTP status 400 (400): about:blank")
    with receiver.sender(spool) as sender:
        [(line, reason)] = sender._spool._connection.execute("select line, reason from set_aside").fetchall()
    assert (json.loads(line)["id"], reason) == ("e-3", result["message"])


def test_what_the_api_quarantines_is_reported_and_a_report_that_fails_stops_nothing(
    spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def quarantine(events: list[dict[str, Any]]) -> httpx.Response:
        results = json.loads(stored(events).content)["results"]
        wrong = {"status": "refused", "reason": "bad_time", "message": "no time"}
        return httpx.Response(202, json={"results": [one | wrong for one in results]})

    def fail(_: Any) -> None:
        raise RuntimeError("cannot report")

    receiver = Receiver(quarantine)
    for report in (None, fail):
        with receiver.sender(spool, on_refused=report) as sender:
            sender.add(usage(1))
            sender.flush(SECONDS)
            sender.add(usage(2))
            sender.flush(SECONDS)
    assert [record.message for record in caplog.records] == [
        "event e-1 was refused: no time", "event e-2 was refused: no time", "on_refused failed", "on_refused failed",
    ]  # fmt: skip


def test_a_spool_is_bounded_and_takes_again_what_it_has_sent(spool: Path) -> None:
    away = threading.Event()
    receiver = Receiver(lambda _: None if away.is_set() else httpx.Response(503))
    large = usage("large", data={"text": "x" * 50_000})
    with receiver.sender(spool, batching=Batching(linger=SECONDS, spool=200_000)) as sender:
        with pytest.raises(SpoolFullError, match="200000 bytes"):
            [sender.add(large) for _ in range(10)]
        assert 1 < sender.waiting < 4
        away.set()
        sender.flush(SECONDS)
        sender.add(large)
        sender.flush(SECONDS)


def test_what_is_no_event_is_refused_before_it_is_taken(spool: Path) -> None:
    receiver = Receiver()
    with receiver.sender(spool) as sender:
        for wrong, kind in (
            (usage(1, data={"x": "y" * (1 << 20)}), ValueError),
            (usage(2, data={"x": {1}}), TypeError),
        ):
            with pytest.raises(kind):
                sender.add_all([usage(0), wrong])
        assert sender.waiting == 0


def test_threads_and_processes_may_share_a_spool(spool: Path) -> None:
    receiver = Receiver()
    with receiver.sender(spool) as one, receiver.sender(spool) as other:
        threads = [
            threading.Thread(target=sender.add_all, args=([usage(f"{name}-{n}") for n in range(50)],))
            for name, sender in (("a", one), ("b", other), ("c", one))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        one.flush(SECONDS)
        other.flush(SECONDS)
    assert len(set(receiver.ids)) == 150


def test_an_event_loop_sends_too(spool: Path) -> None:
    receiver = Receiver()

    async def main() -> None:
        async with AsyncSender(receiver.sender(spool)) as sender:
            await sender.add(usage(1))
            await sender.add_all([usage(2)])
            await sender.flush(SECONDS)

    anyio.run(main)
    assert receiver.ids == ["e-1", "e-2"]
