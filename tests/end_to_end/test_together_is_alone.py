"""Files to answers: a tenant beside others has, byte for byte, what it has in a warehouse of its own.

The tenants' keys, and so the numbers of their invoices, begin alike; sources, ids, customers, subscriptions, plans,
coupons, wallets, commits and proposals have equal names. Every command, asset, table and function of the API is asked,
or stands in a list here with the reason why not: a new one that is in neither fails the test.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from tests.support import company_answers, hostile_landing, shared_servers
from tests.support.companies import AGGREGATIONS, Company
from tests.support.company_answers import FAILED
from tests.support.company_files import RUNS, run_all
from tests.support.ledger import instant
from valueverse.cli import app
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import click

    from tests.support.companies import Measured
    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

COMPANIES = {"acme": 6, "acme-000001": 5, "acme2": 8}
"""Tenant and seed."""
ALONE = ("acme-000001",) if "ALONE" not in os.environ else tuple(COMPANIES)
"""Tenants that are also taken through everything alone. The one between the two others: where the first or the last row
wins, whoever it is of, it is the other's."""
HOSTILE = int(os.environ.get("VALUEVERSE_HOSTILE_EVENTS", "400"))
"""Events of a hostile tenant beside them all; a twentieth as many catalogs and files."""
CACHES = {"billing.accounted_month", "audit.submitted", "audit.entry", "audit.node", "audit.pseudonym_key"}
"""Which files of the lake a month was accounted from: those hold rows of all tenants. Entries of the audit log hold the
instant at which something was done, and random pseudonyms: what they are about is compared by the API's answers."""

