-- What the API reads. Each function takes the tenant first, filters by it, and sets it for the policies behind. Lists are
-- read from a place on (the sort key of the last row seen), never by offset.
set local role valueverse_reader;

create function api.ready() returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as 'select true';

create function api.invoice(for_tenant text, with_number text)
returns table (document text, voided boolean)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select i.document, v.invoice_id is not null
          from billing.invoice as i
          left join billing.invoice_void as v on v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id
         where i.tenant_id = for_tenant and i.number = with_number and i.status = 'finalised' and i.document is not null;
end $$;

-- Dates are local to what the invoice bills: its subscription's zone, else its customer's, else the tenant's.
create function api.invoices(
    for_tenant text, of_customer text, with_status text, in_currency text, from_day date, to_day date,
    after_issued_on date, after_invoice uuid, at_most integer
) returns table (
    invoice_id uuid, number text, status text, customer text, subscription text, currency text, period_from timestamptz,
    period_to timestamptz, issued_on date, due_on date, subtotal_minor bigint, discount_total_minor bigint,
    tax_total_minor bigint, total_minor bigint, credit_total_minor bigint, amount_due_minor bigint
)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
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
         where i.tenant_id = for_tenant
           and (of_customer is null or i.customer = of_customer)
           and (in_currency is null or i.currency = in_currency)
           and (with_status is null or with_status = case when v.invoice_id is null then i.status else 'voided' end)
           and (from_day is null or i.period_from >= from_day::timestamp at time zone place.zone)
           and (to_day is null or i.period_to <= to_day::timestamp at time zone place.zone)
           and (after_issued_on is null or (i.issued_on, i.invoice_id) < (after_issued_on, after_invoice))
         order by i.issued_on desc, i.invoice_id desc
         limit at_most;
end $$;

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

create function api.customer_known(for_tenant text, of_customer text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return exists (select from billing.customer as c where c.tenant_id = for_tenant and c.customer = of_customer);
end $$;

create function api.usage(
    for_tenant text, of_customer text, from_day date, to_day date, of_meter text,
    after_day date, after_meter text, after_subscription text, after_dimensions text, at_most integer
) returns table (day date, meter text, subscription text, dimensions text, quantity text, events bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select u.day, u.meter, u.subscription, u.dimensions, trim_scale(u.quantity)::text, u.events
          from billing.usage_daily as u
         where u.tenant_id = for_tenant and u.customer = of_customer
           and (from_day is null or u.day >= from_day)
           and (to_day is null or u.day < to_day)
           and (of_meter is null or u.meter = of_meter)
           and (after_day is null or (u.day, u.meter, u.subscription, u.dimensions)
                > (after_day, after_meter, after_subscription, after_dimensions))
         order by u.day, u.meter, u.subscription, u.dimensions
         limit at_most;
end $$;

grant execute on all functions in schema api to valueverse_api;
reset role;
