set local role valueverse_reader;
drop function api.create_portal_link(text, uuid, text, text, interval, text, text);
-- outcome: made | unknown (customer) | ended (the session of whoever makes it). is_stated: an event creates the customer, whom
-- no billing run has recorded yet; a link by itself shows nothing of anybody, and its session what is recorded of the key.
create function api.create_portal_link(
    for_tenant text, by_family uuid, of_customer text, new_hash text, lifetime interval, with_actor text, with_request text,
    is_stated boolean default false
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request, true);
    if not auth.is_open(for_tenant, by_family) then
        return 'ended';
    end if;
    if not is_stated and not exists (select from billing.customer as c where c.tenant_id = for_tenant and c.customer = of_customer) then
        return 'unknown';
    end if;
    delete from auth.portal_link as l where l.tenant_id = for_tenant and l.expires_at < now();
    insert into auth.portal_link (tenant_id, link_hash, customer, key_prefix, expires_at)
    values (for_tenant, new_hash, of_customer, with_actor, now() + lifetime);
    perform audit.submit(for_tenant, 'portal_link.created', audit.pseudonym(for_tenant, of_customer), new_hash, with_actor);
    return 'made';
end $$;
revoke execute on function api.create_portal_link(text, uuid, text, text, interval, text, text, boolean) from public;
grant execute on function api.create_portal_link(text, uuid, text, text, interval, text, text, boolean) to valueverse_api;
reset role;
