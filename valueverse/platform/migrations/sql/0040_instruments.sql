-- Payment instruments: a random token, what may be shown of it, and the number sealed by the customer's data key.
set local role valueverse_owner;
create table vault.instrument (
    tenant_id billing.tenant_key not null,
    token text not null check (token ~ '^tok_[A-Za-z0-9_-]{32}$'),
    customer text not null,
    kind text not null check (kind in ('card', 'iban')),
    last_four text not null check (length(last_four) = 4),
    created_at timestamptz not null default now(),
    sealed bytea not null,
    primary key (tenant_id, token)
);
create index on vault.instrument (tenant_id, customer);
comment on column vault.instrument.token is 'Random: nothing of the number is in it. It may stand in events, references and logs.';
grant select, insert, update, delete on vault.instrument to valueverse_builder;

alter table vault.privacy_action drop constraint privacy_action_action_check, add constraint privacy_action_action_check
    check (action in ('restricted', 'released', 'exported', 'erased', 'retention_ended', 'instrument_added',
                      'instrument_revealed', 'instrument_removed'));
reset role;
