"""The page of a commit: who agreed, the realised value, its variance and its cost."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tests.support.pages import read_page, repeated_ids, tables, texts, what_it_would_fetch_or_run
from valueverse.value.architect.document.canonical import canonical_tree
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.committer.commits import Frozen, commit_id
from valueverse.value.executor.binding import read_metrics
from valueverse.value.realisation.case_runs import Commitment, agreed_run, run_cases
from valueverse.value.realisation.variance import explain_variance
from valueverse.value.report import formatting
from valueverse.value.report.commit_page import CommitChange, CommitReport, MeasuredRun, build_commit_page
from valueverse.value.report.economics import CustomerMonth, FeeProposal
from valueverse.value.report.page import Brand, render_page

MODEL: dict[str, Any] = {
    "schema": "valueverse.value_model/v1",
    "model": "saved",
    "title": "Tokens saved",
    "currency": "USD",
    "axis": {"grain": "month", "periods": 12, "start": "2023-11-01", "discount": {"rate": 0.1}},
    "units": {"base": ["token"]},
    "inputs": {
        "tokens": {"unit": "token/month", "bind": {"metric": "usage.tokens", "agg": "sum"}, "missing": "carry_forward"},
        "licence": {"unit": "USD/month", "bind": {"metric": "billing.invoiced_net"}, "missing": "zero"},
        "worth": {"unit": "USD/token", "dist": {"uniform": [10, 20]}, "owner": "customer"},
        "rollout": {"unit": "USD", "value": 900},
    },
    "drivers": {"saving": {"kind": "cost_saving", "expr": "tokens * worth", "risk": 0.1}},
    "costs": {"licence": "licence", "rollout": {"expr": "rollout", "at": 0}},
    "scenarios": {"agreed": {"tokens": 80, "licence": 100}, "base": {}},
    "outputs": ["npv", "roi"],
}
MEASURED = [("usage.tokens", 100.0, "2023-11"), ("billing.invoiced_net", 120.0, "2023-11")]
NOW = datetime(2024, 1, 5, 12, 30, tzinfo=UTC)
DECEMBER = date(2023, 12, 1)


def committed(model: dict[str, Any] = MODEL, **more: Any) -> tuple[Commitment, dict[str, Any]]:
    options: dict[str, Any] = {"scenario": "agreed", "baseline": {}, "watermark": None, "seed": 7, "author": "ann"}
    options |= {"customer": "c1", "start": "2023-11-01"} | more
    text = Frozen(canonical_tree(parse_model(json.dumps(model))), **options).canonical()
    return Commitment.read(commit_id(text), text), json.loads(text)


def report_of(rows: list[tuple[str, float, str]] | None = None, **more: Any) -> CommitReport:
    commitment, frozen = committed(**more)
    frame = pl.DataFrame(
        [(metric, "c1", period, value) for metric, value, period in rows or MEASURED],
        schema=["metric", "customer", "period", "value"],
        orient="row",
    )
    runs = run_cases(commitment, read_metrics(frame), DECEMBER)
    proposal = FeeProposal(
        *("s1/value/2023-11..2023-11/1", date(2023, 11, 1), date(2023, 11, 30), Decimal("1350.5"), Decimal("202.575")),
        *("USD", "cap", "open", datetime(2024, 2, 4, tzinfo=UTC), None),
    )
    return CommitReport(
        commitment,
        frozen,
        "Acme & Sons",
        "Customer One",
        "active",
        [
            CommitChange("proposed", "ann", NOW, None),
            CommitChange("vendor", "vera", NOW, None),
            CommitChange("customer", "carl", NOW, None),
        ],
        DECEMBER,
        {run.case: MeasuredRun(run, f"{place}" * 64, NOW, NOW) for place, run in enumerate(runs)},
        [proposal, replace(proposal, name="second", state="approved", invoice="acme-000007", binding="none")],
        [
            CustomerMonth(date(2023, 11, 1), Decimal("120.00"), Decimal("30.00")),
            CustomerMonth(DECEMBER, Decimal(0), Decimal("1.5")),
        ],
        512,
    )


def plain(text: str) -> str:
    return text.replace(formatting.SPACE, " ")


@pytest.fixture(scope="module")
def whole() -> CommitReport:
    return report_of()


@pytest.fixture(scope="module")
def html(whole: CommitReport) -> str:
    return render_page(build_commit_page(whole))


def test_it_conforms_and_fetches_nothing(html: str) -> None:
    tree = read_page(html)
    assert what_it_would_fetch_or_run(tree) == []
    assert repeated_ids(tree) == []
    captions = [one.text for one in tree.iter() if one.tag.endswith("figcaption")]
    assert captions == [
        "Benefit per month",
        "Cash flow and payback",
        "What each driver and cost comes to",
        "Which assumptions matter most",
    ]


def test_sums_so_far_are_those_of_the_runs(whole: CommitReport, html: str) -> None:
    rows = {row[0]: row[1:] for row in tables(read_page(html))["Sums so far"]}
    series = {case: one.run.series for case, one in whole.cases.items()}
    agreed, came = sum(series["committed"]["driver.saving"][:2]), sum(series["realised"]["driver.saving"])
    assert [first_line(one) for one in rows["saving"]] == [
        *(plain(formatting.estimate(one, "USD")) for one in (agreed, came, came - agreed)),
        plain(formatting.percent(came / agreed)),
    ]
    assert rows["all costs"][:2] == [
        plain(formatting.estimate(900 + 200.0, "USD")),
        plain(formatting.estimate(900 + 120, "USD")),
    ]


def first_line(cell: str) -> str:
    """An amount without the span below it."""
    return cell[: cell.index("USD") + 3] if "USD" in cell else cell


def test_committed_and_realised_stand_with_the_span_of_their_draws(html: str) -> None:
    """The worth of a token is uncertain from 10 to 20; what a licence costs was agreed and measured."""
    rows = {row[0]: row[1:] for row in tables(read_page(html))["Sums so far"]}
    for tokens, cell in zip((2 * 80, 2 * 100), rows["saving"][:2], strict=True):
        low, high = (float(one.replace(",", "")) for one in cell.split("USD")[1].split(" to "))
        assert low == pytest.approx(0.9 * tokens * 10.5, rel=0.01)
        assert high == pytest.approx(0.9 * tokens * 19.5, rel=0.01)
    assert " to " in rows["all benefits"][1]
    assert " to " in rows["net"][1]
    assert " to " not in "".join(rows["licence"])
    assert "9 in 10 draws" in plain(texts(read_page(html)))


def test_the_difference_is_explained_input_by_input_to_the_cent(whole: CommitReport, html: str) -> None:
    caption = "Why the benefit differs: what each input adds, by Shapley shares that add up"
    rows = tables(read_page(html))[caption]
    found = explain_variance(whole.commitment, whole.cases["committed"].run, whole.cases["realised"].run, "benefit")
    amounts = [Decimal(row[3].removesuffix(" USD").replace(",", "").replace(formatting.MINUS, "-")) for row in rows[1:]]
    assert sum(amounts[:-1]) == amounts[-1] == found.shown[2]
    assert {row[0] for row in rows[1:-1]} == {one.input for one in found.shares}


def test_who_agreed_stands_with_commit_dates_and_state(whole: CommitReport, html: str) -> None:
    tree = read_page(html)
    events = tables(tree)["What was done, by whom"]
    when = "5 January 2024, 12:30 UTC"
    assert events[2:] == [
        ["approved for the vendor", "vera", when, formatting.NONE],
        ["approved for the customer", "carl", when, formatting.NONE],
    ]
    assert whole.commitment.commit in texts(tree)
    assert "Acme & Sons and Customer One: 12 months from 1 November 2023" in plain(texts(tree))


def test_proposals_are_shown_with_their_state_and_the_invoice_that_bills_them(html: str) -> None:
    rows = tables(read_page(html))["Fees proposed for what was realised"][1:]
    first = "1 November 2023 to 30 November 2023"
    assert rows[0] == [
        f"{first}s1/value/2023-11..2023-11/1",
        "1,350.50 USD",
        "202.58 USD",
        "the cap",
        "openmay be disputed until 4 February 2024, 00:00 UTC",
        "not yet",
    ]
    assert rows[1][3:] == ["the share", "approved", "invoice acme-000007"]


def test_cost_to_serve_margin_and_value_for_the_price_stand_beside_it(whole: CommitReport, html: str) -> None:
    tree = read_page(html)
    rows = tables(tree)["Invoiced and spent"]
    assert rows[1][1:] == ["120.00 USD", "30.00 USD", "90.00 USD", "75 %"]
    assert rows[2][3:] == [f"{formatting.MINUS}1.50 USD", formatting.NONE]
    assert rows[3] == ["total", "120.00 USD", "31.50 USD", "88.50 USD", "74 %"]
    ratio = sum(whole.cases["realised"].run.series["benefit"]) / 120
    assert f"{plain(formatting.number(ratio))} USD" in plain(texts(tree))


def test_a_customers_copy_shows_what_was_invoiced_and_no_cost(whole: CommitReport) -> None:
    months = [replace(one, cost=None) for one in whole.months]
    page = render_page(build_commit_page(replace(whole, months=months)))
    assert tables(read_page(page))["Invoiced"] == [
        ["Month", "Invoiced, net of tax"],
        ["November 2023", "120.00 USD"],
        ["December 2023", "0.00 USD"],
        ["total", "120.00 USD"],
    ]
    assert not re.search(r"cost to serve|margin of|31\.50|88\.50", page, re.IGNORECASE)
    assert "Value for each USD invoiced" in page


def test_how_it_was_made_names_every_run_with_what_was_known(whole: CommitReport, html: str) -> None:
    tree = read_page(html)
    runs = {row[0]: row[1:] for row in tables(tree)["Runs"]}
    assert {case: row[0] for case, row in runs.items() if case != "Case"} == {
        case: one.run_hash for case, one in whole.cases.items()
    }
    assert "512 draws from seed 7" in texts(tree)
    assert "version 1" in texts(tree)


def test_what_was_carried_or_counted_as_zero_is_flagged(html: str) -> None:
    rows = tables(read_page(html))["Values that were missing"][1:]
    assert [row[:2] for row in rows] == [["licence", "Dec 2023"], ["tokens", "Dec 2023"]]
    assert rows[1][2:] == ["last known value carried forward100 token/month", "saving"]


def test_intervals_hold_the_value_and_measured_inputs_are_certain(whole: CommitReport, html: str) -> None:
    rows = {row[0]: row for row in tables(read_page(html))["One input at a time, the others at their means"]}
    assert set(rows) == {"Input", "worth"}


def proposal(whole: CommitReport, **more: Any) -> CommitReport:
    """The commit before anything of it is measured."""
    none: dict[str, Any] = {"month": None, "cases": {}, "proposals": [], "months": [], "state": "proposed"}
    return replace(whole, **(none | {"changes": whole.changes[:2]} | more))


@pytest.mark.usefixtures("undrawn")
def test_before_it_is_measured_a_commit_is_a_proposal_with_the_agreed_numbers(whole: CommitReport) -> None:
    found = proposal(whole)
    tree = read_page(render_page(build_commit_page(found)))
    text = plain(texts(tree))
    assert "Value proposal" in text
    assert "The commit is proposed; nothing is measured yet." in text
    assert "Fees proposed" not in text
    agreed = agreed_run(found.commitment)
    assert agreed is not None
    benefit = math.fsum(agreed.series["benefit"])
    assert plain(formatting.estimate(benefit, "USD")) in text
    inputs = {row[0]: row[1] for row in tables(tree)["Inputs"]}
    assert plain(inputs["tokens"]) == "80 token/month"


@pytest.mark.usefixtures("undrawn")
def test_a_proposal_is_signed_by_both_sides_and_says_who_approved_already(whole: CommitReport) -> None:
    html = render_page(build_commit_page(proposal(whole)))
    signatures = html[html.index('id="sign"') :]
    assert f"Approved by vera on {plain(formatting.instant(NOW))}" in plain(texts(read_page(html)))
    assert signatures.count('<p class="blank">') == 3
    assert signatures.index("Acme &amp; Sons") < signatures.index("Customer One") < signatures.index("Signature</p>")
    assert 'id="sign"' not in render_page(build_commit_page(whole))


@pytest.mark.usefixtures("undrawn")
def test_a_proposal_without_agreed_values_says_so_and_of_which_inputs() -> None:
    page = render_page(build_commit_page(proposal(report_of(scenario="base"))))
    assert "nothing is measured yet" in page
    assert "nothing was agreed of licence and tokens." in page
    assert 'id="case"' not in page
    assert 'id="sign"' in page


def test_a_page_has_the_tenant_s_name_colour_and_logo(whole: CommitReport) -> None:
    logo = "data:image/png;base64,iVBORw0KGgo="
    page = render_page(build_commit_page(replace(whole, brand=Brand("Acme & Sons", "#0b6e4f", logo))))
    assert "--accent: #0b6e4f;" in page
    assert f'<img src="{logo}" alt="">' in page
    assert "Value report" in texts(read_page(page))
    for wrong in ({"accent": "red;}body{display:none"}, {"logo": "https://acme.example/logo.png"}):
        with pytest.raises(ValueError, match=r"is not a colour|is a PNG"):
            Brand("Acme", **wrong)


@pytest.mark.usefixtures("undrawn")
def test_where_nothing_was_agreed_of_measured_inputs_only_the_realised_stands() -> None:
    alone = report_of(scenario="base")
    assert set(alone.cases) == {"realised"}
    tree = read_page(render_page(build_commit_page(alone)))
    assert "What was realised" in texts(tree)
    assert tables(tree)["Sums so far"][0] == ["", "Realised"]


@pytest.mark.usefixtures("undrawn")
def test_a_change_says_what_it_replaces_and_why() -> None:
    parent = "ab" * 32
    changed = read_page(render_page(build_commit_page(report_of(parent=parent, reason="<b>better</b> numbers"))))
    assert parent in texts(changed)
    assert tables(changed)["What was done, by whom"][1][3] == "<b>better</b> numbers"
