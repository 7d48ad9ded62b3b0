"""What one tenant sends, however hostile, changes nothing for another and is answered with a reason."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from tests.support import hostile
from tests.support.hostile_files import files
from tests.support.hostile_values import ACCEPTED, BILLING, CATALOG, REASONS, Hostile
from tests.support.landing import Harbour, counts, event, founding
from valueverse.catalog.history import CatalogHistory
from valueverse.invoicing.engine import bill
from valueverse.invoicing.rendering.invoice_documents import build_invoice_documents
from valueverse.invoicing.usage_accounting import REASONS as UNBILLED
from valueverse.services.lake_tables import USAGE_TABLE
from valueverse.services.usage.derive_usage import derive_facts, lake_dates, meter
from valueverse.subscriptions.timeline import build_timeline

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.services.ingestion.ingest import IngestionReport

EVENTS, CATALOGS, FILES = 10_000, 300, 200
WINDOW = (date(2024, 1, 1), date(2024, 4, 1))
STARTED = {"customer": "c-1", "plan": "pro"}


def _good() -> list[dict[str, Any]]:
    """A tenant with the source, ids, customers and subscriptions of the hostile one."""
    stated = {
        "subscription.started": BILLING["subscription.started"] | STARTED | {"subscription": "s-1"},
        **{
            kind: BILLING[kind] | {"customer": "c-1"}
            for kind in ("customer.created", "coupon.applied", "wallet.granted")
        },
        "one_off.added": BILLING["one_off.added"] | {"customer": "c-1"},
    }
    facts = [
        event(f"evil-{number}", data, source="office", type=f"billing.{kind}", time="2024-01-05T00:00:00Z")
        for number, (kind, data) in enumerate(stated.items())
    ]
    usage = [hostile.usage(number + 100, subject="c-1") for number in range(200)]
    catalog = event("catalog", CATALOG, source="office", type="billing.catalog.published", time="2023-12-01T00:00:00Z")
    return [founding("good"), catalog, *facts, *usage]


def _land_good(harbour: Harbour) -> None:
    harbour.land("good/000.ndjson", *_good())


def _land_evil(harbour: Harbour, attacks: dict[str, list[Hostile]]) -> None:
    catalog = event("catalog", CATALOG, type="billing.catalog.published", time="2023-12-01T00:00:00Z")
    harbour.land("evil/000.ndjson", founding("evil"), catalog)
    for name, items in attacks.items():
        harbour.land(name, b"".join(item.content + b"\n" for item in items))
    for item in files(FILES):
        (harbour.home / "landing" / "evil" / item.name).write_bytes(item.content)


def _bills(harbour: Harbour) -> dict[str, list[str]]:
    """The documents of each tenant, all tenants billed together."""
    facts = derive_facts(harbour.lake)
    meter(harbour.lake, lake_dates(harbour.lake, date.min, date.max))
    history = CatalogHistory.from_facts(facts)
    timeline = build_timeline(facts, history.plans, None)
    billed = bill(timeline, history, harbour.lake.scan(USAGE_TABLE), WINDOW, known_at=None)
    found: dict[str, list[str]] = defaultdict(list)
    for document in build_invoice_documents(billed.invoices, billed.lines):
        found[document["tenant"]].append(json.dumps(document, sort_keys=True))
    return {tenant: sorted(texts) for tenant, texts in found.items()}


@pytest.fixture(scope="module")
def attacks() -> dict[str, list[Hostile]]:
    return {"evil/e.ndjson": list(hostile.events(EVENTS)), "evil/z.ndjson": list(hostile.catalogs(CATALOGS))}


@pytest.fixture(scope="module")
def attacked(
    tmp_path_factory: pytest.TempPathFactory, attacks: dict[str, list[Hostile]]
) -> tuple[Harbour, IngestionReport]:
    harbour = Harbour(tmp_path_factory.mktemp("attacked"))
    _land_good(harbour)
    _land_evil(harbour, attacks)
    return harbour, harbour.take()


def test_the_other_tenants_bills_are_the_same_to_the_byte(
    attacked: tuple[Harbour, IngestionReport], tmp_path: Path
) -> None:
    alone = Harbour(tmp_path)
    _land_good(alone)
    alone.take()
    bills = _bills(alone)
    assert len(bills["good"]) >= 3
    together = _bills(attacked[0])
    assert together["good"] == bills["good"]
    assert together["evil"]


def test_every_hostile_line_is_answered_with_a_reason_that_is_right(
    attacked: tuple[Harbour, IngestionReport], attacks: dict[str, list[Hostile]]
) -> None:
    harbour, report = attacked
    quarantine, accepted = harbour.quarantine(), harbour.events()
    wrong = []
    for name, items in attacks.items():
        mine = quarantine.filter(pl.col("file") == name)
        assert not mine.filter(pl.col("message").str.len_chars() == 0).height
        outcomes = dict.fromkeys(accepted.filter(pl.col("file") == name)["line"], ACCEPTED)
        outcomes |= dict(mine.select("line", "reason").iter_rows())
        received, _, duplicates, _ = counts(report)[name]
        unanswered = [item for line, item in enumerate(items, 1) if line not in outcomes and item.content.strip()]
        assert (received, len(unanswered)) == (len(items), duplicates)
        wrong += [
            (item, outcomes[line])
            for line, item in enumerate(items, 1)
            if outcomes.get(line, ACCEPTED) not in {*item.reasons, ACCEPTED}
        ]
    assert not wrong, wrong[:5]


def test_every_hostile_file_is_answered_and_counted(attacked: tuple[Harbour, IngestionReport]) -> None:
    harbour, report = attacked
    found = counts(report)
    quarantine = harbour.quarantine()
    assert set(quarantine["reason"]) <= set(REASONS)
    assert len(found) + len(report.ignored) == FILES + 4
    parts = pl.sum_horizontal("accepted", "duplicate", "quarantined")
    assert report.files.filter(pl.col("received") != parts).is_empty()
    assert not report.reasons["example"].str.contains(r"[\x00-\x1f\x7f]").any()
    refused = quarantine.filter(pl.col("line") == 0)
    assert set(refused["reason"]) == {"unreadable_file"}
    assert len(refused) > FILES / 10
    assert quarantine.height == sum(row[3] for row in found.values())
    assert harbour.events().height == sum(row[1] for row in found.values())
    assert set(harbour.quarantine().filter(pl.col("tenant") == "good")["reason"]) == set()


def test_usage_that_is_not_billed_says_why(attacked: tuple[Harbour, IngestionReport]) -> None:
    harbour = attacked[0]
    derive_facts(harbour.lake)
    statuses = meter(harbour.lake, lake_dates(harbour.lake, date.min, date.max)).counts
    assert set(statuses["status"]) <= {"ok", *UNBILLED}
    usage = harbour.lake.scan(USAGE_TABLE).collect()
    assert (
        usage.select("tenant", "source", "id").n_unique()
        == harbour.events().filter(~pl.col("type").str.starts_with("billing.")).height
    )
    assert int(usage["dimensions"].str.len_bytes().max() or 0) <= 1_400
    assert usage.filter(pl.col("status") == "too_long").height > 0
