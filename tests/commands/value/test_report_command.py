"""``valueverse value report``: of a model on disk, and of a commit on a real warehouse."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from tests.services.value.test_value_step import committed, reports, track, world
from tests.support import commits
from tests.support.pages import read_page, tables, texts, what_it_would_fetch_or_run
from tests.support.people import entries_of
from valueverse.cli import app
from valueverse.errors import RefusalError
from valueverse.services.value.value_report import report_of_commit
from valueverse.value import library
from valueverse.value.report import Withheld, formatting
from valueverse.value.report.audience import Audience

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.platform.settings import Settings

RUNNER = CliRunner()


def report(*arguments: str) -> str:
    done = RUNNER.invoke(app, ["value", "report", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*arguments: str) -> RefusalError:
    done = RUNNER.invoke(app, ["value", "report", *arguments])
    assert isinstance(done.exception, RefusalError)
    return done.exception


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.yaml"
    path.write_text(library.text("developer_time"))
    return path


def test_a_model_and_its_data_become_a_file(model: Path, tmp_path: Path) -> None:
    data = tmp_path / "metrics.csv"
    data.write_text("metric,customer,period,value\nusage.requests,c1,2024-01,30000\nusage.requests,c2,2024-01,9\n")
    out = tmp_path / "page.html"
    given = (str(model), "--data", str(data), "--customer", "c1", "--scenario", "base", "--draws", "64")
    assert report(*given, "--out", str(out)) == ""
    tree = read_page(out.read_text(encoding="utf-8"))
    assert "scenario base, 24 months, customer c1" in texts(tree).replace("\u00a0", " ")
    assert tables(tree)["Values that were missing"][1][:2] == ["requests", "month 2 to month 24"]
    assert report(*given) == out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), "bad_arguments"),
        (("--tenant", "acme"), "bad_arguments"),
        (("--commit", "ab"), "bad_arguments"),
        (("missing.yaml",), "unreadable"),
        (("--tenant", "acme", "--commit", "ab", "--month", "2024-13"), "bad_month"),
        (("--tenant", "acme", "--commit", "ab", "--month", "January"), "bad_month"),
    ],
)
def test_what_cannot_be_reported_is_refused(arguments: tuple[str, ...], code: str) -> None:
    assert refused(*arguments).code == code


def test_an_unknown_scenario_and_a_place_that_cannot_be_written_are_named(model: Path) -> None:
    assert refused(str(model), "--scenario", "bse").code == "unknown_scenario"
    assert refused(str(model), "--draws", "64", "--out", "/nowhere/page.html").path == "--out"


def test_the_vendor_s_own_numbers_are_shown_only_with_internal(tmp_path: Path) -> None:
    path = tmp_path / "ours.yaml"
    path.write_text(
        "schema: valueverse.value_model/v1\nmodel: ours\ncurrency: USD\naxis: {grain: month, periods: 2}\n"
        "inputs:\n  served: {unit: USD/month, value: 7411.25, internal: true}\n"
        "  saved: {unit: USD/month, value: 9000}\n"
        "drivers: {saving: {kind: cost_saving, expr: saved}}\ncosts: {hosting: served}\n"
    )
    secrets = r"served|hosting|7,411"
    customers = report(str(path), "--draws", "64")
    assert re.findall(secrets, customers) == []
    assert "18,000 USD" in customers.replace("\u00a0", " ")
    assert re.search(secrets, report(str(path), "--draws", "64", "--internal"))


@pytest.mark.integration
def test_a_commit_is_reported_with_its_results_and_the_invoice_that_bills_its_fee(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = world()
    commit = committed(company, settings)
    proposal = report_of_commit(settings, "acme", commit)
    assert "nothing is measured yet" in proposal
    assert "Value proposal" in proposal
    assert proposal.count('<p class="blank">') == 0
    (entry,) = entries_of(settings, "value_report.exported")
    assert (entry["tenant"], entry["object"]) == ("acme", commit)
    assert entry["digest"] == hashlib.sha256(proposal.encode()).hexdigest()
    assert "Approved by carl" in proposal
    track(company, settings, as_of=datetime(2023, 12, 2, tzinfo=UTC))
    ((number, _, _),) = reports(settings, company, datetime(2024, 2, 3, tzinfo=UTC))
    track(company, settings)
    now = datetime.now(UTC)
    shown = [one["invoice"] for one in commits.listed(settings, "acme", now)]
    assert shown == [number, None]
    tree = read_page(report_of_commit(settings, "acme", commit[:8], audience=Audience.VENDOR))
    assert what_it_would_fetch_or_run(tree) == []
    fees = tables(tree)["Fees proposed for what was realised"][1:]
    assert [row[2:] for row in fees] == [
        ["10.00 USD", "the share", "approved", f"invoice {number}"],
        ["10.00 USD", "the share", "approved", "not yet"],
    ]
    assert [row[0] for row in tables(tree)["Invoiced and spent"][1:]] == ["November 2023", "December 2023", "total"]
    assert tables(tree)["Sums so far"][1][:3] == ["saving", "80.00 USD", "100.00 USD"]
    assert [row[1] for row in tables(tree)["What was done, by whom"][1:]] == ["ann", "vera", "carl"]
    earlier = read_page(report_of_commit(settings, "acme", commit, date(2023, 11, 1)))
    assert tables(earlier)["Sums so far"][1][:3] == ["saving", "40.00 USD", "50.00 USD"]
    assert len(tables(earlier)["Fees proposed for what was realised"]) == 2
    assert not re.search("cost to serve|margin", texts(earlier), re.IGNORECASE)
    assert [row[0] for row in tables(earlier)["Invoiced"][1:]] == ["November 2023", "total"]
    for nodes, value in (({"cost.licence"}, "50.00 USD"), ({"cost.licence", "driver.saving"}, formatting.NONE)):
        hidden = Withheld(frozenset({"licence"}), frozenset(nodes))
        monkeypatch.setattr("valueverse.value.report.withheld", lambda *_, hidden=hidden: hidden)
        copy = tables(read_page(report_of_commit(settings, "acme", commit, date(2023, 11, 1))))
        assert [row[1] for row in copy["Fees proposed for what was realised"][1:]] == [value]
    monkeypatch.undo()
    with pytest.raises(RefusalError, match="no run of 2030-01"):
        report_of_commit(settings, "acme", commit, date(2030, 1, 1))
    with pytest.raises(RefusalError, match="has no commit"):
        report_of_commit(settings, "acme", "ab" * 32)
    assert json.loads(json.dumps(commits.listed(settings, "acme", now)))
