-- Re-rating plans that were applied: from then on an invoice is compared under the plan's catalog. And the parties of an
-- invoice, for its PDF and XML.
set local role valueverse_owner;

alter table billing.tenant add column country text check (country ~ '^[A-Z]{2}$'), add column tax_id text,
    add column address jsonb;

create table billing.rerating (
    tenant_id billing.tenant_key not null,
    plan_id text not null,
    invoice_id uuid not null,
    catalog_hash text,
    document text,
    applied_at timestamptz not null,
    primary key (tenant_id, plan_id, invoice_id),
    foreign key (tenant_id, invoice_id) references billing.invoice
);

create trigger insert_only before update or delete or truncate on billing.rerating
    for each statement execute function billing.refuse_change();
alter table billing.rerating enable always trigger insert_only;

reset role;
set local role valueverse_reader;

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
