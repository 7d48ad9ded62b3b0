"""Run one committed model for the months that are measured: a run per month and case, and the fees that are due."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
import rfc8785

from valueverse.dates import following_month
from valueverse.errors import RefusalError
from valueverse.money import amount_text
from valueverse.platform.stores import proposal_store
from valueverse.platform.stores import value_store as store
from valueverse.schemas.value import METRIC_VALUES
from valueverse.value.executor import read_metrics
from valueverse.value.realisation import (
    Agreement,
    CaseRun,
    Commitment,
    MeasuredMonth,
    last_month,
    missing_proposals,
    outcome_charges,
    proposal_states,
    run_cases,
    start_of_day,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valueverse.catalog import CatalogHistory
    from valueverse.platform.isolation import Failure
    from valueverse.platform.stores.tenant_records import TenantRecords
    from valueverse.services.value.committed_models import CommittedModel
    from valueverse.subscriptions import Timeline


@dataclass
class TrackReport:
    """What a run found and wrote.

    Attributes:
        metrics: METRIC_VALUES of the months.
        runs: rows (tenant, model, commit, month, case, benefit, new).
        proposals: rows (tenant, proposal, customer, charge, amount, currency).
        refused: rows (tenant, commit, month, reason): commits that could not be run, or fees not worked out; with no
            commit, a registered metric that could not be read.
    """

    metrics: pl.DataFrame
    runs: list[tuple[str, str, str, date, str, str, bool]] = field(default_factory=list)
    proposals: list[tuple[str, str, str, str, str, str]] = field(default_factory=list)
    refused: list[tuple[str, str, date, str]] = field(default_factory=list)

    @classmethod
    def joined(cls, parts: Sequence[TrackReport]) -> TrackReport:
        """One report of parts that are about different tenants."""
        found = cls(pl.concat([part.metrics for part in parts] or [METRIC_VALUES.to_frame()]))
        for part in parts:
            found.runs.extend(part.runs)
            found.proposals.extend(part.proposals)
            found.refused.extend(part.refused)
        return found


@dataclass(frozen=True)
class CommitContext:
    """What a commit is run by.

    Attributes:
        records: the tenant's, who is locked by ``lock_value``.
        timeline: with the segments of the commit's customer alone.
        history: the tenant's catalogs.
        zone: the tenant's time zone.
        known_at: state of knowledge behind the metrics.
        as_of: the run's present.
        run_id: recorded with what is written.
    """

    records: TenantRecords
    timeline: Timeline
    history: CatalogHistory
    zone: str
    known_at: datetime
    as_of: datetime
    run_id: str


def track(context: CommitContext, one: CommittedModel, report: TrackReport) -> None:
    """Run one commit for each month with which a period of it ends; what cannot be run keeps nothing else back."""
    commitment = one.commitment
    ends = [month for month in one.measured if commitment.period_of(month) is not None]
    if not ends:
        return
    rows = store.metrics(context.records, commitment.customer, commitment.program.currency)
    months = []
    for month in ends:
        try:
            values = read_metrics(rows.filter(pl.col("period") <= f"{month:%Y-%m}"))
            runs = run_cases(commitment, values, month)
        except RefusalError as refusal:
            report.refused.append(refused_row(one, month, refusal))
            continue
        found = store.newest_runs(context.records, commitment.commit, month, documents=False)
        newest = {row["case_name"]: row for row in found}
        for run in runs:
            new = _write(context, commitment, month, run, newest.get(run.case))
            benefit = str(run.values.get("benefit", ""))
            summary = (one.tenant, commitment.program.model, commitment.commit, month, run.case, benefit, new)
            report.runs.append(summary)
        realised = next(run for run in runs if run.case == "realised")
        end = start_of_day(following_month(month), context.zone)
        charges = outcome_charges(context.timeline, context.history, one.tenant, commitment, end)
        months.append(MeasuredMonth(month, realised.series, charges))
    _propose(context, one, months, report)


def refused_row(one: CommittedModel, month: date, refusal: RefusalError | Failure) -> tuple[str, str, date, str]:
    """A row of ``TrackReport.refused``."""
    return one.tenant, one.commitment.commit, month, f"{refusal.message} [{refusal.code}]"


def _write(
    context: CommitContext, commitment: Commitment, month: date, run: CaseRun, newest: Mapping[str, Any] | None
) -> bool:
    """Add a run unless the newest one of its month and case says the same; whether it was added."""
    if newest is not None and newest["content_hash"] == run.content_hash:
        return False
    key = {
        "commit_id": commitment.commit,
        "case_name": run.case,
        "month": month,
        "known_at": context.known_at,
        "content_hash": run.content_hash,
    }
    named: dict[str, Any] = {
        name: value.isoformat() if isinstance(value, date) else value for name, value in key.items()
    }
    named["tenant_id"] = context.records.tenant
    run_hash = _hash(named)
    if newest is not None and store.run_named(context.records, run_hash) is not None:
        # What came back to what it was, at one state of knowledge (a mart, an invoice), counts from the first time.
        run_hash = _hash(named | {"after": newest["run_hash"]})
    more = {"run_hash": run_hash, "document": orjson.dumps(run.document).decode()}
    results = [(name, repr(value), run.units[name]) for name, value in sorted(run.values.items())]
    written = key | more | {"run_id": context.run_id, "computed_at": context.as_of}
    store.add_run(context.records, written, results)
    return True


def _hash(key: dict[str, Any]) -> str:
    return hashlib.sha256(rfc8785.dumps(key)).hexdigest()


def _propose(context: CommitContext, one: CommittedModel, months: list[MeasuredMonth], report: TrackReport) -> None:
    """Write what the fees to date come to beyond earlier proposals, on the charges that bill this model."""
    records, commitment, zone = context.records, one.commitment, context.zone
    customer, model = commitment.customer or "", commitment.program.model
    keys = {key for month in months for charge in month.charges for key in charge.alike}
    made = [row for row in proposal_store.proposals(records, customer, model) if row["charge"] in keys]
    found, refused = missing_proposals(
        Agreement(commitment, one.months(), zone), months, proposal_states(made), one.newest
    )
    report.refused += [refused_row(one, month, refusal) for month, refusal in refused]
    places = [(row["charge"], last_month(row["period_to"])) for row in made]
    for new in found:
        charge, fee, terms = new.charge, new.fee, new.terms
        number = sum(key in charge.alike and month == new.month for key, month in places) + 1
        proposal = f"{charge.subscription}/{charge.key}/{new.begin:%Y-%m}..{new.month:%Y-%m}/{number}"
        runs = store.newest_runs(records, commitment.commit, new.month, documents=False)
        proposal_store.propose(
            records,
            {
                "proposal": proposal,
                "commit_id": commitment.commit,
                "run_hash": next(row["run_hash"] for row in runs if row["case_name"] == "realised"),
                "model": model,
                "customer": customer,
                "subscription": charge.subscription,
                "charge": charge.key,
                "period_from": start_of_day(new.begin, zone),
                "period_to": start_of_day(following_month(new.month), zone),
                "realised_value": fee.realised,
                "fee_to_date": fee.to_date,
                "binding": fee.binding,
                "amount": fee.amount,
                "currency": terms.currency,
                "proposed_at": context.as_of,
                "disputable_until": context.as_of + timedelta(days=terms.dispute_days),
            },
        )
        report.proposals.append(
            (records.tenant, proposal, customer, charge.key, amount_text(fee.amount, terms.currency), terms.currency)
        )
