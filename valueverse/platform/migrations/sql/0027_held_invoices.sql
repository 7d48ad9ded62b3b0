-- Lines without an amount, whose invoices are held back, as the newest billing of their month left them.
set local role valueverse_owner;
create table billing.held_invoice_line (
    tenant_id text not null references billing.tenant,
    month date not null,
    place integer not null,
    customer text not null,
    subscription text not null,
    invoice_type text not null,
    period_from timestamptz not null,
    period_to timestamptz not null,
    revision integer not null,
    key text not null,
    problem text not null,
    run_id text not null,
    primary key (tenant_id, month, place)
);
reset role;
