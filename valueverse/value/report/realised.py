"""Committed against realised: per period, per driver and cost, and which inputs explain the difference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from valueverse.errors import RefusalError
from valueverse.value.realisation import explain_variance
from valueverse.value.report import charts, formatting
from valueverse.value.report.page import Section, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valueverse.value.realisation import CaseRun, Commitment
    from valueverse.value.report.charts import Calendar, Chart
    from valueverse.value.report.estimates import Estimate
    from valueverse.value.report.page import Cell

_SUMS = {"benefit": "all benefits", "cost": "all costs", "net": "net"}


def realised_section(
    commitment: Commitment,
    runs: Mapping[str, CaseRun],
    sums: Mapping[str, Mapping[str, Estimate]],
    calendar: Calendar,
    note: str = "",
) -> Section:
    """The section.

    Args:
        commitment: what was agreed.
        runs: case -> its run; ``realised`` is among them, ``committed`` and ``forecast`` where something was agreed.
        sums: case -> ``case_sums`` over the periods measured, of ``realised`` and, where it is there, ``committed``.
        calendar: of the model's periods.
        note: what this copy leaves out.
    """
    realised = runs["realised"].series
    committed = runs["committed"].series if "committed" in runs else None
    line = charts.Line(
        committed["benefit"] if committed else (),
        realised["benefit"],
        runs["forecast"].series["benefit"] if "forecast" in runs else (),
    )
    currency = commitment.program.currency or ""
    parts: list[Chart | Table] = [charts.against(line, calendar, currency), _sides(runs, sums, currency)]
    text = f"Benefit per {calendar.grain}, and sums over the {calendar.grain}s measured so far."
    if any(one.low is not None for found in sums.values() for one in found.values()):
        text += " Below an amount that rests on uncertain inputs stands the span of 9 in 10 draws."
    text = f"{text} {note}".strip()
    if committed is None:
        return Section("realised", "What was realised", text, parts)
    try:
        parts.append(_shares(commitment, runs))
    except RefusalError as refusal:
        text += f" The difference cannot be split among the inputs: {refusal.message}."
    return Section("realised", "Committed against realised", text, parts)


def _sides(runs: Mapping[str, CaseRun], sums: Mapping[str, Mapping[str, Estimate]], currency: str) -> Table:
    """Sums over the periods measured; committed ones are left out where nothing was agreed."""
    realised = runs["realised"].series
    names = [one for one in realised if one.startswith(("driver.", "cost."))]
    n = len(realised["benefit"])
    rows = []
    for name in (*names, *_SUMS):
        came = math.fsum(realised[name])
        cells: list[Cell] = [_SUMS.get(name, formatting.name(name))]
        if "committed" in runs:
            agreed = math.fsum(runs["committed"].series[name][:n])
            attained = formatting.percent(came / agreed) if agreed else formatting.NONE
            cells += [
                _with_span(agreed, sums["committed"][name], currency),
                _with_span(came, sums["realised"][name], currency),
                formatting.estimate(came - agreed, currency),
                attained,
            ]
        else:
            cells.append(_with_span(came, sums["realised"][name], currency))
        rows.append(tuple(cells))
    columns = ("", "Committed", "Realised", "Difference", "Realised of committed")
    shown = columns if "committed" in runs else ("", "Realised")
    return Table("Sums so far", shown, rows, frozenset(range(1, len(shown))), total=True)


def _with_span(amount: float, found: Estimate, currency: str) -> Cell:
    """An amount, and below it the span of 9 in 10 draws where it is uncertain."""
    shown = formatting.estimate(amount, currency)
    if found.low is None or found.high is None:
        return shown
    return (shown, f"{formatting.number(found.low)} to {formatting.number(found.high)}")


def _shares(commitment: Commitment, runs: Mapping[str, CaseRun]) -> Table:
    found = explain_variance(commitment, runs["committed"], runs["realised"], "benefit")
    currency = commitment.program.currency or ""
    rows = [
        (
            formatting.name(one.input),
            formatting.measure(one.before, one.unit),
            formatting.measure(one.after, one.unit),
            formatting.amount(one.shown, currency),
        )
        for one in found.shares
    ]
    rows.append(("the whole difference", "", "", formatting.amount(found.shown[2], currency)))
    columns = ("Input", "Committed", "Realised", "Share of the difference")
    caption = "Why the benefit differs: what each input adds, by Shapley shares that add up"
    return Table(caption, columns, rows, frozenset({1, 2, 3}), total=True)
