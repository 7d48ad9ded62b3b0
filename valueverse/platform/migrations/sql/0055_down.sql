set local role valueverse_reader;
drop function api.record_failed_log_in(text, text, boolean, text, text);
drop function api.api_key(text, text, text, text);
create function api.api_key(with_prefix text, with_hash text)
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

drop function api.refresh_session(text, text, text, interval, interval, text);
create function api.refresh_session(
    for_tenant text, with_hash text, new_hash text, idle interval, waited interval
) returns table (outcome text, family uuid, key_prefix text, scopes text[], customer text)
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
    customer := found_row.customer;
    if found_row.revoked_at is not null then
        outcome := 'ended';
    elsif found_row.used_at is not null then
        outcome := case when arrived < found_row.used_at then 'raced' else 'reused' end;
        if outcome = 'reused' then
            update auth.refresh_token as r set revoked_at = clock_timestamp()
             where r.tenant_id = for_tenant and r.family = found_row.family and r.revoked_at is null;
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
    end if;
    return next;
end $$;

drop function api.close_session(text, uuid, text);
create function api.close_session(for_tenant text, with_family uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    perform pg_advisory_xact_lock(hashtextextended(with_family::text, 0));
    update auth.refresh_token as r set revoked_at = clock_timestamp()
     where r.tenant_id = for_tenant and r.family = with_family and r.revoked_at is null;
end $$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'api'::regnamespace
                  and p.proname in ('api_key', 'refresh_session', 'close_session') loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_api', one);
    end loop;
end $$;
reset role;

set local role valueverse_owner;
drop function auth.session_actor(text, uuid);
revoke execute on function audit.submit(text, text, text, text, text) from valueverse_builder;
alter table auth.api_key drop column refused_at;
reset role;
