"""Reports of a model's run and of a measured commit."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.value.report import Audience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import polars as pl

    from valueverse.platform.settings import Settings
    from valueverse.platform.stores.tenant_records import TenantRecords
    from valueverse.value.realisation import Commitment
    from valueverse.value.report import CommitChange, CommitReport, CustomerMonth, FeeProposal, MeasuredRun, Withheld


DRAWS = 16_384


_MARGIN = {"billing.invoiced_net": "invoiced", "billing.outcome_fees": "invoiced", "billing.cost_to_serve": "cost"}


def report_of_model(
    text: str,
    data: Path | None,
    options: dict[str, Any],
    customer: str | None = None,
    audience: Audience = Audience.CUSTOMER,
) -> str:
    """Run a model and render it as HTML.

    Args:
        text: the model.
        data: measured data, or None.
        options: scenarios, draws, seed and start, as in ``RunRequest``.
        customer: only this customer's data.
        audience: whose copy it is.

    Raises:
        RefusalError: as ``valueverse value run``.
    """
    from valueverse.services.value.model_inputs import read_data
    from valueverse.value.architect.compiler import compile_model
    from valueverse.value.architect.document import canonical_tree, parse_model
    from valueverse.value.executor import RunRequest
    from valueverse.value.report import build_run_page, render_page, withheld

    model = parse_model(text)
    about = [f"customer {customer}"] if customer else []
    program = compile_model(model)
    document = canonical_tree(model)
    hidden = withheld(program, audience, document=document)
    return render_page(
        build_run_page(program, document, read_data(data, customer), RunRequest(**options), about, hidden)
    )


def report_of_commit(
    settings: Settings,
    tenant: str,
    commit: str,
    month: dt.date | None = None,
    audience: Audience = Audience.CUSTOMER,
) -> str:
    """Agreed and realised value, as HTML; the audit log gets an entry.

    Args:
        settings: where Postgres is.
        tenant: whose.
        commit: its id, or the beginning of it.
        month: first day of a month with which a period ends; None: the last one measured.
        audience: whose copy it is: a customer's has no cost to serve, no margin and nothing computed from them.

    Raises:
        RefusalError: ``unknown_tenant``, ``unknown_commit``, ``ambiguous_commit``; ``not_measured``: no run of that
            month; ``internal_numbers``: a proposal whose benefits or fee a customer may not be shown.
    """
    from valueverse.services.audit.record_export import record_export
    from valueverse.value.report import build_commit_page, render_page

    report = report_of(settings, tenant, commit, month, audience)
    page = render_page(build_commit_page(report))
    record_export(settings, [tenant], "value_report.exported", report.commitment.commit, page.encode())
    return page


def report_of(settings: Settings, tenant: str, commit: str, month: dt.date | None, audience: Audience) -> CommitReport:
    """All that the page of a commit is made of."""
    from valueverse.platform.stores import commit_store, proposal_store, value_store
    from valueverse.platform.stores.tenant_records import records_of
    from valueverse.platform.warehouse import connect
    from valueverse.services.value.commits.commit_model import logged
    from valueverse.services.value.stored_runs import frozen_commit
    from valueverse.value.report import Brand, CommitReport, withheld

    now = dt.datetime.now(dt.UTC)
    with connect(settings, "builder") as connection:
        records = records_of(settings, connection, tenant)
        commitment, document = frozen_commit(records, commit)
        commit = commitment.commit
        state = logged(records, commit)["state"]
        runs = value_store.newest_runs(records, commit, month)
        if month is not None and not runs:
            message = f"no run of {month:%Y-%m}: the months measured are those in which a period of the model ends"
            raise RefusalError("not_measured", message, "--month")
        called = value_store.names(connection, tenant, commitment.customer)
        last = runs[0]["month"] if runs else None
        frozen = json.loads(document)
        registered = _internal(settings, tenant, commitment, audience)
        hidden = withheld(commitment.program, audience, registered, frozen["model"])
        proposals = [
            row
            for row in proposal_store.proposals(records)
            if row["commit_id"] == commit and last is not None and row["first_day"] <= last
        ]
        may_be_shown = _value_may_be_shown(settings, tenant, commitment, hidden)
        accent, logo = value_store.brand(connection, tenant)
        return CommitReport(
            commitment=commitment,
            frozen=frozen,
            tenant=called[0],
            customer=called[1] or "all customers",
            state=state,
            changes=[_change(row) for row in commit_store.history(records, commit)],
            month=last,
            cases={row["case_name"]: _measured(commitment, row) for row in runs},
            proposals=_proposals(proposals, now, may_be_shown),
            months=_months(records, commitment, last, audience),
            draws=DRAWS,
            hidden=hidden,
            brand=Brand(called[0], accent, logo),
        )


def _change(row: dict[str, Any]) -> CommitChange:
    from valueverse.value.report import CommitChange

    return CommitChange(row["action"], row["by"], row["at"], row["reason"])


def _internal(settings: Settings, tenant: str, commitment: Commitment, audience: Audience) -> set[str]:
    """Metrics of the model that any catalog of the tenant has registered on a column that is the vendor's own."""
    from valueverse.catalog import RESERVED_PREFIXES, CatalogHistory
    from valueverse.value.architect import Binding
    from valueverse.value.report import INTERNAL_COLUMNS

    bound = {one.source.metric for one in commitment.program.inputs if isinstance(one.source, Binding)}
    of_marts = {metric for metric in bound if not metric.startswith(RESERVED_PREFIXES)}
    if audience is Audience.VENDOR or not of_marts:
        return set()
    history = CatalogHistory.from_facts(_facts(settings, tenant))
    registered = [one for catalog in history.catalogs.values() for one in catalog.metrics]
    return {one.key for one in registered if (one.mart, one.column) in INTERNAL_COLUMNS} & of_marts


