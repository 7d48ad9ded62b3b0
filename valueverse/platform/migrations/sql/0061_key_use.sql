-- Whoever reads with an API key itself opens no session: that the key was used is an entry of the audit log, once an hour and key.
set local role valueverse_owner;
alter table auth.api_key add column used_at timestamptz;
comment on column auth.api_key.used_at is 'When the audit log was last told that this key was used.';
grant update (used_at) on auth.api_key to valueverse_reader;
reset role;

set local role valueverse_reader;
-- The tenant that a key opens, as before. A crash of the server may lose the entry of its use, and its time with it.
create or replace function api.api_key(with_prefix text, with_hash text, from_address text, with_request text)
returns table (tenant_id text, scopes text[])
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    one auth.api_key;
    refused_by text;
begin
    perform set_config('valueverse.key_prefix', with_prefix, true), set_config('valueverse.request', with_request, true);
    select k.* into one from auth.api_key as k
     where k.prefix = with_prefix and k.key_hash = with_hash and k.revoked_at is null
       and (k.expires_at is null or k.expires_at > now());
    if found then
        if one.used_at is null or one.used_at < now() - interval '1 hour' then
            update auth.api_key as k set used_at = now()
             where k.tenant_id = one.tenant_id and k.prefix = with_prefix
               and (k.used_at is null or k.used_at < now() - interval '1 hour');
            if found then
                perform set_config('synchronous_commit', 'off', true);
                perform audit.submit(one.tenant_id, 'api_key.used', with_prefix, '', with_prefix);
            end if;
        end if;
        return query select one.tenant_id::text, one.scopes;
        return;
    end if;
    if (select count(*) from auth.api_key as k where k.prefix = with_prefix) <> 1 then
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

-- As before, and unused links to the portal that the person made end too.
create or replace function api.change_user(
    for_tenant text, by_family uuid, of_user text, old_role text, new_role text, with_actor text, with_request text
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.actor', with_actor, true),
            set_config('valueverse.request', with_request, true);
    if not auth.is_open(for_tenant, by_family) then
        return 'ended';
    end if;
    update auth.user_account as a
       set role = coalesce(new_role, a.role), disabled_at = case when new_role is null then now() end
     where a.tenant_id = for_tenant and a.user_id = of_user and a.role = old_role and a.disabled_at is null;
    if not found then
        return 'moved';
    end if;
    -- Whoever may do less from now on has not invited anybody into the role of before.
    update auth.invitation as i set revoked_at = now()
     where i.tenant_id = for_tenant and i.invited_by = of_user and i.accepted_at is null and i.revoked_at is null;
    -- Nor made links to the portal as whoever may make them.
    delete from auth.portal_link as l where l.tenant_id = for_tenant and l.key_prefix = of_user and l.used_at is null;
    return 'changed';
exception when restrict_violation then
    return 'last_owner';
end $$;

-- When a session of a key or person ends, whatever is refreshed; null: it has ended.
create function api.session_end(for_tenant text, of_family uuid) returns timestamptz
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return (select max(r.expires_at) from auth.refresh_token as r
             where r.tenant_id = for_tenant and r.family = of_family and auth.is_open(for_tenant, of_family));
end $$;
revoke execute on function api.session_end(text, uuid) from public;
grant execute on function api.session_end(text, uuid) to valueverse_api;
reset role;
