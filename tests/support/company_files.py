"""Companies as files of events, taken through ingestion, metering, billing, the journal and the marts."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from assets.steps.bill import bill
from assets.steps.book_journal import book_journal
from assets.steps.ingest import ingest
from assets.steps.meter import derive_facts, lake_dates, meter
from assets.steps.publish import publish_ingestion
from quality.reconciliation import reconcile
from tests.support.ledger import instant
from tests.support.publishing import dbt
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.ledger import World
    from valueverse.platform.settings import Settings

FIRST = date(2024, 1, 1)
RUNS = ("2024-02-03", "2024-03-03", "2024-04-03", "2024-05-03")
"""The present of each run; what was received by then is known."""
MONTHS = ("2024-01", "2024-02", "2024-03", "2024-04")


def events(world: World) -> list[tuple[datetime, dict[str, Any]]]:
    """Each event of a world with when it is received."""
    common = {"specversion": "1.0", "source": "test", "tenant": world.tenant}
    founding = {"tenant": world.tenant, "name": world.tenant}
    first = common | {"id": "founding", "type": "billing.tenant.created", "time": "2023-01-01T00:00:00Z"}
    found = [(instant("2023-01-01"), first | {"data": founding})]
    for row in world.facts:
        said = {"id": row["id"], "type": row["type"], "time": row["time"].isoformat(), "data": json.loads(row["data"])}
        found.append((row["received_at"], common | said))
    amended = {row["id"] for row in world.usage if row["id"].endswith("a")}
    for row in world.usage:
        subject = f"{row['customer']}/{row['subscription']}" if row.get("subscription") else row["customer"]
        data = {"n": str(row["value"])} | json.loads(row["dimensions"] or "{}")
        said = {"id": row["id"], "type": "used", "time": row["time"].isoformat(), "subject": subject, "data": data}
        if row["id"] in amended:
            said["replaces"] = row["id"].removesuffix("a")
        found.append((row["received_at"], common | said))
        if row.get("known_until") and f"{row['id']}a" not in amended:
            void = said | {"id": f"{row['id']}v", "replaces": row["id"], "data": None}
            found.append((row["known_until"], common | void))
    return found


def run_all(settings: Settings, worlds: Sequence[World]) -> Lake:
    """Take the worlds through every stage, run by run, and publish the marts."""
    lake, before = Lake(settings.lake_url), instant("2000-01-01")
    for at in RUNS:
        moment = instant(at)
        for world in worlds:
            lines = [json.dumps(one) for received, one in events(world) if before < received <= moment]
            path = settings.landing / world.tenant / f"{at}.ndjson"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        before = moment
        report = ingest(lake, settings.landing, settings.home / "index", moment)
        derive_facts(lake)
        meter(lake, lake_dates(lake, date.min, date.max))
        with connect(settings, "builder") as connection:
            publish_ingestion(connection, report)
            connection.commit()
        bill(settings, lake, FIRST, moment.date().replace(day=1), as_of=moment, run_id="run")
        book_journal(settings, lake, as_of=moment, run_id="run")
    for month in MONTHS:
        reconcile(settings, lake, month, None, run_id="run")
    _release(settings)
    dbt(settings, "build", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
    return lake


def _release(settings: Settings) -> None:
    """Release every month of every tenant: what the gate thinks of them is judged elsewhere."""
    with connect(settings, "builder") as connection:
        connection.execute(
            "insert into billing.release (tenant_id, period, status, run_id, decided_at) select tenant_id, period, "
            "'released', 'run', now() from billing.tenant cross join unnest(%s::text[]) as p(period)",
            [list(MONTHS)],
        )
        connection.commit()


def rows_of(settings: Settings, tenant: str, without: Sequence[str]) -> dict[str, list[str]]:
    """Every row that the tables of billing and of the marts hold of a tenant, as text, less these columns."""
    tables = (
        "select table_schema || '.' || table_name from information_schema.columns "
        "where table_schema in ('billing', 'marts') and column_name = 'tenant_id' order by 1"
    )
    with connect(settings, "builder") as connection:
        names = [name for (name,) in connection.execute(tables).fetchall()]
        return {
            name: sorted(
                text
                for (text,) in connection.execute(
                    f"select (to_jsonb(t) - %s::text[])::text from {name} as t where tenant_id = %s",
                    [list(without), tenant],
                ).fetchall()
            )
            for name in names
        }
