set local role valueverse_reader;
drop function api.restrictions(text, text, integer);
drop function api.restrict_customer(text, uuid, text, text, text, text, text);
drop function api.payment_instruments(text, text, timestamptz, text, integer);
drop function api.add_payment_instrument(text, text, text, text, text, text, text, text, text, text);
drop function api.remove_payment_instrument(text, text, text, text, text, text);
drop function api.customers(text, text, integer);
create function api.customers(for_tenant text, after_customer text, at_most integer)
returns table (customer text, name text, email text, currency text, timezone text, country text, metadata text)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select c.customer, c.name, c.email, c.currency::text, c.timezone, c.country, c.metadata::text
          from billing.customer as c
         where c.tenant_id = for_tenant and (after_customer is null or c.customer > after_customer)
         order by c.customer
         limit at_most;
end $$;
revoke execute on function api.customers(text, text, integer) from public;
grant execute on function api.customers(text, text, integer) to valueverse_api;
reset role;

set local role valueverse_owner;
drop policy api_reader on vault.restriction;
drop policy api_tenant on vault.restriction;
revoke select, insert, delete on vault.restriction from valueverse_reader;
revoke usage on schema vault from valueverse_reader;
drop policy actions_of_functions on vault.privacy_action;
drop function vault.record_action(text, text, text, text);
create or replace function audit.on_privacy_action() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select n.tenant_id, audit.entry_text(n.tenant_id, 'privacy.' || n.action, audit.pseudonym(n.tenant_id, n.customer),
                                         encode(sha256(convert_to(n.evidence, 'UTF8')), 'hex'), 'system')
      from new_rows as n order by n.tenant_id, n.action_id;
    return null;
end $$;
drop table billing.payment_instrument;
reset role;
