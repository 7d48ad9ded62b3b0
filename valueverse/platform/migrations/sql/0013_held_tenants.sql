-- Tenants that a stage failed for, by partition: the others were finished. A later success of the tenant deletes its row.
set local role valueverse_owner;

create table billing.held_tenant (
    tenant_id billing.tenant_key not null,
    stage text not null check (stage in ('facts', 'usage', 'billing', 'journal', 'value', 'release', 'marts')),
    period date not null,
    code text not null,
    message text not null,
    run_id text not null,
    held_at timestamptz not null,
    tried_at timestamptz not null,
    attempts integer not null check (attempts > 0),
    primary key (tenant_id, stage, period)
);

reset role;
