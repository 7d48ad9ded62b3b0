-- Keys of a tenant, by whoever administers it. A function that changes something does nothing in a session that has ended.
set local role valueverse_reader;
create function api.api_keys(for_tenant text, after_created timestamptz, after_prefix text, at_most integer)
returns table (prefix text, name text, scopes text[], created_at timestamptz, expires_at timestamptz, revoked_at timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select k.prefix, k.name, k.scopes, k.created_at, k.expires_at, k.revoked_at from auth.api_key as k
         where k.tenant_id = for_tenant
           and (after_created is null or (k.created_at, k.prefix) > (after_created, after_prefix))
         order by k.created_at, k.prefix limit at_most;
end $$;

create function api.create_api_key(
    for_tenant text, by_family uuid, new_prefix text, new_hash text, with_scopes text[], with_name text, until timestamptz,
    with_actor text, with_request text
) returns table (prefix text, name text, scopes text[], created_at timestamptz, expires_at timestamptz, revoked_at timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.actor', with_actor, true),
            set_config('valueverse.request', with_request, true);
    return query
        insert into auth.api_key as k (tenant_id, prefix, key_hash, scopes, name, expires_at)
        select for_tenant, new_prefix, new_hash, with_scopes, with_name, until where auth.is_open(for_tenant, by_family)
        returning k.prefix, k.name, k.scopes, k.created_at, k.expires_at, k.revoked_at;
end $$;

-- Replaces a key by another that may do the same, for as long; the old one goes on for the overlap. outcome: rotated | ended
-- (the session) | unknown.
create function api.rotate_api_key(
    for_tenant text, by_family uuid, old_prefix text, new_prefix text, new_hash text, overlap interval, with_actor text,
    with_request text
) returns table (
    outcome text, prefix text, name text, scopes text[], created_at timestamptz, expires_at timestamptz, replaced_until timestamptz
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    old_key auth.api_key;
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.actor', with_actor, true),
            set_config('valueverse.request', with_request, true);
    if not auth.is_open(for_tenant, by_family) then
        return query select 'ended', null, null, null::text[], null::timestamptz, null::timestamptz, null::timestamptz;
        return;
    end if;
    select k.* into old_key from auth.api_key as k
     where k.tenant_id = for_tenant and k.prefix = old_prefix and k.revoked_at is null
       and (k.expires_at is null or k.expires_at > now())
       for update;
    if not found then
        return query select 'unknown', null, null, null::text[], null::timestamptz, null::timestamptz, null::timestamptz;
        return;
    end if;
    perform audit.submit(for_tenant, 'api_key.rotated', old_prefix, encode(sha256(convert_to(new_prefix, 'UTF8')), 'hex'), with_actor);
    return query
        with made as (
            insert into auth.api_key as k (tenant_id, prefix, key_hash, scopes, name, expires_at)
            values (for_tenant, new_prefix, new_hash, old_key.scopes, old_key.name, old_key.expires_at)
            returning k.prefix, k.name, k.scopes, k.created_at, k.expires_at),
        shortened as (
            update auth.api_key as k set expires_at = least(k.expires_at, now() + overlap)
             where k.tenant_id = for_tenant and k.prefix = old_prefix returning k.expires_at)
        select 'rotated', made.prefix, made.name, made.scopes, made.created_at, made.expires_at, shortened.expires_at
          from made, shortened;
end $$;

-- outcome: revoked, also what was before | ended (the session) | unknown.
create function api.revoke_api_key(
    for_tenant text, by_family uuid, old_prefix text, with_actor text, with_request text
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.actor', with_actor, true),
            set_config('valueverse.request', with_request, true);
    if not auth.is_open(for_tenant, by_family) then
        return 'ended';
    end if;
    update auth.api_key as k set revoked_at = coalesce(k.revoked_at, now()) where k.tenant_id = for_tenant and k.prefix = old_prefix;
    return case when found then 'revoked' else 'unknown' end;
end $$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'api'::regnamespace
                  and p.proname in ('api_keys', 'create_api_key', 'rotate_api_key', 'revoke_api_key') loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_api', one);
    end loop;
end $$;
reset role;
