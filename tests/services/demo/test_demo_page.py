"""The demonstration's page and its summary, from results that hold the worst texts."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from rich.console import Console

from tests.support.pages import read_page, tables, texts, what_it_would_fetch_or_run
from valueverse.commands.servers.demo_summary import next_steps, print_summary
from valueverse.platform.settings import Settings
from valueverse.services.demo.http_events import ProvenReceipt
from valueverse.services.demo.page import demo_page
from valueverse.services.demo.results import Compared, Counted, DemoResults, Ingested, Invoice, Realised, Rejected
from valueverse.services.demo.step_time import StepTime

HOSTILE = "<script>alert(1)</script>\x00\u202e&amp;"
INVOICE = Invoice(
    *("north", "north-000001", HOSTILE, "finalised", "USD", 7881, date(2023, 12, 1)),
    *(datetime(2023, 11, 1, tzinfo=UTC), datetime(2023, 12, 1, tzinfo=UTC)),
)
RESULTS = DemoResults(
    [
        INVOICE,
        *(replace(INVOICE, tenant="port", customer=f"c{n}", currency="EUR", number=f"port-{n}") for n in range(7)),
        replace(INVOICE, tenant="port", customer="c1", number=None, status="draft", currency="JPY"),
    ],
    [Ingested("north", 10, 9, 0, 1, 8, 1), Ingested("port", 1_000, 900, 60, 40, 870, 30)],
    [Counted("port", "malformed", 30, HOSTILE * 9), Counted("port", "bad_time", 10, "{}")],
    [Counted("north", "no_meter", 1, "")],
    [Rejected("port", "billing.subscription.changed", "no_subscription", HOSTILE)],
    [Compared("port", "quantity", 900, 899, Decimal("0.50"))],
    [Realised(HOSTILE, date(2023, 11, 1), "USD", Decimal(3000), Decimal("2345.678"), Decimal("351.85"), "p/1")],
    ["port is held by release since 2024-01: a difference"],
    "0123456789abcdef",
)
TIMES = [StepTime("servers", "PostgreSQL", 2.4), StepTime("usage", "a", 1.2), StepTime("usage", "b", 3.3)]
VALUE = (
    "Value        assistant, November 2023: 2,345.68 USD of developer time saved (3,000.00 committed), "
    "fee of 351.85 USD proposed"
)
RECEIPT = ProvenReceipt("north", 1_000, 5, 17, Path("/home/demo-receipt.json"))
PROVEN = (
    "Receipt      north, 1,000 events over HTTP: signed, and proven to be entry 5 of the 17 in the signed audit log "
    "(demo-receipt.json beside the page)"
)
NEXT = [(HOSTILE, "valueverse up")]


def test_the_page_shows_hostile_texts_as_text_and_fetches_nothing() -> None:
    tree = read_page(demo_page(RESULTS, RECEIPT, TIMES, NEXT))
    assert what_it_would_fetch_or_run(tree) == []
    shown = tables(tree)
    assert shown["By tenant and number; drafts have none yet"][1][2] == "<script>alert(1)</script>\ufffd\ufffd&amp;"
    assert shown["Quarantined, and why"][1][3].endswith("…")
    assert "port is held by release since 2024-01: a difference" in texts(tree)


def test_the_page_adds_up_by_tenant_month_status_and_currency() -> None:
    shown = tables(read_page(demo_page(RESULTS, RECEIPT, TIMES, NEXT)))
    assert shown["Invoices by month of issue"][1:] == [
        ["north", "2023-12", "finalised", "1", "78.81 USD"],
        ["port", "2023-12", "draft", "1", "7,881 JPY"],
        ["port", "2023-12", "finalised", "7", "551.67 EUR"],
    ]
    assert shown["Comparisons"][1] == ["quantity", "port", "900", "899", "0.5"]


def test_a_demo_in_which_nothing_was_wrong_or_measured_has_a_page_too() -> None:
    bare = DemoResults([], [], [], [], [], [], [], [], "0")
    assert what_it_would_fetch_or_run(read_page(demo_page(bare, RECEIPT, TIMES, NEXT))) == []


def _summary(results: DemoResults) -> list[str]:
    out = io.StringIO()
    print_summary(Console(file=out, width=200, highlight=False), results, RECEIPT, TIMES, Path("/home/demo.html"), NEXT)
    return out.getvalue().splitlines()


def test_on_a_terminal_a_long_line_goes_on_below_itself_and_in_a_file_it_stays_one() -> None:
    out = io.StringIO()
    print_summary(
        Console(file=out, width=60, highlight=False, force_terminal=True, color_system=None),
        RESULTS, RECEIPT, TIMES, Path("/home/demo.html"), NEXT,
    )  # fmt: skip
    lines = out.getvalue().splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("Reconciled"))
    assert lines[start : start + 3] == [
        "Reconciled   899 of 900 comparisons with an independent",
        "             recomputation agree; tenants are held",
        "             port is held by release since 2024-01: a",
    ]
    assert [line for line in _summary(RESULTS) if line != line.rstrip()] == []


def test_the_summary_lists_few_invoices_and_counts_many_and_names_what_is_held() -> None:
    summary = _summary(replace(RESULTS, realised=[replace(RESULTS.realised[0], customer="assistant")]))
    assert summary[1:] == [
        "             port, 7 customers: 7 finalised (551.67 EUR), 1 draft (7,881 JPY)",
        "Quarantined  port, 40 of 1,000 lines: 30 malformed, 10 bad_time",
        "Not billed   north, 1 of 9 events: 1 no_meter",
        "Reconciled   899 of 900 comparisons with an independent recomputation agree; tenants are held",
        "             port is held by release since 2024-01: a difference",
        VALUE,
        PROVEN,
        "Time         7 s: 2 s servers, 4 s usage",
        "Everything: file:///home/demo.html",
        "Next:",
        summary[-1],
    ]


def test_next_says_which_servers_do_not_run_and_how_to_start_them(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    served = next_steps(settings, {"dagster": "http://127.0.0.1:1", "api": "http://127.0.0.1:2"})
    assert [how for _, how in served][:3] == ["http://127.0.0.1:1/runs", "http://127.0.0.1:2/docs", served[2][1]]
    assert served[2][1].endswith("valueverse up")
    assert served[2][0] == "the daemon, which runs what is due by itself, does not run; start it"
    (text, how), *_ = next_steps(settings, {})
    assert (text, how) == ("the Dagster UI, the API and the daemon do not all run; start them", served[2][1])
