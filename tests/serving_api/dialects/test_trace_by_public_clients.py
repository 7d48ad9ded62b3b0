"""The real trace of the demonstration, sent by other systems' clients: the same invoices as from files, to the cent."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
import stripe
from lago_python_client.client import Client as Lago
from lago_python_client.models import BatchEvent, Event
from metronome import Metronome
from openmeter import Client as OpenMeter
from orb import Orb

from tests.support.node import ROOT, installed, run_node
from tests.support.serving_process import running
from valueverse.demo import northwind
from valueverse.demo.files import ndjson
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.billing.run_billing import bill
from valueverse.services.ingestion.run_ingestion import run_ingestion
from valueverse.services.usage.derive_usage import derive_facts, lake_dates, meter
from valueverse.services.usage.refresh_facts import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
DATA = ROOT / "data"
NODE_CLIENTS = ROOT / "tests" / "node" / "public_clients"
TENANTS = ("by-files", "by-lago", "by-openmeter", "by-others")
NOVEMBER, LATER = date(2023, 11, 1), datetime(2024, 1, 15, tzinfo=UTC)
OF_SENDING = ("tenant", "number", "basis", "content_hash", "previous_hash")
"""What documents may differ in: whose they are, and what was known when."""
Sent = dict[str, Any]
"""An event of the trace as files have it."""


def _billing(tenant: str) -> bytes:
    """What northwind-ai's files say about customers, prices and subscriptions, of another tenant."""
    return ndjson(northwind.billing_events()).replace(northwind.TENANT.encode(), tenant.encode())


def _parts(events: list[Sent], size: int) -> Iterator[list[Sent]]:
    return (events[first : first + size] for first in range(0, len(events), size))


def _with_openmeter(address: str, key: str, events: list[Sent]) -> None:
    client = OpenMeter(endpoint=f"{address}/compat/openmeter", token=key)
    for part in _parts(events, 5_000):
        client.events.ingest_events([{name: one[name] for name in one if name != "tenant"} for one in part])


def _with_lago(address: str, key: str, events: list[Sent]) -> None:
    client = Lago(api_key=key, api_url=f"{address}/compat/lago/")
    for part in _parts(events, 5_000):
        sent = [
            Event(
                transaction_id=one["id"],
                external_subscription_id=f"{one['subject']}-inference",
                code=one["type"],
                timestamp=one["time"],
                properties=one["data"],
            )
            for one in part
        ]
        client.events.batch_create(BatchEvent(events=sent))


def _meter_event(one: Sent) -> Any:
    payload = {"stripe_customer_id": one["subject"]} | {name: str(value) for name, value in one["data"].items()}
    return {"event_name": one["type"], "identifier": one["id"], "timestamp": one["time"], "payload": payload}


def _with_stripe(address: str, key: str, events: list[Sent]) -> None:
    base = f"{address}/compat/stripe"
    bases: Any = {"api": base, "meter_events": base}
    client = stripe.StripeClient(key, base_addresses=bases)
    for one in events[:10]:
        moment = datetime.fromisoformat(one["time"])
        client.v1.billing.meter_events.create(_meter_event(one) | {"timestamp": int(moment.timestamp())})
    for one in events[10:20]:
        client.v2.billing.meter_events.create(_meter_event(one))
    session = client.v2.billing.meter_event_session.create()
    streaming = stripe.StripeClient(session.authentication_token, base_addresses=bases)
    for part in _parts(events[20:], 100):
        streaming.v2.billing.meter_event_stream.create({"events": [_meter_event(one) for one in part]})


def _with_metronome(address: str, key: str, events: list[Sent]) -> None:
    client = Metronome(bearer_token=key, base_url=f"{address}/compat/metronome")
    for part in _parts(events, 2_000):
        usage: Any = [
            {
                "transaction_id": one["id"],
                "customer_id": one["subject"],
                "event_type": one["type"],
                "timestamp": one["time"],
                "properties": one["data"],
            }
            for one in part
        ]
        client.v1.usage.ingest(usage=usage)


def _with_orb(address: str, key: str, events: list[Sent]) -> None:
    client = Orb(api_key=key, base_url=f"{address}/compat/orb/v1")
    for part in _parts(events, 2_000):
        sent: Any = [
            {
                "idempotency_key": one["id"],
                "external_customer_id": one["subject"],
                "event_name": one["type"],
                "timestamp": datetime.fromisoformat(one["time"]),
                "properties": one["data"],
            }
            for one in part
        ]
        assert client.events.ingest(events=sent).validation_failed == []


