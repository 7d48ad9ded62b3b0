"""Results of committed models, in Postgres: metrics, runs, results, fee proposals and their verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import frame_of, row_of, rows_of, value_of
from valueverse.platform.warehouse import copy_frame
from valueverse.schemas.value import AGREED_COMMITS, INVOICED_LINES, RECORDED_METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    import polars as pl
    import psycopg

    Connection = psycopg.Connection[Any]

_LOCK = 5_480_008
EFFECTIVE_LINES = """
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


def lock_value(connection: Connection) -> None:
    """Let one run at a time propose fees, until the transaction ends: two would propose the same difference."""
    connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])


def billed_lines(connection: Connection, tenants: Sequence[str]) -> pl.DataFrame:
    """INVOICED_LINES of invoices that are not voided, with ``net`` in minor units."""
    return frame_of(
        connection,
        f"""
        select l.tenant_id::text as tenant, i.customer, l.kind, l.currency::text as currency,
               (l.service_from at time zone z.zone)::date as service_from,
               (l.service_to at time zone z.zone)::date as service_to,
               (l.amount_minor - l.discount_minor)::numeric as net
          {EFFECTIVE_LINES}
         order by l.tenant_id, i.sequence, l.line_no
        """,
        {"tenants": list(tenants), "until": None},
        INVOICED_LINES,
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
    return frame_of(
        connection,
        """
        select metric, customer, to_char(month, 'YYYY-MM') as period, trim_scale(value)::text as value from value.metric
         where tenant_id = %(tenant)s and (%(customer)s::text is null or customer = %(customer)s)
           and (currency is null or currency = %(currency)s)
         order by metric, customer, month
        """,
        {"tenant": tenant, "customer": customer, "currency": currency},
        RECORDED_METRICS,
    )


def known_until(connection: Connection, tenant: str) -> datetime | None:
    """When the newest event behind a tenant's metrics was received."""
    found: datetime | None = value_of(
        connection, "select max(known_at) from value.metric where tenant_id = %s", [tenant]
    )
    return found


def agreed(connection: Connection, tenants: Sequence[str]) -> pl.DataFrame:
    """AGREED_COMMITS: commits that both sides have approved, replaced and closed ones too, oldest first."""
    return frame_of(
        connection,
        """
        select c.tenant_id::text as tenant, c.commit_id, c.parent, c.document,
               exists (select from value.closing x where x.tenant_id = c.tenant_id and x.commit_id = c.commit_id)
                   as closed
          from value.commit c
         where c.tenant_id = any(%(tenants)s)
           and (select count(distinct a.side) from value.approval a
                 where a.tenant_id = c.tenant_id and a.commit_id = c.commit_id) = 2
         order by c.tenant_id, c.sequence
        """,
        {"tenants": list(tenants)},
        AGREED_COMMITS,
    )


def newest_month(connection: Connection, tenant: str, commit: str) -> date | None:
    """The last month that a commit was run for."""
    found: date | None = value_of(
        connection, "select max(month) from value.run where tenant_id = %s and commit_id = %s", [tenant, commit]
    )
    return found


def add_run(connection: Connection, run: Mapping[str, Any], results: Sequence[tuple[str, str, str]]) -> bool:
    """Add a run with its results (name, value as text, unit), unless the newest one of its month says the same.

    Args:
        connection: in a transaction that holds ``lock_value``.
        run: tenant_id, run_hash, commit_id, case_name, month, known_at, content_hash, document, run_id, computed_at.
        results: of the run.

    Returns:
        Whether it was added.
    """
    newest = value_of(
        connection,
        "select content_hash from value.run where tenant_id = %(tenant_id)s and commit_id = %(commit_id)s"
        " and month = %(month)s and case_name = %(case_name)s"
        " order by computed_at desc, known_at desc, written desc limit 1",
        run,
    )
    if newest == run["content_hash"]:
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
    return bool(
        value_of(connection, "select true from value.run where tenant_id = %s and run_hash = %s", [tenant, run_hash])
    )


def newest_hash(connection: Connection, tenant: str, commit: str, case: str, month: date) -> str | None:
    """run_hash of the newest run of a commit's case in a month."""
    found: str | None = value_of(
        connection,
        "select run_hash from value.run where tenant_id = %s and commit_id = %s and case_name = %s and month = %s"
        " order by computed_at desc, known_at desc, written desc limit 1",
        [tenant, commit, case, month],
    )
    return found


def newest_runs(connection: Connection, tenant: str, commit: str, month: date | None) -> list[dict[str, Any]]:
    """The newest run of each case of a commit in a month (None: the last one measured), with its document."""
    return rows_of(
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
    """Who did what to a commit and when, oldest first: action (proposed, a side, an outcome), by, at, reason."""
    return rows_of(
        connection,
        """
        select 'proposed' as action, author as by, committed_at as at, null as reason
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
    found = value_of(
        connection, "select document from value.commit where tenant_id = %s and commit_id = %s", [tenant, commit]
    )
    if found is None:
        raise KeyError(commit)
    return str(found)


def brand(connection: Connection, tenant: str) -> tuple[str | None, str | None]:
    """The colour and the logo that a tenant states for its documents."""
    row = row_of(
        connection,
        "select coalesce(t.invoicing ->> 'accent', t.address ->> 'accent') as accent, t.invoicing ->> 'logo' as logo "
        "from billing.tenant t where t.tenant_id = %s",
        [tenant],
    )
    return (row["accent"], row["logo"]) if row else (None, None)


def names(connection: Connection, tenant: str, customer: str | None) -> tuple[str, str | None]:
    """What a tenant and one of its customers are called; their keys where they state no name."""
    row = row_of(
        connection,
        "select coalesce(t.name, t.tenant_id::text) as tenant, (select c.name from billing.customer c "
        "where c.tenant_id = t.tenant_id and c.customer = %s) as customer from billing.tenant t where t.tenant_id = %s",
        [customer, tenant],
    )
    return (row["tenant"], row["customer"] or customer) if row else (tenant, customer)


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
