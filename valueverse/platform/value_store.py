"""What came of committed models, in Postgres: metrics, runs, results, fee proposals and what was said to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.money import EXACT
from valueverse.platform.billing_store import FOUND
from valueverse.platform.warehouse import copy_frame

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    import psycopg

    from valueverse.platform.billing_store import Scope

    Connection = psycopg.Connection[Any]

_LOCK = 5_480_008
_TEXT, _INSTANT, _DAY = pl.String(), pl.Datetime("us", "UTC"), pl.Date()
AGREED = pl.Schema({"tenant": _TEXT, "commit_id": _TEXT, "parent": _TEXT, "document": _TEXT, "closed": pl.Boolean()})
PROPOSED = pl.Schema(
    {
        "tenant": _TEXT,
        "proposal": _TEXT,
        "commit_id": _TEXT,
        "charge": _TEXT,
        "period_from": _INSTANT,
        "period_to": _INSTANT,
        "amount": EXACT,
        "verdict": _TEXT,
    }
)
"""Proposals with the newest word said to them (null: none)."""

STANDING_LINES = """
from billing.invoice_line l
join billing.invoice i on i.tenant_id = l.tenant_id and i.invoice_id = l.invoice_id
join billing.tenant t on t.tenant_id = l.tenant_id
left join billing.subscription s on s.tenant_id = i.tenant_id and s.subscription = i.subscription
cross join lateral (select coalesce(s.timezone, t.timezone) as zone) as z
where l.tenant_id = any(%(tenants)s) and i.status = 'finalised'
  and (%(until)s::timestamptz is null or i.finalised_at <= %(until)s)
  and not exists (select from billing.invoice_void v where v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id
                   and (%(until)s::timestamptz is null or v.voided_at <= %(until)s))
"""
"""Lines of invoices finalised, and not voided, by ``until`` (null: now); service days are those of ``z.zone``."""
_LAST_WORD = """
left join lateral (
    select v.verdict, v.said_at from value.verdict v
     where v.tenant_id = p.tenant_id and v.proposal = p.proposal order by v.said_at desc, v.verdict limit 1
) as word on true
"""

_BEARER = """
left join lateral (
    select i.number from billing.invoice_line l
      join billing.invoice i on i.tenant_id = l.tenant_id and i.invoice_id = l.invoice_id
     where l.tenant_id = p.tenant_id and l.kind = 'outcome' and i.status = 'finalised'
       and substring(l.explains from ', proposal (.+)$') = p.proposal
       and not exists (select from billing.invoice_void v
                        where v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id)
     order by i.sequence limit 1
) as bearer on true
"""


def _frame(connection: Connection, query: str, values: Mapping[str, Any], schema: pl.Schema) -> pl.DataFrame:
    return pl.DataFrame(connection.execute(query, values).fetchall(), schema=schema, orient="row")


def _rows(connection: Connection, query: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    cursor = connection.execute(query, values)
    columns = [column.name for column in cursor.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def lock_value(connection: Connection) -> None:
    """Let one run at a time propose fees, until the transaction ends: two would propose the same difference."""
    connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])


def billed_lines(connection: Connection, tenants: Sequence[str], schema: pl.Schema) -> pl.DataFrame:
    """Lines of standing invoices in the columns of ``schema``: BILLED_LINES with ``net`` in minor units."""
    return _frame(
        connection,
        f"""
        select l.tenant_id::text, i.customer, l.kind, l.currency::text,
               (l.service_from at time zone z.zone)::date, (l.service_to at time zone z.zone)::date,
               (l.amount_minor - l.discount_minor)::numeric
          {STANDING_LINES}
         order by l.tenant_id, i.sequence, l.line_no
        """,
        {"tenants": list(tenants), "until": None},
        schema,
    )


def replace_metrics(connection: Connection, metrics: pl.DataFrame, measured: pl.DataFrame) -> None:
    """Write tenant_id, metric, customer, month, currency, value, known_at in place of these months (tenant, month)."""
    connection.execute(
        "delete from value.metric m using unnest(%s::text[], %s::date[]) as measured (tenant, month)"
        " where m.tenant_id = measured.tenant and m.month = measured.month",
        [measured["tenant"].to_list(), measured["month"].to_list()],
    )
    copy_frame(connection, "value.metric", metrics)


def metrics(connection: Connection, tenant: str, customer: str | None, currency: str | None) -> pl.DataFrame:
    """metric, customer, period (YYYY-MM), value (text) of a tenant or one of its customers; money in one currency."""
    return _frame(
        connection,
        """
        select metric, customer, to_char(month, 'YYYY-MM'), trim_scale(value)::text from value.metric
         where tenant_id = %(tenant)s and (%(customer)s::text is null or customer = %(customer)s)
           and (currency is null or currency = %(currency)s)
         order by metric, customer, month
        """,
        {"tenant": tenant, "customer": customer, "currency": currency},
        pl.Schema({"metric": _TEXT, "customer": _TEXT, "period": _TEXT, "value": _TEXT}),
    )


def known_until(connection: Connection, tenant: str) -> datetime | None:
    """When the newest event behind a tenant's metrics was received."""
    row = connection.execute("select max(known_at) from value.metric where tenant_id = %s", [tenant]).fetchone()
    return row[0] if row else None


