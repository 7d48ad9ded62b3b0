-- Restriction, erasure and export of what is stored about a customer. Names of customers in the audit log are pseudonyms.
set local role valueverse_owner;
-- Keys of what has to be retained after an erasure are named retention/<customer>; no customer's key holds a slash.
alter table vault.data_key drop constraint data_key_subject_check, add constraint data_key_subject_check check (length(subject) <= 160);

create table vault.restriction (
    tenant_id billing.tenant_key not null,
    customer text not null,
    reason text not null check (reason <> ''),
    since timestamptz not null default now(),
    primary key (tenant_id, customer)
);
comment on table vault.restriction is 'Whose data is on hold: it is not erased while the row is here.';

create table vault.erasure (
    tenant_id billing.tenant_key not null,
    customer text not null,
    begun_at timestamptz not null,
    finished_at timestamptz,
    retain_until date,
    retained bytea,
    primary key (tenant_id, customer, begun_at),
    check (retained is null or retain_until is not null)
);
comment on column vault.erasure.retained is 'Who was billed, as long as the law asks for finalised invoices; sealed by the key retention/<customer>.';

create table vault.privacy_action (
    tenant_id billing.tenant_key not null,
    action_id bigint generated always as identity,
    action text not null check (action in ('restricted', 'released', 'exported', 'erased', 'retention_ended')),
    customer text not null,
    at timestamptz not null default now(),
    evidence text not null,
    primary key (tenant_id, action_id)
);
comment on column vault.privacy_action.evidence is 'Canonical JSON of what was done, without personal values; the audit log has its hash.';
create trigger insert_only before update or delete or truncate on vault.privacy_action
    for each statement execute function billing.refuse_change();
alter table vault.privacy_action enable always trigger insert_only;

grant select, insert, delete on vault.restriction to valueverse_builder;
grant select, insert, update on vault.erasure to valueverse_builder;
grant select, insert on vault.privacy_action to valueverse_builder;

create function audit.on_privacy_action() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select n.tenant_id, audit.entry_text(n.tenant_id, 'privacy.' || n.action, audit.pseudonym(n.tenant_id, n.customer),
                                         encode(sha256(convert_to(n.evidence, 'UTF8')), 'hex'), 'system')
      from new_rows as n order by n.tenant_id, n.action_id;
    return null;
end $$;
revoke execute on function audit.on_privacy_action() from public;
create trigger audited after insert on vault.privacy_action
    referencing new table as new_rows for each statement execute function audit.on_privacy_action();
reset role;
