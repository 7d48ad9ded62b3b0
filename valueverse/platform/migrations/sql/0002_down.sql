do $$
declare
    one record;
begin
    for one in select p.oid::regprocedure as name from pg_proc as p where p.pronamespace = 'api'::regnamespace loop
        execute format('drop function %s', one.name);
    end loop;
    for one in select c.oid::regclass as name, p.polname from pg_policy as p join pg_class as c on c.oid = p.polrelid
                where p.polname in ('api_reader', 'api_tenant') loop
        execute format('drop policy %I on %s', one.polname, one.name);
    end loop;
end $$;

set local role valueverse_owner;
revoke all on all tables in schema billing, auth from valueverse_reader;
revoke usage on schema billing, auth from valueverse_reader;
revoke all on auth.api_key from valueverse_builder;
revoke usage on schema auth from valueverse_builder;
drop index billing.invoice_tenant_id_issued_on_invoice_id_idx;
drop index billing.usage_daily_tenant_id_customer_day_idx;
alter table auth.refresh_token drop column key_prefix;
reset role;