GIVEN = "reads only what it is given, no tenant's data"
SERVERS = "starts, stops or inspects this installation's servers; says nothing of a tenant's data"
KEYS = "makes or revokes random keys or logins, judged in tests/serving_api/security and tests/isolation"
WEBHOOKS = "shows random names of endpoints, by tenant: tests/services/webhooks"
COMMANDS = {
    **dict.fromkeys(("document", "finance", "invoice", "meter", "periods", "price", "prorate"), GIVEN),
    **dict.fromkeys(("value check", "value library", "value schema", "value run", "value portfolio"), GIVEN),
    **dict.fromkeys(("catalog check", "catalog diff", "events check"), GIVEN),
    **dict.fromkeys(("invoices pdf", "invoices xml"), "the document that invoices show is asked for, typeset"),
    "run": "runs the stages for all tenants at once; what it prints of each is judged in tests/services/project",
    "init": "writes a sample project into a new folder",
    "customers add": "writes a file into the tenant's folder, judged in tests/services/subscriptions",
    **dict.fromkeys(("subscriptions start", "subscriptions change"), "their preview is that of subscriptions end"),
    "catalog publish": "writes a file into the tenant's folder, judged in tests/services/catalogs",
    **dict.fromkeys(("up", "down", "status", "logs", "doctor", "demo"), SERVERS),
    **dict.fromkeys(("tenants add", "tenants key", "tenants revoke", "tenants rotate"), KEYS),
    **dict.fromkeys(("analysts add", "analysts remove", "analysts list"), KEYS),
    **dict.fromkeys(("users invite", "users list", "users disable"), KEYS),
    **dict.fromkeys(("identity-provider set", "identity-provider show", "identity-provider remove"), KEYS),
    **dict.fromkeys(
        ("value commit", "value approve", "value accept", "value dispute", "value withdraw", "rerate apply"),
        "done between the runs, by the function behind it (tests/support/company_files.py)",
    ),
    **dict.fromkeys(("webhooks add", "webhooks rotate", "webhooks test"), KEYS),
    **dict.fromkeys(("webhooks disable", "webhooks enable", "webhooks replay-all"), KEYS),
    **dict.fromkeys(("webhooks list", "webhooks deliveries", "webhooks replay"), WEBHOOKS),
    "audit sign": SERVERS,
    "audit key": "writes the installation's public key",
    **dict.fromkeys(
        ("privacy export", "privacy restrict", "privacy release", "privacy restrictions", "privacy erase"),
        "asks for one customer of one tenant; another tenant's customer of the same key is in tests/services/privacy",
    ),
    **dict.fromkeys(("privacy add-instrument", "privacy instruments", "privacy reveal-instrument"), KEYS),
    "privacy remove-instrument": KEYS,
    "privacy end-retention": "removes rows of every tenant by their date alone",
    **dict.fromkeys(("privacy rotate-wrapping-key", "privacy rotate-data-keys"), KEYS),
    **dict.fromkeys(
        ("audit list", "audit export", "audit verify"),
        "the entries of GET /v1/audit/entries, with instants",
    ),
    "rerate show": "what rerate plan answers, beside what is booked: tests/services/billing/test_rerating.py",
    "value close": "ends a commit: what it writes is a row of value.closing like that of an approval",
    "sql": "a shell; what an analyst may read is judged in tests/isolation",
}
"""Commands that are not asked, and why."""
STEPS = {
    "ingestion/landing": "ingest",
    "lake/events": "ingest",
    "lake/billing_facts": "derive_facts",
    "lake/usage": "meter",
    "billing/periods": "marks which months are out of date, for all tenants at once",
    "billing/invoices": "bill",
    "billing/changed_months": "marks which months hold other invoices than before",
    "billing/journal": "book_journal",
    "value/realisation": "track_value",
    "value/cost_months": "marks which months hold other costs than before",
    "quality/release": "reconcile, decide_release, reproduce, flag_leakage",
    "quality/published": "marks which months the marts show",
    "audit/log": "puts in order what the other steps submitted: tests/services/audit",
    "seed/currencies": "no tenant's data",
}
"""Assets beside the models of dbt, and the step of tests/support/company_files.py that does their work."""
IGNORED = "every name in the folder is a file; others are in tests/services/ingestion/test_publish_apart.py"
EMPTY = {
    **dict.fromkeys(("auth.api_key", "auth.refresh_token", "auth.portal_link"), KEYS),
    **dict.fromkeys(("auth.identity_provider", "auth.provider_sign_in"), KEYS),
    **dict.fromkeys(("auth.user_account", "auth.invitation", "auth.recovery_code", "auth.password_reset"), KEYS),
    "guard.analyst_tenant": KEYS,
    **dict.fromkeys(("audit.entry", "audit.node", "audit.checkpoint"), "made after the tables were read"),
    "inbox.answer": "answers to writes of the API, asked for after the tables were read",
    "inbox.batch": "written by the API, emptied by ingestion: tests/services/ingestion/test_inbox.py",
    "billing.held_tenant": "nobody is held; who is stands in tests/assets/test_held_tenants.py",
    "billing.unchanged_invoice": "late events change amounts here; tests/services/billing/test_billing_corrections.py",
    "billing.held_invoice_line": "no invoice is held back; one that is stands in tests/assets/test_materialise.py",
    "billing.marts_left_out": "every tenant is published; who is not stands in tests/dbt_project/test_marts.py",
    **dict.fromkeys(("billing.ignored_file", "staging.stg_ignored_files"), IGNORED),
    "billing.leakage_flag": "nobody was seen for long enough to have a pattern",
    **dict.fromkeys(("billing.webhook_endpoint", "billing.webhook_delivery", "billing.webhook_attempt"), WEBHOOKS),
    "billing.notification": WEBHOOKS,
    "billing.payment_instrument": "tokens that the API takes: tests/serving_api/routes/privacy",
    "billing.computation": "asked for over HTTP: tests/serving_api/routes/test_computations.py",
    "value.model": "written by the API, asked for after the tables were read",
    **dict.fromkeys(
        ("vault.data_key", "vault.instrument", "vault.restriction", "vault.erasure", "vault.privacy_action"),
        "nobody is restricted, exported or erased; who is stands in tests/services/privacy",
    ),
    **dict.fromkeys(
        ("queue.procrastinate_jobs", "queue.tenant_turn"),
        "jobs that the API asks for: tests/platform/test_job_queue.py",
    ),
    "value.closing": COMMANDS["value close"],
    "staging.stg_value_closings": COMMANDS["value close"],
}
"""Tables that hold no row of the tenant compared, and why."""
NOT_ASKED = {
    **dict.fromkeys(("webhook_endpoints", "webhook_deliveries", "webhook_delivery", "send_webhook_test"), WEBHOOKS),
    **dict.fromkeys(("add_webhook_endpoint", "change_webhook_endpoint", "replay_webhook_deliveries"), WEBHOOKS),
    **dict.fromkeys(
        ("request_computation", "computation", "computations", "cancel_computation", "apply_rerating"),
        "compared with the commands, which are asked here: tests/serving_api/routes/test_computations.py",
    ),
    **dict.fromkeys(
        (
            *("lock_value", "known_customers", "metrics", "metrics_known_at", "measured_months", "metric_lines"),
            *("add_commit", "add_commit_event", "add_approval", "add_closing", "add_run", "add_proposal"),
            *("add_verdict", "tenant_known", "chain_ends", "agreed_commits"),
        ),
        "writes of commits, runs and fees, made between the runs here: tests/serving_api/routes/value",
    ),
    **dict.fromkeys(
        (
            *("identity_provider", "change_identity_provider", "take_sign_in_state", "name_provider_subject"),
            *("provider_sign_in", "finish_provider_sign_in"),
            *("add_data_key", "data_keys", "take_data_key", "second_factor", "begin_second_factor"),
            *("confirm_second_factor", "remove_second_factor", "use_code", "use_recovery_code", "begin_reset"),
            *("reset_email", "reset_password", "change_password", "record_failed_log_in"),
            "session_end",
        ),
        KEYS,
    ),
    **dict.fromkeys(
        ("payment_instruments", "add_payment_instrument", "remove_payment_instrument"),
        "tokens that the API takes: tests/serving_api/routes/privacy",
    ),
    **dict.fromkeys(("restrict_customer", "restrictions"), "as the command privacy restrict"),
    **dict.fromkeys(
        (
            *("commits", "commit_history", "commit_events", "newest_runs", "run", "run_results", "proposals"),
            "proposal_verdicts",
        ),
        "read by the routes of commits, runs and fees, whose answers are compared here",
    ),
    "explain_outcome": "asked of lines that are fees: tests/services/billing",
    "portal_explain_invoices": "invoices as they were known: tests/serving_api/security/test_portal.py",
    "portal_customer_known": "asked where a customer has no usage: tests/serving_api/security/test_portal.py",
    "session_open": "asked for while events are followed: tests/serving_api/routes/test_event_stream.py",
    "answer_channel": "of no tenant, and no text that is answered: tests/serving_api/test_answer_cache.py",
}
"""Functions of the API that need not be called here, and why."""