def agreed(connection: Connection, tenants: Sequence[str]) -> pl.DataFrame:
    """AGREED: commits that both sides have approved, replaced and closed ones too, oldest first."""
    return _frame(
        connection,
        """
        select c.tenant_id::text, c.commit_id, c.parent, c.document,
               exists (select from value.closing x where x.tenant_id = c.tenant_id and x.commit_id = c.commit_id)
          from value.commit c
         where c.tenant_id = any(%(tenants)s)
           and (select count(distinct a.side) from value.approval a
                 where a.tenant_id = c.tenant_id and a.commit_id = c.commit_id) = 2
         order by c.tenant_id, c.sequence
        """,
        {"tenants": list(tenants)},
        AGREED,
    )


def newest_month(connection: Connection, tenant: str, commit: str) -> date | None:
    """The last month that a commit was run for."""
    row = connection.execute(
        "select max(month) from value.run where tenant_id = %s and commit_id = %s", [tenant, commit]
    ).fetchone()
    return row[0] if row else None


def add_run(connection: Connection, run: Mapping[str, Any], results: Sequence[tuple[str, str, str]]) -> bool:
    """Add a run with its results (name, value as text, unit), unless the newest one of its month says the same.

    Args:
        connection: in a transaction that holds ``lock_value``.
        run: tenant_id, run_hash, commit_id, case_name, month, known_at, content_hash, document, run_id, computed_at.
        results: of the run.

    Returns:
        Whether it was added.
    """
    newest = connection.execute(
        "select content_hash from value.run where tenant_id = %(tenant_id)s and commit_id = %(commit_id)s"
        " and month = %(month)s and case_name = %(case_name)s"
        " order by computed_at desc, known_at desc, written desc limit 1",
        run,
    ).fetchone()
    if newest is not None and newest[0] == run["content_hash"]:
        return False
    connection.execute(
        "insert into value.run (tenant_id, run_hash, commit_id, case_name, month, known_at, content_hash, document, "
        "run_id, computed_at) values (%(tenant_id)s, %(run_hash)s, %(commit_id)s, %(case_name)s, %(month)s, "
        "%(known_at)s, %(content_hash)s, %(document)s, %(run_id)s, %(computed_at)s)",
        run,
    )
    connection.cursor().executemany(
        "insert into value.result (tenant_id, run_hash, name, value, unit) values (%s, %s, %s, %s::numeric, %s)",
        [(run["tenant_id"], run["run_hash"], *one) for one in results],
    )
    return True


def has_run(connection: Connection, tenant: str, run_hash: str) -> bool:
    """Whether there is a run of that hash."""
    return (
        connection.execute(
            "select from value.run where tenant_id = %s and run_hash = %s", [tenant, run_hash]
        ).fetchone()
        is not None
    )


def newest_hash(connection: Connection, tenant: str, commit: str, case: str, month: date) -> str | None:
    """run_hash of the newest run of a commit's case in a month."""
    row = connection.execute(
        "select run_hash from value.run where tenant_id = %s and commit_id = %s and case_name = %s and month = %s"
        " order by computed_at desc, known_at desc, written desc limit 1",
        [tenant, commit, case, month],
    ).fetchone()
    return row[0] if row else None


