-- Secrets of authenticator apps are sealed by the tenant's own data key; codes and tokens are here as their SHA-256 alone.
set local role valueverse_owner;
alter table auth.user_account add column totp_secret bytea, add column totp_since timestamptz, add column totp_step bigint;
comment on column auth.user_account.totp_secret is 'Sealed; asked for at each log-in once totp_since is set.';
comment on column auth.user_account.totp_step is 'Steps of 30 seconds since 1970 of the newest code that was used: no code is good twice.';

create table auth.recovery_code (
    tenant_id billing.tenant_key not null,
    user_id text not null,
    code_hash text not null,
    used_at timestamptz,
    primary key (tenant_id, user_id, code_hash)
);
create table auth.password_reset (
    tenant_id billing.tenant_key not null,
    token_hash text not null,
    user_id text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    primary key (tenant_id, token_hash)
);
create index on auth.password_reset (tenant_id, user_id);
grant update (totp_secret, totp_since, totp_step) on auth.user_account to valueverse_reader;
grant select, insert, delete, update (used_at) on auth.recovery_code, auth.password_reset to valueverse_reader;

-- Of data keys the functions of api reach the tenant's own alone: a customer's values are none of theirs.
grant usage on schema vault to valueverse_reader;
grant select, insert, update (uses) on vault.data_key to valueverse_reader;
create policy api_own_key on vault.data_key as restrictive to valueverse_reader using (subject = '');
do $$
declare
    name regclass;
begin
    foreach name in array array['auth.recovery_code', 'auth.password_reset', 'vault.data_key']::regclass[] loop
        execute format('create policy api_reader on %s to valueverse_reader using (true)', name);
        execute format(
            'create policy api_tenant on %s as restrictive to valueverse_reader '
            'using (tenant_id = (select current_setting(''valueverse.tenant'', true)))', name);
    end loop;
end $$;

create or replace function audit.on_user_account() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select new.tenant_id, audit.entry_text(new.tenant_id, did.action, new.user_id, encode(sha256(convert_to(new.role, 'UTF8')), 'hex'),
                                           coalesce(nullif(current_setting('valueverse.actor', true), ''), 'system'))
      from (values ('user.created', tg_op = 'INSERT'),
                   ('user.role_changed', tg_op = 'UPDATE' and new.role is distinct from old.role),
                   ('user.password_changed', tg_op = 'UPDATE' and new.password_hash is distinct from old.password_hash
                                             and coalesce(current_setting('valueverse.rehash', true), '') = ''),
                   ('user.second_factor_added', tg_op = 'UPDATE' and new.totp_since is not null and old.totp_since is null),
                   ('user.second_factor_removed', tg_op = 'UPDATE' and new.totp_since is null and old.totp_since is not null),
                   ('user.disabled', tg_op = 'UPDATE' and new.disabled_at is not null and old.disabled_at is null))
           as did (action, done)
     where did.done;
    return null;
end $$;
reset role;
