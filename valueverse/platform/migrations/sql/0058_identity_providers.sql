-- One identity provider (OpenID Connect) of a tenant at most. Its client secret is sealed by the tenant's own data key; states and
-- tokens of log-ins are here as their SHA-256 alone.
set local role valueverse_owner;
create table auth.identity_provider (
    tenant_id billing.tenant_key not null,
    provider text not null check (provider ~ '^idp_[0-9a-f]{24}$'),
    issuer text not null check (issuer ~ '^https?://' and length(issuer) <= 2000),
    client_id text not null check (length(client_id) between 1 and 255),
    client_secret bytea not null,
    changed_at timestamptz not null default now(),
    primary key (tenant_id)
);
comment on column auth.identity_provider.provider is 'Another one with each change: a log-in that began before is not finished after it.';

create table auth.provider_sign_in (
    tenant_id billing.tenant_key not null,
    state_hash text not null,
    provider text not null,
    challenge text not null,
    expires_at timestamptz not null,
    token_hash text,
    token_expires_at timestamptz,
    subject text check (length(subject) between 1 and 255),
    user_id text,
    invitation text,
    used_at timestamptz,
    primary key (tenant_id, state_hash),
    unique (tenant_id, token_hash)
);
comment on table auth.provider_sign_in is 'States that came back from an identity provider, each once, and whom the provider named.';
comment on column auth.provider_sign_in.challenge is 'S256 of what the web app proves that it began the log-in with (RFC 7636).';
comment on column auth.provider_sign_in.user_id is 'Who signs in; or the invitation that becomes a person by it.';

alter table auth.user_account add column provider_subject text check (length(provider_subject) between 1 and 255);
create unique index user_account_subject on auth.user_account (tenant_id, provider_subject) where disabled_at is null;
comment on column auth.user_account.provider_subject is 'Whom the tenant''s identity provider knows the person as; null: never signed in by it.';

grant update (provider_subject) on auth.user_account to valueverse_reader;
grant select, insert, delete, update (provider, issuer, client_id, client_secret, changed_at) on auth.identity_provider
    to valueverse_reader;
grant select, insert, delete, update (token_hash, token_expires_at, subject, user_id, invitation, used_at) on auth.provider_sign_in
    to valueverse_reader;
do $$
declare
    name regclass;
begin
    foreach name in array array['auth.identity_provider', 'auth.provider_sign_in']::regclass[] loop
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
                   ('user.provider_linked', tg_op = 'UPDATE' and new.provider_subject is not null
                                            and new.provider_subject is distinct from old.provider_subject),
                   ('user.disabled', tg_op = 'UPDATE' and new.disabled_at is not null and old.disabled_at is null))
           as did (action, done)
     where did.done;
    return null;
end $$;
reset role;
