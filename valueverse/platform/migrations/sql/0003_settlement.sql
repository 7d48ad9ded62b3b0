-- What an invoice used up of coupons, credit notes and wallets, what its lines correct, and invoices that take the
-- place of voided ones.
set local role valueverse_owner;

alter table billing.invoice add column revision integer not null default 0 check (revision >= 0);
alter table billing.invoice drop constraint invoice_tenant_id_subscription_period_from_period_to_purpos_key;
drop index billing.invoice_tenant_id_customer_period_from_period_to_purpose_idx;
create unique index one_invoice_per_period on billing.invoice
    (tenant_id, customer, coalesce(subscription, ''), period_from, period_to, purpose, revision);
alter table billing.invoice drop constraint invoice_purpose_check;
alter table billing.invoice add constraint invoice_purpose_check
    check (purpose in ('start', 'period', 'threshold', 'one_off', 'correction'));

alter table billing.invoice_line add column discount_minor bigint not null default 0;
alter table billing.invoice_line add column tax_minor bigint not null default 0;
alter table billing.invoice_line add column explains text;
-- The invoice whose period an adjustment puts right.
alter table billing.invoice_line add column corrects uuid;

create table billing.invoice_credit (
    tenant_id billing.tenant_key not null,
    invoice_id uuid not null,
    place integer not null,
    kind text not null check (kind in ('credit_note', 'wallet')),
    key text not null,
    origin text not null,
    amount_minor bigint not null check (amount_minor > 0),
    primary key (tenant_id, invoice_id, place),
    foreign key (tenant_id, invoice_id) references billing.invoice on delete cascade
);

create table billing.invoice_discount (
    tenant_id billing.tenant_key not null,
    invoice_id uuid not null,
    place integer not null,
    key text not null,
    origin text not null,
    amount_minor bigint not null check (amount_minor > 0),
    primary key (tenant_id, invoice_id, place),
    foreign key (tenant_id, invoice_id) references billing.invoice on delete cascade
);

create table billing.invoice_tax (
    tenant_id billing.tenant_key not null,
    invoice_id uuid not null,
    place integer not null,
    key text not null,
    percent numeric(38, 18) not null,
    base_minor bigint not null,
    amount_minor bigint not null,
    primary key (tenant_id, invoice_id, place),
    foreign key (tenant_id, invoice_id) references billing.invoice on delete cascade
);

create table billing.credit_note (
    tenant_id billing.tenant_key not null,
    credit_note text not null,
    number text not null,
    customer text,
    currency billing.currency_code,
    amount numeric(38, 18) not null,
    reason text not null,
    created_at timestamptz not null,
    primary key (tenant_id, credit_note)
);

do $$
declare
    one regclass;
begin
    foreach one in array array['billing.invoice_credit', 'billing.invoice_discount', 'billing.invoice_tax']::regclass[]
    loop
        execute format('create trigger finalised_insert after insert on %s referencing new table as changed_rows
            for each statement execute function billing.refuse_late_line()', one);
        execute format('create trigger finalised_update_from after update on %s referencing old table as changed_rows
            for each statement execute function billing.refuse_finalised_line()', one);
        execute format('create trigger finalised_update_to after update on %s referencing new table as changed_rows
            for each statement execute function billing.refuse_finalised_line()', one);
        execute format('create trigger finalised_delete after delete on %s referencing old table as changed_rows
            for each statement execute function billing.refuse_finalised_line()', one);
        execute format('create trigger no_truncate before truncate on %s
            for each statement execute function billing.refuse_change()', one);
        execute format('alter table %s enable always trigger finalised_insert', one);
        execute format('alter table %s enable always trigger finalised_update_from', one);
        execute format('alter table %s enable always trigger finalised_update_to', one);
        execute format('alter table %s enable always trigger finalised_delete', one);
        execute format('alter table %s enable always trigger no_truncate', one);
    end loop;
end $$;

reset role;