def newest_runs(connection: Connection, tenant: str, commit: str, month: date | None) -> list[dict[str, Any]]:
    """The newest run of each case of a commit in a month (None: the last one measured), with its document."""
    return _rows(
        connection,
        """
        select distinct on (r.case_name) r.case_name, r.month, r.run_hash, r.content_hash, r.document, r.known_at,
               r.computed_at
          from value.run r
         where r.tenant_id = %(tenant)s and r.commit_id = %(commit)s
           and r.month = coalesce(%(month)s, (select max(n.month) from value.run n
                                               where n.tenant_id = r.tenant_id and n.commit_id = r.commit_id))
         order by r.case_name, r.computed_at desc, r.known_at desc, r.written desc
        """,
        {"tenant": tenant, "commit": commit, "month": month},
    )


def agreement(connection: Connection, tenant: str, commit: str) -> list[dict[str, Any]]:
    """Who did what to a commit and when, oldest first: did (proposed, a side, an outcome), by, at, reason."""
    return _rows(
        connection,
        """
        select 'proposed' as did, author as by, committed_at as at, null as reason
          from value.commit where tenant_id = %(tenant)s and commit_id = %(commit)s
        union all
        select side, approved_by, approved_at, null from value.approval
         where tenant_id = %(tenant)s and commit_id = %(commit)s
        union all
        select outcome, closed_by, closed_at, reason from value.closing
         where tenant_id = %(tenant)s and commit_id = %(commit)s
        order by 3, 1
        """,
        {"tenant": tenant, "commit": commit},
    )


def document(connection: Connection, tenant: str, commit: str) -> str:
    """A commit's canonical JSON.

    Raises:
        KeyError: there is no such commit.
    """
    row = connection.execute(
        "select document from value.commit where tenant_id = %s and commit_id = %s", [tenant, commit]
    ).fetchone()
    if row is None:
        raise KeyError(commit)
    return str(row[0])


def names(connection: Connection, tenant: str, customer: str | None) -> tuple[str, str | None]:
    """What a tenant and one of its customers are called; their keys where they state no name."""
    row = connection.execute(
        "select coalesce(t.name, t.tenant_id::text), (select c.name from billing.customer c "
        "where c.tenant_id = t.tenant_id and c.customer = %s) from billing.tenant t where t.tenant_id = %s",
        [customer, tenant],
    ).fetchone()
    return (row[0], row[1] or customer) if row else (tenant, customer)


def proposed(connection: Connection, tenant: str, customer: str, model: str, charges: Sequence[str]) -> pl.DataFrame:
    """PROPOSED of charges on a model, whatever subscription and commit they come from, withdrawn ones too."""
    return _frame(
        connection,
        f"""
        select p.tenant_id::text, p.proposal, p.commit_id, p.charge, p.period_from, p.period_to, p.amount, word.verdict
          from value.proposal p {_LAST_WORD}
         where p.tenant_id = %(tenant)s and p.customer = %(customer)s and p.model = %(model)s
           and p.charge = any(%(charges)s)
         order by p.period_to, p.proposal
        """,  # noqa: S608 - a constant
        {"tenant": tenant, "customer": customer, "model": model, "charges": list(charges)},
        PROPOSED,
    )


def propose(connection: Connection, row: Mapping[str, Any]) -> None:
    """Add a proposal (the columns of value.proposal)."""
    names = list(row)
    places = ", ".join(f"%({name})s" for name in names)
    connection.execute(f"insert into value.proposal ({', '.join(names)}) values ({places})", row)  # noqa: S608


def say(connection: Connection, row: Mapping[str, Any]) -> None:
    """Add a verdict: tenant_id, proposal, verdict, said_by, reason, said_at."""
    connection.execute(
        "insert into value.verdict (tenant_id, proposal, verdict, said_by, reason, said_at) values "
        "(%(tenant_id)s, %(proposal)s, %(verdict)s, %(said_by)s, %(reason)s, %(said_at)s)",
        row,
    )


def words(connection: Connection, tenant: str, proposal: str) -> list[str]:
    """Verdicts said to a proposal so far."""
    found = connection.execute(
        "select verdict from value.verdict where tenant_id = %s and proposal = %s order by said_at, verdict desc",
        [tenant, proposal],
    )
    return [str(verdict) for (verdict,) in found]


def borne(connection: Connection, tenant: str, proposal: str) -> bool:
    """Whether a line of a finalised, unvoided invoice bears a proposal."""
    found = connection.execute(
        "select from billing.invoice_line l join billing.invoice i on i.tenant_id = l.tenant_id"
        " and i.invoice_id = l.invoice_id left join billing.invoice_void v on v.tenant_id = i.tenant_id"
        " and v.invoice_id = i.invoice_id where l.tenant_id = %s and l.kind = 'outcome' and i.status = 'finalised'"
        " and v.invoice_id is null and substring(l.explains from ', proposal (.+)$') = %s limit 1",
        [tenant, proposal],
    )
    return found.fetchone() is not None


