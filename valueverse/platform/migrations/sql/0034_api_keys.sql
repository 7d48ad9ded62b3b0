-- An API key may expire. Whoever makes or revokes one over HTTP is named in the audit log, with the request.
set local role valueverse_owner;
alter table auth.api_key add column expires_at timestamptz;
comment on column auth.api_key.expires_at is 'It opens nothing from then on; null: never.';

-- A session may make and revoke keys while nobody has ended it and its own key is good: an access token outlives both.
create function auth.is_open(for_tenant text, of_family uuid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select exists (select from auth.refresh_token as r
                     join auth.api_key as k on k.tenant_id = r.tenant_id and k.prefix = r.key_prefix
                    where r.tenant_id = for_tenant and r.family = of_family and r.revoked_at is null and r.expires_at > now()
                      and k.revoked_at is null and (k.expires_at is null or k.expires_at > now()))
$$;
revoke execute on function auth.is_open(text, uuid) from public;
grant execute on function auth.is_open(text, uuid) to valueverse_reader;
grant insert on auth.api_key to valueverse_reader;
grant update (revoked_at, expires_at) on auth.api_key to valueverse_reader;

create or replace function audit.on_api_key() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    values (new.tenant_id,
            audit.entry_text(new.tenant_id, case tg_op when 'INSERT' then 'api_key.created' else 'api_key.revoked' end,
                             new.prefix, encode(sha256(convert_to(array_to_string(new.scopes, ' '), 'UTF8')), 'hex'),
                             coalesce(nullif(current_setting('valueverse.actor', true), ''), 'system')));
    return null;
end $$;
reset role;

set local role valueverse_reader;
create or replace function api.api_key(with_prefix text, with_hash text)
returns table (tenant_id text, scopes text[])
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.key_prefix', with_prefix, true);
    return query
        select k.tenant_id::text, k.scopes from auth.api_key as k
         where k.prefix = with_prefix and k.key_hash = with_hash and k.revoked_at is null
           and (k.expires_at is null or k.expires_at > now());
end $$;

create or replace function api.open_session(
    for_tenant text, with_key_prefix text, new_family uuid, new_hash text, idle interval, lifetime interval
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    delete from auth.refresh_token as r where r.tenant_id = for_tenant and r.expires_at < now();
    insert into auth.refresh_token (tenant_id, token_hash, family, key_prefix, scopes, idle_expires_at, expires_at)
    select k.tenant_id, new_hash, new_family, k.prefix, k.scopes, now() + idle, now() + lifetime
      from auth.api_key as k
     where k.tenant_id = for_tenant and k.prefix = with_key_prefix and k.revoked_at is null
       and (k.expires_at is null or k.expires_at > now());
    if found then
        perform audit.submit(for_tenant, 'session.opened', new_family::text, '', with_key_prefix);
    end if;
end $$;

create or replace function api.refresh_session(
    for_tenant text, with_hash text, new_hash text, idle interval, waited interval
) returns table (outcome text, family uuid, key_prefix text, scopes text[])
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    found_row auth.refresh_token;
    arrived timestamptz := statement_timestamp() - greatest(least(waited, interval '10 seconds'), interval '0');
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    select r.family into family from auth.refresh_token as r where r.tenant_id = for_tenant and r.token_hash = with_hash;
    if not found then
        outcome := 'unknown';
        return next;
        return;
    end if;
    -- One at a time per family: ending it must meet the successor that a rotation beside it is about to add.
    perform pg_advisory_xact_lock(hashtextextended(family::text, 0));
    select r.* into found_row from auth.refresh_token as r where r.tenant_id = for_tenant and r.token_hash = with_hash;
    key_prefix := found_row.key_prefix;
    scopes := found_row.scopes;
    if found_row.revoked_at is not null then
        outcome := 'ended';
    elsif found_row.used_at is not null then
        outcome := case when arrived < found_row.used_at then 'raced' else 'reused' end;
        if outcome = 'reused' then
            update auth.refresh_token as r set revoked_at = clock_timestamp()
             where r.tenant_id = for_tenant and r.family = found_row.family and r.revoked_at is null;
        end if;
    elsif found_row.idle_expires_at <= clock_timestamp() or found_row.expires_at <= clock_timestamp()
          or not exists (select from auth.api_key as k
                          where k.tenant_id = for_tenant and k.prefix = found_row.key_prefix and k.revoked_at is null
                            and (k.expires_at is null or k.expires_at > now())) then
        outcome := 'ended';
    else
        outcome := 'rotated';
        update auth.refresh_token as r set used_at = clock_timestamp()
         where r.tenant_id = for_tenant and r.token_hash = with_hash;
        insert into auth.refresh_token (tenant_id, token_hash, family, key_prefix, scopes, idle_expires_at, expires_at)
        values (for_tenant, new_hash, found_row.family, found_row.key_prefix, found_row.scopes,
                least(clock_timestamp() + idle, found_row.expires_at), found_row.expires_at);
    end if;
    return next;
end $$;
reset role;
