"""``valueverse value explain`` and ``variance``: from an output to events and invoice lines, on a real warehouse."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tests.support import commits
from tests.support.ledger import World
from tests.support.warehouse_billing import rows, run, store
from valueverse.cli import app
from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.platform.stores.event_store import EventStore
from valueverse.platform.warehouse import connect
from valueverse.services.billing.explain import explain_invoice
from valueverse.services.billing.explain_event import explain_event
from valueverse.services.value.explain_value import Answer, Question, RunRef
from valueverse.services.value.track_value import track_value

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.platform.settings import Settings

NOVEMBER, DECEMBER = date(2023, 11, 1), date(2023, 12, 1)
MODEL: dict[str, Any] = {
    "schema": "valueverse.value_model/v1",
    "model": "saved",
    "currency": "USD",
    "axis": {"grain": "month", "start": "commit.start", "periods": 12},
    "units": {"base": ["token"]},
    "inputs": {
        "tokens": {"unit": "token/month", "bind": {"metric": "usage.tokens", "agg": "sum"}},
        "licence": {"unit": "USD/month", "bind": {"metric": "billing.invoiced_net"}, "missing": "zero"},
        "recurring": {"unit": "USD/month", "bind": {"metric": "billing.mrr"}, "missing": "zero"},
        "served": {"unit": "USD/month", "bind": {"metric": "billing.cost_to_serve"}, "missing": "zero"},
        "held": {"unit": "1", "bind": {"metric": "billing.active_customers"}, "missing": "zero"},
        "worth": {"unit": "USD/token", "value": 0.5},
    },
    "drivers": {"saving": {"kind": "cost_saving", "expr": "tokens * worth * held", "risk": 0.1}},
    "costs": {"licence": "licence", "rest": "recurring + served"},
    "scenarios": {
        "agreed": {"tokens": 80, "licence": 10, "recurring": 10, "served": 0, "held": 1},
        "base": {},
    },
    "outputs": ["npv"],
    "pricing": {"output": "realised.saving", "share": 0.2, "period": "month"},
}


def world() -> World:
    """A customer with a fee, a cost of its own and one shared, who used 100 and 130 tokens in two months."""
    meter = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
    outcome = {"model": "outcome", "value_model": "saved", "output": "realised.saving", "share": "0.2"}
    charges = [
        {"key": "usage", "meter": "tokens", "price": {"model": "standard", "unit": "0.01"}},
        {"key": "value", "price": outcome},
    ]
    fee = {"key": "base", "amount": "10", "timing": "in_arrears"}
    plan = {"key": "pro", "period": {"align": "calendar"}, "fees": [fee], "charges": charges}
    company = World({"currency": "USD", "meters": [meter], "plans": [plan]})
    company.start("2023-11-01")
    company.record("cost.recorded", "2023-11-20", {"amount": "30", "currency": "USD", "customer": "c1"})
    company.record("cost.recorded", "2023-11-21", {"amount": "7", "currency": "USD"})
    for time, tokens in (("2023-11-05", "60"), ("2023-11-06", "40"), ("2023-12-05", "130")):
        company.use(time, "tokens", tokens)
    return company


@dataclass(frozen=True)
class Tracked:
    """A commit that was measured, and whose fee was billed."""

    settings: Settings
    commit: str

    def explain(self, output: str, **place: Any) -> Answer:
        limit = place.pop("limit", 5)
        asked = Question(output, to_date=place.pop("to_date", False))
        month = {"commit": self.commit, "month": NOVEMBER}
        return commits.explain(self.settings, "acme", RunRef(**(place or month)), asked, limit)


@pytest.fixture(scope="module")
def tracked(module_settings: Settings) -> Tracked:
    """November and December were measured; the fee of November is on an invoice of February."""
    settings, company = module_settings, world()
    run(company, settings, datetime(2023, 11, 2, tzinfo=UTC))
    options = {"scenario": "agreed", "seed": 1, "author": "ann", "parent": None, "reason": None}
    options |= {"customer": "c1", "start": "2023-11-01"}
    commit = commits.commit(settings, "acme", json.dumps(MODEL), options, None)["commit"]
    for side in ("vendor", "customer"):
        commits.approve(settings, "acme", commit, side, side)
    for last, as_of in (
        (NOVEMBER, datetime(2023, 12, 4, tzinfo=UTC)),
        (DECEMBER, datetime(2024, 1, 5, tzinfo=UTC)),
    ):
        run(company, settings, as_of)
        track_value(settings, store(company, settings), NOVEMBER, last, as_of=as_of, run_id="test")
    run(company, settings, datetime(2024, 2, 20, tzinfo=UTC))
    return Tracked(settings, str(commit))


def drilled_down(answer: Answer, name: str) -> list[dict[str, Any]]:
    (found,) = (result for one, result in answer.drilldown.items() if one.partition("@")[0] == name)
    return found


pytestmark = pytest.mark.integration


def test_an_output_leads_to_the_very_events_that_were_counted(tracked: Tracked) -> None:
    answer = tracked.explain("benefit")
    assert answer.root.value == 100 * 0.5 * (1 - 0.1)
    (result,) = drilled_down(answer, "tokens")
    assert (result["metric"], result["customer"], result["month"], result["value"]) == (
        "usage.tokens",
        "c1",
        "2023-11",
        100.0,
    )
    assert (result["kind"], result["count"]) == ("events", 2)
    assert [(one["source"], one["id"], one["value"]) for one in result["first"]] == [
        ("test", "u0", "60"),
        ("test", "u1", "40"),
    ]
    with connect(tracked.settings, "builder") as connection:
        for one in result["first"]:
            answers = explain_event(
                EventStore(connection), Lake(tracked.settings.lake_url), one["source"], one["id"], "acme"
            )
            assert [found["outcome"] for found in answers] == ["billed"]


def test_money_metrics_lead_to_invoice_lines_cost_events_and_subscriptions(tracked: Tracked) -> None:
    answer = tracked.explain("net")
    (licence,) = drilled_down(answer, "licence")
    ((number,),) = rows(
        tracked.settings,
        "select number from billing.invoice where period_from::date = '2023-11-01' and number is not null",
    )
    assert {(one["invoice"], one["line"], one["net"]) for one in licence["first"]} == {
        (number, "usage", "1.00"),
        (number, "base", "10.00"),
    }
    assert licence["value"] == 11.0
    (recurring,) = drilled_down(answer, "recurring")
    assert [(one["invoice"], one["line"]) for one in recurring["first"]] == [(number, "base")]
    (served,) = drilled_down(answer, "served")
    assert [(one["customer"], one["amount"]) for one in served["first"]] == [("c1", "30"), (None, "7")]
    assert served["value"] == 37.0
    (held,) = drilled_down(answer, "held")
    assert held["first"] == [{"subscription": "s1"}]


def test_the_first_digits_of_a_commit_name_it(tracked: Tracked) -> None:
    whole, short = (tracked.explain("benefit", commit=named) for named in (tracked.commit, tracked.commit[:8]))
    assert whole.about == short.about
    asked = {"cases": ("committed", "realised"), "output": "benefit", "period": None}
    result = commits.variance(tracked.settings, "acme", tracked.commit[:10], NOVEMBER, asked)
    assert result["commit"] == tracked.commit


def test_only_the_first_are_reported_and_all_are_counted(tracked: Tracked) -> None:
    (result,) = drilled_down(tracked.explain("benefit", limit=1, commit=tracked.commit, month=NOVEMBER), "tokens")
    assert (result["count"], [one["id"] for one in result["first"]]) == (2, ["u0"])


def test_the_last_month_is_explained_unless_another_is_named_and_to_date_covers_all(tracked: Tracked) -> None:
    answer = tracked.explain("saving", commit=tracked.commit, to_date=True)
    assert (answer.about["month"], answer.root.value) == ("2023-12", 45.0 + 58.5)
    assert {result[0]["month"] for one, result in answer.drilldown.items() if one.startswith("tokens")} == {
        "2023-11",
        "2023-12",
    }
    assert tracked.explain("benefit", commit=tracked.commit, case="committed").root.value == 36.0


def test_an_outcome_line_leads_on_to_the_tree_of_its_value(tracked: Tracked, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in tracked.settings.environment().items():
        monkeypatch.setenv(name, value)
    ((number, amount),) = rows(
        tracked.settings,
        "select i.number, l.amount_minor from billing.invoice_line l join billing.invoice i"
        " using (tenant_id, invoice_id) where l.kind = 'outcome' order by l.amount_minor limit 1",
    )
    with connect(tracked.settings, "builder") as connection:
        lines = explain_invoice(connection, Lake(tracked.settings.lake_url), number, "value", 5)["lines"]
    command = shlex.split(min(lines, key=lambda line: Decimal(line["amount"]))["leads_on"])
    assert command[-3:] == ["--output", "saving", "--to-date"]
    result = json.loads(CliRunner().invoke(app, [*command[1:], "--json"]).output)
    assert Decimal(amount) / 100 == Decimal(str(result["value"])) * Decimal("0.2")
    assert result["nodes"][0]["id"] == result["root"] == "saving to date@1"


def test_the_variance_of_a_month_is_shown_by_input(tracked: Tracked) -> None:
    asked = {"cases": ("committed", "realised"), "output": "net", "period": None}
    result = commits.variance(tracked.settings, "acme", tracked.commit, NOVEMBER, asked)
    assert (result["before"], result["after"], result["difference"]) == ("16.00", "-13.00", "-29.00")
    assert {one["input"]: one["share"] for one in result["shares"]} == {
        "served": "-37.00",
        "tokens": "9.00",
        "licence": "-1.00",
    }
    with pytest.raises(RefusalError, match="there are committed, forecast, realised") as refused:
        commits.variance(tracked.settings, "acme", tracked.commit, NOVEMBER, asked | {"cases": ("agreed", "realised")})
    assert refused.value.code == "not_measured"


def test_both_commands_print_for_people(tracked: Tracked, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in tracked.settings.environment().items():
        monkeypatch.setenv(name, value)
    place = ["--tenant", "acme", "--commit", tracked.commit, "--month", "2023-11"]
    result = CliRunner().invoke(app, ["value", "explain", *place, "--events", "1"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for text in ("driver.saving before risk", "tokens * worth * held", "source test, id u0", "1 more (--events)"):
        assert text in result.output
    result = CliRunner().invoke(app, ["value", "variance", *place], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "realised against committed" in result.output
    assert "9.00" in result.output


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ({"commit": "0" * 64}, "unknown_commit"),
        ({"run_hash": "0" * 64}, "unknown_run"),
        ({"commit": "", "month": NOVEMBER}, "unknown_commit"),
    ],
)
def test_what_is_not_there_is_refused(tracked: Tracked, place: dict[str, Any], code: str) -> None:
    with pytest.raises(RefusalError) as refused:
        tracked.explain("benefit", **place)
    assert refused.value.code == code


def test_a_month_that_was_not_measured_is_refused_with_its_name(tracked: Tracked) -> None:
    with pytest.raises(RefusalError, match="no realised run of 2023-10") as refused:
        tracked.explain("benefit", commit=tracked.commit, month=date(2023, 10, 1))
    assert refused.value.code == "not_measured"


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["value", "explain", *arguments], env={"COLUMNS": "160"})


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A file with a model, 12 months."""
    path = tmp_path / "model.json"
    path.write_text(json.dumps(MODEL | {"scenarios": {"base": {}, "high": {"worth": 2}}}), encoding="utf-8")
    return str(path)


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Its metrics."""
    path = tmp_path / "data.csv"
    lines = [f"usage.tokens,c1,{t},{100 + t}\nbilling.active_customers,c1,{t},1" for t in range(1, 13)]
    path.write_text("\n".join(["metric,customer,period,value", *lines]), encoding="utf-8")
    return str(path)


def test_a_model_file_is_explained_without_a_server(model: str, data: str) -> None:
    result = invoke(model, "--data", data, "--output", "benefit", "--period", "2", "--json")
    answer = json.loads(result.output)
    assert (answer["model"], answer["scenario"], answer["value"]) == ("saved", "base", 102 * 0.5 * 0.9)
    tokens = next(one for one in answer["nodes"] if one["name"] == "tokens")
    assert (tokens["value"], tokens["source"]["metric"], tokens["source"]["period"]) == (102.0, "usage.tokens", 2)
    result = invoke(model, "--data", data, "--scenario", "high")
    assert "net present" not in result.output
    assert "... 9 more periods of benefit (--json)" in result.output
    assert "constant (scenario high)" in result.output
    assert "zero" in result.output
    assert "... (--depth)" in invoke(model, "--data", data, "--depth", "2").output


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], "bad_arguments"),
        (["MODEL", "--tenant", "acme"], "bad_arguments"),
        (["--tenant", "acme"], "bad_arguments"),
        (["--tenant", "acme", "--commit", "c", "--run", "r"], "bad_arguments"),
        (["--tenant", "acme", "--commit", "c", "--month", "november"], "bad_month"),
        (["MODEL"], "missing_metric"),
        (["MODEL", "--data", "DATA", "--output", "savings"], "unknown_output"),
        (["MODEL", "--data", "DATA", "--scenario", "hihg"], "unknown_scenario"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments: list[str], code: str, model: str, data: str) -> None:
    result = invoke(*({"MODEL": model, "DATA": data}.get(word, word) for word in arguments))
    assert isinstance(result.exception, RefusalError)
    assert result.exception.code == code
