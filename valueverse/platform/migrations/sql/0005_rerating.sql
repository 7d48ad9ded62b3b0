-- Re-rating plans that were applied: from then on an invoice is compared under the plan's catalog.
set local role valueverse_owner;

create table billing.rerating (
    tenant_id billing.tenant_key not null,
    plan_id text not null,
    invoice_id uuid not null,
    catalog_hash text,
    document text,
    applied_at timestamptz not null,
    primary key (tenant_id, plan_id, invoice_id),
    foreign key (tenant_id, invoice_id) references billing.invoice
);

create trigger insert_only before update or delete or truncate on billing.rerating
    for each statement execute function billing.refuse_change();
alter table billing.rerating enable always trigger insert_only;

reset role;
