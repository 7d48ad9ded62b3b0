"""The sections that every report has: the case in money over its periods, and what it depends on."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from valueverse.value.report import charts, formatting
from valueverse.value.report.charts import Step
from valueverse.value.report.page import Headline, Section, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valueverse.value.architect import Program
    from valueverse.value.report.charts import Calendar, Chart
    from valueverse.value.report.estimates import Estimate, Estimates, Flow

TITLES = {
    "npv": "Net present value",
    "roi": "Return on cost",
    "payback": "Payback",
    "total_benefit": "Total benefit",
    "total_cost": "Total cost",
    "net_benefit": "Net benefit",
}


def formatter(program: Program, name: str) -> Callable[[float | None], str]:
    """The format of a number of that name: money, percent, a length of time, or a number with its unit."""
    currency, grain = program.currency or "", program.axis.grain
    if name == "roi":
        return formatting.percent
    if name == "payback":
        return lambda value: formatting.lasting(value, grain)
    if name in TITLES:
        return lambda value: formatting.estimate(value, currency)
    units = {node.name.rpartition(".")[2]: node.unit for node in program.nodes} | {
        one.name: one.unit for one in program.inputs
    }
    unit = units.get(name.rpartition(".")[2])
    return lambda value: formatting.measure(value, str(unit) if unit is not None else "1")


def interval(estimate: Estimate, text_of: Callable[[float | None], str]) -> str:
    """``9 in 10 draws: 1,000 USD to 2,000 USD``; empty where nothing is uncertain."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"9 in 10 draws: {text_of(estimate.low)} to {text_of(estimate.high)}"


def headlines(program: Program, found: Estimates) -> list[Headline]:
    """Net present value, return, payback and the chance of a gain; of a model without money what it asks for.

    Of drivers alone or costs alone, which is what an audience may be shown, the one total.
    """
    if not found.metrics:
        return [
            Headline(formatting.name(name), text_of(one.value), interval(one, text_of))
            for name, one in found.others.items()
            for text_of in [formatter(program, name)]
        ]
    money = formatter(program, "npv")
    if not (program.drivers and program.costs):
        name = "total_benefit" if program.drivers else "total_cost"
        total = found.metrics[name]
        return [Headline(f"{TITLES[name]} over {horizon(program)}", money(total.value), interval(total, money))]
    npv, roi, payback = (found.metrics[name] for name in ("npv", "roi", "payback"))
    rate = program.axis.discount.rate
    worth = "in today's money" if rate else "not discounted"
    lines = [
        Headline(f"Net value over {horizon(program)}, {worth}", money(npv.value), interval(npv, money)),
        Headline(
            "Return: net value for each unit of cost", formatting.percent(roi.value), interval(roi, formatting.percent)
        ),
        Headline("Pays back after", _payback(payback, program), _payback_note(payback, program)),
    ]
    chance = found.statements.get("npv > 0")
    if chance is not None and npv.low is not None:
        lines.append(
            Headline("Chance that it is worth its cost", formatting.percent(chance), f"of {found.draws:,} draws")
        )
    return lines


def horizon(program: Program) -> str:
    """``36 months``."""
    return formatting.lasting(float(program.axis.periods), program.axis.grain)


def _payback(payback: Estimate, program: Program) -> str:
    return f"not within {horizon(program)}" if payback.value is None else formatter(program, "payback")(payback.value)


def _payback_note(payback: Estimate, program: Program) -> str:
    note = interval(payback, formatter(program, "payback"))
    if payback.missing:
        note += f"{'; ' if note else ''}not at all in {formatting.percent(payback.missing)} of draws"
    return note


def case_section(program: Program, found: Estimates, calendar: Calendar, text: str) -> Section:
    """Cash flow, waterfall and tornado with their numbers."""
    currency = program.currency or ""
    parts: list[Chart | Table] = []
    if found.flow is not None:
        payback = found.metrics["payback"].value
        parts += [
            charts.cash_flow(found.flow, payback, calendar, currency),
            _yearly(found.flow, program, calendar),
            charts.waterfall(_steps(found.flow), currency),
        ]
    parts += [_metrics(program, found), *_chances(found)]
    if found.tornado:
        text_of = formatter(program, found.moved)
        centre = (found.metrics | found.others)[found.moved].value
        output = TITLES.get(found.moved, formatting.name(found.moved))
        unit = f"{output}, {currency}" if found.moved in TITLES else output
        if centre is not None:
            parts.append(charts.tornado(found.tornado, centre, unit, text_of))
        parts.append(_moves(program, found, output))
    return Section("case", "The case in numbers", text, parts)


