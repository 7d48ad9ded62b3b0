"""Fee proposals of committed models, their verdicts and the invoice lines that bill them, in Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import frame_of, rows_of
from valueverse.platform.stores.billing_store import FOUND
from valueverse.schemas.settlement import APPROVED_PROPOSALS
from valueverse.schemas.value import PROPOSALS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import polars as pl
    import psycopg

    from valueverse.platform.stores.billing_store import Scope

    Connection = psycopg.Connection[Any]


_LATEST_VERDICT = """
left join lateral (
    select v.verdict, v.said_at from value.verdict v
     where v.tenant_id = p.tenant_id and v.proposal = p.proposal order by v.said_at desc, v.verdict limit 1
) as latest on true
"""

_BILLING_INVOICE = """
left join lateral (
    select i.number from billing.invoice_line l
      join billing.invoice i on i.tenant_id = l.tenant_id and i.invoice_id = l.invoice_id
     where l.tenant_id = p.tenant_id and l.kind = 'outcome' and i.status = 'finalised'
       and l.proposal = p.proposal
       and not exists (select from billing.invoice_void v
                        where v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id)
     order by i.sequence limit 1
) as billing_invoice on true
"""


def proposed(connection: Connection, tenant: str, customer: str, model: str, charges: Sequence[str]) -> pl.DataFrame:
    """PROPOSALS of charges on a model, whatever subscription and commit they come from, withdrawn ones too."""
    return frame_of(
        connection,
        f"""
        select p.tenant_id::text as tenant, p.proposal, p.commit_id, p.charge, p.period_from, p.period_to, p.amount,
               latest.verdict
          from value.proposal p {_LATEST_VERDICT}
         where p.tenant_id = %(tenant)s and p.customer = %(customer)s and p.model = %(model)s
           and p.charge = any(%(charges)s)
         order by p.period_to, p.proposal
        """,  # noqa: S608 - a constant
        {"tenant": tenant, "customer": customer, "model": model, "charges": list(charges)},
        PROPOSALS,
    )


def propose(connection: Connection, row: Mapping[str, Any]) -> None:
    """Add a proposal (the columns of value.proposal)."""
    names = list(row)
    places = ", ".join(f"%({name})s" for name in names)
    connection.execute(f"insert into value.proposal ({', '.join(names)}) values ({places})", row)  # noqa: S608 - names of columns


def add_verdict(connection: Connection, row: Mapping[str, Any]) -> None:
    """Add a verdict: tenant_id, proposal, verdict, said_by, reason, said_at."""
    connection.execute(
        "insert into value.verdict (tenant_id, proposal, verdict, said_by, reason, said_at) values "
        "(%(tenant_id)s, %(proposal)s, %(verdict)s, %(said_by)s, %(reason)s, %(said_at)s)",
        row,
    )


def verdicts(connection: Connection, tenant: str, proposal: str) -> list[str]:
    """Verdicts on a proposal so far."""
    found = connection.execute(
        "select verdict from value.verdict where tenant_id = %s and proposal = %s order by said_at, verdict desc",
        [tenant, proposal],
    )
    return [str(verdict) for (verdict,) in found]


def is_invoiced(connection: Connection, tenant: str, proposal: str) -> bool:
    """Whether a line of a finalised, unvoided invoice bills a proposal."""
    found = connection.execute(
        "select from billing.invoice_line l join billing.invoice i on i.tenant_id = l.tenant_id"
        " and i.invoice_id = l.invoice_id left join billing.invoice_void v on v.tenant_id = i.tenant_id"
        " and v.invoice_id = i.invoice_id where l.tenant_id = %s and l.kind = 'outcome' and i.status = 'finalised'"
        " and v.invoice_id is null and l.proposal = %s limit 1",
        [tenant, proposal],
    )
    return found.fetchone() is not None


def proposals(connection: Connection, tenant: str) -> list[dict[str, Any]]:
    """A tenant's proposals with the newest verdict on each and the invoice that bills it, oldest first."""
    return rows_of(
        connection,
        f"""
        select p.proposal, p.model, p.customer, p.subscription, p.charge, p.commit_id, p.run_hash,
               p.period_from, p.period_to, (p.period_from at time zone z.zone)::date as first_day,
               ((p.period_to - interval '1 microsecond') at time zone z.zone)::date as last_day,
               trim_scale(p.realised_value)::text as realised_value, p.binding,
               trim_scale(p.fee_to_date)::text as fee_to_date, trim_scale(p.amount)::text as amount,
               p.currency::text as currency, p.proposed_at, p.disputable_until, latest.verdict, latest.said_at,
               billing_invoice.number as invoice
          from value.proposal p {_LATEST_VERDICT} {_BILLING_INVOICE}
          join lateral (select timezone as zone from billing.tenant t where t.tenant_id = p.tenant_id) as z on true
         where p.tenant_id = %(tenant)s order by p.period_to, p.proposed_at, p.proposal
        """,  # noqa: S608 - a constant
        {"tenant": tenant},
    )


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
                                and (%(before)s::timestamptz is null or v.voided_at < %(before)s))
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
