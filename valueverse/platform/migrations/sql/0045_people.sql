-- People of a tenant. A password is here as its argon2id hash alone, a token of an invitation as its SHA-256. A session of a
-- person is one like any other: auth.refresh_token.key_prefix is the person's id, which looks like no prefix of a key.
set local role valueverse_owner;
create table auth.user_account (
    tenant_id billing.tenant_key not null,
    user_id text not null check (user_id ~ '^usr_[0-9a-f]{24}$'),
    email text not null check (length(email) between 3 and 254),
    name text check (length(name) between 1 and 100),
    role text not null check (role in ('owner', 'admin', 'finance', 'developer', 'analyst', 'viewer')),
    password_hash text,
    created_at timestamptz not null default now(),
    disabled_at timestamptz,
    primary key (tenant_id, user_id)
);
create unique index user_account_email on auth.user_account (tenant_id, email) where disabled_at is null;
comment on table auth.user_account is 'People who sign in to a tenant. A disabled one stays so; who comes back is a new user.';
comment on column auth.user_account.email is 'In one form: lower case, as valueverse.services.people.addresses makes it.';

create table auth.invitation (
    tenant_id billing.tenant_key not null,
    invitation text not null check (invitation ~ '^inv_[0-9a-f]{24}$'),
    email text not null check (length(email) between 3 and 254),
    role text not null check (role in ('owner', 'admin', 'finance', 'developer', 'analyst', 'viewer')),
    token_hash text not null,
    invited_by text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    accepted_at timestamptz,
    revoked_at timestamptz,
    primary key (tenant_id, invitation),
    unique (tenant_id, token_hash)
);
comment on column auth.invitation.invited_by is 'A person, an API key, or system: the command line.';

grant select, insert on auth.user_account, auth.invitation to valueverse_reader;
grant update (name, role, password_hash, disabled_at) on auth.user_account to valueverse_reader;
grant update (accepted_at, revoked_at) on auth.invitation to valueverse_reader;
grant select on auth.user_account, auth.invitation to valueverse_builder;
grant update (disabled_at) on auth.user_account to valueverse_builder;
grant insert, update (revoked_at) on auth.invitation to valueverse_builder;
do $$
declare
    name regclass;
begin
    foreach name in array array['auth.user_account', 'auth.invitation']::regclass[] loop
        execute format('create policy api_reader on %s to valueverse_reader using (true)', name);
        execute format(
            'create policy api_tenant on %s as restrictive to valueverse_reader '
            'using (tenant_id = (select current_setting(''valueverse.tenant'', true)))', name);
    end loop;
end $$;

create policy owners_of_triggers on auth.user_account for select to valueverse_owner using (true);
create function auth.keep_an_owner() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    -- One change at a time, or two owners could remove each other.
    perform pg_advisory_xact_lock(hashtextextended('owners of ' || old.tenant_id, 0));
    if not exists (select from auth.user_account as a
                    where a.tenant_id = old.tenant_id and a.user_id <> old.user_id and a.role = 'owner' and a.disabled_at is null) then
        raise exception 'the last owner of tenant % cannot be removed', old.tenant_id using errcode = 'restrict_violation';
    end if;
    return new;
end $$;
create trigger owner_kept before update on auth.user_account for each row
    when (old.role = 'owner' and old.disabled_at is null and (new.role <> 'owner' or new.disabled_at is not null))
    execute function auth.keep_an_owner();

create function audit.on_user_account() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select new.tenant_id, audit.entry_text(new.tenant_id, did.action, new.user_id, encode(sha256(convert_to(new.role, 'UTF8')), 'hex'),
                                           coalesce(nullif(current_setting('valueverse.actor', true), ''), 'system'))
      from (values ('user.created', tg_op = 'INSERT'),
                   ('user.role_changed', tg_op = 'UPDATE' and new.role is distinct from old.role),
                   ('user.password_changed', tg_op = 'UPDATE' and new.password_hash is distinct from old.password_hash
                                             and coalesce(current_setting('valueverse.rehash', true), '') = ''),
                   ('user.disabled', tg_op = 'UPDATE' and new.disabled_at is not null and old.disabled_at is null))
           as did (action, done)
     where did.done;
    return null;
end $$;
create trigger audited after insert or update on auth.user_account for each row execute function audit.on_user_account();

create function audit.on_invitation() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    values (new.tenant_id,
            audit.entry_text(new.tenant_id,
                             case when tg_op = 'INSERT' then 'invitation.created'
                                  when new.accepted_at is distinct from old.accepted_at then 'invitation.accepted'
                                  else 'invitation.revoked' end,
                             new.invitation, encode(sha256(convert_to(new.role, 'UTF8')), 'hex'),
                             coalesce(nullif(current_setting('valueverse.actor', true), ''), 'system')));
    return null;
end $$;
create trigger audited after insert or update on auth.invitation for each row execute function audit.on_invitation();
revoke execute on function auth.keep_an_owner() from public;
revoke execute on function audit.on_user_account() from public;
revoke execute on function audit.on_invitation() from public;

-- Who a session is of, a key or a person, may still sign in.
create or replace function auth.key_is_valid(for_tenant text, with_prefix text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select exists (select from auth.api_key as k
                    where k.tenant_id = for_tenant and k.prefix = with_prefix and k.revoked_at is null
                      and (k.expires_at is null or k.expires_at > now()))
        or exists (select from auth.user_account as a
                    where a.tenant_id = for_tenant and a.user_id = with_prefix and a.disabled_at is null)
$$;
reset role;
