-- What a portal session reads. Each function takes tenant and customer, filters by both, and sets both for the policies behind.
set local role valueverse_reader;
create function api.portal_invoice(for_tenant text, for_customer text, with_number text)
returns table (document text, voided boolean)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.customer', for_customer, true);
    return query
        select found.document, found.voided from api.invoice(for_tenant, with_number) as found
         where exists (select from billing.invoice as i
                        where i.tenant_id = for_tenant and i.customer = for_customer and i.number = with_number);
end $$;

-- As api.invoices, without drafts: nothing of them is final.
create function api.portal_invoices(
    for_tenant text, for_customer text, of_customer text, with_status text, in_currency text, from_day date, to_day date,
    after_issued_on date, after_invoice uuid, at_most integer
) returns table (
    invoice_id uuid, number text, status text, customer text, subscription text, currency text, period_from timestamptz,
    period_to timestamptz, issued_on date, due_on date, subtotal_minor bigint, discount_total_minor bigint,
    tax_total_minor bigint, total_minor bigint, credit_total_minor bigint, amount_due_minor bigint
)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.customer', for_customer, true);
    return query
        select i.invoice_id, i.number, case when v.invoice_id is null then i.status else 'voided' end, i.customer,
               i.subscription, i.currency::text, i.period_from, i.period_to, i.issued_on, i.due_on, i.subtotal_minor,
               i.discount_total_minor, i.tax_total_minor, i.total_minor, i.credit_total_minor, i.amount_due_minor
          from billing.invoice as i
          left join billing.invoice_void as v on v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id
          left join billing.subscription as s on s.tenant_id = i.tenant_id and s.subscription = i.subscription
          left join billing.customer as c on c.tenant_id = i.tenant_id and c.customer = i.customer
          left join billing.tenant as t on t.tenant_id = i.tenant_id
         cross join lateral (select coalesce(s.timezone, c.timezone, t.timezone, 'UTC') as zone) as place
         where i.tenant_id = for_tenant and i.customer = for_customer and i.status = 'finalised'
           and (of_customer is null or i.customer = of_customer)
           and (in_currency is null or i.currency = in_currency)
           and (with_status is null or with_status = case when v.invoice_id is null then i.status else 'voided' end)
           and (from_day is null or i.period_from >= from_day::timestamp at time zone place.zone)
           and (to_day is null or i.period_to <= to_day::timestamp at time zone place.zone)
           and (after_issued_on is null or (i.issued_on, i.invoice_id) < (after_issued_on, after_invoice))
         order by i.issued_on desc, i.invoice_id desc
         limit at_most;
end $$;

-- What an invoice shows of both parties: the customer's own name and address, and the tenant's.
create function api.portal_invoice_parties(for_tenant text, for_customer text, of_customer text)
returns table (
    seller text, seller_country text, seller_tax_id text, seller_address text, seller_invoicing text,
    seller_timezone text, buyer text, buyer_country text, buyer_timezone text, buyer_metadata text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.customer', for_customer, true);
    return query select found.* from api.invoice_parties(for_tenant, of_customer) as found where of_customer = for_customer;
end $$;

-- The catalog that one of the customer's invoices was billed by: it names what stands on the invoice.
create function api.portal_invoice_catalog(for_tenant text, for_customer text, of_hash text) returns table (document text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.customer', for_customer, true);
    return query
        select found.document from api.invoice_catalog(for_tenant, of_hash) as found
         where exists (select from billing.invoice as i
                        where i.tenant_id = for_tenant and i.customer = for_customer and i.status = 'finalised'
                          and strpos(i.document, '"catalog_hash":' || to_json(of_hash)) > 0);
end $$;

create function api.portal_invoice_history(for_tenant text, for_customer text, with_number text) returns table (history text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.customer', for_customer, true);
    return query
        select found.history from api.invoice_history(for_tenant, with_number) as found
         where exists (select from billing.invoice as i
                        where i.tenant_id = for_tenant and i.customer = for_customer and i.number = with_number);
end $$;

create function api.portal_customer_known(for_tenant text, for_customer text, of_customer text) returns table (customer_known boolean)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.customer', for_customer, true);
    return query select api.customer_known(for_tenant, of_customer) and of_customer = for_customer;
end $$;

create function api.portal_usage(
    for_tenant text, for_customer text, of_customer text, from_day date, to_day date, of_meter text,
    after_day date, after_meter text, after_subscription text, after_dimensions text, at_most integer
) returns table (day date, meter text, subscription text, dimensions text, quantity text, events bigint, aggregation text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.customer', for_customer, true);
    return query
        select found.* from api.usage(for_tenant, of_customer, from_day, to_day, of_meter, after_day, after_meter, after_subscription,
                                      after_dimensions, at_most) as found
         where of_customer = for_customer;
end $$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'api'::regnamespace and p.proname like 'portal\_%' loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_api', one);
    end loop;
end $$;
reset role;
