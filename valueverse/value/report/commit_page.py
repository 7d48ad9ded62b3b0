"""The page of a commit: what was agreed, what came of it, and what it costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.value.executor.run import RunRequest
from valueverse.value.report import formatting
from valueverse.value.report.assumptions import flags_table, inputs_table, notes_table
from valueverse.value.report.audience import NOTE, NOTHING, shown_document
from valueverse.value.report.business_case import case_section, formatter, headlines, horizon, interval
from valueverse.value.report.charts import Calendar
from valueverse.value.report.economics import economics_section, fees_section, ratio_headline
from valueverse.value.report.estimates import case_estimates
from valueverse.value.report.page import Code, Facts, Headline, Page, Section, Table
from valueverse.value.report.realised import realised_section

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from valueverse.value.realisation.case_runs import CaseRun, Commitment
    from valueverse.value.report.audience import Withheld
    from valueverse.value.report.economics import Month, Proposal
    from valueverse.value.report.estimates import Estimates
    from valueverse.value.report.page import Cell

_DID = {
    "proposed": "proposed",
    "vendor": "approved for the vendor",
    "customer": "approved for the customer",
    "confirmed": "closed: value confirmed",
    "written_off": "closed: written off",
}


@dataclass(frozen=True)
class CommitChange:
    """Something that somebody did to the commit: ``proposed``, a side's approval, or the outcome it was closed with."""

    action: str
    by: str
    at: dt.datetime
    reason: str | None


@dataclass(frozen=True)
class MeasuredRun:
    """A case as it was run and stored."""

    run: CaseRun
    run_hash: str
    known_at: dt.datetime
    computed_at: dt.datetime


@dataclass(frozen=True)
class CommitReport:
    """All that the page of a commit is made of.

    Attributes:
        commitment: compiled.
        frozen: its canonical document (``committer.commits.Frozen``).
        tenant, customer: what they are called.
        state: of the commit (``committer.commits.states``).
        changes: oldest first.
        month: with which the last period measured ends; None: nothing is measured yet.
        cases: the newest run of each case in that month.
        proposals: fees proposed for this commit, oldest first.
        months: invoiced, and for a vendor spent, per calendar month since the start.
        draws: for intervals.
        hidden: what this copy leaves out.
    """

    commitment: Commitment
    frozen: Mapping[str, Any]
    tenant: str
    customer: str
    state: str
    changes: Sequence[CommitChange]
    month: dt.date | None
    cases: Mapping[str, MeasuredRun]
    proposals: Sequence[Proposal]
    months: Sequence[Month]
    draws: int
    hidden: Withheld = NOTHING


def commit_page(told: CommitReport) -> Page:
    """The page.

    Raises:
        RefusalError: as ``run_model``.
    """
    program = told.commitment.program
    calendar = Calendar(program.axis.grain, told.commitment.start)
    found = {name: _estimates(told, one) for name, one in told.cases.items()}
    shown = next((name for name in ("forecast", "realised", "committed") if name in found), None)
    sections = []
    if "realised" in found and program.currency and not told.hidden.benefit:
        sections.append(realised_section(told.commitment, _runs(told), calendar, told.hidden))
    sections.append(fees_section(told.proposals))
    sections.append(economics_section(told.months, program.currency or ""))
    if told.hidden.case:
        sections.append(Section("case", "The case in numbers", NOTE))
    elif shown is not None:
        sections.append(case_section(program, found[shown], calendar, _case_text(shown, told, program.axis.grain)))
    sections += [_inputs_section(told, calendar), _agreed_section(told), _made_section(told, found)]
    about = f"{told.tenant} and {told.customer}: {horizon(program)} from {_from(told)}"
    title = str(told.frozen["model"].get("title") or formatting.name(program.model))
    return Page(title, about, _lead(told, found), _headlines(told, found, shown), sections)


def _from(told: CommitReport) -> str:
    return formatting.day(told.commitment.start) if told.commitment.start else "a day to be agreed"


def _runs(told: CommitReport) -> dict[str, CaseRun]:
    return {name: one.run for name, one in told.cases.items()}


def _estimates(told: CommitReport, measured: MeasuredRun) -> Estimates:
    run, program = measured.run, told.commitment.program
    periods = run.document["period"] if run.case == "realised" else program.axis.periods
    asked = RunRequest(draws=told.draws, seed=int(told.frozen["seed"]))
    return case_estimates(told.commitment, run.document["inputs"], periods, asked)


def _case_text(shown: str, told: CommitReport, grain: str) -> str:
    measured = told.cases["realised"].run.document["period"] if "realised" in told.cases else 0
    so_far = formatting.lasting(float(measured), grain)
    text = {
        "forecast": f"The agreed model with what was measured in {so_far}, and what was agreed for the time to come.",
        "realised": f"The agreed model with what was measured in {so_far}; nothing was agreed for the time to come.",
        "committed": "The agreed model with what was agreed of every input.",
    }
    return f"{text[shown]} Benefits are after risk, attribution and decay; costs include their risk."


