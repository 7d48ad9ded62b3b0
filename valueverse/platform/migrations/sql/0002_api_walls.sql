-- What the functions of schema api may read, and the second wall around it. They run as valueverse_reader, a role without
-- login, table ownership or BYPASSRLS. The setting the policies compare with is written by the functions alone: the API's
-- login has no right on any table, so a setting of its own making opens nothing.
set local role valueverse_owner;

alter table auth.refresh_token add column key_prefix text not null;
create index on billing.invoice (tenant_id, issued_on, invoice_id);
create index on billing.usage_daily (tenant_id, customer, day);

grant usage on schema auth to valueverse_builder;
grant select, insert on auth.api_key to valueverse_builder;
grant update (revoked_at) on auth.api_key to valueverse_builder;

grant usage on schema billing, auth to valueverse_reader;
grant select on billing.tenant, billing.customer, billing.subscription, billing.invoice, billing.invoice_void,
    billing.usage_daily, auth.api_key to valueverse_reader;
grant select, insert, delete on auth.refresh_token to valueverse_reader;
grant update (used_at, revoked_at) on auth.refresh_token to valueverse_reader;

do $$
declare
    name regclass;
begin
    foreach name in array array['billing.tenant', 'billing.customer', 'billing.subscription', 'billing.invoice',
        'billing.invoice_void', 'billing.usage_daily', 'auth.refresh_token', 'auth.api_key']::regclass[]
    loop
        execute format('create policy api_reader on %s to valueverse_reader using (true)', name);
        -- Before a sign-in the tenant is not known yet: an API key is found by its prefix, and by nothing less.
        execute format(
            'create policy api_tenant on %s as restrictive to valueverse_reader using (%s)', name,
            'tenant_id = (select current_setting(''valueverse.tenant'', true))'
            || case when name = 'auth.api_key'::regclass
                    then ' or prefix = (select current_setting(''valueverse.key_prefix'', true))' else '' end
        );
    end loop;
end $$;

reset role;
