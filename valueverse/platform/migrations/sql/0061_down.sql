set local role valueverse_reader;
drop function api.session_end(text, uuid);
create or replace function api.api_key(with_prefix text, with_hash text, from_address text, with_request text)
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
    return 'changed';
exception when restrict_violation then
    return 'last_owner';
end $$;
reset role;

set local role valueverse_owner;
alter table auth.api_key drop column used_at;
reset role;
