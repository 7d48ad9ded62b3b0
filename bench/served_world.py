"""What the rows of serving share: tenants with an invoice each, the API as it is run, and load on it from wrk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import polars as pl

from serving_api.security.tokens import Identity, Tokens
from valueverse.platform.access.signing_keys import KeyRing
from valueverse.platform.servers import api_services, processes, supervisor
from valueverse.platform.settings import Settings
from valueverse.platform.warehouse import connect, copy_frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TENANTS = 6_000
"""More than a minute's limit of each allows in a run, so that none is refused."""
CONNECTIONS = 64
LINES = 3
_PATIENCE = 60


@dataclass(frozen=True)
class ServedWorld:
    """Servers of one run.

    Attributes:
        settings: of the installation, whose database has the tenants.
        address: where the API answers.
        folder: for files of the run.
        requests: what wrk asks: an address and an access token a line.
    """

    settings: Settings
    address: str
    folder: Path
    requests: Path


@contextmanager
def served(own: Mapping[str, Any] | None = None) -> Iterator[ServedWorld]:
    """An installation of its own with Postgres, Valkey and the API, started as ``valueverse up`` starts them.

    Args:
        own: settings that differ from the usual ones.
    """
    with tempfile.TemporaryDirectory(prefix="valueverse-bench-") as name:
        folder = Path(name)
        port = processes.free_port(18_000, "", False, set())
        settings = Settings(home=folder / "home", postgres_port=0, api_port=port, **(own or {}))
        try:
            list(supervisor.up(settings, ["postgres", "valkey"]))
            _fill(settings)
            list(supervisor.up(settings, ["postgres", "valkey", "api"]))
            address = supervisor.url(settings, "api")
            if address is None:
                raise SystemExit("serving bench: the API does not run")
            world = ServedWorld(settings, address, folder, folder / "requests")
            with_new_tokens(world)
            yield world
        finally:
            list(supervisor.down(settings))


def tenant_of(number: int) -> str:
    """The key of a tenant."""
    return f"tenant-{number:04d}"


def number_of(number: int) -> str:
    """The number of its invoice."""
    return f"{tenant_of(number)}-000001"


def with_new_tokens(world: ServedWorld) -> None:
    """Write the requests: tokens are good for some minutes."""
    world.requests.write_text("".join(f"{path} {token}\n" for path, token in _asked(world.settings)))


def _asked(settings: Settings) -> Iterator[tuple[str, str]]:
    tokens = Tokens(KeyRing(settings.home / "keys"))
    for number in range(TENANTS):
        identity = Identity(tenant_of(number), "aaaaaaaaaaaa", frozenset({"billing:read"}), uuid.uuid4())
        yield f"/v1/invoices/{number_of(number)}", tokens.issue(identity)


def _document(number: int) -> str:
    line = {
        "key": "tokens", "kind": "usage", "description": "Tokens of the large model", "meter": "tokens",
        "dimensions": {"model": "gpt-large"}, "quantity": "15373.4", "tiers": [{"up_to": None, "unit": "0.003"}],
        "amount": "46.12", "amount_precise": "46.1202", "event_count": 2, "explains": None,
        "service_period": {"from": "2023-10-01T00:00:00Z", "to": "2023-11-01T00:00:00Z"},
    }  # fmt: skip
    document = {
        "number": number_of(number), "tenant": tenant_of(number), "customer": "customer", "subscription": "main",
        "status": "finalised", "currency": "USD", "issued_on": "2023-11-02", "due_on": None,
        "period": {"from": "2023-10-01T00:00:00Z", "to": "2023-11-01T00:00:00Z"},
        "lines": [{**line, "key": f"tokens-{turn}"} for turn in range(LINES)],
        "discounts": [], "taxes": [], "credits": [], "subtotal": "138.36", "discount_total": "0.00",
        "tax_total": "0.00", "total": "138.36", "credit_total": "0.00", "amount_due": "138.36",
        "basis": {"events_known_at": "2023-11-01T00:00:00Z"}, "content_hash": "0" * 64, "previous_hash": None,
    }  # fmt: skip
    return json.dumps(document, separators=(",", ":"), sort_keys=True)


