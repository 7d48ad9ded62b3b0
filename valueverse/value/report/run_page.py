"""The page of a model that was run on its assumptions or on data."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from valueverse.value.report import formatting
from valueverse.value.report.assumptions import bound_values, flags_table, inputs_table, notes_table
from valueverse.value.report.audience import NOTHING, shown_document, shown_program
from valueverse.value.report.business_case import case_section, formatter, headlines, horizon, scenarios_table
from valueverse.value.report.charts import Calendar
from valueverse.value.report.estimates import command_outputs, estimates_of
from valueverse.value.report.page import Code, Facts, Page, Section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from valueverse.value.architect import Program
    from valueverse.value.executor import RunRequest
    from valueverse.value.report.audience import Withheld
    from valueverse.value.report.estimates import Estimates
    from valueverse.value.report.page import Cell


def build_run_page(
    program: Program,
    document: Mapping[str, Any],
    metrics: pl.DataFrame | None,
    asked: RunRequest,
    about: Sequence[str],
    hidden: Withheld = NOTHING,
) -> Page:
    """Run a model and report it.

    Args:
        program: compiled.
        document: its canonical document.
        metrics: measured data, or None.
        asked: scenarios (the first is shown in full; none: ``base``, with the others beside it), draws, seed, start.
        about: more to say of it in one line, such as the customer.
        hidden: what this copy leaves out.

    Raises:
        RefusalError: as ``run_model``.
    """
    program = shown_program(program, hidden)
    found = estimates_of(program, metrics, asked) if program.nodes or program.inputs else {}
    scenario_name = asked.scenarios[0] if asked.scenarios else "base"
    scenario = next(one for one in program.scenarios if one.name == scenario_name)
    start = asked.start or program.axis.start
    calendar = Calendar(program.axis.grain, _day(start))
    values = {scenario_name: bound_values(program, scenario, metrics, asked.start)}
    case = found.get(scenario_name)
    document = shown_document(document, hidden)
    text = f"{_conventions(program)} {hidden.note}".strip()
    numbers = [
        Section("case", "The case in numbers", hidden.note)
        if case is None
        else case_section(program, case, calendar, text),
        Section("scenarios", "Other scenarios", "", scenarios_table(program, found)),
    ]
    inputs = [
        inputs_table(program, scenario.overrides, values, document),
        *flags_table(program, case.flags if case else (), calendar),
        *notes_table(document),
    ]
    made = _made(program, case, asked, scenario_name, hidden)
    sections = [
        *numbers,
        Section("inputs", "What it depends on", "", inputs),
        Section("made", "How these numbers were made", "", [Facts(made)]),
    ]
    line = [f"scenario {formatting.name(scenario_name)}", horizon(program), *about]
    return Page(
        str(document.get("title") or formatting.name(program.model)),
        ", ".join(line),
        _lead(program, document, case),
        [] if case is None else headlines(program, case),
        sections,
    )


def _day(text: str | None) -> dt.date | None:
    return None if text is None else dt.date.fromisoformat(text if len(text) > 7 else f"{text}-01")


def _lead(program: Program, document: Mapping[str, Any], case: Estimates | None) -> list[str]:
    lead = [str(document["description"])] if document.get("description") else []
    if case is None or not (program.drivers and program.costs):
        return lead
    money = formatter(program, "npv")
    benefit, cost = (case.metrics[name].value for name in ("total_benefit", "total_cost"))
    lead.append(
        f"Over {horizon(program)} the model comes to a benefit of {money(benefit)} for a cost of {money(cost)}, "
        "with every input at its mean."
    )
    return lead


def _conventions(program: Program) -> str:
    discount = program.axis.discount
    if not (program.drivers or program.costs):
        return "What varies over time is shown by its last period."
    text = "Benefits are after risk, attribution and decay; costs include their risk."
    if discount.rate:
        text += (
            f" Present values are discounted at {formatting.percent(discount.rate)} a year ({discount.compounding}), "
            f"to the {discount.timing} of each period; cash flow and payback are not discounted."
        )
    return text


def _made(
    program: Program, case: Estimates | None, asked: RunRequest, scenario_name: str, hidden: Withheld
) -> list[tuple[str, Cell]]:
    """How the run was made; of a part of a model there is no document from which it could be repeated."""
    rows: list[tuple[str, Cell]] = [("Scenario", scenario_name)]
    if case is not None:
        rows.append(("Draws", f"{case.draws:,}, from seed {case.seed}"))
    rows.append(("Model", Code(program.content_hash)))
    if case is None or hidden.inputs:
        return rows
    command = " ".join(
        ["valueverse value run MODEL", *(f"--scenario {one}" for one in asked.scenarios)]
        + [f"--draws {case.draws}", f"--seed {case.seed}"]
        + [f"--output '{one}'" for one in command_outputs(program)]
    )
    return [*rows, ("Run", Code(case.run_hash)), ("To repeat it", Code(command))]
