"""A warehouse of 80,000 invoices and what belongs to them, made in SQL; nothing of it means anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

TENANTS = ("t0", "t1", "t2", "t3")
INVOICES = 20_000
"""Of each tenant: finalised ones, numbered from 1; the last hundred are drafts."""
_DRAFTS = 100
COMMITS = 2_000
"""Of each tenant."""

_IS_FINAL = f"n <= {INVOICES - _DRAFTS}"
_ROWS = {
    "billing.tenant (tenant_id, timezone, currency)": "select tenant, 'UTC', 'USD' from tenants",
    "billing.invoice_sequence": f"select tenant, {INVOICES - _DRAFTS}, 'chain' from tenants",
    "billing.catalog": "select tenant, 'hash', '2023-01-01', '{}' from tenants",
    "billing.plan": "select tenant, 'pro', 1, 'hash', 'USD', 1, 'month', 'calendar', '{}' from tenants",
    "billing.customer (tenant_id, customer)": "select tenant, 'c' || n from numbered where n <= 10000",
    "billing.subscription": "select tenant, 's' || n, 'c' || n, 'pro', 1, 'UTC', 'USD', '2023-01-01', "
    "'2023-01-01', null, "
    "'active' from numbered where n <= 10000",
    "billing.invoice (tenant_id, invoice_id, number, sequence, status, customer, subscription, currency, "
    "period_from, "
    "period_to, invoice_type, issued_on, subtotal_minor, discount_total_minor, tax_total_minor, total_minor, "
    "credit_total_minor, amount_due_minor, events_known_at, document, content_hash, finalised_at, computed_at)":
    "select tenant, id, case when final then tenant || '-' || n end, case when final then n end, "
    "case when final then 'finalised' else 'draft' end, 'c' || who, 's' || who, 'USD', began, "
    "began + interval '1 month', "
    "case when n % 50 = 0 then 'threshold' else 'period' end, began::date + 32, 100, 0, 0, 100, 0, "
    "case when n % 500 = 0 then -100 else 100 end + case when n % 500 = 0 then 200 else 0 end, "
    "began + interval '31 days', '{\"total\": \"1.00\"}', "
    "md5(n::text), case when final then began + interval '40 days' end, began + interval '40 days' from invoices",
    "billing.invoice_line (tenant_id, invoice_id, line_no, key, kind, description, meter, service_from, service_to, "
    "quantity, amount_precise, amount_minor, currency, event_count, proposal, corrected_invoice_id)":
    "select tenant, id, part, 'tokens', "
    "case when part = 1 then 'usage' when n % 7 = 0 then 'outcome' else 'adjustment' end, "
    "'', 'tokens', began, began + interval '1 month', 1, 1, 100, 'USD', 1, "
    "case when part = 2 and n % 7 = 0 then 'p' || n end, "
    "case when part = 2 and n % 7 <> 0 then md5(tenant || '/' || n - 10000)::uuid end "
    "from invoices cross join generate_series(1, 2) as part where part = 1 or (n > 10000 and n % 10 = 0)",
    "billing.invoice_void": "select tenant, id, 'wrong', began + interval '45 days' from invoices where n % 100 = 1",
    "billing.invoice_credit": "select tenant, id, 1, 'wallet', 'w', 'o' || who, 10 from invoices where n % 10 = 3",
    "billing.invoice_discount": "select tenant, id, 1, 'off', 'o' || who, 10 from invoices where n % 10 = 4",
    "billing.rerating": "select tenant, 'plan', id, 'hash', null, "
    "began + interval '45 days' from invoices where n % 100 = 5",
    "billing.journal_entry": "select tenant, encode(sha256((tenant || n)::bytea), 'hex'), 'invoice', "
    "tenant || '-' || n, "
    "began::date + 32, 'USD', 0, 'run', began from invoices where final and n % 4 = 0",
    "billing.journal_posting": "select e.tenant_id, e.entry_id, place, "
    "(array['receivable', 'revenue'])[place], 'c' || (hashtext(e.reference) & 8191), e.reference, null, "
    "(array[100, -100])[place], 'USD' from billing.journal_entry as e cross join generate_series(1, 2) as place",
    "billing.usage_daily": "select tenant, 'c' || n % 10000, 's' || n % 10000, 'tokens', "
    "date '2023-01-01' + n / 10000, '', 1, 1 "
    "from numbered where n % 4 = 0",
    "billing.event_day": "select tenant, date '2023-01-01' + n, 1, 1, 0 from numbered where n <= 700",
    "value.commit (tenant_id, commit_id, sequence, model, author, document, chain_hash, committed_at)":
    "select tenant, commit, n, 'm', 'ann', '{}', 'chain', '2023-01-01' from commits",
    "value.approval": "select tenant, commit, side, side, '2023-01-02' from commits "
    "cross join unnest(array['vendor', 'customer']) as side where n < 2000",
    "value.run (tenant_id, run_hash, commit_id, case_name, month, known_at, content_hash, document, computed_at)":
    "select tenant, encode(sha256((commit || month)::bytea), 'hex'), commit, 'realised', month, month, commit, "
    "'{}', month "
    "from commits cross join generate_series(timestamp '2023-01-01', '2023-05-01', '1 month') as month",
    "value.result": "select tenant_id, run_hash, 'benefit', 1, 'USD' from value.run",
    "value.proposal": "select r.tenant_id, 'p' || row_number() over (partition by r.tenant_id), r.commit_id, "
    "r.run_hash, 'm', "
    "'c1', 's1', 'share', r.month, r.month + interval '1 month', 1, 1, 'none', 1, 'USD', r.month, "
    "r.month from value.run as r",
    "value.verdict": "select tenant_id, proposal, 'accepted', 'ann', null, proposed_at from value.proposal",
    "value.commit_event": "select tenant, n, commit, 'proposed', '{}', case when n > 1 then 'x' end, "
    "commit from commits",
    "value.metric": "select tenant, 'usage.tokens', 'c' || n, '2023-01-01', null, 1, "
    "'2023-02-01' from numbered where n % 4 = 0",
}  # fmt: skip
"""Rows by table (and columns), in an order that foreign keys allow."""

_SOURCES = f"""
    with tenants (tenant) as (select unnest(array{list(TENANTS)!r})),
    numbered as (select tenant, n from tenants cross join generate_series(1, {INVOICES}) as n),
    invoices as (select tenant, n, md5(tenant || '/' || n)::uuid as id, n % 10000 + 1 as who, {_IS_FINAL} as final,
                        timestamptz '2023-01-01' + interval '1 month' * ((n - 1) / 4000) as began from numbered),
    commits as (select tenant, n, encode(sha256((tenant || n)::bytea), 'hex') as commit from numbered
                 where n <= {COMMITS})
"""


def fill(settings: Settings) -> None:
    """Write the rows, without triggers and foreign keys, and gather no statistics."""
    with connect(settings, "admin") as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("set local work_mem = '256MB'")
        for table in [name.split(" ")[0] for name in _ROWS]:
            connection.execute(f"alter table {table} disable trigger user, set (autovacuum_enabled = false)")
        for target, rows in _ROWS.items():
            connection.execute(f"insert into {target} {_SOURCES} {rows}")


def analyse(settings: Settings) -> None:
    """Gather statistics, as autovacuum does some time after rows were written."""
    with connect(settings, "admin", autocommit=True) as connection:
        connection.execute("analyze")
