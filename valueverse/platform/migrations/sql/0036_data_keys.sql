-- Data keys, wrapped: what they seal is unreadable once they are destroyed. The wrapping key is in no database.
create schema vault authorization valueverse_owner;
set local role valueverse_owner;
create table vault.data_key (
    tenant_id billing.tenant_key not null,
    subject text not null check (length(subject) <= 128),
    version integer not null check (version >= 1),
    wrapped text,
    uses bigint not null default 0 check (uses between 0 and 4294967296),
    created_at timestamptz not null default now(),
    destroyed_at timestamptz,
    primary key (tenant_id, subject, version),
    check ((wrapped is null) = (destroyed_at is not null))
);
comment on column vault.data_key.subject is 'The customer whose values it seals; empty: the tenant''s own.';
comment on column vault.data_key.wrapped is 'The key, encrypted by the wrapping key that its prefix names; null once it is destroyed.';
comment on column vault.data_key.uses is 'Values that it has sealed: nonces are random, so that they are bounded by 2^32.';
grant usage on schema vault to valueverse_builder;
grant select, insert, update on vault.data_key to valueverse_builder;

create function vault.refuse_return() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'DELETE' or old.wrapped is null or new.uses < old.uses
       or (new.tenant_id, new.subject, new.version) is distinct from (old.tenant_id, old.subject, old.version) then
        raise exception '% of data key % of tenant % is refused', tg_op, old.version, old.tenant_id
            using errcode = 'restrict_violation', hint = 'A key is wrapped again, used or destroyed; make a new version instead.';
    end if;
    return new;
end $$;
revoke execute on function vault.refuse_return() from public;
create trigger no_return before update or delete on vault.data_key for each row execute function vault.refuse_return();
create trigger no_truncate before truncate on vault.data_key for each statement execute function billing.refuse_change();
alter table vault.data_key enable always trigger no_return, enable always trigger no_truncate;
reset role;
