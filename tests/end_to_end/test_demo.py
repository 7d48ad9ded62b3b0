"""The main job as a user runs it: ``valueverse demo``, through Dagster, on real servers."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import terminal
from tests.support.card_scan import places_with_card_numbers
from tests.support.dagster_world import own_instance
from tests.support.pages import read_page, repeated_ids, tables, what_it_would_fetch_or_run
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(2400)]

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "valueverse", "demo", "--customers", "12", "--no-serve", "--json"]


def _demo(settings: Settings) -> tuple[list[dict[str, Any]], str]:
    """The invoices, and the summary on standard error: a terminal of 80 columns, on which nothing may be garbled."""
    master, slave = terminal.opened()
    pieces: list[bytes] = []
    reader = threading.Thread(target=terminal.read, args=(master, pieces, []), daemon=True)
    reader.start()
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    # One process of the API: each loads it for itself, and tests/serving_api/test_api_server.py has two.
    environment |= {"TERM": "xterm-256color", **settings.environment(), "VALUEVERSE_API_WORKERS": "1"}
    done = subprocess.run(
        COMMAND, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=slave, text=True, check=False
    )
    os.close(slave)
    reader.join()
    os.close(master)
    shown = terminal.plain(b"".join(pieces).decode("utf-8"))
    assert done.returncode == 0, shown[-4000:]
    assert terminal.faults(shown) == []
    # The live line is overwritten until the summary begins.
    return [json.loads(line) for line in done.stdout.splitlines()], shown[shown.index("Invoices") :]


def _rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with connect(settings, "builder") as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


INVOICES = """select tenant_id, number, content_hash, chain_hash, total_minor from billing.invoice
              where status = 'finalised' order by 1, 2"""
FILES = """select tenant_id, file, received, accepted, duplicate, quarantined
           from billing.ingestion_file order by 1, 2"""
RUNS = "select run_hash, case_name, month, computed_at from value.run order by 1"
PROPOSALS = "select proposal, amount, proposed_at from value.proposal order by 1"


@pytest.fixture(scope="module")
def world(module_settings: Settings) -> Iterator[Settings]:
    with own_instance(module_settings) as found:
        yield found


@pytest.fixture(scope="module")
def first(world: Settings) -> tuple[list[dict[str, Any]], str]:
    return _demo(world)


@pytest.fixture(scope="module")
def first_run(first: tuple[list[dict[str, Any]], str]) -> list[dict[str, Any]]:
    return first[0]


@pytest.fixture(scope="module")
def summary(first: tuple[list[dict[str, Any]], str]) -> str:
    return first[1]


def _northwind(invoices: list[dict[str, Any]], customer: str) -> dict[str, Any]:
    (found,) = [one for one in invoices if one["tenant"] == "northwind-ai" and one["customer"] == customer]
    return found


@pytest.mark.parametrize(
    ("customer", "total", "lines"),
    [
        ("code-assistant", "78.81", ["25.00", "46.12", "3.69", "4.00"]),
        ("chat", "138.28", ["25.00", "54.72", "49.06", "9.50"]),
    ],
)
def test_november_2023_comes_to_the_cent(
    first_run: list[dict[str, Any]], customer: str, total: str, lines: list[str]
) -> None:
    invoice = _northwind(first_run, customer)
    assert invoice["total"] == total
    assert sorted(line["amount"] for line in invoice["lines"]) == sorted(lines)
    assert invoice["status"] == "finalised"


def test_both_tenants_have_invoices_and_a_key_only_the_owner_can_read(
    first_run: list[dict[str, Any]], world: Settings
) -> None:
    assert {invoice["tenant"] for invoice in first_run} == {"northwind-ai", "harbor-metrics"}
    keys = world.home / "demo-keys.json"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert set(json.loads(keys.read_text())) == {"northwind-ai", "harbor-metrics"}


def test_every_reason_of_the_quarantine_is_shown(first_run: list[dict[str, Any]], world: Settings) -> None:
    reasons = {reason for (reason,) in _rows(world, "select reason from billing.quarantine_summary")}
    assert reasons == {
        "malformed",
        "missing_attribute",
        "bad_time",
        "too_far_future",
        "unknown_tenant",
        "conflict",
        "inexact_number",
        "out_of_range",
        "bad_billing_event",
    }


def test_no_card_number_is_in_a_dump_of_the_databases_in_logs_or_in_files(
    first_run: list[dict[str, Any]], world: Settings
) -> None:
    assert places_with_card_numbers(world) == {}


def test_accepted_events_are_billed_or_have_a_reason(first_run: list[dict[str, Any]], world: Settings) -> None:
    wrong = "select * from billing.event_day where accepted <> billed + unbilled"
    assert _rows(world, wrong) == []
    reasons = {reason for (reason,) in _rows(world, "select reason from billing.unbilled_usage")}
    assert reasons >= {
        "no_subscription",
        "no_meter",
        "no_value",
        "no_charge",
        "before_start",
        "after_end",
        "awaiting_original",
    }


def test_the_independent_recomputation_agrees(first_run: list[dict[str, Any]], world: Settings) -> None:
    assert _rows(world, "select tenant_id, check_name, detail from billing.reconciliation where not ok") == []
    assert _rows(world, "select count(*) > 0 from billing.reconciliation") == [(True,)]
    held = "select tenant_id, period, reason from billing.release where status = 'held'"
    assert _rows(world, held) == []


def test_the_marts_show_the_same_totals(first_run: list[dict[str, Any]], world: Settings) -> None:
    billed = "select sum(total_minor) from billing.invoice where status = 'finalised'"
    shown = "select sum(total_minor) from marts.fct_invoice where status = 'finalised'"
    assert _rows(world, billed) == _rows(world, shown)


def test_what_november_was_worth_is_measured_and_its_fee_is_proposed(
    first_run: list[dict[str, Any]], world: Settings
) -> None:
    cases = "select case_name, month::text from value.run where tenant_id = 'northwind-ai' and month = '2023-11-01'"
    assert sorted(_rows(world, cases)) == [(case, "2023-11-01") for case in ("committed", "forecast", "realised")]
    ((customer, amount, share, window),) = _rows(
        world,
        "select customer, amount, round(0.15 * realised_value, 2), disputable_until - proposed_at from value.proposal",
    )
    assert (customer, window.days) == ("code-assistant", 30)
    assert amount == share > 0


def test_what_came_of_it_is_a_page_that_says_what_the_invoices_say(
    first_run: list[dict[str, Any]], world: Settings
) -> None:
    tree = read_page((world.home / "reports" / "developer_time.html").read_text(encoding="utf-8"))
    assert what_it_would_fetch_or_run(tree) == []
    ((amount,),) = _rows(world, "select trim_scale(round(amount, 2))::text from value.proposal")
    ((*_, fee, decided, state, billed),) = tables(tree)["Fees proposed for what was realised"][1:]
    assert Decimal(fee.removesuffix(" USD").replace(",", "")) == Decimal(amount)
    assert (decided, state[:4], billed) == ("the share", "open", "not yet")
    assert tables(tree)["Invoiced"][1] == ["November 2023", "78.81 USD"]


def test_the_customers_page_says_nothing_of_cost_to_serve_or_margin(
    first_run: list[dict[str, Any]], world: Settings
) -> None:
    page = (world.home / "reports" / "developer_time.html").read_text(encoding="utf-8")
    spent = (
        "select value::text from value.metric where metric = 'billing.cost_to_serve' and customer = 'code-assistant'"
    )
    texts_of = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    assert not re.search("cost to serve|margin", texts_of, re.IGNORECASE)
    amounts = [amount for (amount,) in _rows(world, spent)]
    assert amounts
    # Coordinates of a drawing are numbers too, and may be any.
    shown = set(re.findall(r"\d+\.\d\d\b", re.sub(r"<svg.*?</svg>", "", texts_of, flags=re.DOTALL)))
    assert shown
    assert {f"{Decimal(amount):.2f}" for amount in amounts} & shown == set()


def test_the_summary_is_short_and_says_what_came_of_it(summary: str, world: Settings) -> None:
    lines = summary.splitlines()
    assert len(lines) <= 45  # of 80 columns, on which the longest wrap
    shown = " ".join(summary.split())
    assert "code-assistant: 78.81 USD for November 2023, finalised" in shown
    (*_, (tenant, refused, received)) = _rows(
        world,
        "select tenant_id, sum(quarantined)::int, sum(received)::int from billing.ingestion_file group by 1 "
        "having sum(quarantined) > 0 order by 1",
    )
    assert f"{tenant}, {refused:,} of {received:,} lines: " in shown
    ((fee,),) = _rows(world, "select round(amount, 2)::text from value.proposal")
    assert f"fee of {Decimal(fee):,.2f} USD proposed" in shown
    ((compared,),) = _rows(world, "select count(*) from billing.reconciliation")
    assert (
        f"{compared:,} of {compared:,} comparisons with an independent recomputation agree; no tenant is held" in shown
    )
    receipt = json.loads((world.home / "reports" / "demo-receipt.json").read_text(encoding="utf-8"))
    ((entry, last),) = _rows(
        world,
        f"select max(sequence) filter (where entry like '%{receipt['batch']}%'), max(sequence) from audit.entry "
        "where tenant_id = 'northwind-ai'",
    )
    assert (
        f"1,000 events over HTTP: signed, and proven to be entry {entry} of the {last} in the signed audit log" in shown
    )
    assert f"Everything: {(world.home / 'reports' / 'demo.html').as_uri()}" in shown
    assert "valueverse up # the Dagster UI, the API and the daemon do not all run; start them" in shown


def test_the_page_has_every_invoice_reason_comparison_and_step_and_fetches_nothing(
    first_run: list[dict[str, Any]], world: Settings
) -> None:
    tree = read_page((world.home / "reports" / "demo.html").read_text(encoding="utf-8"))
    assert what_it_would_fetch_or_run(tree) == []
    assert repeated_ids(tree) == []
    shown = tables(tree)
    numbers = {row[0] for row in shown["By tenant and number; drafts have none yet"][1:]}
    assert numbers - {"draft"} == {invoice["number"] for invoice in first_run}
    reasons = _rows(world, "select distinct reason from billing.quarantine_summary")
    assert {row[1] for row in shown["Quarantined, and why"][1:]} == {reason for (reason,) in reasons}
    steps = [row[0] for row in shown["In the order in which they ran"][1:]]
    assert {"servers", "ingestion", "usage", "billing", "value", "release", "marts", "keys", "proof"} <= set(steps)


def test_the_demo_agrees_on_no_month_that_cannot_be_measured(first_run: list[dict[str, Any]], world: Settings) -> None:
    query = (
        "select execution_status, count(*) > 0 from asset_check_executions "
        "where check_name = %s and execution_status <> 'PLANNED' group by 1"
    )
    with connect(world, "builder", database=world.dagster_database) as connection:
        ended = connection.execute(query, ["every_active_commit_has_been_run"]).fetchall()
    assert ended == [("SUCCEEDED", True)]


def test_running_again_counts_nothing_twice_and_changes_no_hash(
    first_run: list[dict[str, Any]], world: Settings
) -> None:
    tables_of = (INVOICES, FILES, RUNS, PROPOSALS)
    before = [_rows(world, one) for one in tables_of]
    page = (world.home / "reports" / "developer_time.html").read_text(encoding="utf-8")
    assert _demo(world)[0] == first_run
    assert [_rows(world, one) for one in tables_of] == before
    assert (world.home / "reports" / "developer_time.html").read_text(encoding="utf-8") == page