def _lead(told: CommitReport, found: Mapping[str, Estimates]) -> list[str]:
    lead = [str(told.frozen["model"]["description"])] if told.frozen["model"].get("description") else []
    program = told.commitment.program
    if told.month is None:
        return [*lead, f"The commit is {_state(told.state)}; nothing is measured yet."]
    if "realised" not in found or not program.currency or told.hidden.benefit:
        return lead
    n = int(told.cases["realised"].run.document["period"])
    realised = math.fsum(told.cases["realised"].run.series["benefit"])
    span = formatting.lasting(float(n), program.axis.grain)
    text = (
        f"In {span}, up to {told.month:%B %Y}, the value realised is {formatting.estimate(realised, program.currency)}"
    )
    if "committed" in told.cases:
        agreed = math.fsum(told.cases["committed"].run.series["benefit"][:n])
        part = f"{formatting.percent(realised / agreed)} of the" if agreed else "against"
        text += f": {part} {formatting.estimate(agreed, program.currency)} committed for the same time"
    return [*lead, f"{text}."]


def _headlines(told: CommitReport, found: Mapping[str, Estimates], shown: str | None) -> list[Headline]:
    program = told.commitment.program
    lines: list[Headline] = []
    if "realised" in found and found["realised"].metrics and not told.hidden.benefit:
        benefit = found["realised"].metrics["total_benefit"]
        money = formatter(program, "total_benefit")
        lines.append(
            Headline(f"Value realised up to {told.month:%B %Y}", money(benefit.value), interval(benefit, money))
        )
    if shown is not None and not told.hidden.case:
        lines += headlines(program, found[shown])
    if told.proposals:
        standing = [one for one in told.proposals if one.state != "withdrawn"]
        total = sum((one.amount for one in standing), Decimal(0))
        states = formatting.listing(sorted({one.state for one in standing}))
        lines.append(Headline("Fee proposed so far", formatting.amount(total, told.proposals[0].currency), states))
    if "realised" in told.cases and not told.hidden.benefit:
        lines += ratio_headline(told.months, _runs(told)["realised"], program.currency or "")
    return lines


def _inputs_section(told: CommitReport, calendar: Calendar) -> Section:
    commitment = told.commitment
    wanted = {one.name for one in commitment.measured()} | set(commitment.baseline)
    values = {
        case: {name: one.run.document["inputs"][name] for name in wanted & set(one.run.document["inputs"])}
        for case, one in told.cases.items()
        if case != "forecast"
    }
    flags = told.cases["realised"].run.document["flags"] if "realised" in told.cases else []
    flags = [one for one in flags if one["input"] not in told.hidden.inputs]
    model = shown_document(told.frozen["model"], told.hidden)
    parts = [
        inputs_table(commitment.program, commitment.overrides, values, model, told.hidden),
        *flags_table(commitment.program, flags, calendar),
        *notes_table(model),
    ]
    text = "What is measured is told as its mean over the periods of the case."
    return Section("inputs", "What it stands on", text, parts)


def _state(state: str) -> str:
    return formatting.name(state).replace("approved by", "approved by the")


def _agreed_section(told: CommitReport) -> Section:
    reasons = {"proposed": told.frozen.get("reason")}
    rows = [
        (_DID[one.action], one.by, formatting.instant(one.at), one.reason or reasons.get(one.action) or formatting.NONE)
        for one in told.changes
    ]
    facts: list[tuple[str, Cell]] = [
        ("State", _state(told.state)),
        ("Commit", Code(told.commitment.commit)),
        ("Scenario agreed on", formatting.name(told.frozen["scenario"])),
    ]
    if told.frozen.get("parent"):
        facts.append(("Replaces", Code(told.frozen["parent"])))
    if told.frozen.get("watermark"):
        facts.append(("Baseline measured up to", str(told.frozen["watermark"])))
    events = Table("What was done, by whom", ("Act", "By", "When", "Reason"), rows)
    return Section("agreed", "Who agreed to it", "", [Facts(facts), events])


def _made_section(told: CommitReport, found: Mapping[str, Estimates]) -> Section:
    rows: list[tuple[str, Cell]] = [
        ("Model", Code(told.commitment.program.content_hash)),
        ("Rules", f"version {told.frozen['rules_version']}"),
    ]
    if found:
        rows.append(("Intervals", _draws(next(iter(found.values())))))
    runs = [
        (case, Code(one.run_hash), formatting.instant(one.known_at), formatting.instant(one.computed_at))
        for case, one in told.cases.items()
    ]
    parts: list[Facts | Table] = [Facts(rows)]
    if runs:
        parts.append(Table("Runs", ("Case", "Hash", "Known at", "Computed"), runs))
    text = "Whoever runs the commit again, with what was known then, arrives at the same hashes."
    return Section("made", "How these numbers were made", text if told.cases else "", parts)


def _draws(found: Estimates) -> str:
    return f"{found.draws:,} draws from seed {found.seed}; measured values are not uncertain"