def _fill(settings: Settings) -> None:
    """A finalised invoice of each tenant."""
    numbers = range(TENANTS)
    tenants = pl.DataFrame({"tenant_id": [tenant_of(number) for number in numbers]})
    start, end = datetime(2023, 10, 1, tzinfo=UTC), datetime(2023, 11, 1, tzinfo=UTC)
    invoices = tenants.with_columns(
        pl.Series("invoice_id", [str(uuid.uuid5(uuid.NAMESPACE_URL, tenant_of(number))) for number in numbers]),
        pl.Series("number", [number_of(number) for number in numbers]),
        pl.Series("document", [_document(number) for number in numbers]),
        *(pl.lit(value).alias(name) for name, value in {
            "sequence": 1, "status": "finalised", "customer": "customer", "subscription": "main", "currency": "USD",
            "period_from": start, "period_to": end, "events_known_at": end, "finalised_at": end,
            "invoice_type": "period", "issued_on": end.date(), "subtotal_minor": 13_836, "discount_total_minor": 0,
            "tax_total_minor": 0, "total_minor": 13_836, "credit_total_minor": 0, "amount_due_minor": 13_836,
            "content_hash": "0" * 64, "chain_hash": "0" * 64,
        }.items()),
    )  # fmt: skip
    with connect(settings, "builder") as connection:
        named = tenants.with_columns(
            pl.col("tenant_id").alias("name"), pl.lit("UTC").alias("timezone"), pl.lit("USD").alias("currency")
        )
        last = tenants.with_columns(pl.lit(1).alias("last_sequence"), pl.lit("0" * 64).alias("last_hash"))
        copy_frames(
            connection,
            {
                "billing.tenant": named,
                "billing.invoice": invoices,
                "billing.invoice_sequence": last,
            },
        )
        connection.commit()


@contextmanager
def bare_reply(world: ServedWorld) -> Iterator[str]:
    """The address of a bare Granian, with the API's command line, that sends what the API answers to every request."""
    path, token = world.requests.read_text().split("\n", 1)[0].split(" ")
    answer = httpx.get(f"{world.address}{path}", headers={"Authorization": f"Bearer {token}"})
    answer.raise_for_status()
    sent = [pair for pair in answer.headers.multi_items() if pair[0] not in {"date", "server", "transfer-encoding"}]
    reply = world.folder / "reply.json"
    reply.write_text(json.dumps({"headers": sent, "body": answer.text}))
    port = processes.free_port(18_100, "", False, set())
    command = [*api_services.arguments(port, world.settings.api_workers)[:-1], "bench.bare_reply:app"]
    environment = os.environ | {"BENCH_REPLY": str(reply)}
    process = subprocess.Popen([sys.executable, "-m", *command], env=environment, stdout=subprocess.DEVNULL)
    try:
        _until_it_answers(f"http://127.0.0.1:{port}/")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _until_it_answers(address: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            httpx.get(address)
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def warm(world: ServedWorld) -> None:
    """Ask each process of the API whatever is asked later, once at least."""
    asked = 0
    while asked < 2 * TENANTS * world.settings.api_workers:
        asked += int(2 * loaded(world, world.address, 2, -asked - 1))


def loaded(world: ServedWorld, address: str, seconds: int, seed: int) -> float:
    """Requests that wrk has answered a second, every one of them with success.

    Args:
        world: of the requests.
        address: of the server.
        seconds: how long.
        seed: of the order of the requests; below 0: they are asked in turn, beginning with this one.

    Raises:
        SystemExit: wrk is missing, or a request failed or was refused.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("serving bench: wrk is missing (Debian: apt install wrk)")
    command = [
        *(wrk, "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s", "--timeout", "20s"),
        *("--script", str(Path(__file__).with_name("wrk.lua")), address, "--", str(seed)),
    ]
    environment = os.environ | {"REQUESTS": str(world.requests)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds + 60, check=True)
    counted = json.loads(done.stderr.strip().splitlines()[-1])
    if counted["refused"] or counted["broken"] or not counted["requests"]:
        raise SystemExit(f"serving bench: {done.stderr.strip()}")
    rate: float = counted["requests"] / counted["microseconds"] * 1e6
    return rate
