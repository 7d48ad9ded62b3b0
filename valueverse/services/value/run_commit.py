"""Run one commit on the metrics that the platform has measured: what a step of the pipeline does, without measuring."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.catalog import CatalogHistory
from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.platform.stores import value_store as store
from valueverse.platform.stores.commit_store import agreed
from valueverse.schemas.value import METRIC_VALUES
from valueverse.services.lake_tables import BILLING_FACTS_TABLE
from valueverse.services.value.commits.commit_model import logged
from valueverse.services.value.committed_models import CommittedModel, committed_models
from valueverse.services.value.track_commit import CommitContext, TrackReport, track
from valueverse.services.value.value_names import known_tenant, named_commit
from valueverse.subscriptions import Timeline, build_timeline

if TYPE_CHECKING:
    from datetime import date, datetime

    from valueverse.platform.stores.tenant_records import TenantRecords


def run_commit(records: TenantRecords, commit: str, last: date | None, moment: datetime) -> dict[str, Any]:
    """Run a commit for all measured months of its term, and propose the fees that are due. What is known gives the same
    runs however often it is asked for.

    Args:
        records: the tenant's.
        commit: its id, or the beginning of it.
        last: first day of the last month; None: the last one that is measured.
        moment: the present: a month that closes later is left alone; proposals are made now.

    Returns:
        commit, model, known_at; runs of the last month ({case, month, run_hash, new}); how many were added in all;
        proposals ({proposal, charge, amount, currency}); refused ({month, reason}).

    Raises:
        RefusalError: ``unknown_tenant``, ``unknown_commit``, ``ambiguous_commit``, ``not_active``; and
            ``not_yet_measured``: a month of its term has no metrics yet.
    """
    known_tenant(records)
    commit = named_commit(records, commit)
    store.lock_value(records)
    one, context = _measured(records, commit, last, moment)
    report = TrackReport(METRIC_VALUES.to_frame())
    track(context, one, report)
    return _answer(records, one, context, report)


def _measured(
    records: TenantRecords, commit: str, last: date | None, moment: datetime
) -> tuple[CommittedModel, CommitContext]:
    """The commit with the months to run, and what it is run by."""
    one = _agreed(records, commit)
    known, months = store.known_until(records), store.recorded_months(records)
    timeline, history = _billing(records)
    zones = dict(timeline.tenants.select("tenant", "timezone").iter_rows())
    if known is None or records.tenant not in zones or (last is not None and last > months[-1]):
        raise _not_yet_measured(last)
    newest, zone = store.newest_month(records, commit), zones[records.tenant]
    one = one.measured_until(last or months[-1], newest, zone, moment)
    missing = [month for month in one.measured if month not in months]
    if missing:
        raise _not_yet_measured(missing[0])
    own = replace(timeline, segments=timeline.segments.filter(customer=one.commitment.customer or ""))
    return one, CommitContext(records, own, history, zone, known, moment, records.request)


def _agreed(records: TenantRecords, commit: str) -> CommittedModel:
    for one in committed_models(agreed(records)):
        if one.commitment.commit == commit:
            return one
    state = logged(records, commit)["state"]
    message = f"the commit is {state}: only one that both sides have approved, and that is not closed, is run"
    raise RefusalError("not_active", message, "commit")


def _billing(records: TenantRecords) -> tuple[Timeline, CatalogHistory]:
    """The tenant's timeline and catalogs."""

    lake = Lake(records.settings.lake_url)
    facts = lake.scan(BILLING_FACTS_TABLE).filter(pl.col("tenant") == records.tenant).collect()
    history = CatalogHistory.from_facts(facts)
    return build_timeline(facts, history.plans, None), history


def _not_yet_measured(month: date | None) -> RefusalError:
    what = "nothing" if month is None else f"{month:%Y-%m}"
    verb = "is measured" if month is None else "is not measured"
    return RefusalError(
        "not_yet_measured", f"{what} {verb} yet: the pipeline measures a month once it is over", "--month"
    )


def _answer(records: TenantRecords, one: CommittedModel, context: CommitContext, report: TrackReport) -> dict[str, Any]:
    commit = one.commitment.commit
    new = {(month, case) for _, _, _, month, case, _, added in report.runs if added}
    newest = store.newest_runs(records, commit, None, documents=False)
    return {
        "commit": commit,
        "model": one.commitment.program.model,
        "known_at": utc_text(context.known_at),
        "runs": [
            {
                "case": row["case_name"],
                "month": f"{row['month']:%Y-%m}",
                "run_hash": row["run_hash"],
                "new": (row["month"], row["case_name"]) in new,
            }
            for row in newest
        ],
        "added": len(new),
        "proposals": [
            {"proposal": proposal, "charge": charge, "amount": amount, "currency": currency}
            for _, proposal, _, charge, amount, currency in report.proposals
        ],
        "refused": [{"month": f"{month:%Y-%m}", "reason": reason} for _, _, month, reason in report.refused],
    }
