-- Data about people over HTTP: restrictions, which every list of customers shows, and tokens that a payment provider made.
set local role valueverse_owner;
create table billing.payment_instrument (
    tenant_id billing.tenant_key not null,
    instrument text not null check (instrument ~ '^pi_[0-9a-f]{24}$'),
    customer text not null,
    provider text not null check (provider <> ''),
    token text not null check (token <> ''),
    kind text not null check (kind in ('card', 'account', 'other')),
    last_four text check (last_four ~ '^[0-9A-Z]{4}$'),
    created_at timestamptz not null default now(),
    primary key (tenant_id, instrument),
    unique (tenant_id, customer, provider, token)
);
comment on table billing.payment_instrument is 'What a payment provider charges a customer by: its token, never a number.';

create function vault.record_action(for_tenant text, action text, of_customer text, evidence text) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into vault.privacy_action (tenant_id, action, customer, evidence) values (for_tenant, action, of_customer, evidence)
$$;
revoke execute on function vault.record_action(text, text, text, text) from public;
grant execute on function vault.record_action(text, text, text, text) to valueverse_reader;
create policy actions_of_functions on vault.privacy_action for insert to valueverse_owner with check (true);

create or replace function audit.on_privacy_action() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select n.tenant_id, audit.entry_text(n.tenant_id, 'privacy.' || n.action, audit.pseudonym(n.tenant_id, n.customer),
                                         encode(sha256(convert_to(n.evidence, 'UTF8')), 'hex'),
                                         coalesce(nullif(current_setting('valueverse.actor', true), ''), 'system'))
      from new_rows as n order by n.tenant_id, n.action_id;
    return null;
end $$;

grant usage on schema vault to valueverse_reader;
grant select, insert, delete on vault.restriction, billing.payment_instrument to valueverse_reader;
do $$
declare
    one regclass;
begin
    foreach one in array array['vault.restriction', 'billing.payment_instrument']::regclass[]
    loop
        execute format('create policy api_reader on %s to valueverse_reader using (true)', one);
        execute format('create policy api_tenant on %s as restrictive to valueverse_reader
            using (tenant_id = (select current_setting(''valueverse.tenant'', true)))', one);
    end loop;
end $$;
reset role;

set local role valueverse_reader;
drop function api.customers(text, text, integer);
create function api.customers(for_tenant text, after_customer text, at_most integer)
returns table (
    customer text, name text, email text, currency text, timezone text, country text, metadata text, restricted boolean
)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select c.customer, c.name, c.email, c.currency::text, c.timezone, c.country, c.metadata::text,
               exists (select from vault.restriction as r where r.tenant_id = for_tenant and r.customer = c.customer)
          from billing.customer as c
         where c.tenant_id = for_tenant and (after_customer is null or c.customer > after_customer)
         order by c.customer
         limit at_most;
end $$;

create function api.restrictions(for_tenant text, after_customer text, at_most integer)
returns table (customer text, reason text, since timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select r.customer, r.reason, r.since from vault.restriction as r
         where r.tenant_id = for_tenant and (after_customer is null or r.customer > after_customer)
         order by r.customer limit at_most;
end $$;

-- Holds a customer's data, or releases it with a null reason. Restrictions and erasures of a customer follow each other.
-- outcome: done | known: it is so already | ended (the session).
create function api.restrict_customer(
    for_tenant text, by_family uuid, of_customer text, with_reason text, with_evidence text, with_actor text, with_request text
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.actor', with_actor, true),
            set_config('valueverse.request', with_request, true);
    if by_family is not null and not auth.is_open(for_tenant, by_family) then
        return 'ended';
    end if;
    perform pg_advisory_xact_lock(hashtextextended(concat_ws('/', 'privacy', for_tenant, of_customer), 0));
    if with_reason is null then
        delete from vault.restriction as r where r.tenant_id = for_tenant and r.customer = of_customer;
    else
        insert into vault.restriction (tenant_id, customer, reason) values (for_tenant, of_customer, with_reason)
            on conflict do nothing;
    end if;
    if not found then
        return 'known';
    end if;
    perform vault.record_action(
        for_tenant, case when with_reason is null then 'released' else 'restricted' end, of_customer, with_evidence);
    return 'done';
end $$;

create function api.payment_instruments(
    for_tenant text, of_customer text, after_created timestamptz, after_instrument text, at_most integer
) returns table (
    instrument text, customer text, provider text, token text, kind text, last_four text, created_at timestamptz
)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select p.instrument, p.customer, p.provider, p.token, p.kind, p.last_four, p.created_at
          from billing.payment_instrument as p
         where p.tenant_id = for_tenant and p.customer = of_customer
           and (after_created is null or (p.created_at, p.instrument) > (after_created, after_instrument))
         order by p.created_at, p.instrument limit at_most;
end $$;

-- outcome: added | known: the customer has this token already | restricted: the customer's data is on hold.
create function api.add_payment_instrument(
    for_tenant text, new_instrument text, of_customer text, with_provider text, with_token text, with_kind text,
    with_last_four text, with_evidence text, with_actor text, with_request text
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.actor', with_actor, true),
            set_config('valueverse.request', with_request, true),
            pg_advisory_xact_lock(hashtextextended(concat_ws('/', 'privacy', for_tenant, of_customer), 0));
    if exists (select from vault.restriction as r where r.tenant_id = for_tenant and r.customer = of_customer) then
        return 'restricted';
    end if;
    insert into billing.payment_instrument (tenant_id, instrument, customer, provider, token, kind, last_four)
    values (for_tenant, new_instrument, of_customer, with_provider, with_token, with_kind, with_last_four)
        on conflict (tenant_id, customer, provider, token) do nothing;
    if not found then
        return 'known';
    end if;
    perform vault.record_action(for_tenant, 'instrument_added', of_customer, with_evidence);
    return 'added';
end $$;

-- outcome: removed | unknown | restricted: the customer's data is on hold.
create function api.remove_payment_instrument(
    for_tenant text, of_customer text, of_instrument text, with_evidence text, with_actor text, with_request text
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.actor', with_actor, true),
            set_config('valueverse.request', with_request, true),
            pg_advisory_xact_lock(hashtextextended(concat_ws('/', 'privacy', for_tenant, of_customer), 0));
    if exists (select from vault.restriction as r where r.tenant_id = for_tenant and r.customer = of_customer) then
        return 'restricted';
    end if;
    delete from billing.payment_instrument as p
     where p.tenant_id = for_tenant and p.customer = of_customer and p.instrument = of_instrument;
    if not found then
        return 'unknown';
    end if;
    perform vault.record_action(for_tenant, 'instrument_removed', of_customer, with_evidence);
    return 'removed';
end $$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'api'::regnamespace
                  and p.proname in ('customers', 'restrictions', 'restrict_customer', 'payment_instruments',
                                    'add_payment_instrument', 'remove_payment_instrument') loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_api', one);
    end loop;
end $$;
reset role;