def _with_node(address: str, key: str, shares: list[list[Sent]], folder: Path) -> None:
    """By the npm packages of OpenMeter, Lago and Stripe, a share each."""
    files = []
    for number, share in enumerate(shares):
        files.append(folder / f"{number}.ndjson")
        files[-1].write_bytes(ndjson(share))
    run_node("clients.js", "send", address, *files, folder=installed(NODE_CLIENTS), more={"KEY": key})


def _send(address: str, keys: dict[str, str], events: list[Sent], folder: Path) -> None:
    """The whole trace by OpenMeter's client and by Lago's; by the others, which take small requests, in shares."""
    _with_openmeter(address, keys["by-openmeter"], events)
    _with_lago(address, keys["by-lago"], events)
    others = keys["by-others"]
    _with_stripe(address, others, events[:1_020])
    _with_metronome(address, others, events[1_020:8_000])
    _with_orb(address, others, events[8_000:16_000])
    _with_node(address, others, [events[16_000:21_000], events[21_000:27_185], events[27_185:]], folder)


def _run(settings: Settings) -> None:
    """What the pipeline does with what is received, up to invoices."""
    lake = Lake(settings.lake_url)
    report = run_ingestion(settings, lake, BEGINNING, LATER)
    assert report.counts()["quarantined"] == 0
    derive_facts(lake)
    meter(lake, lake_dates(lake, date.min, date.max))
    bill(settings, lake, NOVEMBER, NOVEMBER, as_of=LATER, run_id="trace")


def _landed(settings: Settings) -> list[Sent]:
    """Billing events of all tenants and the trace of one of them, as files; the events of the trace."""
    traces = {
        name: northwind.usage_lines(pl.read_csv(DATA / f"{name}.csv", infer_schema=False), name)
        for name in northwind.TRACES
    }
    for tenant in TENANTS:
        (settings.landing / tenant).mkdir()
        (settings.landing / tenant / "billing.ndjson").write_bytes(_billing(tenant))
    for name, lines in traces.items():
        own = lines.replace(northwind.TENANT.encode(), b"by-files")
        (settings.landing / "by-files" / f"{name}.ndjson").write_bytes(own)
    return [json.loads(line) for lines in traces.values() for line in lines.splitlines()]


def _keys(settings: Settings) -> dict[str, str]:
    keys = {}
    with connect(settings, "builder") as connection:
        for tenant in TENANTS[1:]:
            connection.execute(
                "insert into billing.tenant (tenant_id, name, timezone, currency) values (%s, %s, 'UTC', 'USD')",
                [tenant, tenant],
            )
            keys[tenant] = issue_api_key(connection, tenant, ["events:write", "billing:read"])
    return keys


def _invoices(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """The finalised documents of each tenant by customer, without what is of their sending."""
    found: dict[str, list[dict[str, Any]]] = {tenant: [] for tenant in TENANTS}
    query = "select tenant_id, document from billing.invoice where status = 'finalised' order by tenant_id, customer"
    with connect(settings, "builder") as connection:
        for tenant, text in connection.execute(query).fetchall():
            document = json.loads(text)
            found[tenant].append({name: document[name] for name in document if name not in OF_SENDING})
    return found


def test_the_real_trace_sent_by_public_clients_comes_to_the_invoices_of_its_files(
    module_settings: Settings, tmp_path: Path
) -> None:
    events, keys = _landed(module_settings), _keys(module_settings)
    assert len(events) == 28_185
    with running(module_settings, keys, tmp_path / "api.log") as server:
        _send(server.address, keys, events, tmp_path)
        _run(module_settings)
        more = {"KEY": keys["by-others"]}
        read = json.loads(run_node("clients.js", "read", server.address, folder=NODE_CLIENTS, more=more))
    found = _invoices(module_settings)
    for tenant in TENANTS:
        totals = [(one["customer"], one["total"]) for one in found[tenant]]
        assert totals == [("chat", "138.28"), ("code-assistant", "78.81")], tenant
        assert found[tenant] == found["by-files"], tenant
    # What OpenMeter's client reads is what the invoices say; the subscriptions are over, so nothing of them runs.
    lines = [line for one in found["by-others"] for line in one["lines"] if line["key"] == "context_tokens"]
    chat, code = (int(Decimal(line["quantity"]) * 1000) for line in lines)
    november = "2023-11-01T00:00:00.000Z"
    assert read == {
        "meters": ["context_tokens", "generated_tokens", "requests"],
        "usage": [["chat", november, chat], ["code-assistant", november, code]],
        "lago": "object_not_found",
        "stripe": "StripeAuthenticationError",
    }
