"""Rows ``serve hot``, ``serve cold`` and ``serve tail``: one invoice of each of 6,000 tenants, read over HTTP."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.served_world import CONNECTIONS, TENANTS, bare_reply, loaded, served, warm, with_new_tokens
from tests.support.node import installed, run_node
from valueverse.platform.servers import postgres_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.served_world import ServedWorld

ROUNDS = 5
SECONDS = {"tiny": 1, "small": 3, "full": 5}
"""Of one measurement of a pair."""
_TAIL_SECONDS = {"tiny": 3, "small": 15, "full": 60}
_P95, _P99, _FAILED = 200, 500, 0.001
"""Bounds of the row ``serve tail``: milliseconds, milliseconds, share of the requests."""
_LOGIN_CONNECTIONS = 6
"""As many as a process of the API has."""
_LOOK_UP = r"""\set n random(0, {last})
select * from api.invoice('tenant-' || lpad((:n)::text, 4, '0'), 'tenant-' || lpad((:n)::text, 4, '0') || '-000001');
"""


def hot(size: str) -> Iterator[dict[str, Any]]:
    """Whatever is asked is at hand, against a bare Granian that sends the same bytes to the same requests."""
    with served() as world, bare_reply(world) as bare:
        pairs = _pairs(world, lambda seed: loaded(world, bare, SECONDS[size], seed), SECONDS[size])
        ours = statistics.median(one for one, _ in pairs)
        note = "as bare Granian with the same reply and workers, both asked by wrk on the same cores"
        yield _row("serve hot", pairs, ">= 0.5x, >= 10,000/s", f"{ours:,.0f} requests/s; {note}")


def cold(size: str) -> Iterator[dict[str, Any]]:
    """Nothing is cached, against the same function called by pgbench over as many connections as the API has."""
    with served({"api_cache_mib": 0}) as world:
        pairs = _pairs(world, lambda seed: _pgbench(world, SECONDS[size], seed), SECONDS[size])
        ours = statistics.median(one for one, _ in pairs)
        note = "as pgbench calling the same function by its prepared statement"
        yield _row("serve cold", pairs, ">= 0.5x", f"{ours:,.0f} requests/s; {note}")


def tail(size: str) -> Iterator[dict[str, Any]]:
    """Latencies at half of what is the most that is answered, by requests that are due whatever the server does."""
    with served() as world:
        peak = statistics.median(one for one, _ in _pairs(world, lambda _seed: 1.0, SECONDS[size]))
        with_new_tokens(world)
        found = _tail(world, int(peak / 2), _TAIL_SECONDS[size])
        failed = found["failed"] / found["requests"]
        worst = max(found["p97_5"] / _P95, found["p99"] / _P99, failed / _FAILED)
        yield {
            "row": "serve tail",
            "events": found["requests"],
            "ours_seconds": found["p99"] / 1000,
            "peer_seconds": _P99 / 1000,
            "ratio": round(worst, 2),
            "goal": "<= 1x",
            "note": f"{int(peak / 2):,} requests/s, half of the peak; p50 {found['p50']} ms, "
            f"p97.5 {found['p97_5']} ms (bound of p95: {_P95}), p99 {found['p99']} ms ({_P99}), {failed:.3%} failed",
        }


def _pairs(world: ServedWorld, peer: Callable[[int], float], seconds: int) -> Sequence[tuple[float, float]]:
    """Rates of ours and of the peer in turn, after a warm-up in which every token is seen once."""
    with_new_tokens(world)
    warm(world)
    return [(loaded(world, world.address, seconds, seed), peer(seed)) for seed in range(ROUNDS)]


def _row(name: str, pairs: Sequence[tuple[float, float]], goal: str, note: str) -> dict[str, Any]:
    """Seconds are those of a request, all cores together; the ratio is the median of the pairs'."""
    ours, peer = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    ratios = [one / other for one, other in pairs]
    return {
        "row": name,
        "events": TENANTS,
        "ours_seconds": round(1 / ours, 6),
        "peer_seconds": round(1 / peer, 6),
        "ratio": round(statistics.median(ratios), 2),
        "goal": goal,
        "note": f"{note}; {min(ratios):.2f} to {max(ratios):.2f}",
    }


def _pgbench(world: ServedWorld, seconds: int, seed: int) -> float:
    """Calls of ``api.invoice`` a second by the API's login."""
    script = world.folder / "look-up.sql"
    script.write_text(_LOOK_UP.format(last=TENANTS - 1))
    command = [
        *(str(postgres_server.binary("pgbench")), "--no-vacuum", "--protocol", "prepared", "--random-seed", str(seed)),
        *("--client", str(_LOGIN_CONNECTIONS), "--jobs", "1", "--time", str(seconds), "--file", str(script)),
        world.settings.postgres_url("api"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120, check=True)
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    if found is None or "failed transactions: 0 " not in done.stdout:
        raise SystemExit(f"serving bench: {done.stdout}{done.stderr}")
    return float(found.group(1))


def _tail(world: ServedWorld, rate: int, seconds: int) -> dict[str, Any]:
    """What autocannon measures."""
    folder = installed(Path(__file__).parent / "load")
    arguments: list[str | Path] = [world.address, world.requests, str(rate), str(seconds), str(CONNECTIONS)]
    found: dict[str, Any] = json.loads(run_node("tail.mjs", *arguments, folder=folder, seconds=seconds + 120))
    return found
