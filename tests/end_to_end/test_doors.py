"""The same events by file and over HTTP: the same invoices and the same journal, byte for byte."""

from __future__ import annotations

import asyncio
import json
import secrets
from datetime import date
from typing import TYPE_CHECKING

import pytest

from tests.support import shared_servers
from tests.support.companies import Company
from tests.support.company_files import FIRST, RUNS, events
from tests.support.ledger import instant
from tests.support.serving import bearer, serving
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.billing.book_journal import book_journal
from valueverse.services.billing.run_billing import bill
from valueverse.services.ingestion.run_ingestion import run_ingestion
from valueverse.services.lake_tables import EVENTS_TABLE, QUARANTINE_TABLE
from valueverse.services.usage.derive_usage import derive_facts, lake_dates, meter
from valueverse.services.usage.refresh_facts import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Callable

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
TENANT, SEED = "acme2", 8
DOCUMENTS = "select number, document, content_hash, chain_hash from billing.invoice order by sequence, invoice_id"
JOURNAL = """
    select e.kind, e.reference, e.date, p.position, p.account, p.amount_minor from billing.journal_entry e
      join billing.journal_posting p using (tenant_id, entry_id) order by 1, 2, 3, 4"""
COUNTS = """
    select sum(received)::int, sum(accepted)::int, sum(duplicate)::int, sum(quarantined)::int
      from billing.ingestion_file"""
OF_DOOR = ["file", "file_hash", "line"]


def by_file(settings: Settings, name: str, lines: list[str]) -> None:
    path = settings.landing / TENANT / f"{name}.ndjson"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def over_http(settings: Settings, name: str, lines: list[str]) -> None:
    """In three requests of two forms."""
    with connect(settings, "builder") as connection:
        key = issue_api_key(connection, TENANT, ["events:write", "billing:write"])
    third = len(lines) // 3
    bodies = [
        ("application/x-ndjson", "\n".join(lines[:third])),
        ("application/cloudevents-batch+json", f"[{','.join(lines[third:-2])}]"),
        ("application/x-ndjson", "\n".join(lines[-2:])),
    ]

    async def send() -> None:
        async with serving(settings, {TENANT: key}) as running:
            for kind, body in bodies:
                headers = bearer(key) | {"content-type": kind}
                answer = await running.client.post("/v1/events", content=body, headers=headers)
                assert answer.status_code == 202, answer.text

    asyncio.run(send())


def billed(
    servers: Settings, folder: pytest.TempPathFactory, deliver: Callable[[Settings, str, list[str]], None]
) -> dict[str, object]:
    """What a company comes to whose events are delivered so, run by run; what names the door is left out."""
    fresh = shared_servers.fresh(servers, f"t_{secrets.token_hex(6)}", folder.mktemp("door"), 31)
    settings = next(fresh)
    try:
        lake, before = Lake(settings.lake_url), instant("2000-01-01")
        sent = events(Company(TENANT, SEED).world)
        for at in RUNS:
            moment = instant(at)
            lines = [json.dumps(one) for received, one in sent if before < received <= moment]
            # The first comes twice, and one line is none.
            deliver(settings, at, [*lines, lines[0], '{"id":"odd"}'])
            before = moment
            run_ingestion(settings, lake, BEGINNING, moment)
            derive_facts(lake)
            meter(lake, lake_dates(lake, date.min, date.max))
            bill(settings, lake, FIRST, moment.date().replace(day=1), as_of=moment, run_id="run")
            book_journal(settings, lake, as_of=moment, run_id="run")
        with connect(settings, "builder") as connection:
            rows = {name: connection.execute(query.encode()).fetchall() for name, query in
                    (("documents", DOCUMENTS), ("journal", JOURNAL), ("counts", COUNTS))}  # fmt: skip
        accepted = lake.scan(EVENTS_TABLE).drop("file", "line").sort("source", "id").collect()
        refused = lake.scan(QUARANTINE_TABLE).drop(OF_DOOR).sort("received_at", "raw").collect()
        return {**rows, "events": accepted.rows(), "quarantine": refused.rows()}
    finally:
        next(fresh, None)


def test_the_same_events_by_file_and_over_http_give_the_same_invoices(
    servers: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files, requests = (billed(servers, tmp_path_factory, door) for door in (by_file, over_http))
    assert isinstance(files["documents"], list)
    assert len(files["documents"]) > 3
    for name, found in files.items():
        assert requests[name] == found, name
