-- Tenants that one attempt to build the marts leaves out: there may be more of them than a command takes as an argument.
set local role valueverse_owner;

create table billing.marts_left_out (
    set_name text not null,
    tenant_id billing.tenant_key not null,
    left_out_at timestamptz not null default now(),
    primary key (tenant_id, set_name)
);

reset role;
