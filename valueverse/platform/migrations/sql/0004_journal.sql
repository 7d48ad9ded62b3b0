-- Double entry: a debit is positive, a credit negative, every entry sums to 0 in one currency. Rows are only ever added;
-- what was wrong is taken back by a later entry (revision > 0) of the same cause.
set local role valueverse_owner;

create table billing.journal_entry (
    tenant_id billing.tenant_key not null,
    entry_id text not null check (entry_id ~ '^[0-9a-f]{64}$'),
    kind text not null check (kind in ('invoice', 'revenue_recognition', 'void', 'credit_note', 'payment_received',
        'payment_failed', 'payment_refunded', 'wallet_granted', 'wallet_purchased', 'wallet_voided', 'wallet_expired')),
    reference text not null,
    date date not null,
    currency billing.currency_code not null,
    revision integer not null check (revision >= 0),
    run_id text,
    booked_at timestamptz not null,
    primary key (tenant_id, entry_id),
    unique (tenant_id, kind, reference, date, currency, revision)
);
create index on billing.journal_entry (tenant_id, date);

create table billing.journal_posting (
    tenant_id billing.tenant_key not null,
    entry_id text not null,
    place integer not null check (place >= 1),
    account text not null check (account in ('cash', 'receivable', 'granted_credit', 'customer_credit',
        'deferred_revenue', 'tax_payable', 'revenue', 'promotional_credit', 'expired_credit')),
    customer text,
    invoice text,
    wallet text,
    amount_minor bigint not null check (amount_minor <> 0),
    currency billing.currency_code not null,
    primary key (tenant_id, entry_id, place),
    foreign key (tenant_id, entry_id) references billing.journal_entry
);
create index on billing.journal_posting (tenant_id, account, customer);

-- Entries come whole: all postings in one statement, in the transaction that wrote the entry.
create function billing.check_posting() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    one record;
begin
    select entry.tenant_id, entry.entry_id, billing.written_now(entry.xmin) as is_new into one
      from (select distinct tenant_id, entry_id from new_rows) as fresh
      join billing.journal_entry as entry using (tenant_id, entry_id)
     where not billing.written_now(entry.xmin)
        or exists (select from billing.journal_posting as posting
                    where posting.tenant_id = entry.tenant_id and posting.entry_id = entry.entry_id
                    having sum(posting.amount_minor) <> 0 or bool_or(posting.currency <> entry.currency))
     limit 1;
    if found then
        raise exception 'journal entry % of tenant % %', one.entry_id, one.tenant_id,
            case when one.is_new then 'does not balance in its currency' else 'is booked: it takes no more postings' end
            using errcode = 'restrict_violation', hint = 'Book an entry of its own.';
    end if;
    return null;
end $$;

create trigger balanced after insert on billing.journal_posting
    referencing new table as new_rows for each statement execute function billing.check_posting();
create trigger insert_only before update or delete or truncate on billing.journal_posting
    for each statement execute function billing.refuse_change();
create trigger insert_only before update or delete or truncate on billing.journal_entry
    for each statement execute function billing.refuse_change();
alter table billing.journal_posting enable always trigger balanced;
alter table billing.journal_posting enable always trigger insert_only;
alter table billing.journal_entry enable always trigger insert_only;

reset role;
