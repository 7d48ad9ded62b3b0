"""The Python client over a transport that answers as a test says: sessions, retries, problems, pages."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from valueverse_client import Asked, AsyncClient, Client, Place, ProblemError, Retries, problems
from valueverse_client.requests import asked

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "vv_aaaaaaaaaaaa_secret"
QUICK = Retries(first_wait=0.001, longest_wait=0.002, jitter=0.0)
NONE_THERE = {"data": [], "has_more": False, "next_cursor": None}


class Answers:
    """An API that opens sessions, and answers everything else as ``answer`` says."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response], *, lifetime: int = 300) -> None:
        self.answer, self.lifetime = answer, lifetime
        self.asked: list[httpx.Request] = []
        self.sessions: list[str] = []
        self.good_refresh: set[str] = set()
        self.refused: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/sessions/refresh":
            token = json.loads(request.content)["refresh_token"]
            if token not in self.good_refresh:
                return problem("invalid-credentials", 401)
            self.good_refresh.remove(token)
            return self._opened(token)
        if request.url.path == "/v1/sessions" and request.method == "POST":
            time.sleep(0.02)  # as long as others need to come for a session too
            return self._opened(request.headers["authorization"])
        self.asked.append(request)
        if request.headers["authorization"] in self.refused:
            return problem("invalid-token", 401)
        return httpx.Response(204) if request.method == "DELETE" else self.answer(request)

    def _opened(self, by: str) -> httpx.Response:
        self.sessions.append(by)
        number = len(self.sessions)
        self.good_refresh.add(f"vvr_{number}")
        session = {"access_token": f"t{number}", "refresh_token": f"vvr_{number}", "token_type": "Bearer"}
        return httpx.Response(200, json=session | {"expires_in": self.lifetime})

    def client(self, **options: Any) -> Client:
        return Client(KEY, "http://api.test", transport=httpx.MockTransport(self), **{"retries": QUICK, **options})

    def sent(self, header: str) -> list[str | None]:
        return [one.headers.get(header) for one in self.asked]


def problem(name: str, status: int, *, after: str | None = None, **more: Any) -> httpx.Response:
    document = {"type": f"urn:valueverse:problem:{name}", "title": "T", "status": status, "detail": "D", **more}
    headers = {"content-type": "application/problem+json"} | ({} if after is None else {"retry-after": after})
    return httpx.Response(status, content=json.dumps(document), headers=headers)


def in_turn(*answers: httpx.Response | Exception) -> Callable[[httpx.Request], httpx.Response]:
    """Answers one after the other."""
    left = list(answers)

    def answer(_: httpx.Request) -> httpx.Response:
        one = left.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    return answer


def test_the_api_key_is_sent_to_open_a_session_alone_and_the_session_is_ended() -> None:
    api = Answers(lambda _: httpx.Response(200, json=NONE_THERE))
    with api.client() as client:
        client.get_invoices()
        client.get_customers()
    assert api.sessions == [f"Bearer {KEY}"]
    assert [(one.method, one.url.path) for one in api.asked[2:]] == [("DELETE", "/v1/sessions")]
    assert api.sent("authorization") == ["Bearer t1"] * 3
    assert set(api.sent("api-version")) == {"2026-11-01"}


def test_a_session_is_renewed_before_it_ends_with_each_refresh_token_once() -> None:
    api = Answers(lambda _: httpx.Response(200, json=NONE_THERE), lifetime=30)  # over as soon as it begins
    with api.client() as client:
        client.get_invoices()
        client.get_invoices()
        api.good_refresh.clear()
        client.get_invoices()
    assert api.sessions[:3] == [f"Bearer {KEY}", "vvr_1", f"Bearer {KEY}"]
    assert api.sent("authorization")[:3] == ["Bearer t1", "Bearer t2", "Bearer t3"]


def test_threads_share_one_session_and_one_renewal() -> None:
    api = Answers(lambda _: httpx.Response(200, json=NONE_THERE))
    with api.client() as client, ThreadPoolExecutor(8) as pool:
        together = threading.Barrier(8)

        def ask(_: int) -> None:
            together.wait()
            client.get_invoices()

        list(pool.map(ask, range(8)))
        assert api.sessions == [f"Bearer {KEY}"]
        api.refused = {"Bearer t1"}
        list(pool.map(ask, range(8)))
    assert api.sessions == [f"Bearer {KEY}", "vvr_1"]


def test_tasks_of_an_event_loop_do_too_and_rows_are_iterated() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        cursor = request.url.params.get("cursor")
        assert request.url.params["customer"] == "c"
        row = {"number": cursor or "first"}
        return httpx.Response(200, json={"data": [row], "has_more": not cursor, "next_cursor": None if cursor else "x"})

    api = Answers(answer)

    async def main() -> list[Any]:
        async with AsyncClient(KEY, "http://api.test", transport=httpx.MockTransport(api), retries=QUICK) as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(lambda: client.get_invoices(customer="c"))
            return [row["number"] async for row in client.iterate_invoices(customer="c")]

    assert anyio.run(main) == ["first", "x"]
    assert api.sessions == [f"Bearer {KEY}"]
    with api.client() as client:
        assert [row["number"] for row in client.iterate_invoices(customer="c")] == ["first", "x"]


