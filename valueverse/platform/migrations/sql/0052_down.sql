set local role valueverse_reader;
drop function api.invoices(text, text, text, text, date, date, date, uuid, integer, timestamptz);
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
revoke execute on function api.invoices(text, text, text, text, date, date, date, uuid, integer) from public;
grant execute on function api.invoices(text, text, text, text, date, date, date, uuid, integer) to valueverse_api;
reset role;
