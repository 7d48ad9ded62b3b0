-- What becomes of a session, keys and log-ins that are refused, and exports are entries of the audit log. Nobody outside makes a
-- tenant's log grow without bound: a refused key is an entry once an hour, a wrong password while its account does not wait.
set local role valueverse_owner;
alter table auth.api_key add column refused_at timestamptz;
comment on column auth.api_key.refused_at is 'When the audit log was last told of a request that this key did not open.';
grant update (refused_at) on auth.api_key to valueverse_reader;

-- Exports change nothing that a trigger could see: the service that makes one submits its entry.
grant execute on function audit.submit(text, text, text, text, text) to valueverse_builder;

-- Who a session is of, as the audit log names them: a key, a person, or the pseudonym of a customer in the portal.
create function auth.session_actor(for_tenant text, of_family uuid) returns text
language sql volatile set search_path = pg_catalog, pg_temp as $$
    select case when r.customer is null then r.key_prefix else audit.pseudonym(for_tenant, r.customer) end
      from auth.refresh_token as r where r.tenant_id = for_tenant and r.family = of_family limit 1
$$;
revoke execute on function auth.session_actor(text, uuid) from public;
grant execute on function auth.session_actor(text, uuid) to valueverse_reader;
reset role;

set local role valueverse_reader;
drop function api.api_key(text, text);
-- The tenant that a key opens. One that opens nothing, though exactly one tenant has a key with this prefix, is an entry of that
-- tenant's log: wrong, expired or revoked. A crash of the server may lose it: nothing was changed that it would have to prove.
create function api.api_key(with_prefix text, with_hash text, from_address text, with_request text)
returns table (tenant_id text, scopes text[])
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    refused_by text;
begin
    perform set_config('valueverse.key_prefix', with_prefix, true), set_config('valueverse.request', with_request, true);
    return query
        select k.tenant_id::text, k.scopes from auth.api_key as k
         where k.prefix = with_prefix and k.key_hash = with_hash and k.revoked_at is null
           and (k.expires_at is null or k.expires_at > now());
    if found or (select count(*) from auth.api_key as k where k.prefix = with_prefix) <> 1 then
        return;
    end if;
    update auth.api_key as k set refused_at = now()
     where k.prefix = with_prefix and (k.refused_at is null or k.refused_at < now() - interval '1 hour')
    returning k.tenant_id into refused_by;
    if found then
        perform set_config('synchronous_commit', 'off', true);
        perform audit.submit(refused_by, 'api_key.refused', with_prefix, '', audit.pseudonym(refused_by, from_address));
    end if;
end $$;

-- A password or code that was wrong, of a person whom the tenant has or had; of an address that nobody has nothing is written.
-- ``waits``: the account has to wait now. It takes as long whether or not somebody has the address: nothing waits for the disk.
create function api.record_failed_log_in(
    for_tenant text, with_email text, waits boolean, from_address text, with_request text
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    found_user text;
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request, true),
            set_config('synchronous_commit', 'off', true);
    select a.user_id into found_user from auth.user_account as a
     where a.tenant_id = for_tenant and a.email = with_email order by a.disabled_at desc nulls first limit 1;
    if found then
        perform audit.submit(for_tenant, one.action, found_user, '', audit.pseudonym(for_tenant, from_address))
           from unnest(array['user.log_in_failed', case when waits then 'user.locked_out' end]) as one (action)
          where one.action is not null;
    end if;
end $$;

drop function api.refresh_session(text, text, text, interval, interval);
create function api.refresh_session(
    for_tenant text, with_hash text, new_hash text, idle interval, waited interval, with_request text
) returns table (outcome text, family uuid, key_prefix text, scopes text[], customer text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    found_row auth.refresh_token;
    arrived timestamptz := statement_timestamp() - greatest(least(waited, interval '10 seconds'), interval '0');
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request, true);
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
    customer := found_row.customer;
    if found_row.revoked_at is not null then
        outcome := 'ended';
    elsif found_row.used_at is not null then
        outcome := case when arrived < found_row.used_at then 'raced' else 'reused' end;
        if outcome = 'reused' then
            update auth.refresh_token as r set revoked_at = clock_timestamp()
             where r.tenant_id = for_tenant and r.family = found_row.family and r.revoked_at is null;
            perform audit.submit(for_tenant, 'session.token_reused', family::text, with_hash, auth.session_actor(for_tenant, family));
        end if;
    elsif found_row.idle_expires_at <= clock_timestamp() or found_row.expires_at <= clock_timestamp()
          or not auth.key_is_valid(for_tenant, found_row.key_prefix) then
        outcome := 'ended';
    else
        outcome := 'rotated';
        update auth.refresh_token as r set used_at = clock_timestamp()
         where r.tenant_id = for_tenant and r.token_hash = with_hash;
        insert into auth.refresh_token (tenant_id, token_hash, family, key_prefix, scopes, customer, idle_expires_at, expires_at)
        values (for_tenant, new_hash, found_row.family, found_row.key_prefix, found_row.scopes, found_row.customer,
                least(clock_timestamp() + idle, found_row.expires_at), found_row.expires_at);
        perform audit.submit(for_tenant, 'session.refreshed', family::text, '', auth.session_actor(for_tenant, family));
    end if;
    return next;
end $$;

drop function api.close_session(text, uuid);
create function api.close_session(for_tenant text, with_family uuid, with_request text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request, true);
    perform pg_advisory_xact_lock(hashtextextended(with_family::text, 0));
    update auth.refresh_token as r set revoked_at = clock_timestamp()
     where r.tenant_id = for_tenant and r.family = with_family and r.revoked_at is null;
    if found then
        perform audit.submit(for_tenant, 'session.closed', with_family::text, '', auth.session_actor(for_tenant, with_family));
    end if;
end $$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'api'::regnamespace
                  and p.proname in ('api_key', 'record_failed_log_in', 'refresh_session', 'close_session') loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_api', one);
    end loop;
end $$;
reset role;
