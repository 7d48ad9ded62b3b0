"""Committed models on a real warehouse: measured, proposed, disputed or accepted, billed, and trued up by late data."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg
import pytest

from assets.resources import Platform
from assets.value import realisation
from tests.support import commits
from tests.support.ledger import World
from tests.support.rewording import reword
from tests.support.value_models import saved_model
from tests.support.warehouse_billing import know_tenant, rows, run, store
from valueverse.dates import month_later
from valueverse.errors import RefusalError
from valueverse.platform.warehouse import connect
from valueverse.services.billing.explain import explain_invoice
from valueverse.services.billing.reproducibility_check import reproduce
from valueverse.services.value import track_commit as steps
from valueverse.services.value.track_value import track_value

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings
    from valueverse.services.value.track_commit import TrackReport

pytestmark = pytest.mark.integration
NOVEMBER, DECEMBER, MARCH = date(2023, 11, 1), date(2023, 12, 1), date(2024, 3, 1)
JANUARY_5 = datetime(2024, 1, 5, tzinfo=UTC)
MODEL = saved_model(missing="error")


def world(*, share: str = "0.2", months: int = 2, **price: Any) -> World:
    """A customer who uses 100 tokens a month, on a plan that shares the saving."""
    meter = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
    outcome = {"model": "outcome", "value_model": "saved", "output": "realised.saving", "share": share} | price
    charges = [
        {"key": "usage", "meter": "tokens", "price": {"model": "standard", "unit": "0.01"}},
        {"key": "value", "price": outcome},
    ]
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": charges}
    company = World({"currency": "USD", "meters": [meter], "plans": [plan]})
    company.start("2023-11-01")
    for month in range(11, 11 + months):
        company.use(f"2023-{month}-05", "tokens", "100")
    return company


def committed(company: World, settings: Settings, model: dict[str, Any] = MODEL, **options: Any) -> str:
    """The model, committed for c1 from November 2023 and approved by both sides; the tenant is known, as from a
    run."""
    know_tenant(settings)
    store(company, settings)
    more = {"scenario": "agreed", "seed": 1, "author": "ann", "parent": None, "reason": None}
    more |= {"customer": "c1", "start": "2023-11-01"}
    found = commits.commit(settings, "acme", json.dumps(model), more | options, None)["commit"]
    commits.approve(settings, "acme", found, "vendor", "vera")
    commits.approve(settings, "acme", found, "customer", "carl")
    return str(found)


def track(company: World, settings: Settings, as_of: datetime = JANUARY_5, last: date = MARCH) -> TrackReport:
    return track_value(settings, store(company, settings), NOVEMBER, last, as_of=as_of, run_id="test")


def results(settings: Settings, name: str = "driver.saving") -> list[tuple[Any, ...]]:
    return rows(
        settings,
        "select r.month::text, r.case_name, x.value from value.run r join value.result x using (tenant_id, run_hash)"
        f" where x.name = '{name}' order by r.month, r.case_name, r.computed_at",
    )


def test_a_commit_is_measured_in_every_case_of_every_closed_month(settings: Settings) -> None:
    company = world()
    run(company, settings)
    committed(company, settings)
    track(company, settings)
    assert results(settings) == [
        ("2023-11-01", "committed", 40),
        ("2023-11-01", "forecast", 50),
        ("2023-11-01", "realised", 50),
        ("2023-12-01", "committed", 40),
        ("2023-12-01", "forecast", 50),
        ("2023-12-01", "realised", 50),
    ]
    assert [value for *_, value in results(settings, "cost.licence")] == [10, 1, 1, 10, 1, 1]


def test_metrics_of_every_kind_are_written_with_their_watermark(settings: Settings) -> None:
    company = world()
    company.record("cost.recorded", "2023-11-20", {"amount": "30", "currency": "USD"})
    run(company, settings)
    track(company, settings)
    found = rows(settings, "select metric, customer, month::text, value from value.metric order by 1, 2, 3")
    assert ("billing.active_customers", "c1", "2023-11-01", 1) in found
    assert ("billing.cost_to_serve", "c1", "2023-11-01", 30) in found
    assert ("billing.invoiced_net", "c1", "2023-12-01", 1) in found
    assert ("usage.tokens", "c1", "2023-12-01", 100) in found


def test_a_second_run_adds_nothing_and_late_usage_adds_a_run_and_the_difference(settings: Settings) -> None:
    company = world()
    run(company, settings)
    committed(company, settings)
    assert [amount for *_, amount, _ in track(company, settings).proposals] == ["10.00", "10.00"]
    again = track(company, settings)
    assert again.proposals == []
    assert not any(new for *_, new in again.runs)
    company.use("2023-11-20", "tokens", "10", received_at=JANUARY_5 - timedelta(days=1))
    late = track(company, settings)
    assert [amount for *_, amount, _ in late.proposals] == ["1.00"]
    assert {case for *_, month, case, _, new in late.runs if new and month == date(2023, 11, 1)} == {
        "realised",
        "forecast",
    }


def test_an_accepted_proposal_is_a_line_with_its_commit_and_run(settings: Settings) -> None:
    company = world()
    commit = committed(company, settings)
    track(company, settings, as_of=datetime(2023, 12, 2, tzinfo=UTC))
    (open_one,) = commits.listed(settings, "acme", datetime(2023, 12, 3, tzinfo=UTC))
    assert (open_one["state"], open_one["amount"], open_one["binding"]) == ("open", "10", "none")
    # Not disputed, it counts as accepted when its 30 days are over: the invoice of January bills it.
    assert reports(settings, company, datetime(2023, 12, 20, tzinfo=UTC)) == []
    ((number, amount, explains),) = reports(settings, company, datetime(2024, 2, 3, tzinfo=UTC))
    assert amount == 1000
    assert f"commit {commit}" in explains
    # The fee is no cost of the model that it is a share of.
    track(company, settings, as_of=datetime(2024, 2, 4, tzinfo=UTC))
    fees = rows(
        settings,
        "select metric, month::text, value from value.metric where value <> 0 and metric ~ 'invoiced|outcome'"
        " order by 1, 2",
    )
    assert fees == [
        ("billing.invoiced_net", "2023-11-01", 1),
        ("billing.invoiced_net", "2023-12-01", 1),
        ("billing.outcome_fees", "2023-11-01", 10),
    ]
    assert max(value for _, case, value in results(settings, "cost.licence") if case == "realised") == 1
    assert open_one["run_hash"] in explains
    reproduced = reproduce(settings, store(company, settings), [DECEMBER, date(2024, 1, 1), date(2024, 2, 1)])
    assert reproduced.filter(~reproduced["ok"]).is_empty()
    assert number in reproduced["number"].to_list()
    # The line names its proposal in a column, whatever its text: it is billed once, and listed with its invoice.
    assert reword(settings)
    run(company, settings, datetime(2024, 3, 3, tzinfo=UTC))
    assert len(reports(settings, company, datetime(2024, 3, 3, tzinfo=UTC))) == 1
    listed = commits.listed(settings, "acme", datetime(2024, 3, 3, tzinfo=UTC))
    assert [one["invoice"] for one in listed if one["proposal"] == open_one["proposal"]] == [number]
    with connect(settings, "builder") as connection:
        (line,) = explain_invoice(connection, store(company, settings), number, "value", 1)["lines"]
    assert f"--run {open_one['run_hash']}" in line["leads_on"]


def reports(settings: Settings, company: World, as_of: datetime) -> list[tuple[Any, ...]]:
    from valueverse.services.billing.run_billing import bill

    bill(settings, store(company, settings), date(2023, 11, 1), MARCH, as_of=as_of, run_id="test")
    return rows(
        settings,
        "select i.number, l.amount_minor, l.explains from billing.invoice_line l join billing.invoice i"
        " using (tenant_id, invoice_id) where l.kind = 'outcome' and i.status = 'finalised'",
    )


def test_a_disputed_proposal_is_not_billed_until_it_is_accepted(settings: Settings) -> None:
    company = world()
    committed(company, settings)
    now = datetime.now(UTC)
    track(company, settings, as_of=now)
    first = commits.listed(settings, "acme", now)[0]["proposal"]
    options = {"by": "carl", "reason": "that was not us"}
    assert commits.answer(settings, "acme", first, "disputed", options)["state"] == "disputed"
    far = now + timedelta(days=60)
    states = {one["proposal"]: one["state"] for one in commits.listed(settings, "acme", far)}
    assert sorted(states.values()) == ["approved", "disputed"]
    for verdict, code in (("disputed", "already_said"), ("accepted", None), ("accepted", "already_said")):
        if code is None:
            answered = commits.answer(settings, "acme", first, verdict, {"by": "carl", "reason": None})
            assert answered["state"] == "approved"
        else:
            with pytest.raises(RefusalError) as refused:
                commits.answer(settings, "acme", first, verdict, options)
            assert refused.value.code == code


def test_a_withdrawn_proposal_is_proposed_again(settings: Settings) -> None:
    company = world(months=1)
    committed(company, settings)
    now = datetime.now(UTC)
    track(company, settings, as_of=now, last=NOVEMBER)
    (first,) = commits.listed(settings, "acme", now)
    commits.answer(settings, "acme", first["proposal"], "withdrawn", {"by": "vera", "reason": "typo"})
    track(company, settings, as_of=now, last=NOVEMBER)
    found = commits.listed(settings, "acme", now)
    assert [(one["proposal"][-2:], one["state"]) for one in found] == [("/1", "withdrawn"), ("/2", "open")]


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ({"floor": "240 USD/year"}, ["20.00", "20.00"]),
        ({"cap": "60 USD/year"}, ["5.00", "5.00"]),
        ({"floor": "15", "true_up": "none"}, ["15.00", "15.00"]),
        ({"period": "quarter"}, []),
        ({"share": "0.5"}, ["25.00", "25.00"]),
    ],
)
def test_what_the_charge_says_wins_over_the_model(
    settings: Settings, price: dict[str, Any], expected: list[str]
) -> None:
    company = world(**price)
    committed(company, settings)
    assert [amount for *_, amount, _ in track(company, settings).proposals] == expected


def test_a_fee_never_refunds_unless_the_charge_says_so(settings: Settings) -> None:
    company = world(months=1, refund=True)
    committed(company, settings)
    track(company, settings, last=NOVEMBER)
    company.usage.clear()
    company.use("2023-11-05", "tokens", "40")
    found = track(company, settings, last=NOVEMBER, as_of=JANUARY_5 + timedelta(days=1))
    assert [Decimal(amount) for *_, amount, _ in found.proposals] == [Decimal("-6.00")]


def test_a_commit_that_lacks_its_metric_is_named_and_keeps_nothing_back(settings: Settings) -> None:
    company = world(months=1)
    company.start("2023-11-01", subscription="s2", customer="c2")
    committed(company, settings)
    committed(company, settings, customer="c2")
    report = track(company, settings, last=NOVEMBER)
    ((tenant, _, month, reason),) = report.refused
    assert (tenant, month) == ("acme", date(2023, 11, 1))
    assert "'tokens' has no value in period 1" in reason
    assert len(report.proposals) == 1


def test_a_commit_that_fails_half_way_writes_nothing_and_keeps_nothing_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = world(months=1)
    company.start("2023-11-01", subscription="s2", customer="c2")
    company.use("2023-11-05", "tokens", "100", customer="c2")
    failing = committed(company, settings)
    other = committed(company, settings, customer="c2")
    works = steps._write

    def fails(world: Any, commitment: Any, *more: Any) -> bool:
        written = works(world, commitment, *more)
        if commitment.commit == failing:
            raise OverflowError("a number of this commit is out of range")
        return written

    monkeypatch.setattr(steps, "_write", fails)
    report = track(company, settings, last=NOVEMBER)
    ((tenant, commit, month, reason),) = report.refused
    assert (tenant, commit, month) == ("acme", failing, date(2023, 11, 1))
    assert reason.startswith("a number of this commit is out of range")
    commits = "select distinct commit_id::text from value."
    assert rows(settings, f"{commits}run") == rows(settings, f"{commits}proposal") == [(other,)]
    monkeypatch.undo()
    track(company, settings, last=NOVEMBER)
    assert {row[0] for row in rows(settings, f"{commits}proposal")} == {failing, other}


def test_a_closed_commit_is_measured_no_more(settings: Settings) -> None:
    company = world()
    commit = committed(company, settings)
    closed = commits.close(settings, "acme", commit, "confirmed", "vera", "reached")
    assert closed["state"] == "confirmed"
    assert track(company, settings).runs == []
    with pytest.raises(RefusalError, match="only an active one is closed"):
        commits.close(settings, "acme", commit, "confirmed", "vera", "again")


def test_a_superseding_commit_takes_over_with_the_platforms_metrics_as_its_baseline(settings: Settings) -> None:
    company = world()
    run(company, settings)
    old = committed(company, settings)
    track(company, settings)
    options = {"parent": old, "reason": "better numbers", "start": "2024-01-01", "scenario": "base"}
    new = committed(company, settings, **options)
    log = {one["commit"]: one["state"] for one in commits.log(settings, "acme")}
    assert log == {old: "superseded", new: "active"}
    ((document,),) = rows(settings, f"select document from value.commit where commit_id = '{new}'")
    assert json.loads(document)["expected"] == {"licence": 1.0, "tokens": 100.0}
    assert json.loads(document)["snapshot"] == {
        "billing.invoiced_net": {"-1": [1.0], "0": [1.0]},
        "usage.tokens": {"-1": [100.0], "0": [100.0]},
    }
    assert json.loads(document)["watermark"].startswith("2023-12-05")


def test_no_row_of_a_commit_is_ever_edited(settings: Settings) -> None:
    company = world(months=1)
    committed(company, settings)
    track(company, settings, last=NOVEMBER)
    for table in ("run", "result", "proposal", "verdict", "closing"):
        with pytest.raises(psycopg.errors.RestrictViolation):
            rows(settings, f"delete from value.{table} returning 1")


def test_the_asset_reports_runs_and_proposals(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    company = world()
    committed(company, settings)
    store(company, settings)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    # An instance that an earlier test left may be gone: Dagster asks the newest one that was entered.
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [realisation], partition_key="2023-11-01", resources={"platform": Platform()}, instance=instance
        )
    assert result.success
    (event,) = result.asset_materializations_for_node("value__realisation")
    assert "10.00" in str(event.metadata["new_proposals"].value)
    assert all(check.passed for check in result.get_asset_check_evaluations())


def test_months_are_counted_back_over_a_new_year() -> None:
    assert [month_later(date(2024, 2, 1), -count) for count in (0, 1, 2, 14)] == [
        date(2024, 2, 1),
        date(2024, 1, 1),
        date(2023, 12, 1),
        date(2022, 12, 1),
    ]
