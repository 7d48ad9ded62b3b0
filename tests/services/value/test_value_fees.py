"""What is proposed for an outcome where data come late, commits follow one another, and subscriptions end."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.services.value.test_value_step import JANUARY_5, MODEL, NOVEMBER, committed, track, world
from tests.support import commits
from tests.support.warehouse_billing import store as store_of
from valueverse.errors import RefusalError
from valueverse.platform.stores import value_store as store
from valueverse.platform.stores.tenant_records import tenant_records
from valueverse.services.value.track_value import track_value

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def test_a_superseded_commit_is_measured_and_billed_up_to_where_its_successor_begins(settings: Settings) -> None:
    company = world(period="quarter")
    company.use("2024-01-05", "tokens", "300")
    old = committed(company, settings)
    committed(company, settings, parent=old, reason="better numbers", start="2024-01-01", scenario="base")
    report = track(company, settings, as_of=datetime(2024, 2, 3, tzinfo=UTC))
    assert {(commit == old, month.month) for _, _, commit, month, *_ in report.runs} == {
        (True, 11),
        (True, 12),
        (False, 1),
    }
    # The fee period of the old one, begun in November, ends with it.
    assert [(name, amount) for _, name, _, _, amount, _ in report.proposals] == [
        ("s1/value/2023-11..2023-12/1", "20.00")
    ]


def test_two_commits_of_one_model_and_customer_are_not_active_for_the_same_months(settings: Settings) -> None:
    company = world()
    company.start("2023-11-01", subscription="s2", customer="c2")
    first = committed(company, settings)
    with pytest.raises(RefusalError, match=f"the commit {first} of the same model and customer") as refused:
        committed(company, settings, scenario="base")
    assert refused.value.code == "overlaps"
    # The year after is another matter, and so is another customer.
    committed(company, settings, start="2024-11-01")
    committed(company, settings, customer="c2")


def test_a_commit_that_starts_within_a_month_is_charged_once(settings: Settings) -> None:
    company = world()
    committed(company, settings, start="2023-11-15")
    assert [amount for *_, amount, _ in track(company, settings).proposals] == ["10.00", "10.00"]
    assert track(company, settings).proposals == []


def test_usage_that_moves_to_an_earlier_month_is_not_charged_twice(settings: Settings) -> None:
    company = world()
    committed(company, settings)
    track(company, settings)
    company.usage.clear()
    company.use("2023-11-05", "tokens", "130")
    company.use("2023-12-05", "tokens", "70")
    assert track(company, settings, as_of=JANUARY_5 + timedelta(days=1)).proposals == []


def test_late_usage_below_a_cap_to_date_is_not_charged_above_it(settings: Settings) -> None:
    company = world(cap="15")
    company.use("2023-12-06", "tokens", "200")
    committed(company, settings)
    assert [amount for *_, amount, _ in track(company, settings).proposals] == ["10.00", "20.00"]
    company.use("2023-11-06", "tokens", "50", received_at=JANUARY_5 - timedelta(days=1))
    assert track(company, settings, as_of=JANUARY_5 + timedelta(days=1)).proposals == []


@pytest.mark.parametrize("true_up", ["cumulative", "none"])
def test_late_usage_in_the_midst_of_a_fee_period_is_charged_at_its_end(settings: Settings, true_up: str) -> None:
    company = world(period="quarter", true_up=true_up)
    company.use("2024-01-05", "tokens", "100")
    committed(company, settings)
    now = datetime(2024, 2, 3, tzinfo=UTC)
    assert [amount for *_, amount, _ in track(company, settings, as_of=now).proposals] == ["30.00"]
    company.use("2023-11-06", "tokens", "10", received_at=now - timedelta(days=1))
    # November alone is measured again, as the sensor asks for; all that was run of the commit since is run again.
    late = track(company, settings, as_of=now + timedelta(days=1), last=NOVEMBER)
    assert [(name, amount) for _, name, _, _, amount, _ in late.proposals] == [("s1/value/2023-11..2024-01/2", "1.00")]
    assert {month.month for *_, month, case, _, new in late.runs if new and case == "realised"} == {11, 12, 1}


def test_no_fee_falls_due_for_periods_after_the_subscription_has_ended(settings: Settings) -> None:
    company = world(floor="20")
    company.record("subscription.ended", "2023-12-01", {"subscription": "s1"})
    committed(company, settings)
    assert [(name, amount) for _, name, _, _, amount, _ in track(company, settings).proposals] == [
        ("s1/value/2023-11..2023-11/1", "20.00")
    ]


@pytest.mark.parametrize("runs", [["2024-04"], ["2024-02", "2024-03", "2024-04"], ["2024-04", "2024-01", "2024-04"]])
def test_runs_may_batch_the_months_as_they_like(settings: Settings, runs: list[str]) -> None:
    company = world(months=0)
    for month, tokens in (("2023-11", 2000), ("2023-12", 2000), ("2024-01", 12669.8), ("2024-02", 793.8)):
        company.use(f"{month}-05", "tokens", str(tokens))
    company.record("subscription.ended", "2024-02-20", {"subscription": "s1"})
    # Value lost after the end is nobody's fee, and makes no earlier one less.
    company.use("2024-03-05", "tokens", "-2000")
    committed(company, settings)
    now, made = datetime(2024, 5, 3, tzinfo=UTC), []
    for first in runs:
        month = date.fromisoformat(f"{first}-01")
        report = track_value(settings, store_of(company, settings), month, month, as_of=now, run_id="test")
        made += [(name, amount) for _, name, _, _, amount, _ in report.proposals]
    assert made == [
        ("s1/value/2023-11..2023-11/1", "200.00"),
        ("s1/value/2023-12..2023-12/1", "200.00"),
        ("s1/value/2024-01..2024-01/1", "1266.98"),
        ("s1/value/2024-02..2024-02/1", "79.38"),
    ]


@pytest.mark.parametrize("runs", [["2024-04"], ["2023-11", "2023-12", "2024-04"], ["2024-01", "2023-11", "2024-04"]])
def test_runs_may_batch_the_months_of_commits_that_follow_each_other_and_of_withdrawn_proposals(
    settings: Settings, runs: list[str]
) -> None:
    company = world(months=0, period="month")
    for month, tokens in (("2023-11", 2000), ("2023-12", 2000), ("2024-01", 12669.8), ("2024-02", 793.8)):
        company.use(f"{month}-05", "tokens", str(tokens))
    company.record("subscription.ended", "2024-02-20", {"subscription": "s1"})
    company.use("2024-03-05", "tokens", "-2000")
    old = committed(company, settings)
    committed(company, settings, parent=old, reason="better numbers", start="2024-01-01", scenario="base")
    now, gone = datetime.now(UTC), set()
    lake = store_of(company, settings)
    for number, first in enumerate([*runs, "2024-04"]):
        month = date.fromisoformat(f"{first}-01")
        track_value(settings, lake, month, month, as_of=now + timedelta(minutes=number), run_id="test")
        # November's is withdrawn as soon as it is there: the next run proposes it again.
        names = {row["proposal"] for row in commits.listed(settings, "acme", now)}
        for proposal in {name for name in names if "/2023-11." in name and name.endswith("/1")} - gone:
            commits.answer(settings, "acme", proposal, "withdrawn", {"by": "vera", "reason": "wrong"})
            gone.add(proposal)
    found = {row["proposal"]: (row["amount"], row["state"]) for row in commits.listed(settings, "acme", now)}
    assert {name: (float(amount), state) for name, (amount, state) in found.items()} == {
        "s1/value/2023-11..2023-11/1": (200, "withdrawn"),
        "s1/value/2023-11..2023-11/2": (200, "open"),
        "s1/value/2023-12..2023-12/1": (200, "open"),
        "s1/value/2024-01..2024-01/1": (1266.98, "open"),
        "s1/value/2024-02..2024-02/1": (79.38, "open"),
    }


def test_a_fee_is_a_share_of_money_alone(settings: Settings) -> None:
    company = world(months=1, output="realised.count")
    variables = {"count": {"unit": "token/month", "expr": "tokens"}}
    found = committed(company, settings, model=MODEL | {"variables": variables})
    report = track(company, settings, last=NOVEMBER)
    assert report.proposals == []
    assert report.refused == [
        ("acme", found, NOVEMBER, "a fee is a share of money: 'count' is not USD or USD/month [bad_outcome_charge]")
    ]


def test_commits_are_distinguished_in_what_they_froze_and_in_the_money_agreed(settings: Settings) -> None:
    company = world()
    old = committed(company, settings)
    more = MODEL | {"scenarios": {"agreed": {"tokens": 90, "licence": 10}, "base": {}}}
    new = committed(company, settings, model=more, parent=old, reason="a busier desk")
    found = commits.differences(settings, "acme", old[:8], new[:12])
    assert found.hashes == {"before": old, "after": new}
    assert [one.path for one in found.changes if one.path.startswith(("model", "reason"))] == [
        "model.scenarios.agreed.tokens.value",
        "reason",
    ]
    assert found.money["agreed"]["total_benefit"] == {"before": 480, "after": 540, "difference": 60}


def test_metrics_that_come_back_to_what_they_were_make_a_run_of_their_own(settings: Settings) -> None:
    company = world(months=1, true_up="none")
    committed(company, settings)
    for number, tokens in enumerate(("100", "40", "100", "40")):
        company.usage.clear()
        company.use("2023-11-05", "tokens", tokens)
        report = track(company, settings, last=NOVEMBER, as_of=JANUARY_5 + timedelta(hours=number))
        assert {case: benefit for *_, case, benefit, _ in report.runs}["realised"] == str(float(tokens) / 2)
        assert [new for *_, case, _, new in report.runs if case == "realised"] == [True]


def test_a_quarter_that_was_proposed_is_not_proposed_again_by_a_successor_that_starts_within_it(
    settings: Settings,
) -> None:
    company = world(period="quarter")
    company.use("2024-01-05", "tokens", "100")
    old = committed(company, settings)
    now = datetime(2024, 2, 3, tzinfo=UTC)
    assert [amount for *_, amount, _ in track(company, settings, as_of=now).proposals] == ["30.00"]
    options = {"parent": old, "reason": "better numbers", "scenario": "base"}
    with pytest.raises(RefusalError, match=r"2023-11 to 2024-01 .* with a start of 2024-02-01 or later") as refused:
        committed(company, settings, **options, start="2024-01-01")
    assert refused.value.code == "already_proposed"
    proposal = commits.listed(settings, "acme", now)[0]["proposal"]
    assert proposal in refused.value.message
    # The first month behind it is free.
    committed(company, settings, **options, start="2024-02-01")
    assert track(company, settings, as_of=now + timedelta(days=1)).proposals == []


def test_a_successor_may_start_within_a_quarter_whose_proposal_was_withdrawn(settings: Settings) -> None:
    company = world(period="quarter")
    for month in (1, 2, 3):
        company.use(f"2024-{month:02}-05", "tokens", "100")
    old = committed(company, settings)
    now = datetime.now(UTC)
    track(company, settings, as_of=now, last=date(2024, 1, 1))
    proposal = commits.listed(settings, "acme", now)[0]["proposal"]
    commits.answer(settings, "acme", proposal, "withdrawn", {"by": "vera", "reason": "new terms"})
    committed(company, settings, parent=old, reason="new terms", scenario="base", start="2024-01-01")
    found = track(company, settings, as_of=now + timedelta(days=1), last=date(2024, 3, 1)).proposals
    assert [(name, amount) for _, name, _, _, amount, _ in found] == [
        ("s1/value/2023-11..2023-12/1", "20.00"),
        ("s1/value/2024-01..2024-03/1", "30.00"),
    ]


def test_months_of_a_closed_commit_that_were_proposed_are_not_proposed_by_a_new_one(settings: Settings) -> None:
    company = world()
    old = committed(company, settings)
    track(company, settings)
    commits.close(settings, "acme", old, "confirmed", "vera", "reached")
    with pytest.raises(RefusalError, match="with a start of 2024-01-01 or later"):
        committed(company, settings, scenario="base", start="2023-12-01")
    committed(company, settings, scenario="base", start="2024-01-01")


def test_a_second_successor_does_not_reach_back_into_the_months_of_the_first_commit(settings: Settings) -> None:
    company = world()
    first = committed(company, settings)
    second = committed(company, settings, parent=first, reason="more", start="2024-03-01")
    with pytest.raises(RefusalError, match=f"the commit {first} of the same model and customer is active"):
        committed(company, settings, parent=second, reason="sooner", start="2024-01-01")


def test_a_change_keeps_the_customer_whose_months_it_takes_over(settings: Settings) -> None:
    company = world()
    company.start("2023-11-01", subscription="s2", customer="c2")
    first = committed(company, settings)
    with pytest.raises(RefusalError, match="one of the customer 'c1': a change keeps its customer") as refused:
        committed(company, settings, parent=first, reason="other", customer="c2")
    assert refused.value.code == "other_customer"


def test_of_two_runs_with_one_present_the_one_written_last_is_the_newest(settings: Settings) -> None:
    company = world(months=1, true_up="none")
    commit = committed(company, settings)
    for tokens in ("100", "40", "70", "100"):
        company.usage.clear()
        company.use("2023-11-05", "tokens", tokens)
        track(company, settings, last=NOVEMBER)
        with tenant_records(settings, "acme") as records:
            newest = {row["case_name"]: row for row in store.newest_runs(records, commit, None)}
            same = {row["case_name"]: row for row in store.newest_runs(records, commit, NOVEMBER, documents=False)}
        assert json.loads(newest["realised"]["document"])["inputs"]["tokens"] == [float(tokens)]
        assert newest["realised"]["run_hash"] == same["realised"]["run_hash"]
    # What did not change meanwhile adds nothing.
    assert not any(new for *_, new in track(company, settings, last=NOVEMBER).runs)


def test_two_subscriptions_with_the_same_outcome_charge_bill_a_commit_once(settings: Settings) -> None:
    company = world(true_up="cumulative")
    company.start("2023-11-01", subscription="s0", ends_at="2023-12-01")
    company.start("2023-10-01", subscription="s2")
    committed(company, settings)
    # Half of 100 tokens saved is 50, a fifth of that 10 a month. The oldest is billed: s2.
    assert [(name, amount) for _, name, _, _, amount, _ in track(company, settings).proposals] == [
        ("s2/value/2023-11..2023-11/1", "10.00"),
        ("s2/value/2023-12..2023-12/1", "10.00"),
    ]


def test_where_the_subscription_that_bills_a_commit_ends_the_next_one_goes_on_with_it(settings: Settings) -> None:
    company = world(true_up="cumulative")
    company.start("2023-10-01", subscription="s2", ends_at="2023-12-01")
    committed(company, settings)
    assert [(name, amount) for _, name, _, _, amount, _ in track(company, settings).proposals] == [
        ("s2/value/2023-11..2023-11/1", "10.00"),
        ("s1/value/2023-12..2023-12/1", "10.00"),
    ]
