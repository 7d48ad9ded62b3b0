"""The fees proposed for the months of a commit, whatever runs the months come in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import law
from valueverse.catalog.prices import Outcome
from valueverse.dates import month_later
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.realisation.case_runs import Commitment
from valueverse.value.realisation.fees import Charged
from valueverse.value.realisation.proposals import (
    Agreement,
    MeasuredMonth,
    ProposalState,
    last_month,
    missing_proposals,
    months_to_measure,
    proposal_states,
)

START, PERIODS = date(2024, 1, 1), 9
PROGRAM = compile_model(
    parse_model(
        json.dumps(
            {
                "schema": "valueverse.value_model/v1",
                "model": "saved",
                "currency": "USD",
                "axis": {"grain": "month", "start": "commit.start", "periods": PERIODS, "discount": {"rate": 0.1}},
                "inputs": {"worth": {"unit": "USD/month", "value": 1}},
                "drivers": {"saving": {"kind": "cost_saving", "expr": "worth"}},
                "outputs": ["npv"],
            }
        )
    )
)
COMMITMENT = Commitment("ab" * 32, PROGRAM, {}, "c1", START, {}, {})
MONTHS = [month_later(START, n) for n in range(PERIODS)]


def charge(ended: date | None = None, **price: Any) -> Charged:
    """A charge of a fifth, unless it says otherwise."""
    options = {
        "model": "outcome",
        "value_model": "saved",
        "output": "realised.saving",
        "share": "0.2",
        "period": "month",
    }
    end = None if ended is None else datetime(ended.year, ended.month, ended.day, tzinfo=UTC)
    return Charged("s1", "value", Outcome.model_validate(options | price), end, ("value",))


@dataclass
class Ledger:
    """What runs have proposed so far."""

    bills: Charged
    existing: list[ProposalState] = field(default_factory=list)
    newest: date | None = None

    def run(self, last: int, values: list[float]) -> None:
        """A run whose last month has this number (0 is the first one of the commit)."""
        months = months_to_measure(START, MONTHS[last], self.newest, None)
        measured = [
            MeasuredMonth(one, {"driver.saving": values[: n + 1]}, [self.bills]) for n, one in enumerate(months)
        ]
        found, refused = missing_proposals(Agreement(COMMITMENT, None, "UTC"), measured, self.existing, self.newest)
        assert refused == []
        self.existing += [ProposalState(one.charge.key, one.begin, one.month, one.fee.amount) for one in found]
        self.newest = max(months)

    def amounts(self) -> dict[str, str]:
        """Amount proposed by last month."""
        return {f"{one.month:%Y-%m}": str(one.amount) for one in self.existing}


VALUES = st.lists(st.integers(-3000, 6000).map(lambda cents: cents / 100), min_size=PERIODS, max_size=PERIODS)
PRICES = st.fixed_dictionaries(
    {},
    optional={
        "floor": st.sampled_from(["1", "2"]),
        "cap": st.sampled_from(["5", "30 USD/year"]),
        "true_up": st.sampled_from(["cumulative", "none"]),
        "refund": st.booleans(),
        "period": st.sampled_from(["month", "quarter"]),
    },
)
ENDS = st.none() | st.sampled_from([date(2024, 3, 1), date(2024, 4, 15), date(2024, 7, 1)])
RUNS = st.lists(st.integers(0, PERIODS - 1), max_size=6)


@law(60)
@given(VALUES, PRICES, ENDS, RUNS)
def test_any_split_of_the_months_into_runs_makes_the_same_proposals(
    values: list[float], price: dict[str, Any], end: date | None, runs: list[int]
) -> None:
    together, apart, monthly = (Ledger(charge(end, **price)) for _ in range(3))
    together.run(PERIODS - 1, values)
    # In any order, some months more than once, then all of them.
    for last in [*runs, PERIODS - 1]:
        apart.run(last, values)
    for last in range(PERIODS):
        monthly.run(last, values)
    assert sorted(apart.existing, key=repr) == sorted(together.existing, key=repr)
    assert monthly.existing == together.existing


@law(60)
@given(VALUES, VALUES, PRICES, ENDS, st.integers(0, PERIODS - 1), RUNS)
def test_what_is_known_late_is_proposed_alike_however_the_months_are_split(
    before: list[float], after: list[float], price: dict[str, Any], end: date | None, known: int, runs: list[int]
) -> None:
    together, apart = (Ledger(charge(end, **price)) for _ in range(2))
    for ledger in (together, apart):
        ledger.run(known, before)
    for last in [*runs, PERIODS - 1]:
        apart.run(last, after)
    together.run(PERIODS - 1, after)
    assert sorted(apart.existing, key=repr) == sorted(together.existing, key=repr)


@law(40)
@given(VALUES, st.booleans(), st.none() | st.integers(1, PERIODS - 1))
def test_on_time_a_fee_to_date_is_what_its_own_month_leaves(
    values: list[float], refund: bool, ended: int | None
) -> None:
    ledger = Ledger(charge(None if ended is None else MONTHS[ended], refund=refund, true_up="cumulative"))
    ledger.run(PERIODS - 1, values)
    # By hand: a fifth of the value so far, to the cent, never below 0 unless it is given back.
    proposed, expected = Decimal(0), {}
    for n, month in enumerate(MONTHS[: PERIODS if ended is None else ended]):
        value = max(sum((Decimal(repr(one)) for one in values[: n + 1]), Decimal(0)), Decimal(0))
        to_date = (value / 5).quantize(Decimal("0.01"), ROUND_HALF_UP)
        amount = to_date - proposed if refund else max(to_date - proposed, Decimal(0))
        if amount:
            expected[f"{month:%Y-%m}"] = amount
        proposed += amount
    assert {month: Decimal(amount) for month, amount in ledger.amounts().items()} == expected


def test_months_after_the_subscription_has_ended_do_not_lower_earlier_fees() -> None:
    values = [1000.0, 1000.0, 6334.9, 396.9, -1000.0, -1400.0, 0.0, 0.0, 0.0]
    expected = {"2024-01": "200.00", "2024-02": "200.00", "2024-03": "1266.98", "2024-04": "79.38"}
    for runs in ([5], [3, 5], [3, 4, 5], [5, 3], [0, 1, 2, 3, 4, 5], [3, 3, 8, 8]):
        ledger = Ledger(charge(date(2024, 4, 20)))
        for last in runs:
            ledger.run(last, values)
        assert ledger.amounts() == expected, runs


def test_a_month_run_before_earlier_ones_leaves_them_their_fees() -> None:
    ledger = Ledger(charge())
    ledger.run(2, [50.0, 50.0, 50.0])
    assert ledger.amounts() == {"2024-01": "10.00", "2024-02": "10.00", "2024-03": "10.00"}


def test_what_has_moved_from_a_later_month_that_was_billed_is_not_billed_twice() -> None:
    ledger = Ledger(charge(cap="15"))
    ledger.run(1, [50.0, 50.0])
    ledger.run(1, [65.0, 35.0])
    # Beyond the months that were billed nothing is known yet, so the third is no bound for the first.
    ledger.run(2, [65.0, 35.0, -100.0])
    assert ledger.amounts() == {"2024-01": "10.00", "2024-02": "10.00"}


def test_proposals_keep_their_months_in_whatever_zone_the_tenant_is() -> None:
    zones = ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin"]
    rows = [
        {
            "charge": "value",
            "period_from": datetime(2024, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC),
            "period_to": datetime(2024, 3, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC),
            "amount": Decimal(1),
            "verdict": None,
        }
        for zone in zones
    ]
    found = proposal_states(rows)
    assert found == [ProposalState("value", date(2024, 1, 1), date(2024, 2, 1), Decimal(1))] * 4
    assert last_month(datetime(2024, 2, 29, 10, tzinfo=UTC)) == date(2024, 2, 1)


def test_a_run_measures_all_months_of_a_commit_up_to_its_own_or_to_its_successor() -> None:
    start, march, may = date(2024, 1, 15), date(2024, 3, 1), date(2024, 5, 1)
    assert months_to_measure(start, march, None, None) == MONTHS[:3]
    assert months_to_measure(start, march, may, None) == MONTHS[:5]
    assert months_to_measure(start, may, march, date(2024, 3, 1)) == MONTHS[:2]
    assert months_to_measure(start, date(2023, 11, 1), None, None) == []
    assert months_to_measure(start, march, None, date(2023, 12, 1)) == []
