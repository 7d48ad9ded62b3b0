"""Rows ``http ingest``: events sent to the API in batches, against a bare COPY of the same rows in the same batches."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import orjson

from bench.served_world import served, tenant_of
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.served_world import ServedWorld

ROUNDS = 5
SENDERS = 4
"""Connections that send at once, on either side."""
GOALS = {100: ">= 0.15x", 1_000: ">= 0.4x"}
"""By events of a batch."""
EVENTS = {"tiny": 2_000, "small": 40_000, "full": 200_000}
"""Of one measurement."""


def run(size: str) -> Iterator[dict[str, Any]]:
    """A row for each size of a batch. Both sides commit each batch before the next one of its sender."""
    with served() as world:
        with connect(world.settings, "builder") as connection:
            key = issue_api_key(connection, tenant_of(0), ["events:write"])
        with connect(world.settings, "admin") as connection:
            connection.execute("create table public.bench_event (body text not null)")
        for batch, goal in GOALS.items():
            pairs = []
            for turn in range(ROUNDS + 1):
                batches = _batches(EVENTS[size], batch, f"{batch}-{turn}")
                ours = _rate(batches, lambda mine: _post(world, key, mine))
                peer = _rate(batches, lambda mine: _copy(world, mine))
                # The first round warms up.
                pairs += [(ours, peer)] if turn else []
            yield _row(f"http ingest {batch}", EVENTS[size], pairs, goal)


def _row(name: str, events: int, pairs: Sequence[tuple[float, float]], goal: str) -> dict[str, Any]:
    ours, peer = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    ratios = [one / other for one, other in pairs]
    return {
        "row": name,
        "events": events,
        "ours_seconds": round(events / ours, 3),
        "peer_seconds": round(events / peer, 3),
        "ratio": round(statistics.median(ratios), 3),
        "goal": goal,
        "note": f"{ours:,.0f} events/s over {SENDERS} connections, durable before each answer; "
        f"{min(ratios):.3f} to {max(ratios):.3f}",
    }


def _batches(events: int, batch: int, name: str) -> list[list[bytes]]:
    """Events that nobody has sent, as JSON texts."""

    def event(number: int) -> bytes:
        return orjson.dumps(
            {
                "specversion": "1.0",
                "id": f"{name}-{number}",
                "source": "gateway",
                "type": "api.usage",
                "subject": f"customer-{number % 50}",
                "time": f"2026-11-01T{number % 24:02d}:{number % 60:02d}:00Z",
                "data": {"model": "gpt-large", "input_tokens": number % 4096, "output_tokens": number % 777},
            }
        )

    return [[event(number) for number in range(first, first + batch)] for first in range(0, events, batch)]


def _rate(batches: Sequence[list[bytes]], send: Callable[[Sequence[list[bytes]]], None]) -> float:
    """Events a second when the batches are shared among the senders."""
    shares = [batches[sender::SENDERS] for sender in range(SENDERS)]
    began = time.perf_counter()
    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(send, shares))
    return sum(len(one) for one in batches) / (time.perf_counter() - began)


def _post(world: ServedWorld, key: str, batches: Sequence[list[bytes]]) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    with httpx.Client(base_url=world.address, headers=headers, timeout=60) as client:
        for batch in batches:
            answer = client.post("/v1/events", content=b"\n".join(batch))
            if answer.status_code != 202 or answer.json()["counts"]["accepted"] != len(batch):
                raise SystemExit(f"http ingest bench: {answer.status_code} {answer.text[:300]}")


def _copy(world: ServedWorld, batches: Sequence[list[bytes]]) -> None:
    with connect(world.settings, "admin") as connection:
        for batch in batches:
            with connection.cursor().copy("copy public.bench_event from stdin (format csv, quote E'\\x01')") as copy:
                copy.write(b"".join(b"\x01" + body + b"\x01\n" for body in batch))
            connection.commit()
