-- How a tenant's invoices are paid and look; and for the API the catalog that an invoice was billed by, for names and units.
set local role valueverse_owner;
alter table billing.tenant add column invoicing jsonb;
grant select on billing.catalog to valueverse_reader;
create policy api_reader on billing.catalog to valueverse_reader using (true);
create policy api_tenant on billing.catalog as restrictive to valueverse_reader
    using (tenant_id = (select current_setting('valueverse.tenant', true)));

reset role;
set local role valueverse_reader;

drop function api.invoice_parties(text, text);
create function api.invoice_parties(for_tenant text, of_customer text)
returns table (
    seller text, seller_country text, seller_tax_id text, seller_address text, seller_invoicing text,
    seller_timezone text, buyer text, buyer_country text, buyer_timezone text, buyer_metadata text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select t.name, t.country, t.tax_id, t.address::text, t.invoicing::text, t.timezone, c.name, c.country,
               c.timezone, c.metadata::text
          from billing.tenant as t
          left join billing.customer as c on c.tenant_id = t.tenant_id and c.customer = of_customer
         where t.tenant_id = for_tenant;
end $$;
revoke execute on function api.invoice_parties(text, text) from public;
grant execute on function api.invoice_parties(text, text) to valueverse_api;

create function api.invoice_catalog(for_tenant text, of_hash text) returns table (document text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select c.document::text from billing.catalog as c
         where c.tenant_id = for_tenant and c.catalog_hash = of_hash
         limit 1;
end $$;
revoke execute on function api.invoice_catalog(text, text) from public;
grant execute on function api.invoice_catalog(text, text) to valueverse_api;

reset role;