def close(connection: Connection, row: Mapping[str, Any]) -> None:
    """Close a commit: tenant_id, commit_id, outcome, closed_by, reason, closed_at."""
    connection.execute(
        "insert into value.closing (tenant_id, commit_id, outcome, closed_by, reason, closed_at) values "
        "(%(tenant_id)s, %(commit_id)s, %(outcome)s, %(closed_by)s, %(reason)s, %(closed_at)s)",
        row,
    )


def closings(connection: Connection, tenant: str) -> dict[str, str]:
    """Outcome of a tenant's closed commits."""
    found = connection.execute("select commit_id, outcome from value.closing where tenant_id = %s", [tenant])
    return {str(commit): str(outcome) for commit, outcome in found}


def proposals(connection: Connection, tenant: str) -> list[dict[str, Any]]:
    """A tenant's proposals with the newest word on each and the invoice that bears it, oldest first."""
    return _rows(
        connection,
        f"""
        select p.proposal, p.model, p.customer, p.subscription, p.charge, p.commit_id, p.run_hash,
               p.period_from, p.period_to, (p.period_from at time zone z.zone)::date as first_day,
               ((p.period_to - interval '1 microsecond') at time zone z.zone)::date as last_day,
               trim_scale(p.realised_value)::text as realised_value, p.binding,
               trim_scale(p.fee_to_date)::text as fee_to_date, trim_scale(p.amount)::text as amount,
               p.currency::text as currency, p.proposed_at, p.disputable_until, word.verdict, word.said_at,
               bearer.number as invoice
          from value.proposal p {_LAST_WORD} {_BEARER}
          join lateral (select timezone as zone from billing.tenant t where t.tenant_id = p.tenant_id) as z on true
         where p.tenant_id = %(tenant)s order by p.period_to, p.proposed_at, p.proposal
        """,  # noqa: S608 - a constant
        {"tenant": tenant},
    )


def approved(connection: Connection, scope: Scope, as_of: datetime, schema: pl.Schema) -> pl.DataFrame:
    """Proposals that stand at ``as_of`` in the columns of ``invoicing.outcomes.PROPOSALS``.

    A proposal is approved when it is accepted, or when its dispute window ends without a dispute. ``invoice_id`` is the
    finalised, unvoided invoice of the scope that bears it.
    """
    return _frame(
        connection,
        f"""
        with word as (
            select tenant_id, proposal,
                   min(said_at) filter (where verdict = 'accepted') as accepted_at,
                   bool_or(verdict = 'disputed') as disputed, bool_or(verdict = 'withdrawn') as withdrawn
              from value.verdict where said_at <= %(as_of)s group by 1, 2),
        standing as (
            select p.*,
                   coalesce(w.accepted_at, case when w.disputed then null else p.disputable_until end) as approved_at
              from value.proposal p left join word w using (tenant_id, proposal)
             where p.tenant_id = any(%(tenants)s) and not coalesce(w.withdrawn, false)),
        borne as (
            select l.tenant_id, substring(l.explains from ', proposal (.+)$') as proposal,
                   min(l.invoice_id::text) as invoice_id
              from billing.invoice_line l
              join billing.invoice i on i.tenant_id = l.tenant_id and i.invoice_id = l.invoice_id
             where l.tenant_id = any(%(tenants)s) and l.kind = 'outcome' and i.status = 'finalised'
               and {FOUND}
               and not exists (select from billing.invoice_void v where v.tenant_id = i.tenant_id
                                and v.invoice_id = i.invoice_id
                                and (%(before)s::timestamptz is null or v.voided_at < %(before)s))
             group by 1, 2)
        select s.tenant_id::text, s.proposal, s.customer, s.subscription, s.charge, s.period_from, s.period_to,
               s.amount, s.currency::text, s.approved_at, s.model, s.commit_id, s.run_hash, b.invoice_id
          from standing s left join borne b using (tenant_id, proposal)
         where s.approved_at <= %(as_of)s and s.amount <> 0
         order by s.tenant_id, s.proposal
        """,  # noqa: S608 - a constant
        scope.values(as_of=as_of),
        schema,
    )
