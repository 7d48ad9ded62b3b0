set local role valueverse_reader;
drop function api.invoice_catalog(text, text);
drop function api.invoice_parties(text, text);
create function api.invoice_parties(for_tenant text, of_customer text)
returns table (
    seller text, seller_country text, seller_tax_id text, seller_address text, buyer text, buyer_country text,
    buyer_metadata text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select t.name, t.country, t.tax_id, t.address::text, c.name, c.country, c.metadata::text
          from billing.tenant as t
          left join billing.customer as c on c.tenant_id = t.tenant_id and c.customer = of_customer
         where t.tenant_id = for_tenant;
end $$;
revoke execute on function api.invoice_parties(text, text) from public;
grant execute on function api.invoice_parties(text, text) to valueverse_api;

reset role;
set local role valueverse_owner;
drop policy api_tenant on billing.catalog;
drop policy api_reader on billing.catalog;
revoke select on billing.catalog from valueverse_reader;
alter table billing.tenant drop column invoicing;
reset role;