@dataclass
class Answers:
    """All that one arrangement says, by tenant."""

    output: dict[str, list[str]]
    tables: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    commands: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    api: dict[str, dict[str, str]] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    declared: set[str] = field(default_factory=set)
    hostile: tuple[int, int] | None = None
    """Events of the hostile tenant that were accepted, and that were quarantined."""


@pytest.fixture(scope="module")
def database() -> str:
    """One name for every arrangement's database, one after the other: dbt keeps it when it has parsed."""
    return f"t_{secrets.token_hex(6)}"


@pytest.fixture(scope="module")
def together(servers: Settings, database: str, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    worlds = [Company(tenant, seed).world for tenant, seed in COMPANIES.items()]
    return _answers(servers, database, tmp_path_factory, worlds, ALONE)


@pytest.fixture(scope="module", params=ALONE)
def alone(
    servers: Settings, database: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> tuple[str, Answers]:
    tenant = request.param
    world = Company(tenant, COMPANIES[tenant]).world
    return tenant, _answers(servers, database, tmp_path_factory, [world], (tenant,))


def _answers(
    servers: Settings,
    database: str,
    folders: pytest.TempPathFactory,
    worlds: list[Measured],
    compared: tuple[str, ...],
) -> Answers:
    fresh = shared_servers.fresh(servers, database, folders.mktemp("arrangement"), 30)
    settings = next(fresh)
    try:
        if len(worlds) > 1:
            odd = HOSTILE // 20
            hostile_landing.land(settings.landing, events=HOSTILE, catalogs=odd, odd_files=odd)
        found = Answers(run_all(settings, worlds))
        for world in worlds:
            if world.tenant in compared:
                found.tables[world.tenant] = company_answers.tables(settings, world.tenant)
                found.commands[world.tenant] = company_answers.commands(settings, world)
        for tenant in compared:
            found.api[tenant], called = asyncio.run(company_answers.api(settings, tenant))
            found.functions |= called
        with connect(settings, "admin") as connection:
            names = "select proname from pg_proc p join pg_namespace n on n.oid = pronamespace where nspname = 'api'"
            found.declared = {name for (name,) in connection.execute(names).fetchall()}
            hostile = "select sum(accepted), sum(quarantined) from billing.ingestion_file where tenant_id = %s"
            found.hostile = connection.execute(hostile, [hostile_landing.TENANT]).fetchone()
        return found
    finally:
        next(fresh, None)


def _differences(one: dict[str, list[str]], other: dict[str, list[str]]) -> dict[str, tuple[list[str], list[str]]]:
    """By name, what only one of the two says: a few lines of each."""
    return {
        name: (
            [text[:600] for text in one.get(name, []) if text not in other.get(name, [])][:3],
            [text[:600] for text in other.get(name, []) if text not in one.get(name, [])][:3],
        )
        for name in {*one, *other} - CACHES
        if one.get(name) != other.get(name)
    }


def test_what_the_hostile_tenant_sent_was_read_and_partly_refused(together: Answers) -> None:
    assert together.hostile is not None
    accepted, quarantined = together.hostile
    assert accepted > 1
    assert quarantined > HOSTILE // 4


def test_every_row_of_lake_warehouse_and_marts_is_the_same(alone: tuple[str, Answers], together: Answers) -> None:
    tenant, found = alone
    assert _differences(found.tables[tenant], together.tables[tenant]) == {}
    assert found.output[tenant] == together.output[tenant]
    assert [line for line in found.output[tenant] if line.endswith("False")] == []


def test_every_table_holds_rows_that_could_differ(alone: tuple[str, Answers]) -> None:
    tenant, found = alone
    assert {name for name, rows in found.tables[tenant].items() if not rows} == EMPTY.keys()


def test_every_command_prints_the_same(alone: tuple[str, Answers], together: Answers) -> None:
    tenant, found = alone
    assert [text for printed in found.commands[tenant].values() for text in printed if text.startswith(FAILED)] == []
    assert _differences(found.commands[tenant], together.commands[tenant]) == {}
    assert {name for name, printed in found.commands[tenant].items() if not any(printed)} == set()


def test_every_answer_of_the_api_is_the_same(alone: tuple[str, Answers], together: Answers) -> None:
    tenant, found = alone
    assert len(found.api[tenant]) > 15
    listed = [{name: [text] for name, text in one.api[tenant].items()} for one in (found, together)]
    assert _differences(*listed) == {}


def test_nothing_that_answers_for_a_tenant_is_left_out(alone: tuple[str, Answers]) -> None:
    from pipelines.definitions import defs

    tenant, found = alone
    assert {*found.commands[tenant]} | COMMANDS.keys() == set(_named(get_command(app)))
    assert {*found.commands[tenant]}.isdisjoint(COMMANDS)
    assert NOT_ASKED.keys() <= found.declared
    assert found.declared - NOT_ASKED.keys() <= found.functions
    keys = {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}
    models = {key for key in keys if key.partition("/")[0] in {"staging", "intermediate", "marts"}}
    assert keys - models == STEPS.keys()
    assert {key.replace("/", ".") for key in models} <= found.tables[tenant].keys()


def _named(command: click.Command, path: str = "") -> Iterator[str]:
    for name, one in getattr(command, "commands", {}).items():
        yield from _named(one, f"{path} {name}".strip())
    if not hasattr(command, "commands"):
        yield path


def test_daily_usage_of_api_and_mart_is_what_each_meter_comes_to_on_that_day(alone: tuple[str, Answers]) -> None:
    tenant, found = alone
    expected = daily_by_hand(Company(tenant, COMPANIES[tenant]).world.seen)
    assert {kind for *_, kind in expected} == set(AGGREGATIONS)
    rows = [json.loads(text) for text in found.tables[tenant]["marts.fct_usage_daily"]]
    mart = {
        (row["customer_key"], row["subscription_key"] or "", row["usage_date"], row["meter_key"]): _row(
            row["quantity"], row["event_count"], row["aggregation"], row["is_additive"]
        )
        for row in rows
    }
    api = {
        (address.split("/")[3], row["subscription"] or "", row["day"], row["meter"]): _row(
            row["quantity"], row["events"], row["aggregation"], row["additive"]
        )
        for address, text in found.api[tenant].items()
        if address.startswith("/v1/customers/") and "/usage" in address
        for row in json.loads(text)
    }
    for answered in (mart, api):
        seen = {key: output for key, output in answered.items() if key[-1] in AGGREGATIONS}
        assert seen == expected


def _row(quantity: Any, events: int, aggregation: str, additive: Any) -> tuple[str | None, int, str, bool]:
    return None if quantity is None else f"{Decimal(str(quantity)):.12f}", events, aggregation, bool(additive)


def daily_by_hand(
    seen: list[tuple[datetime, str, int, str]],
) -> dict[tuple[str, str, str, str], tuple[str | None, int, str, bool]]:
    """What each aggregation comes to by customer, subscription, day and meter, in plain Python.

    Events are received with the run after their time; of one instant the one received last, then the greater id, is
    the later one.
    """
    days = defaultdict(list)
    for number, (time, subject, n, op) in enumerate(seen):
        received = next((at for at in RUNS if instant(at) >= time), None)
        if received is not None:
            customer, _, subscription = subject.partition("/")
            days[customer, subscription, f"{time:%F}"].append((time, received, f"s{number}", n, op))
    found = {}
    for owner, events in days.items():
        values = [n for *_, n, _ in sorted(events)]
        members = {n: op for *_, n, op in sorted(events)}
        quantities = {
            # A count counts events, whatever their value.
            "count": len(values),
            "sum": sum(values),
            "min": min(values),
            "max": max(values),
            "avg": Decimal(sum(values)) / len(values),
            "latest": values[-1],
            "unique_count": sum(op == "add" for op in members.values()),
            "weighted_sum": None,
        }
        for kind, quantity in quantities.items():
            found[*owner, kind] = _row(quantity, len(events), kind, kind in {"count", "sum"})
    return found


def test_an_invoice_without_lines_is_in_marts_and_api(alone: tuple[str, Answers]) -> None:
    tenant, found = alone
    documents = [
        json.loads(text.partition(" ")[2])
        for name, text in found.api[tenant].items()
        if name.startswith(f"{tenant}-") and name.endswith("json")
    ]
    (bare,) = [one for one in documents if one["subscription"] == "e0" and one["lines"] == []]
    assert (bare["total"], bare["amount_due"]) == ("0.00", "0.00")
    rows = [json.loads(text) for text in found.tables[tenant]["marts.fct_invoice"]]
    (row,) = [row for row in rows if row["invoice_number"] == bare["number"]]
    assert (row["subscription_key"], Decimal(str(row["total"]))) == ("e0", 0)
    assert [text for text in found.tables[tenant]["marts.fct_invoice_line"] if bare["number"] in text] == []
    assert "No fees and no usage in this period." in found.api[tenant][f"{bare['number']} xml"]
