"""Fee proposals of committed models, their verdicts and the invoice lines that bill them, in Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import frame_of
from valueverse.platform.stores.billing_store import FOUND, VOID_COUNTS
from valueverse.schemas.settlement import APPROVED_PROPOSALS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    import polars as pl
    import psycopg

    from valueverse.platform.stores.billing_store import Scope
    from valueverse.platform.stores.tenant_records import TenantRecords

    Connection = psycopg.Connection[Any]

_PROPOSAL = (
    "proposal", "commit_id", "run_hash", "model", "customer", "subscription", "charge", "period_from", "period_to",
    "realised_value", "fee_to_date", "binding", "amount", "currency", "proposed_at", "disputable_until",
)  # fmt: skip


def propose(records: TenantRecords, row: Mapping[str, Any]) -> None:
    """Add a proposal (the columns of value.proposal but the tenant)."""
    records.rows("add_proposal", *(row[name] for name in _PROPOSAL), records.request)


def add_verdict(records: TenantRecords, proposal: str, verdict: str, by: str, reason: str | None, at: datetime) -> None:
    """Add a verdict."""
    records.rows("add_verdict", proposal, verdict, by, reason, at, records.actor, records.request)


def verdicts(records: TenantRecords, proposal: str) -> list[str]:
    """Verdicts on a proposal so far."""
    return [row["verdict"] for row in records.rows("proposal_verdicts", proposal)]


def proposals(records: TenantRecords, customer: str | None = None, model: str | None = None) -> list[dict[str, Any]]:
    """Proposals with the newest verdict on each and the invoice that bills it, oldest first: all of the tenant's, or
    those of a customer and a model."""
    return records.rows("proposals", customer, model)


def proposed_from(records: TenantRecords, of: tuple[str, str], day: date, commit: str) -> dict[str, Any] | None:
    """The last proposal, not withdrawn, of other commits, for months from ``day`` on; None: there is none.

    Args:
        records: the tenant's.
        of: customer and model.
        day: first day of a month.
        commit: whose own proposals do not count.

    Returns:
        proposal, commit_id, first_day, last_day, invoice (null: none bills it).
    """
    found = (
        row
        for row in proposals(records, *of)
        if row["commit_id"] != commit and row["verdict"] != "withdrawn" and row["last_day"] >= day
    )
    return max(found, key=lambda row: row["last_day"], default=None)


def approved(connection: Connection, scope: Scope, as_of: datetime) -> pl.DataFrame:
    """APPROVED_PROPOSALS, withdrawn ones left out, at ``as_of``.

    A proposal is approved when it is accepted, or when its dispute window ends without a dispute. ``invoice_id`` is the
    finalised, unvoided invoice of the scope that bills it.
    """
    return frame_of(
        connection,
        f"""
        with answers as (
            select tenant_id, proposal,
                   min(said_at) filter (where verdict = 'accepted') as accepted_at,
                   bool_or(verdict = 'disputed') as disputed, bool_or(verdict = 'withdrawn') as withdrawn
              from value.verdict where said_at <= %(as_of)s group by 1, 2),
        active as (
            select p.*,
                   coalesce(w.accepted_at, case when w.disputed then null else p.disputable_until end) as approved_at
              from value.proposal p left join answers w using (tenant_id, proposal)
             where p.tenant_id = any(%(tenants)s) and not coalesce(w.withdrawn, false)),
        billed as (
            select l.tenant_id, l.proposal, min(l.invoice_id::text) as invoice_id
              from billing.invoice_line l
              join billing.invoice i on i.tenant_id = l.tenant_id and i.invoice_id = l.invoice_id
             where l.tenant_id = any(%(tenants)s) and l.kind = 'outcome' and i.status = 'finalised'
               and {FOUND}
               and not exists (select from billing.invoice_void v where v.tenant_id = i.tenant_id
                                and v.invoice_id = i.invoice_id
                                and {VOID_COUNTS})
             group by 1, 2)
        select s.tenant_id::text as tenant, s.proposal, s.customer, s.subscription, s.charge, s.period_from,
               s.period_to, s.amount, s.currency::text as currency, s.approved_at, s.model, s.commit_id, s.run_hash,
               b.invoice_id
          from active s left join billed b using (tenant_id, proposal)
         where s.approved_at <= %(as_of)s and s.amount <> 0
         order by s.tenant_id, s.proposal
        """,  # noqa: S608 - a constant
        scope.values(as_of=as_of),
        APPROVED_PROPOSALS,
    )
