"""What is withdrawn, or sent again with other values, after an invoice was issued for it."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.invoicing.corrections.test_corrections import Books
from tests.support.companies import bill_runs
from tests.support.laws import law
from tests.support.ledger import World, amounts, instant, prior_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from valueverse.invoicing.engine import Billed

METER = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
FEES = [
    {"key": "base", "amount": "1200"},
    {"key": "seats", "unit_amount": "10", "quantity": 3},
    {"key": "care", "amount": "90", "timing": "in_arrears"},
]
USAGE = {
    "key": "tokens",
    "meter": "tokens",
    "price": {"model": "graduated", "tiers": [{"up_to": "10", "unit": "2"}, {"up_to": None, "unit": "1"}]},
}


def world(unit: str = "year", align: str = "anniversary", tenant: str = "acme", **catalog: Any) -> World:
    """Plan ``pro`` of periods of a unit, and ``other`` of months."""
    pro = {"key": "pro", "period": {"unit": unit, "align": align}, "fees": FEES, "charges": [USAGE]}
    pro |= {"commitment": {"minimum": "1500"}}
    other = {"key": "other", "period": {"unit": "month"}, "fees": [{"key": "base", "amount": "70"}], "charges": [USAGE]}
    return World({"meters": [METER], "plans": [pro, other]} | catalog, tenant=tenant)


def withdraw(acme: World, number: int, at: str) -> None:
    """The billing event of this number is voided: from ``at`` it is known no more."""
    acme.facts[number]["known_until"] = instant(at)


def recorded(acme: World, kind: str, time: str, at: str, **data: Any) -> int:
    """Record an event of s1 at an instant; return its number."""
    acme.record(f"subscription.{kind}", time, {"subscription": "s1"} | data, received_at=instant(at))
    return len(acme.facts) - 1


RUNS = ("2024-02-03", "2024-03-03", "2024-04-03", "2024-06-03", "2025-02-03", "2025-06-03", "2026-03-03")


class Runs(Books):
    """Runs that know of billing events what was received by then, and not what is withdrawn later."""

    def bill(self, start: str, end: str, at: str) -> Billed:
        """A run at ``at``."""
        acme, moment = self.acme, instant(at)
        facts, usage = acme.facts_frame(), acme.usage_frame().filter(pl.col("received_at") <= moment)
        changes = pl.concat([pl.concat([one["received_at"], one["known_until"]]) for one in (facts, usage)])
        window = (date.fromisoformat(start), date.fromisoformat(end))
        known_at = changes.filter(changes <= moment).max()
        return self.run(acme.timeline(at), acme.history(), usage.lazy(), facts, window, known_at=known_at, as_of=moment)


def billed(acme: World, runs: tuple[str, ...] = RUNS) -> dict[str, list[tuple[str, str, int]]]:
    """Lines (key, kind, minor) of the runs at these days, by the day their invoice closed."""
    books, found = Runs(acme), defaultdict(list)
    for at in runs:
        for row in books.bill("2023-01-01", f"{at[:8]}01", at).lines.sort("period_from", "place").iter_rows(named=True):
            close = row["period_from"] if row["invoice_type"] == "start" else row["period_to"]
            found[f"{close:%Y-%m-%d}"].append((row["key"], row["kind"], row["amount_minor"]))
    return dict(found)


def run_together(worlds: Sequence[World], runs: tuple[str, ...] = RUNS) -> list[Billed]:
    """What runs at these days bill for many companies at once."""
    return bill_runs(worlds, [("2023-01-01", f"{at[:8]}01", at) for at in runs])


def totals(worlds: Sequence[World], runs: tuple[str, ...] = RUNS) -> dict[str, int]:
    """All that these runs bill, by tenant."""
    lines = pl.concat([one.lines.select("tenant", "amount_minor") for one in run_together(worlds, runs)])
    return dict.fromkeys((world.tenant for world in worlds), 0) | dict(
        lines.group_by("tenant").agg(pl.col("amount_minor").sum()).rows()
    )


def total(found: dict[str, list[tuple[str, str, int]]]) -> int:
    return sum(amount for lines in found.values() for *_, amount in lines)


def test_an_end_withdrawn_leaves_the_next_advance_on_the_day_it_is_due() -> None:
    acme = world()
    acme.start("2023-01-01")
    end = recorded(acme, "ended", "2024-03-01", "2024-02-20")
    withdraw(acme, end, "2024-04-10")
    found = billed(acme)
    assert ("base", "fee", 120000) in found["2024-01-01"]
    assert ("base", "fee", -100328) in found["2024-03-01"]
    # The period that went on closes at its own end: the advance of 2025 is there, and what the end gave back is taken.
    assert ("base", "fee", 120000) in found["2025-01-01"]
    assert ("base", "adjustment", 100328) in found["2025-01-01"]
    assert ("base", "fee", 120000) in found["2026-01-01"]
    assert [key for key, kind, _ in found["2026-01-01"] if kind == "adjustment"] == []


LIVES = {
    "an end, withdrawn": [("ended", "2024-03-01", {}, "2024-02-20", "2024-04-10")],
    "an end, withdrawn after the period would have closed": [("ended", "2024-03-01", {}, "2024-02-20", "2025-03-10")],
    "an end known late, withdrawn": [("ended", "2023-11-15", {}, "2024-02-20", "2024-03-10")],
    "an end moved later in the period": [
        ("ended", "2024-03-01", {}, "2024-02-20", "2024-04-10"),
        ("ended", "2024-06-01", {}, "2024-04-10", None),
    ],
    "an end moved to a later period": [
        ("ended", "2024-03-01", {}, "2024-02-20", "2024-04-10"),
        ("ended", "2025-06-01", {}, "2024-04-10", None),
    ],
    "an end moved earlier": [
        ("ended", "2024-03-15", {}, "2024-02-20", "2024-04-10"),
        ("ended", "2024-02-10", {}, "2024-04-10", None),
    ],
    "an end withdrawn and sent again": [
        ("ended", "2024-03-01", {}, "2024-02-20", "2024-04-10"),
        ("ended", "2024-03-01", {}, "2025-02-10", None),
    ],
    "an end moved later, and later again": [
        ("ended", "2024-03-01", {}, "2024-02-20", "2024-04-10"),
        ("ended", "2024-05-20", {}, "2024-04-10", "2024-07-01"),
        ("ended", "2024-09-01", {}, "2024-07-01", "2024-10-10"),
    ],
    "a pause, withdrawn": [("paused", "2024-02-20", {}, "2024-02-20", "2024-04-10")],
    "a resumption, withdrawn": [
        ("paused", "2024-02-20", {}, "2024-02-20", None),
        ("resumed", "2024-03-20", {}, "2024-03-20", "2024-05-10"),
    ],
    "a change of plan, withdrawn": [("changed", "2024-03-01", {"plan": "other"}, "2024-02-20", "2024-05-10")],
    "a change of seats, withdrawn": [
        ("changed", "2024-03-10", {"quantities": {"seats": 8}}, "2024-03-10", "2024-05-10")
    ],
}


def lives(acme: World, life: str, *, known: bool) -> None:
    """Record the events of a life; ``known``: as if all of it had been known from the start."""
    for kind, time, data, at, until in LIVES[life]:
        if known and until is not None:
            continue
        number = recorded(acme, kind, time, time if known else at, **data)
        if until is not None:
            withdraw(acme, number, until)


CASES = [
    *((life, ("year", "anniversary")) for life in LIVES),
    *(("an end, withdrawn", period) for period in (("month", "calendar"), ("quarter", "anniversary"))),
    ("a pause, withdrawn", ("month", "calendar")),
]


@pytest.fixture(scope="module")
def sums() -> list[dict[str, int]]:
    """By case: what runs billed as they came to know it, and what a run that knew it bills."""
    found = []
    for known in (False, True):
        worlds = []
        for number, (life, period) in enumerate(CASES):
            one = world(*period, tenant=str(number))
            one.start("2023-01-10")
            for month in ("2023-05", "2024-02", "2024-03", "2024-05", "2024-08", "2025-04"):
                one.use(f"{month}-21", "tokens", "7")
            one.use("2024-05-22", "tokens", "30", received_at=instant("2025-05-01"))
            lives(one, life, known=known)
            worlds.append(one)
        found.append(totals(worlds, RUNS[-1:] if known else RUNS))
    return found


@pytest.mark.parametrize("case", range(len(CASES)), ids=[f"{life}, {period[0]}" for life, period in CASES])
def test_once_all_is_known_invoices_come_to_what_a_run_that_knew_it_bills(
    sums: list[dict[str, int]], case: int
) -> None:
    step_by_step, known = (one[str(case)] for one in sums)
    assert step_by_step == known != 0


def test_a_start_withdrawn_is_given_back_and_one_sent_again_is_billed_as_if_it_had_been_the_only_one() -> None:
    again = {"never": None, "at once": "2023-01-10", "later": "2023-01-20", "next quarter": "2023-03-05"}
    step_by_step, knew = [], []
    terms = {"subscription": "s1", "customer": "c1", "plan": "pro"}
    for tenant, start in again.items():
        one, other = (world("quarter", "calendar", tenant=tenant) for _ in range(2))
        one.record("subscription.started", "2023-01-10", terms)
        withdraw(one, len(one.facts) - 1, "2024-02-10")
        if start is not None:
            one.record("subscription.started", start, terms, received_at=instant("2024-02-10"))
            other.record("subscription.started", start, terms)
        for company in (one, other):
            for day in ("2023-01-15", "2023-02-21", "2023-11-21"):
                company.use(day, "tokens", "7")
        step_by_step.append(one)
        knew.append(other)
    runs = ("2024-02-03", "2024-04-03", "2024-07-03")
    expected = totals(knew, runs[-1:])
    assert totals(step_by_step, runs) == expected
    assert [tenant for tenant, due in expected.items() if due == 0] == ["never"]


def test_a_late_end_is_corrected_whoever_a_refused_start_says_the_customer_is() -> None:
    found = []
    for received in ("2024-02-20", "2023-11-15"):
        acme = world("quarter", "calendar")
        acme.start("2023-01-01")
        acme.start("2023-02-01", customer="c2")
        acme.start("2023-03-01", subscription="s2", customer="c2", plan="other")
        acme.use("2023-11-05", "tokens", "7")
        recorded(acme, "ended", "2023-11-15", received)
        found.append(total(billed(acme, ("2024-02-03", "2024-04-03"))))
    assert found[0] == found[1]


def test_a_life_that_ends_and_goes_on_keeps_its_sum_through_a_void_of_either_closing_invoice() -> None:
    for voided in ("acme-000003", "acme-000004"):
        acme = world()
        acme.start("2023-01-01")
        acme.use("2024-02-05", "tokens", "12")
        acme.use("2024-08-05", "tokens", "12")
        withdraw(acme, recorded(acme, "ended", "2024-03-01", "2024-02-20"), "2024-04-10")
        acme.record("invoice.voided", "2025-02-10", {"invoice": voided, "reason": "wrong"})
        books = Runs(acme)
        totals: list[int] = []
        for at in ("2024-02-03", "2024-04-03", "2025-02-03", "2025-02-20", "2026-02-03"):
            invoices = books.bill("2023-01-01", f"{at[:8]}01", at).invoices
            totals += invoices.sort("finalise_after", "period_from", "period_to")["total_minor"].to_list()
        knew = world()
        knew.start("2023-01-01")
        knew.use("2024-02-05", "tokens", "12")
        knew.use("2024-08-05", "tokens", "12")
        assert sum(totals) - totals[int(voided[-1]) - 1] == total(billed(knew, ("2026-02-03",)))


@law(6)
@given(
    st.lists(
        st.tuples(st.integers(20, 700), st.integers(1, 200), st.none() | st.integers(1, 200)), min_size=1, max_size=3
    ),
    st.sampled_from([("year", "anniversary"), ("month", "calendar"), ("quarter", "calendar")]),
)
def test_any_ends_sent_and_withdrawn_come_to_what_is_known_in_the_end(
    ends: list[tuple[int, int, int | None]], period: tuple[str, str]
) -> None:
    begin, known = instant("2023-01-10"), instant("2023-01-10")

    def day(moment: datetime) -> str:
        return moment.strftime("%Y-%m-%d")

    acme, knew = world(*period), world(*period)
    for one in (acme, knew):
        one.start("2023-01-10")
        one.use("2024-02-21", "tokens", "7")
    for place, (end, after, lasts) in enumerate(ends):
        # Each end is withdrawn before the next one is sent; the last one may stay.
        known += timedelta(days=after)
        number = recorded(acme, "ended", day(begin + timedelta(days=end)), day(known))
        if lasts is None and place == len(ends) - 1:
            recorded(knew, "ended", day(begin + timedelta(days=end)), day(begin))
        else:
            known += timedelta(days=lasts or 30)
            withdraw(acme, number, day(known))
    assert total(billed(acme)) == total(billed(knew, RUNS[-1:]))


def test_a_closing_invoice_without_lines_is_issued_unless_those_of_nothing_are_skipped() -> None:
    plan = {"key": "pro", "period": {"unit": "month"}, "fees": [{"key": "base", "amount": "10"}]}
    for policy, closes in (("issue", 2), ("skip", 1)):
        acme = World({"plans": [plan], "zero_invoices": policy})
        acme.start("2024-01-01", ends_at="2024-03-01")
        documents = acme.documents("2024-01-01", "2024-04-01")
        closing = [one for one in documents if one["period"]["to"] >= "2024-02" and one["issued_on"] > "2024-01-15"]
        assert len(closing) == closes
        assert [amounts(one) for one in closing[1:]] == [[]] * (closes - 1)
        for one in closing[1:]:
            assert (one["subtotal"], one["total"], one["amount_due"]) == ("0.00", "0.00", "0.00")
            assert one["lines"] == []


def test_a_closing_invoice_without_lines_that_stands_is_not_made_again() -> None:
    acme = World({"plans": [{"key": "pro", "period": {"unit": "month"}, "fees": [{"key": "base", "amount": "10"}]}]})
    acme.start("2024-01-01", ends_at="2024-02-01")
    first = acme.bill("2024-01-01", "2024-03-01", closed_by=instant("2024-03-01"))
    assert first.invoices.height == 2
    again = acme.bill("2024-01-01", "2024-03-01", closed_by=instant("2024-03-01"), prior=prior_of(first.invoices))
    assert again.invoices.is_empty()
