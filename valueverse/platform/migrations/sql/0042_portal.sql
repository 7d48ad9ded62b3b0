-- A customer of a tenant signs in by a link that the tenant makes: good once, for minutes. Its session reads the customer's own
-- rows by functions of its own; row-level security by customer is the second wall, as it is by tenant.
set local role valueverse_owner;
create table auth.portal_link (
    tenant_id billing.tenant_key not null,
    link_hash text not null,
    customer text not null,
    key_prefix text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    primary key (tenant_id, link_hash)
);
comment on table auth.portal_link is 'Links by which customers of a tenant sign in, until they expire.';
comment on column auth.portal_link.link_hash is 'SHA-256 of the token, as hex.';
comment on column auth.portal_link.key_prefix is 'The key whose session made it: revoking that ends what came of it.';
grant select, insert, delete on auth.portal_link to valueverse_reader;
grant update (used_at) on auth.portal_link to valueverse_reader;
create policy api_reader on auth.portal_link to valueverse_reader using (true);
create policy api_tenant on auth.portal_link as restrictive to valueverse_reader
    using (tenant_id = (select current_setting('valueverse.tenant', true)));

alter table auth.refresh_token add column customer text;
comment on column auth.refresh_token.customer is 'Of a portal session: all that it may see is of this customer.';

create function auth.key_is_valid(for_tenant text, with_prefix text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select exists (select from auth.api_key as k
                    where k.tenant_id = for_tenant and k.prefix = with_prefix and k.revoked_at is null
                      and (k.expires_at is null or k.expires_at > now()))
$$;
create or replace function auth.is_open(for_tenant text, of_family uuid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select exists (select from auth.refresh_token as r
                    where r.tenant_id = for_tenant and r.family = of_family and r.customer is null and r.revoked_at is null
                      and r.expires_at > now() and auth.key_is_valid(for_tenant, r.key_prefix))
$$;
revoke execute on function auth.key_is_valid(text, text) from public;
grant execute on function auth.key_is_valid(text, text) to valueverse_reader;
grant execute on function audit.pseudonym(text, text) to valueverse_reader;

do $$
declare
    name regclass;
begin
    foreach name in array array['billing.customer', 'billing.subscription', 'billing.invoice', 'billing.usage_daily']::regclass[] loop
        execute format(
            'create policy api_customer on %s as restrictive to valueverse_reader using '
            '(customer = coalesce((select nullif(current_setting(''valueverse.customer'', true), '''')), customer))', name);
    end loop;
end $$;
reset role;

set local role valueverse_reader;
drop function api.refresh_session(text, text, text, interval, interval);
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

-- outcome: made | unknown (customer) | ended (the session of whoever makes it).
create function api.create_portal_link(
    for_tenant text, by_family uuid, of_customer text, new_hash text, lifetime interval, with_actor text, with_request text
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request, true);
    if not auth.is_open(for_tenant, by_family) then
        return 'ended';
    end if;
    if not exists (select from billing.customer as c where c.tenant_id = for_tenant and c.customer = of_customer) then
        return 'unknown';
    end if;
    delete from auth.portal_link as l where l.tenant_id = for_tenant and l.expires_at < now();
    insert into auth.portal_link (tenant_id, link_hash, customer, key_prefix, expires_at)
    values (for_tenant, new_hash, of_customer, with_actor, now() + lifetime);
    perform audit.submit(for_tenant, 'portal_link.created', audit.pseudonym(for_tenant, of_customer), new_hash, with_actor);
    return 'made';
end $$;

-- The customer of a link, once; nothing for one that was used, has expired or never was.
create function api.open_portal_session(
    for_tenant text, with_hash text, new_family uuid, new_hash text, idle interval, lifetime interval, with_request text
) returns table (customer text, key_prefix text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request, true);
    update auth.portal_link as l set used_at = clock_timestamp()
     where l.tenant_id = for_tenant and l.link_hash = with_hash and l.used_at is null and l.expires_at > clock_timestamp()
       and auth.key_is_valid(for_tenant, l.key_prefix)
    returning l.customer, l.key_prefix into customer, key_prefix;
    if not found then
        return;
    end if;
    insert into auth.refresh_token (tenant_id, token_hash, family, key_prefix, customer, idle_expires_at, expires_at)
    values (for_tenant, new_hash, new_family, key_prefix, customer, now() + idle, now() + lifetime);
    perform audit.submit(for_tenant, 'session.opened', new_family::text, with_hash, audit.pseudonym(for_tenant, customer));
    return next;
end $$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'api'::regnamespace
                  and p.proname in ('refresh_session', 'create_portal_link', 'open_portal_session') loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_api', one);
    end loop;
end $$;
reset role;