def _steps(flow: Flow) -> list[Step]:
    steps = [Step(formatting.name(name), "benefit", amount) for name, amount in flow.by_driver.items()]
    steps += [Step(formatting.name(name), "cost", amount) for name, amount in flow.by_cost.items()]
    return [*steps, Step("net", "net", flow.cumulative[-1])]


def _yearly(flow: Flow, program: Program, calendar: Calendar) -> Table:
    currency, per_year = program.currency or "", program.axis.periods_per_year
    rows = []
    if flow.upfront:
        rows.append(("before the start", 0.0, flow.upfront, flow.cumulative[0]))
    for first in range(0, len(flow.benefits), per_year):
        last = min(first + per_year, len(flow.benefits))
        ends = [calendar.name(first + 1), calendar.name(last)]
        span = ends[0] if last - first == 1 else f"{ends[0]} to {ends[1]}"
        benefit, cost = math.fsum(flow.benefits[first:last]), math.fsum(flow.costs[first:last])
        rows.append((span, benefit, cost, flow.cumulative[last]))
    whole = (math.fsum(flow.benefits), math.fsum(flow.costs) + flow.upfront, flow.cumulative[-1])
    by_year = [
        (span, *(formatting.estimate(one, currency) for one in (benefit, cost, benefit - cost, so_far)))
        for span, benefit, cost, so_far in [*rows, ("total", *whole)]
    ]
    columns = ("Time", "Benefit", "Cost", "Net", "Net so far")
    return Table("Cash flow by year, not discounted", columns, by_year, frozenset({1, 2, 3, 4}), total=True)


def _metrics(program: Program, found: Estimates) -> Table:
    rows = []
    for name, one in (found.metrics | found.others).items():
        text_of = formatter(program, name)
        rows.append(
            (
                TITLES.get(name, formatting.name(name)),
                text_of(one.value),
                text_of(one.low),
                text_of(one.high),
            )
        )
    columns = ("Result", "At the means", "Low (5 %)", "High (95 %)")
    return Table("Results, with all inputs at their means, and over the draws", columns, rows, frozenset({1, 2, 3}))


def _chances(found: Estimates) -> list[Table]:
    rows = [(_spelt(text), formatting.percent(share)) for text, share in found.statements.items()]
    return [Table("How likely it is", ("Statement", "True in"), rows, frozenset({1}))] if rows else []


def _spelt(statement: str) -> str:
    """A statement about outputs with metrics by their titles: ``net present value > 0``."""
    return re.sub(r"\w+", lambda found: TITLES.get(found[0], found[0].replace("_", " ")).lower(), statement)


def _moves(program: Program, found: Estimates, output: str) -> Table:
    text_of = formatter(program, found.moved)
    units: Mapping[str, str] = {one.name: str(one.unit) if one.unit is not None else "1" for one in program.inputs}
    rows = []
    for one in found.tornado:
        unit = units[one["input"]]
        ends = [formatting.measure(one[side], unit) for side in ("low_input", "high_input")]
        rows.append((formatting.name(one["input"]), *ends, text_of(one["low"]), text_of(one["high"])))
    columns = ("Input", "Low (5 %)", "High (95 %)", f"{output} at low", f"{output} at high")
    return Table("One input at a time, the others at their means", columns, rows, frozenset({1, 2, 3, 4}))


def scenarios_table(program: Program, found: Mapping[str, Estimates]) -> list[Table]:
    """The scenarios side by side, where there is more than one."""
    if len(found) < 2:
        return []
    names = list(next(iter(found.values())).metrics or next(iter(found.values())).others)[:4]
    rows = [
        (
            formatting.name(scenario),
            *(formatter(program, name)((one.metrics | one.others)[name].value) for name in names),
        )
        for scenario, one in found.items()
    ]
    columns = ("Scenario", *(TITLES.get(name, formatting.name(name)) for name in names))
    return [Table("Scenarios, at the means of their inputs", columns, rows, frozenset(range(1, len(columns))))]