def _facts(settings: Settings, tenant: str) -> pl.DataFrame:
    import polars as pl

    from valueverse.platform.lake import Lake
    from valueverse.services.lake_tables import BILLING_FACTS_TABLE

    return Lake(settings.lake_url).scan(BILLING_FACTS_TABLE).filter(pl.col("tenant") == tenant).collect()


def _value_may_be_shown(
    settings: Settings, tenant: str, commitment: Commitment, hidden: Withheld
) -> Callable[[dict[str, Any]], bool]:
    """Whether a proposal's fee is a share of a value that depends on nothing withheld.

    What it is a share of is the word of the charge that bills it, in the plan that held at the end of its period; of a
    charge that is no longer found it is not known, and the value is not shown.
    """
    from valueverse.catalog import CatalogHistory
    from valueverse.subscriptions import build_timeline
    from valueverse.value.realisation import outcome_charges

    if not hidden.nodes:
        return lambda _: True
    facts = _facts(settings, tenant)
    history = CatalogHistory.from_facts(facts)
    timeline = build_timeline(facts, history.plans, None)

    def shown(row: dict[str, Any]) -> bool:
        charges = outcome_charges(timeline, history, tenant, commitment, row["period_to"])
        outputs = {one.output for one in charges if row["charge"] in one.alike}
        return bool(outputs) and not any(map(hidden.holds, outputs))

    return shown


def _measured(commitment: Commitment, row: dict[str, Any]) -> MeasuredRun:
    from valueverse.value.realisation import CaseRun
    from valueverse.value.report import MeasuredRun

    run = CaseRun.read(commitment.program, row["document"], row["content_hash"])
    return MeasuredRun(run, row["run_hash"], row["known_at"], row["computed_at"])


def _proposals(
    rows: Iterable[dict[str, Any]], now: dt.datetime, may_be_shown: Callable[[dict[str, Any]], bool]
) -> list[FeeProposal]:
    from valueverse.services.value.commits.fee_proposals import state_of
    from valueverse.value.report import FeeProposal

    return [
        FeeProposal(
            row["proposal"],
            row["first_day"],
            row["last_day"],
            Decimal(row["realised_value"]) if may_be_shown(row) else None,
            Decimal(row["amount"]),
            row["currency"],
            row["binding"],
            state_of(row["verdict"], row["disputable_until"], now),
            row["disputable_until"],
            row["invoice"],
        )
        for row in rows
    ]


def _months(
    records: TenantRecords,
    commitment: Commitment,
    last: dt.date | None,
    audience: Audience,
) -> list[CustomerMonth]:
    """Invoiced, and for a vendor spent, in the calendar months from the commit's start to the last one measured."""
    from valueverse.platform.stores import value_store
    from valueverse.value.report import CustomerMonth

    if last is None or commitment.start is None or commitment.customer is None:
        return []
    none = Decimal(0)
    own = audience is Audience.CUSTOMER
    measured = {name: role for name, role in _MARGIN.items() if not (own and role == "cost")}
    found: dict[str, dict[str, Decimal]] = {}
    rows = value_store.metrics(records, commitment.customer, commitment.program.currency)
    for metric, _, period, value in rows.iter_rows():
        if metric in measured and f"{commitment.start:%Y-%m}" <= period <= f"{last:%Y-%m}":
            sums = found.setdefault(period, {"invoiced": none, "cost": none})
            sums[measured[metric]] += Decimal(value)
    return [
        CustomerMonth(dt.date.fromisoformat(f"{period}-01"), one["invoiced"], None if own else one["cost"])
        for period, one in sorted(found.items())
    ]