def test_a_write_keeps_its_key_and_its_bytes_however_often_it_is_sent() -> None:
    done = httpx.Response(201, json={"status": "recorded"})
    failures = (httpx.ReadTimeout("slow"), problem("internal-error", 500), problem("unavailable", 503, after="0"))
    in_flight = problem("idempotency-in-flight", 409, after="0")
    api = Answers(in_turn(*failures, in_flight, done, done))
    with api.client() as client:
        written = client.post_payments({"invoice": "n-1", "amount": "1.10", "currency": "EUR"})
        first = list(api.asked)
        client.post_payments({"invoice": "n-1", "amount": "1.10", "currency": "EUR"}, idempotency_key="mine")
    assert written == {"status": "recorded"}
    assert len(first) == 5
    assert len({(one.headers["idempotency-key"], one.content) for one in first}) == 1
    assert len(first[0].headers["idempotency-key"]) == 36
    assert api.asked[5].headers["idempotency-key"] == "mine"


@pytest.mark.parametrize(
    ("failure", "times"),
    [
        (httpx.ReadTimeout("slow"), 1),
        (problem("internal-error", 500), 1),
        (problem("unavailable", 503, after="0"), 2),
        (httpx.ConnectError("nobody"), 2),
    ],
    ids=["no answer", "500", "503", "no connection"],
)
def test_a_post_without_a_key_is_sent_again_only_where_nothing_was_done(failure: Any, times: int) -> None:
    api = Answers(in_turn(failure, httpx.Response(200, json={"ok": True})))
    with api.client() as client:
        if times == 1:
            with pytest.raises((ProblemError, httpx.TransportError)):
                client.post_catalogs_check("currency: EUR")
        else:
            client.post_catalogs_check("currency: EUR")
    assert len([one for one in api.asked if one.method == "POST"]) == times


def test_what_is_refused_is_an_exception_of_its_kind_with_places_and_is_not_sent_again() -> None:
    places = [{"path": "body.currency", "message": "ISO 4217"}]
    answers = (
        problem("invalid-request", 422, errors=places, instance="urn:uuid:1"),
        problem("conflict", 409),
        problem("of-tomorrow", 418),
        httpx.Response(400, text="<html>"),
        httpx.Response(307, headers={"location": "http://elsewhere.test"}),
    )
    api = Answers(in_turn(*answers))
    with api.client() as client:
        with pytest.raises(problems.InvalidRequestError) as refused:
            client.post_customers({"customer": "c"})
        with pytest.raises(problems.ConflictError):
            client.post_customers({"customer": "c"})
        for status, kind in ((418, "urn:valueverse:problem:of-tomorrow"), (400, "about:blank"), (307, "about:blank")):
            with pytest.raises(ProblemError) as other:
                client.get_me()
            assert (other.value.status, other.value.type) == (status, kind)
    error = refused.value
    assert (error.type, error.detail, error.instance) == ("urn:valueverse:problem:invalid-request", "D", "urn:uuid:1")
    assert error.places == (Place("body.currency", "ISO 4217"),)
    assert "body.currency: ISO 4217" in str(error)


def test_waits_double_up_to_a_bound_and_what_the_server_asks_for_is_waited_in_full() -> None:
    plan = Retries(first_wait=1.0, longest_wait=5.0, jitter=0.5)
    for failures, wait in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (1000, 5.0)):
        assert wait <= plan.wait_after(failures) < wait + 0.5
    assert 40 <= plan.wait_after(1, 40.0) < 40.5
    limited = ProblemError({"type": "x"}, 429, retry_after=40.0)
    assert 40 <= plan.after(limited, repeatable=False) < 40.5
    assert plan.after(ProblemError({"type": "x"}, 429, retry_after=3600.0), repeatable=True) is False
    assert len({plan.wait_after(1) for _ in range(50)}) > 1


def test_a_client_gives_up_after_its_attempts() -> None:
    api = Answers(lambda _: problem("unavailable", 503))
    with api.client(retries=Retries(attempts=3, first_wait=0.001, jitter=0.0)) as client:
        with pytest.raises(problems.UnavailableError):
            client.get_me()
        assert len(api.asked) == 3


def test_keys_dates_and_bodies_are_written_as_the_api_reads_them() -> None:
    day, moment = date(2024, 5, 1), datetime(2024, 5, 1, 9, tzinfo=UTC)
    usage = asked("GET", "/v1/customers/{key}/usage", {"key": "a/b c?"}, {"from": day, "to": None, "known_at": moment})
    assert usage == Asked(
        "GET", "/v1/customers/a%2Fb%20c%3F/usage", {"from": "2024-05-01", "known_at": "2024-05-01T09:00:00+00:00"}
    )
    body = asked("POST", "/x", {}, body={"amount": Decimal("1E+2"), "at": moment}).content
    assert body == b'{"amount":"100","at":"2024-05-01T09:00:00+00:00"}'
    assert asked("POST", "/x", {}, body="a: 1").headers["Content-Type"] == "application/yaml"
    without_zone = moment.replace(tzinfo=None)
    for wrong, kind in (({"n": float("nan")}, ValueError), ({"n": {1}}, TypeError), ({"at": without_zone}, ValueError)):
        with pytest.raises(kind):
            asked("POST", "/x", {}, body=wrong)


def test_a_file_comes_as_bytes_and_headers_by_send() -> None:
    api = Answers(in_turn(httpx.Response(200, content=b"%PDF", headers={"content-type": "application/pdf"}),
                          httpx.Response(200, json={}, headers={"etag": '"1"'})))  # fmt: skip
    with api.client() as client:
        assert client.get_invoice_file("n-1", format="pdf") == b"%PDF"
        assert client.send(Asked("GET", "/v1/value-models/m")).headers["etag"] == '"1"'
    assert api.asked[0].url.params["format"] == "pdf"
