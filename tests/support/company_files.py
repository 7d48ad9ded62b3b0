"""Companies as files of events, taken through every stage: ingestion to marts, value models and re-rating included."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import date, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from quality.gate import decide_release
from quality.leakage import flag_leakage
from quality.reconciliation import reconcile
from tests.support import commits
from tests.support.ledger import instant
from tests.support.publishing import dbt
from tests.support.value_models import saved_model
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.billing.book_journal import book_journal
from valueverse.services.billing.reproducibility_check import reproduce
from valueverse.services.billing.rerate import RerateRequest, apply, plan
from valueverse.services.billing.run_billing import bill
from valueverse.services.ingestion.file_status import publish_ingestion
from valueverse.services.ingestion.ingest import ingest
from valueverse.services.simulation.simulate import read_catalog
from valueverse.services.usage.derive_usage import derive_facts, lake_dates, meter
from valueverse.services.value.commits import approve_commit, commit_model, fee_proposals
from valueverse.services.value.track_value import track_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.support.companies import Measured
    from valueverse.platform.settings import Settings

FIRST = date(2024, 1, 1)
RUNS = ("2024-02-03", "2024-03-03", "2024-04-03")
"""The present of each run; what was received by then is known."""
MONTHS = ("2024-01", "2024-02", "2024-03")
MODEL = saved_model()
"""A model that every company commits to for its customer c0; plan ``worth`` bills what it says was saved."""


def events(world: Measured) -> list[tuple[datetime, dict[str, Any]]]:
    """Each event of a world with when it is received."""
    common = {"specversion": "1.0", "source": "test", "tenant": world.tenant}
    founding = {"tenant": world.tenant, "name": world.tenant, "country": "DE", "tax_id": "DE123456789"}
    first = common | {"id": "founding", "type": "billing.tenant.created", "time": "2023-01-01T00:00:00Z"}
    found = [(instant("2023-01-01"), first | {"data": founding})]
    for row in world.facts:
        attributes = {
            "id": row["id"],
            "type": row["type"],
            "time": row["time"].isoformat(),
            "data": json.loads(row["data"]),
        }
        found.append((row["received_at"], common | attributes))
        if row.get("known_until"):
            void = attributes | {"id": f"{row['id']}v", "replaces": row["id"], "data": None}
            found.append((row["known_until"], common | void))
    amended = {row["id"] for row in world.usage if row["id"].endswith("a")}
    for row in world.usage:
        subject = f"{row['customer']}/{row['subscription']}" if row.get("subscription") else row["customer"]
        data = {"n": str(row["value"])} | json.loads(row["dimensions"] or "{}")
        attributes = {
            "id": row["id"],
            "type": "used",
            "time": row["time"].isoformat(),
            "subject": subject,
            "data": data,
        }
        if row["id"] in amended:
            attributes["replaces"] = row["id"].removesuffix("a")
        found.append((row["received_at"], common | attributes))
        if row.get("known_until") and f"{row['id']}a" not in amended:
            void = attributes | {"id": f"{row['id']}v", "replaces": row["id"], "data": None}
            found.append((row["known_until"], common | void))
    for number, (time, subject, n, op) in enumerate(world.seen):
        attributes = {"id": f"s{number}", "type": "seen", "time": time.isoformat(), "subject": subject}
        found.append((time, common | attributes | {"data": {"n": n, "op": op}}))
    return found


def run_all(settings: Settings, worlds: Sequence[Measured]) -> dict[str, list[str]]:
    """Take the worlds through every stage, run by run, and publish the marts.

    Returns:
        By tenant, results of stages that no table stores, as text.
    """
    lake, before = Lake(settings.lake_url), instant("2000-01-01")
    verdicts: dict[str, list[str]] = {world.tenant: [] for world in worlds}
    for number, at in enumerate(RUNS):
        moment = instant(at)
        for world in worlds:
            _land(settings.landing / world.tenant / f"{at}.ndjson", world, before, moment)
        before = moment
        report = ingest(lake, settings.landing, settings.home / "index", moment)
        derive_facts(lake)
        meter(lake, lake_dates(lake, date.min, date.max))
        with connect(settings, "builder") as connection:
            publish_ingestion(connection, report)
            connection.commit()
        last = moment.date().replace(day=1)
        measured = (last - timedelta(days=1)).replace(day=1)
        track_value(settings, lake, FIRST, measured, as_of=moment, run_id="run")
        for world in worlds:
            with _at(moment):
                verdicts[world.tenant] += _agree(settings, world, number)
        bill(settings, lake, FIRST, last, as_of=moment, run_id="run")
        if number == 1:
            for world in worlds:
                verdicts[world.tenant].append(_rerate(settings, lake, world, moment))
        book_journal(settings, lake, as_of=moment, run_id="run")
    for month in MONTHS:
        reconcile(settings, lake, month, None, run_id="run")
        decide_release(settings, [month], run_id="run")
    again = reproduce(settings, lake, [date.fromisoformat(f"{month}-01") for month in MONTHS])
    flag_leakage(settings, lake, date(2024, 3, 31))
    for tenant, number, expected, found, ok in again.rows():
        verdicts.setdefault(tenant, []).append(f"reproduced {number} {expected} {found} {ok}")
    dbt(settings, "build", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
    return verdicts


def _land(path: Path, world: Measured, before: datetime, moment: datetime) -> None:
    lines = [json.dumps(one) for received, one in events(world) if before < received <= moment]
    path.parent.mkdir(parents=True, exist_ok=True)
    # One line is refused, and one comes twice.
    path.write_text("".join(f"{line}\n" for line in [*lines, lines[0], "{"]), encoding="utf-8")


def _at(moment: datetime) -> ExitStack:
    """What people do is done microsecond by microsecond from this instant on: the time stands in what they sign."""
    ticks = count(1)

    class Then(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return moment.astimezone(tz) + timedelta(microseconds=next(ticks))

    stack = ExitStack()
    for module in (commit_model, approve_commit, fee_proposals):
        stack.enter_context(patch.object(module, "datetime", Then))
    return stack


def _agree(settings: Settings, world: Measured, run: int) -> list[str]:
    """What people of a company do about value in each run: commit, answer proposals, commit again, close."""
    tenant, found = world.tenant, []
    terms: dict[str, Any] = {"scenario": "agreed", "seed": 1, "author": "ann", "customer": "c0"}
    if run == 1:
        found.append(_commit(settings, tenant, terms | {"start": "2024-01-01", "parent": None, "reason": None}))
    if run == 2:
        (first,) = [row["commit"] for row in commits.log(settings, tenant)]
        named = [row["proposal"] for row in commits.listed(settings, tenant, instant(RUNS[run]))]
        verdicts = (("accepted", None), ("disputed", "not us"), ("withdrawn", "wrong"))
        for proposal, (verdict, reason) in zip(named, verdicts, strict=False):
            options = {"by": "carl", "reason": reason}
            found.append(json.dumps(commits.answer(settings, tenant, proposal, verdict, options)))
        more = {"start": "2024-05-01", "parent": first, "reason": "more"}
        found.append(_commit(settings, tenant, terms | more))
    return found


def _commit(settings: Settings, tenant: str, terms: dict[str, Any]) -> str:
    made = commits.commit(settings, tenant, json.dumps(MODEL), terms, None)
    for side, person in (("vendor", "vera"), ("customer", "carl")):
        commits.approve(settings, tenant, made["commit"], side, person)
    return json.dumps(made)


def other_catalog(settings: Settings, world: Measured) -> Path:
    """A file with a company's catalog under which a fee costs more."""
    path = settings.home / f"{world.tenant}.json"
    catalog = json.loads(world.facts[0]["data"])
    for offered in catalog["plans"]:
        offered["fees"][0]["amount"] = "61.07"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(catalog), encoding="utf-8")
    return path


def _rerate(settings: Settings, lake: Lake, world: Measured, moment: datetime) -> str:
    """Apply another catalog to what was billed of January; the next run books the difference."""
    catalog = read_catalog(other_catalog(settings, world))
    asked = RerateRequest((world.tenant,), date(2023, 12, 31), date(2024, 2, 1), (), catalog)
    shown = plan(settings, lake, asked, as_of=moment)[0]
    return f"{json.dumps(shown)} {apply(settings, lake, shown, asked, as_of=moment)}"


def rows_of(settings: Settings, tenant: str, without: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Every row that the warehouse's tables and views hold of a tenant, as text, less these columns."""
    tables = (
        "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "join pg_attribute a on a.attrelid = c.oid where n.nspname not in ('pg_catalog', 'information_schema') "
        "and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition and a.attname = 'tenant_id' order by 1"
    )
    with connect(settings, "admin") as connection:
        for (name,) in connection.execute(tables).fetchall():
            rows = connection.execute(
                f"select (to_jsonb(t) - %s::text[])::text from {name} as t where tenant_id = %s",
                [list(without), tenant],
            ).fetchall()
            yield name, sorted(text for (text,) in rows)
