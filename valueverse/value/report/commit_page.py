"""The page of a commit: agreed and realised value, and its cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.value.executor import RunRequest
from valueverse.value.realisation import agreed_run, inputs_without_agreed_value, repeated_cases
from valueverse.value.report import formatting
from valueverse.value.report.assumptions import flags_table, inputs_table, notes_table
from valueverse.value.report.audience import NOTHING, check_proposal, shown_document, shown_inputs, shown_program
from valueverse.value.report.business_case import case_section, formatter, headlines, horizon, interval
from valueverse.value.report.charts import Calendar
from valueverse.value.report.economics import economics_section, fees_section, ratio_headline, terms_section
from valueverse.value.report.estimates import case_estimates, case_sums
from valueverse.value.report.page import UNBRANDED, Brand, Code, Facts, Headline, Page, Section, Signature, Table
from valueverse.value.report.realised import realised_section

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from valueverse.value.realisation import CaseRun, Commitment
    from valueverse.value.report.audience import Withheld
    from valueverse.value.report.economics import CustomerMonth, FeeProposal
    from valueverse.value.report.estimates import Estimate, Estimates
    from valueverse.value.report.page import Cell

_DID = {
    "proposed": "proposed",
    "vendor": "approved for the vendor",
    "customer": "approved for the customer",
    "confirmed": "closed: value confirmed",
    "written_off": "closed: written off",
}


_PROPOSED = (
    "The model as it is proposed, with what is expected of every input. Benefits are after risk, attribution and "
    "decay; costs include their risk. What is measured later takes the place of what is expected."
)
_MEANS = "What is measured is shown as its mean over the periods of the case."


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
        brand: the tenant's.
    """

    commitment: Commitment
    frozen: Mapping[str, Any]
    tenant: str
    customer: str
    state: str
    changes: Sequence[CommitChange]
    month: dt.date | None
    cases: Mapping[str, MeasuredRun]
    proposals: Sequence[FeeProposal]
    months: Sequence[CustomerMonth]
    draws: int
    hidden: Withheld = NOTHING
    brand: Brand = UNBRANDED


def build_commit_page(report: CommitReport) -> Page:
    """The page: a proposal with places to sign while nothing is measured, then what was realised.

    Raises:
        RefusalError: as ``run_model``; ``internal_numbers``: as ``check_proposal``.
    """
    proposed = report.month is None
    if proposed:
        check_proposal(report.commitment.program, report.hidden)
    report = replace(report, commitment=_shown(report.commitment, report.hidden))
    program = report.commitment.program
    calendar = Calendar(program.axis.grain, report.commitment.start)
    runs = _runs(report)
    found = {name: _estimates(report, one) for name, one in runs.items()} if program.nodes or program.inputs else {}
    shown = next((name for name in ("forecast", "realised", "committed") if name in found), None)
    sections = []
    if _has_realised_money(runs):
        sections.append(realised_section(report.commitment, runs, _sums(report, runs), calendar, report.hidden.note))
    sections.append(terms_section(program) if proposed else fees_section(report.proposals))
    sections.append(economics_section(report.months, program.currency or ""))
    if shown is None:
        sections.append(Section("case", "The case in numbers", report.hidden.note))
    else:
        text = _PROPOSED if proposed else _case_text(shown, runs, program.axis.grain)
        sections.append(case_section(program, found[shown], calendar, f"{text} {report.hidden.note}".strip()))
    sections += [
        _inputs_section(report, runs, calendar),
        _agreed_section(report),
        _made_section(report, found),
    ]
    about = f"{report.tenant} and {report.customer}: {horizon(program)} from {_from(report)}"
    title = str(report.frozen["model"].get("title") or formatting.name(program.model))
    lead, lines = _lead(report, runs), _headlines(report, runs, found, shown)
    kind = "Value proposal" if proposed else "Value report"
    return Page(
        *(title, about, lead, lines, sections),
        kind=kind,
        brand=report.brand,
        signatures=_signatures(report) if proposed else (),
    )


