"""A rule that cannot be judged of one tenant's rows holds that tenant; the others are judged without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from quality import judging
from quality.expectations import Judgement
from quality.gate import decisions_of
from quality.judging import judge_each
from quality.period import Month
from valueverse.schemas.checks import FINDINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

OCTOBER, NOVEMBER = Month.parse("2023-10"), Month.parse("2023-11")
EVERYONE = ["ash", "birch", "cedar", "date", "elm"]


def judged(monkeypatch: pytest.MonkeyPatch, unjudged: set[str], *, broken: bool = False) -> tuple[pl.DataFrame, int]:
    """Findings where a rule raises for November's rows of some tenants (``broken``: of nobody too), and how often it
    was judged.

    ``cedar`` breaks another rule in both months.
    """
    calls: list[Sequence[str] | None] = []

    def judge(_: Any, months: Sequence[Month], tenants: Sequence[str] | None) -> Judgement:
        calls.append(tenants)
        asked = EVERYONE if tenants is None else tenants
        rows: list[tuple[str | None, str | None, str, int | None, str]] = []
        if broken or (unjudged & set(asked) and NOVEMBER in months):
            rows.append((None, None, "ranges", None, "the check could not run"))
        if "cedar" in asked:
            rows += [(month.key, "cedar", "totals", 1, "an invoice") for month in months]
        context: Any = None
        return Judgement(pl.DataFrame(rows, schema=FINDINGS, orient="row"), context)

    monkeypatch.setattr(judging, "judge", judge)
    settings: Any = None
    found = judge_each(settings, [OCTOBER, NOVEMBER], EVERYONE, everyone=True).findings
    return found, len(calls)


def held(findings: pl.DataFrame, month: Month) -> dict[str, str]:
    decisions = decisions_of(EVERYONE, [OCTOBER.key, NOVEMBER.key], findings)
    rows = decisions.filter(status="held", month=month.key)
    return dict(rows.select("tenant", "reason").iter_rows())


@pytest.mark.parametrize("unjudged", [{"birch"}, {"ash", "elm"}, {"cedar"}, set(EVERYONE) - {"date"}])
def test_whoever_cannot_be_judged_is_held_and_the_others_are_judged(
    monkeypatch: pytest.MonkeyPatch, unjudged: set[str]
) -> None:
    findings = judged(monkeypatch, unjudged)[0]
    found = held(findings, NOVEMBER)
    assert set(found) == unjudged | {"cedar"}
    assert all("ranges: the check could not run" in found[tenant] for tenant in unjudged)
    assert "totals: 1 row(s) break" in found["cedar"]
    assert "totals: the check could not run" not in found["cedar"]
    before = held(findings, OCTOBER)
    assert set(before) == {"cedar"}
    assert "the check could not run" not in before["cedar"]


def test_a_rule_that_does_not_run_at_all_holds_everybody_without_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    findings, calls = judged(monkeypatch, set(), broken=True)
    assert set(held(findings, OCTOBER)) == set(held(findings, NOVEMBER)) == set(EVERYONE)
    assert calls == 2


def test_rules_that_can_be_judged_are_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    findings, calls = judged(monkeypatch, set())
    assert set(held(findings, OCTOBER)) == set(held(findings, NOVEMBER)) == {"cedar"}
    assert calls == 1
