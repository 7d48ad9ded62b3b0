"""No query reads a table that grows once per row of another: plans at 80,000 invoices, of every statement that runs.

Postgres itself writes down the plan of each statement of this database, those inside functions and triggers too, so a
query is judged because it ran and not because somebody listed it. Every function of the stores is called: one whose
parameters have no example here fails the test.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import psycopg
import pytest

import valueverse.platform
from quality import calendars
from quality.billed_queries import BILLED
from quality.expectations import per_month_and_tenant
from quality.month_slices import known_zones, rows_of
from quality.period import Month
from quality.rules import RULES
from tests.support import many_invoices
from tests.support.many_invoices import TENANTS
from valueverse.platform.isolation import Failure
from valueverse.platform.stores.billing_store import Scope
from valueverse.platform.warehouse import connect
from valueverse.schemas.operations import HELD_PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
GROWN = 10_000
"""Rows from which on a table counts as one that grows."""
NOW = datetime(2024, 1, 1, tzinfo=UTC)
FIRST = date(2023, 3, 1)


@dataclass
class Plans:
    """What the server wrote of the statements of this database, read from its log."""

    log: Path
    rows: dict[str, int]
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    place: int = 0

    def read(self) -> None:
        with self.log.open("rb") as file:
            file.seek(self.place)
            text = file.read().decode(errors="replace")
            self.place = file.tell()
        for found in re.finditer(r"plan:\n\t(\{\n.*?\n\t\})\n", text, re.DOTALL):
            logged = json.loads(found.group(1))
            self.seen[logged["Query Text"]] = logged["Plan"]

    def wrong(self) -> dict[str, list[str]]:
        found = {query: list(loops(plan, self.rows)) for query, plan in self.seen.items()}
        return {query: problems for query, problems in found.items() if problems}


def loops(plan: dict[str, Any], rows: dict[str, int], looped: str = "", times: float = 1) -> Iterator[str]:
    """What a plan does once per row of something else that reads the whole of a table that grows, or much of it.

    Args:
        plan: a node as EXPLAIN (FORMAT JSON) writes it.
        rows: by table, how many it has.
        looped: what runs the node again and again; empty: nothing does.
        times: how often, as estimated.
    """
    table, kind = plan.get("Relation Name", ""), plan["Node Type"]
    size, cost = rows.get(table, 0), plan["Total Cost"]
    if looped and (
        (kind == "Seq Scan" and size >= GROWN)
        or (kind in {"Materialize", "CTE Scan"} and plan["Plan Rows"] >= GROWN)
        # A look-up by index costs some ten; one that goes through all rows of a tenant is no look-up.
        or (size >= GROWN and cost > 200 and times * cost > 20 * size)
    ):
        yield f"{kind} of {table or plan.get('CTE Name', 'rows')} in {looped}"
    for node in plan.get("Plans", []):
        role, name = node["Parent Relationship"], node.get("Subplan Name", "")
        inner, often = looped, times
        if role == "Inner" and kind == "Nested Loop" and plan["Plans"][0]["Plan Rows"] > 1:
            inner, often = "the inner side of a nested loop", times * plan["Plans"][0]["Plan Rows"]
        elif role == "SubPlan" and f"hashed {name}" not in json.dumps(_conditions(plan)):
            inner, often = f"a correlated {name}", times * plan["Plan Rows"]
        elif role == "InitPlan":
            inner, often = "", 1
        yield from loops(node, rows, inner, often)


def _conditions(plan: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in plan.items() if name != "Plans"}


@pytest.fixture(scope="module")
def grown(module_settings: Settings) -> Settings:
    many_invoices.fill(module_settings)
    with connect(module_settings, "admin", autocommit=True) as connection:
        name = module_settings.database_name
        for setting in (
            "session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0",
            "auto_explain.log_nested_statements = on", "auto_explain.log_format = 'json'",
            "auto_explain.log_parameter_max_length = 0", "auto_explain.log_verbose = on",
        ):  # fmt: skip
            connection.execute(f'alter database "{name}" set {setting}')
    many_invoices.analyse(module_settings)
    return module_settings


@pytest.fixture(scope="module")
def plans(grown: Settings, servers: Settings) -> Plans:
    log = servers.logs / "postgres.log"
    with connect(grown, "admin") as connection:
        names = connection.execute(
            "select relname, oid::regclass::text from pg_class where relkind = 'r' and relnamespace in "
            "('billing'::regnamespace, 'value'::regnamespace)"
        ).fetchall()
        rows = {
            name: int(connection.execute(f"select count(*) from {table}".encode()).fetchone()[0])
            for name, table in names
        }
    return Plans(log, rows, place=log.stat().st_size)


@contextmanager
def undone(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    with connect(settings, "builder") as connection:
        yield connection
        connection.rollback()


def examples(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    """Arguments by ``function.parameter`` or by parameter."""
    invoices = pl.DataFrame(
        connection.execute(
            "select tenant_id::text, invoice_id::text, number from billing.invoice "
            "where status = 'finalised' and sequence % 5 = 0"
        ).fetchall(),
        schema=["tenant", "invoice_id", "number"],
        orient="row",
    )
    windows = pl.DataFrame({"tenant": TENANTS, "window_from": [NOW] * 4, "window_to": [NOW] * 4})
    commit, run = connection.execute(
        "select commit_id, run_hash from value.run where tenant_id = 't1' limit 1"
    ).fetchone()
    open_commit = connection.execute(
        "select commit_id from value.commit where sequence = 2000 and tenant_id = 't1'"
    ).fetchone()[0]
    run_row = {
        "tenant_id": "t1", "run_hash": "f" * 64, "commit_id": commit, "case_name": "forecast", "month": FIRST,
        "known_at": NOW, "content_hash": "f" * 64, "document": "{}", "run_id": "test", "computed_at": NOW,
    }  # fmt: skip
    proposal = {
        "tenant_id": "t1", "proposal": "new", "commit_id": commit, "run_hash": run, "model": "m", "customer": "c1",
        "subscription": "s1", "charge": "share", "period_from": NOW, "period_to": datetime(2024, 2, 1, tzinfo=UTC),
        "realised_value": 1, "fee_to_date": 1, "binding": "none", "amount": 1, "currency": "USD", "proposed_at": NOW,
        "disputable_until": NOW,
    }  # fmt: skip
    verdict = {
        "tenant_id": "t1",
        "proposal": "p1",
        "verdict": "withdrawn",
        "said_by": "ann",
        "reason": "x",
        "said_at": NOW,
    }
    closing = {
        "tenant_id": "t1", "commit_id": commit, "outcome": "confirmed", "closed_by": "ann", "reason": "x",
        "closed_at": NOW,
    }  # fmt: skip
    new_commit = {
        "tenant_id": "t1", "commit_id": "e" * 64, "model": "m", "author": "ann", "parent": None, "document": "{}",
        "committed_at": NOW,
    }  # fmt: skip
    voids = invoices.head(50).select("tenant", "number").with_columns(reason=pl.lit("wrong"), voided_at=pl.lit(NOW))
    line = connection.execute(
        "select invoice_id from billing.invoice_line where proposal is not null limit 1"
    ).fetchone()
    return {
        "scope": Scope(TENANTS), "tenants": list(TENANTS), "tenant": "t1", "customer": "c1", "commit": commit,
        "invoices": invoices, "named": invoices, "among": invoices["invoice_id"].to_list(),
        "windows": windows, "voids": voids, "months": [FIRST], "month": FIRST,
        "size": 5, "before": None, "as_of": NOW, "run_hash": run, "case": "realised", "proposal": "p7", "model": "m",
        "charges": ["share"], "currency": "USD", "until": NOW, "day": FIRST, "beginning": "a", "limit": 5,
        "of": ("m", "c1"), "side": "vendor", "by": "ann", "at": NOW, "marts": ["fct_invoice"], "results": [],
        "link": lambda *_: "d" * 64, "event": (commit, "vendor", "{}"), "metric": "billing.mrr", "run_id": "test",
        "booked_at": NOW, "last": {"t1": (INVOICES_LAST, "chain")}, "first": FIRST, "table": "billing.usage_daily",
        "frame": pl.DataFrame(), "metrics": pl.DataFrame({"tenant_id": []}, schema={"tenant_id": pl.String}),
        "run": run_row, "entries": pl.DataFrame(), "postings": pl.DataFrame(),
        "tables": {"billing.usage_daily": pl.DataFrame()},
        "lines_serving.scope": ("t1", "c1"),
        "approve.commit": open_commit, "replace_days.last": FIRST, "upsert_tenants.tenants": _tenants(),
        "apply_rerating.rows": _reratings(invoices), "propose.row": proposal, "say.row": verdict, "close.row": closing,
        "commit_store.add.row": new_commit, "stages": None, "stage": "billing",
        "invoice_id": line[0], "line_no": 2,
        "record_unchanged.invoices": invoices.with_columns(events_known_at=pl.lit(NOW)), "found_at": NOW,
        "subscription": "s1", "time": NOW, "received_at": NOW,
        "due_at": NOW, "periods": [FIRST], "failures": [Failure("t1", "out_of_range", "too much")], "record.at": NOW,
        "measured": pl.DataFrame({"tenant": TENANTS, "month": [FIRST] * 4}), "mark.months": _marked(),
        "rows": pl.DataFrame({"tenant": TENANTS}).join(HELD_PARTITIONS.to_frame(), on="tenant", how="left"),
    }  # fmt: skip


INVOICES_LAST = many_invoices.INVOICES


def _tenants() -> pl.DataFrame:
    columns = ("name", "country", "tax_id", "address")
    stated = {"tenant_id": TENANTS, "timezone": ["UTC"] * 4, "currency": ["USD"] * 4, "grace_seconds": [1] * 4}
    return pl.DataFrame(stated).with_columns(pl.lit(None, pl.String).alias(name) for name in columns)


def _marked() -> pl.DataFrame:
    return pl.DataFrame({"tenant": TENANTS, "month": [FIRST.replace(day=1)] * 4, "inputs": ["x"] * 4})


def _reratings(invoices: pl.DataFrame) -> pl.DataFrame:
    return invoices.head(50).select(
        pl.col("tenant").alias("tenant_id"), pl.lit("plan-2").alias("plan_id"), "invoice_id",
        pl.lit(None, pl.String).alias("catalog_hash"), pl.lit(None, pl.String).alias("document"),
        pl.lit(NOW).alias("applied_at"),
    )  # fmt: skip


def stores() -> dict[str, Callable[..., Any]]:
    """Every public function of the stores, by module and name."""
    found = {}
    for module in pkgutil.iter_modules(valueverse.platform.__path__):
        if module.name.endswith(("_store", "_reads", "_metrics")):
            loaded = importlib.import_module(f"valueverse.platform.{module.name}")
            for name, function in inspect.getmembers(loaded, inspect.isfunction):
                first = next(iter(inspect.signature(function).parameters), "")
                if function.__module__ == loaded.__name__ and first == "connection" and not name.startswith("_"):
                    found[f"{module.name}.{name}"] = function
    return found


def _arguments(name: str, function: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
    short = name.partition(".")[2]
    arguments = {}
    for parameter in list(inspect.signature(function).parameters)[1:]:
        for key in (f"{name}.{parameter}", f"{short}.{parameter}", parameter):
            if key in given:
                arguments[parameter] = given[key]
                break
        else:
            pytest.fail(f"{name} takes {parameter!r}: give an example of it here, so that its queries are judged")
    return arguments


def _report(plans: Plans) -> str:
    # The server writes a plan when its statement ends; the last ones may still be on their way to the log.
    time.sleep(0.1)
    plans.read()
    report = "\n\n".join(f"{'; '.join(faults)}:\n{query.strip()}" for query, faults in plans.wrong().items())
    plans.seen.clear()
    return report


def test_the_stores_read_nothing_whole_in_a_loop(grown: Settings, plans: Plans) -> None:
    with undone(grown) as connection:
        given = examples(connection)
    for name, function in stores().items():
        if name == "mart_metrics.read_mart":
            continue
        with undone(grown) as connection:
            function(connection, **_arguments(name, function, given))
    assert not _report(plans)


def test_the_rules_and_reconciliations_read_nothing_whole_in_a_loop(grown: Settings, plans: Plans) -> None:
    month = Month(FIRST)
    with undone(grown) as connection:
        zones = known_zones(connection)
        for rule in RULES:
            batch = rows_of(rule.table, None).as_string(connection)
            query = per_month_and_tenant(connection, rule, [month, Month(date(2023, 4, 1))], zones)
            connection.execute(query.format(batch=f"({batch})").encode())
        for query in BILLED.values():
            connection.execute(query, calendars.parameters(connection, month, TENANTS))
    assert not _report(plans)


REFUSALS = (psycopg.errors.IntegrityError, psycopg.errors.RaiseException)


def test_the_functions_of_the_api_read_nothing_whole_in_a_loop(grown: Settings, plans: Plans) -> None:
    given = {
        "for_tenant": "t1", "of_customer": "c1", "with_number": "t1-7", "at_most": 50, "with_status": None,
        "in_currency": None, "from_day": None, "to_day": None,
    }  # fmt: skip
    with connect(grown, "admin") as connection:
        functions = connection.execute(
            "select proname, pronargs, proargnames, provolatile = 'v' from pg_proc"
            " where pronamespace = 'api'::regnamespace"
        ).fetchall()
    for name, count, arguments, writes in functions:
        names = (arguments or [])[:count]
        values = [given.get(one) for one in names]
        with connect(grown, "api") as connection:
            # What a write is given here is not enough for all of its columns: it is judged up to its first refusal.
            with suppress(*(REFUSALS if writes else ())):
                connection.execute(f"select * from api.{name}({', '.join(['%s'] * count)})", values)
            connection.rollback()
    assert not _report(plans)


def test_a_query_per_invoice_is_noticed(grown: Settings, plans: Plans) -> None:
    """The query that billing 20,000 invoices never came back from, without the index that it has now."""
    with connect(grown, "admin") as connection:
        connection.execute("drop index billing.invoice_line_corrects")
        connection.execute(
            "select greatest(i.events_known_at, (select max(o.events_known_at) from billing.invoice_line l"
            " join billing.invoice o on o.tenant_id = l.tenant_id and o.invoice_id = l.invoice_id"
            " where l.tenant_id = i.tenant_id and l.corrected_invoice_id = i.invoice_id))"
            " from billing.invoice i limit 1"
        )
        connection.rollback()
    assert "Scan of invoice_line in a correlated SubPlan" in _report(plans)