def _signatures(report: CommitReport) -> list[Signature]:
    """Both sides, with what was approved already."""
    approved = {
        one.action: f"Approved by {one.by} on {formatting.instant(one.at)}"
        for one in report.changes
        if one.action in {"vendor", "customer"}
    }
    return [
        Signature(report.tenant, approved.get("vendor")),
        Signature(report.customer, approved.get("customer")),
    ]


def _from(report: CommitReport) -> str:
    return formatting.day(report.commitment.start) if report.commitment.start else "a day to be agreed"


def _shown(commitment: Commitment, hidden: Withheld) -> Commitment:
    """The part of a commitment that no withheld input reaches."""
    return replace(
        commitment,
        program=shown_program(commitment.program, hidden),
        overrides=shown_inputs(commitment.overrides, hidden),
        baseline=shown_inputs(commitment.baseline, hidden),
        expected=shown_inputs(commitment.expected, hidden),
    )


def _runs(report: CommitReport) -> dict[str, CaseRun]:
    """The cases measured; before there is one, what was agreed. Of a part of the model they are run again."""
    measured = {name: one.run for name, one in report.cases.items()}
    if report.month is None:
        agreed = agreed_run(report.commitment)
        return {} if agreed is None else {"committed": agreed}
    if report.hidden.inputs and "realised" in measured:
        return {one.case: one for one in repeated_cases(report.commitment, measured["realised"])}
    return measured


def _has_realised_money(runs: Mapping[str, CaseRun]) -> bool:
    return "realised" in runs and "benefit" in runs["realised"].series


def _sums(report: CommitReport, runs: Mapping[str, CaseRun]) -> dict[str, dict[str, Estimate]]:
    """What was agreed and what was realised in the periods measured, with intervals."""
    periods = int(runs["realised"].document["period"])
    asked = RunRequest(draws=report.draws, seed=int(report.frozen["seed"]))
    return {
        name: case_sums(report.commitment, runs[name].document["inputs"], periods, asked)
        for name in ("committed", "realised")
        if name in runs
    }


def _estimates(report: CommitReport, run: CaseRun) -> Estimates:
    program = report.commitment.program
    periods = run.document["period"] if run.case == "realised" else program.axis.periods
    asked = RunRequest(draws=report.draws, seed=int(report.frozen["seed"]))
    return case_estimates(report.commitment, run.document["inputs"], periods, asked)


def _case_text(shown: str, runs: Mapping[str, CaseRun], grain: str) -> str:
    measured = runs["realised"].document["period"] if "realised" in runs else 0
    so_far = formatting.lasting(float(measured), grain)
    text = {
        "forecast": f"The agreed model with what was measured in {so_far}, and what was agreed for the time to come.",
        "realised": f"The agreed model with what was measured in {so_far}; nothing was agreed for the time to come.",
        "committed": "The agreed model with what was agreed of every input.",
    }
    return f"{text[shown]} Benefits are after risk, attribution and decay; costs include their risk."


def _lead(report: CommitReport, runs: Mapping[str, CaseRun]) -> list[str]:
    lead = [str(report.frozen["model"]["description"])] if report.frozen["model"].get("description") else []
    program = report.commitment.program
    if report.month is None:
        lead.append(f"The commit is {_state(report.state)}; nothing is measured yet.")
        waiting = [formatting.name(name) for name in inputs_without_agreed_value(report.commitment)]
        if waiting:
            lead.append(
                f"It has no agreed numbers: nothing was agreed of {formatting.listing(waiting)}. A commit with a "
                "scenario that states them, or with measured data, has such numbers."
            )
        return lead
    if not _has_realised_money(runs) or not program.drivers:
        return lead
    currency = program.currency or ""
    n = int(runs["realised"].document["period"])
    realised = math.fsum(runs["realised"].series["benefit"])
    span = formatting.lasting(float(n), program.axis.grain)
    text = f"In {span}, up to {report.month:%B %Y}, the value realised is {formatting.estimate(realised, currency)}"
    if "committed" in runs:
        agreed = math.fsum(runs["committed"].series["benefit"][:n])
        part = f"{formatting.percent(realised / agreed)} of the" if agreed else "against"
        text += f": {part} {formatting.estimate(agreed, currency)} committed for the same time"
    return [*lead, f"{text}."]


