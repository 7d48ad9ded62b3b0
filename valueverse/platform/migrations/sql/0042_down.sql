set local role valueverse_reader;
drop function api.portal_invoice(text, text, text);
drop function api.portal_invoices(text, text, text, text, text, date, date, date, uuid, integer);
drop function api.portal_invoice_parties(text, text, text);
drop function api.portal_invoice_catalog(text, text, text);
drop function api.portal_invoice_history(text, text, text);
drop function api.portal_usage(text, text, text, date, date, text, date, text, text, text, integer);
drop function api.portal_customer_known(text, text, text);
drop function api.create_portal_link(text, uuid, text, text, interval, text, text);
drop function api.open_portal_session(text, text, uuid, text, interval, interval, text);
drop function api.refresh_session(text, text, text, interval, interval);
create function api.refresh_session(
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
revoke execute on function api.refresh_session(text, text, text, interval, interval) from public;
grant execute on function api.refresh_session(text, text, text, interval, interval) to valueverse_api;
reset role;

set local role valueverse_owner;
drop policy api_customer on billing.customer;
drop policy api_customer on billing.subscription;
drop policy api_customer on billing.invoice;
drop policy api_customer on billing.usage_daily;
revoke execute on function audit.pseudonym(text, text) from valueverse_reader;
create or replace function auth.is_open(for_tenant text, of_family uuid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select exists (select from auth.refresh_token as r
                     join auth.api_key as k on k.tenant_id = r.tenant_id and k.prefix = r.key_prefix
                    where r.tenant_id = for_tenant and r.family = of_family and r.revoked_at is null and r.expires_at > now()
                      and k.revoked_at is null and (k.expires_at is null or k.expires_at > now()))
$$;
drop function auth.key_is_valid(text, text);
delete from auth.refresh_token where customer is not null;
alter table auth.refresh_token drop column customer;
drop table auth.portal_link;
reset role;
