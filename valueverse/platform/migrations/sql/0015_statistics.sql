-- The planner knows nothing of rows that autovacuum has not seen yet: who writes them says so (ANALYZE).
grant maintain on all tables in schema billing, value to valueverse_builder;
alter default privileges for role valueverse_owner in schema billing, value
    grant maintain on tables to valueverse_builder;

set local role valueverse_owner;
create index invoice_line_outcome on billing.invoice_line (tenant_id, (substring(explains from ', proposal (.+)$')))
    where kind = 'outcome';
create index invoice_draft on billing.invoice (tenant_id) where status = 'draft';

-- Of what the rows of a tenant's month in unbilled_usage, event_day and usage_daily were worked out.
create table billing.accounted_month (
    tenant_id billing.tenant_key not null,
    month date not null check (extract(day from month) = 1),
    inputs text not null,
    primary key (tenant_id, month)
);
reset role;