def _headlines(
    report: CommitReport, runs: Mapping[str, CaseRun], found: Mapping[str, Estimates], shown: str | None
) -> list[Headline]:
    program = report.commitment.program
    lines: list[Headline] = []
    if program.drivers and "realised" in found:
        benefit = found["realised"].metrics["total_benefit"]
        money = formatter(program, "total_benefit")
        lines.append(
            Headline(f"Value realised up to {report.month:%B %Y}", money(benefit.value), interval(benefit, money))
        )
    if shown is not None:
        lines += headlines(program, found[shown])
    if report.proposals:
        active = [one for one in report.proposals if one.state != "withdrawn"]
        total = sum((one.amount for one in active), Decimal(0))
        states = formatting.listing(sorted({one.state for one in active}))
        lines.append(Headline("Fee proposed so far", formatting.amount(total, report.proposals[0].currency), states))
    if program.drivers and "realised" in runs:
        lines += ratio_headline(report.months, runs["realised"], program.currency or "")
    return lines


def _inputs_section(report: CommitReport, runs: Mapping[str, CaseRun], calendar: Calendar) -> Section:
    commitment = report.commitment
    wanted = {one.name for one in commitment.measured()} | set(commitment.baseline)
    values = {
        case: {name: run.document["inputs"][name] for name in wanted & set(run.document["inputs"])}
        for case, run in runs.items()
        if case != "forecast"
    }
    flags = runs["realised"].document["flags"] if "realised" in runs else []
    model = shown_document(report.frozen["model"], report.hidden)
    parts = [
        inputs_table(commitment.program, commitment.overrides, values, model),
        *flags_table(commitment.program, flags, calendar),
        *notes_table(model),
    ]
    text = "What will be measured is shown as it was agreed." if report.month is None else _MEANS
    return Section("inputs", "What it depends on", text, parts)


def _state(state: str) -> str:
    return formatting.name(state).replace("approved by", "approved by the")


def _agreed_section(report: CommitReport) -> Section:
    reasons = {"proposed": report.frozen.get("reason")}
    rows = [
        (_DID[one.action], one.by, formatting.instant(one.at), one.reason or reasons.get(one.action) or formatting.NONE)
        for one in report.changes
    ]
    facts: list[tuple[str, Cell]] = [
        ("State", _state(report.state)),
        ("Commit", Code(report.commitment.commit)),
        ("Scenario agreed on", formatting.name(report.frozen["scenario"])),
    ]
    if report.frozen.get("parent"):
        facts.append(("Replaces", Code(report.frozen["parent"])))
    if report.frozen.get("watermark"):
        facts.append(("Baseline measured up to", str(report.frozen["watermark"])))
    events = Table("What was done, by whom", ("Act", "By", "When", "Reason"), rows)
    return Section("agreed", "Who agreed to it", "", [Facts(facts), events])


def _made_section(report: CommitReport, found: Mapping[str, Estimates]) -> Section:
    rows: list[tuple[str, Cell]] = [
        ("Model", Code(report.commitment.program.content_hash)),
        ("Rules", f"version {report.frozen['rules_version']}"),
    ]
    if found:
        rows.append(("Intervals", _draws(next(iter(found.values())))))
    runs = [
        (case, Code(one.run_hash), formatting.instant(one.known_at), formatting.instant(one.computed_at))
        for case, one in report.cases.items()
    ]
    parts: list[Facts | Table] = [Facts(rows)]
    if runs:
        parts.append(Table("Runs", ("Case", "Hash", "Known at", "Computed"), runs))
    text = "Whoever runs the commit again, with what was known then, arrives at the same hashes."
    return Section("made", "How these numbers were made", text if report.cases else "", parts)


def _draws(found: Estimates) -> str:
    return f"{found.draws:,} draws from seed {found.seed}; measured values are not uncertain"
