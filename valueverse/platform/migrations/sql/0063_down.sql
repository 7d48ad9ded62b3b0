set local role valueverse_reader;
drop function api.answer_channel();
drop function api.open_session(text, text, uuid, text, interval, interval, text);
create function api.open_session(
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
revoke execute on function api.open_session(text, text, uuid, text, interval, interval) from public;
grant execute on function api.open_session(text, text, uuid, text, interval, interval) to valueverse_api;
reset role;

set local role valueverse_owner;
create or replace function billing.notify_of_changed_answers() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    perform pg_notify('invoices_changed', '');
    return null;
end $$;
grant execute on function billing.notify_of_changed_answers() to public;
drop function auth.answer_channel_name();
drop table auth.answer_channel;
-- The files outside of the database have them.
drop table audit.checkpoint;
reset role;
