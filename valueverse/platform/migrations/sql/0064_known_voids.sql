-- A void counts from the billing run that recorded it, wherever somebody asks what was known at an instant: one column says so, and
-- what asked for the instant that the void's event states asks for it. Booked lines are read with the day on which their service begins.
set local role valueverse_owner;
alter table billing.invoice_void add column known_since timestamptz not null
    generated always as (coalesce(recorded_at, voided_at)) stored;
comment on column billing.invoice_void.known_since is
    'From when on it counts: the billing run that recorded it; the instant that its event states where that was not stored.';

create or replace function billing.prior_invoices(for_tenant text, of_customer text, known_at timestamptz)
returns table (
    tenant text, customer text, subscription text, invoice_type text, period_from timestamptz, period_to timestamptz,
    revision integer, invoice_id text, number text, currency text, total_minor bigint, amount_due_minor bigint,
    events_known_at timestamptz, sequence bigint, is_final boolean, voided_at timestamptz
)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select i.tenant_id::text, i.customer, coalesce(i.subscription, ''), i.invoice_type, i.period_from, i.period_to, i.revision,
           i.invoice_id::text, i.number, i.currency::text, i.total_minor, i.amount_due_minor, i.events_known_at, i.sequence,
           true, v.voided_at
      from billing.invoice as i
      left join billing.invoice_void as v
        on v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id and (known_at is null or v.known_since <= known_at)
     where i.tenant_id = for_tenant and i.customer = of_customer and i.status = 'finalised'
       and (known_at is null or i.finalised_at <= known_at)
$$;

drop function billing.prior_lines(text, text, timestamptz, uuid[]);
drop function billing.event_corrections(text, timestamptz);
drop function billing.explain_booked(text, uuid, timestamptz, bigint, timestamptz);

create function billing.prior_lines(for_tenant text, of_customer text, known_at timestamptz, among uuid[])
returns table (
    tenant text, invoice_id text, line_no integer, key text, kind text, description text, meter text, dimensions text,
    service_from timestamptz, service_to timestamptz, quantity numeric, amount_precise numeric, amount_minor bigint,
    discount_minor bigint, tax_minor bigint, event_count bigint, corrected_invoice_id text, tax_percent numeric, tax_key text
)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select l.tenant_id::text, l.invoice_id::text, l.line_no, l.key, l.kind, l.description, l.meter,
           coalesce(l.dimensions::text, ''), l.service_from, l.service_to, l.quantity, l.amount_precise, l.amount_minor,
           l.discount_minor, l.tax_minor, l.event_count, l.corrected_invoice_id::text,
           case when among is not null and i.tax_total_minor <> 0 then (
                select (tax ->> 'percent')::numeric from jsonb_array_elements(i.document::jsonb -> 'taxes') as tax
                 where tax -> 'lines' @> to_jsonb(l.line_no) limit 1) end,
           case when among is not null and i.tax_total_minor <> 0 then (
                select tax ->> 'key' from jsonb_array_elements(i.document::jsonb -> 'taxes') as tax
                 where tax -> 'lines' @> to_jsonb(l.line_no) limit 1) end
      from billing.prior_invoices(for_tenant, of_customer, known_at) as p
      join billing.invoice as i on i.tenant_id = p.tenant and i.invoice_id = p.invoice_id::uuid
      join billing.invoice_line as l on l.tenant_id = i.tenant_id and l.invoice_id = i.invoice_id
     where p.voided_at is null
       and (among is null and (l.kind = 'one_off' or l.corrected_invoice_id is not null or i.invoice_type = 'threshold')
            or l.invoice_id = any(among) and l.corrected_invoice_id is null
            or l.corrected_invoice_id = any(among))
$$;

create function billing.event_corrections(for_tenant text, at timestamptz)
returns table (
    tenant text, invoice_id text, line_no integer, key text, kind text, description text, meter text, dimensions text,
    service_from timestamptz, service_to timestamptz, quantity numeric, amount_precise numeric, amount_minor bigint,
    discount_minor bigint, tax_minor bigint, event_count bigint, corrected_invoice_id text, tax_percent numeric, tax_key text
)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select l.tenant_id::text, l.invoice_id::text, l.line_no, l.key, l.kind, l.description, l.meter,
           coalesce(l.dimensions::text, ''), l.service_from, l.service_to, l.quantity, l.amount_precise, l.amount_minor,
           l.discount_minor, l.tax_minor, l.event_count, l.corrected_invoice_id::text, null::numeric, null::text
      from billing.invoice_line as l
      join billing.invoice as i on i.tenant_id = l.tenant_id and i.invoice_id = l.corrected_invoice_id
     where l.tenant_id = for_tenant and i.period_from <= at and i.period_to > at
$$;

create function billing.explain_booked(
    for_tenant text, of_invoice uuid, before timestamptz, ahead_sequence bigint, ahead_close timestamptz
) returns table (
    tenant text, invoice_id text, line_no integer, key text, kind text, description text, meter text, dimensions text,
    service_from timestamptz, service_to timestamptz, quantity numeric, amount_precise numeric, amount_minor bigint,
    discount_minor bigint, tax_minor bigint, event_count bigint, corrected_invoice_id text, tax_percent numeric, tax_key text
)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select l.tenant_id::text, l.invoice_id::text, l.line_no, l.key, l.kind, l.description, l.meter,
           coalesce(l.dimensions::text, ''), l.service_from, l.service_to, l.quantity, l.amount_precise, l.amount_minor,
           l.discount_minor, l.tax_minor, l.event_count, l.corrected_invoice_id::text, null::numeric, null::text
      from billing.invoice_line as l
      join billing.invoice as i on i.tenant_id = l.tenant_id and i.invoice_id = l.invoice_id
     where l.tenant_id = for_tenant
       and (l.invoice_id = of_invoice and l.corrected_invoice_id is null or l.corrected_invoice_id = of_invoice)
       and (i.finalised_at < before
            or i.finalised_at = before and i.sequence < ahead_sequence
               and case i.invoice_type when 'start' then i.period_from else i.period_to end <= ahead_close)
       and not exists (select from billing.invoice_void as v
                        where v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id and v.known_since <= before)
$$;

create or replace function billing.explain_corrected(for_tenant text, of_invoice uuid)
returns table (
    line_no integer, invoice_id text, number text, issued_on date, period_to timestamptz, currency text, is_void boolean,
    finalised_at timestamptz, sequence bigint, close timestamptz, rerate_catalog_hash text
)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select l.line_no, l.corrected_invoice_id::text, o.number, o.issued_on, o.period_to, o.currency::text,
           v.invoice_id is not null, i.finalised_at, i.sequence,
           case i.invoice_type when 'start' then i.period_from else i.period_to end,
           (select r.catalog_hash from billing.rerating as r
             where r.tenant_id = l.tenant_id and r.invoice_id = l.corrected_invoice_id and r.applied_at < i.finalised_at
             order by r.applied_at desc, r.plan_id limit 1)
      from billing.invoice_line as l
      join billing.invoice as i on i.tenant_id = l.tenant_id and i.invoice_id = l.invoice_id
      join billing.invoice as o on o.tenant_id = l.tenant_id and o.invoice_id = l.corrected_invoice_id
      left join billing.invoice_void as v
        on v.tenant_id = o.tenant_id and v.invoice_id = o.invoice_id and v.known_since <= i.finalised_at
     where l.tenant_id = for_tenant and l.invoice_id = of_invoice and i.finalised_at is not null
     order by l.line_no
$$;

create or replace function billing.invoice_history(for_tenant text, with_number text, known_at timestamptz) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'plan', s.plan,
        'plan_version', s.plan_version,
        'has_overrides', s.has_overrides,
        'voided_on', v.voided_at at time zone 'UTC',
        'void_reason', v.reason,
        'payments', (
            select coalesce(jsonb_agg(to_jsonb(one) order by one.date, one.kind, one.amount_minor), '[]')
              from (select e.kind, e.date, sum(p.amount_minor)::text as amount_minor,
                           max(e.booked_at) at time zone 'UTC' as booked_at
                      from billing.journal_posting as p
                      join billing.journal_entry as e on e.tenant_id = p.tenant_id and e.entry_id = p.entry_id
                     where p.tenant_id = for_tenant and p.account = 'receivable' and p.customer = i.customer
                       and p.invoice = i.number and (known_at is null or e.booked_at <= known_at)
                       and e.kind in ('payment_received', 'payment_failed', 'payment_refunded')
                     group by e.kind, e.reference, e.date
                    having sum(p.amount_minor) <> 0) as one),
        'credit_notes', (
            select coalesce(jsonb_agg(to_jsonb(one) order by one.created_at, one.amount), '[]')
              from (select n.amount::text as amount, n.reason, n.created_at at time zone 'UTC' as created_at
                      from billing.known_credit_notes(for_tenant, i.customer, known_at) as n
                     where n.number = i.number) as one),
        'corrects', (
            select coalesce(jsonb_agg(to_jsonb(one) order by one.issued_on, one.number), '[]')
              from (select distinct o.number, o.issued_on
                      from billing.invoice_line as l
                      join billing.invoice as o on o.tenant_id = l.tenant_id and o.invoice_id = l.corrected_invoice_id
                     where l.tenant_id = for_tenant and l.invoice_id = i.invoice_id) as one),
        'corrected_by', (
            select coalesce(jsonb_agg(to_jsonb(one) order by one.issued_on, one.number), '[]')
              from (select distinct o.number, o.issued_on
                      from billing.invoice_line as l
                      join billing.invoice as o on o.tenant_id = l.tenant_id and o.invoice_id = l.invoice_id
                     where l.tenant_id = for_tenant and l.corrected_invoice_id = i.invoice_id
                       and l.amount_minor <> 0 and o.number is not null
                       and (known_at is null or o.finalised_at <= known_at)) as one),
        'replaces', (
            select coalesce(jsonb_agg(jsonb_build_object('number', o.number, 'issued_on', o.issued_on)), '[]')
              from billing.invoice as o
             where o.tenant_id = for_tenant and o.customer = i.customer
               and o.subscription is not distinct from i.subscription and o.period_from = i.period_from
               and o.period_to = i.period_to and o.invoice_type = i.invoice_type and o.revision = i.revision - 1),
        'replaced_by', (
            select coalesce(jsonb_agg(jsonb_build_object('number', o.number, 'issued_on', o.issued_on)), '[]')
              from billing.invoice as o
             where o.tenant_id = for_tenant and o.customer = i.customer
               and o.subscription is not distinct from i.subscription and o.period_from = i.period_from
               and o.period_to = i.period_to and o.invoice_type = i.invoice_type and o.revision = i.revision + 1
               and o.number is not null and (known_at is null or o.finalised_at <= known_at)))
      from billing.invoice as i
      left join billing.known_subscription(for_tenant, i.subscription, known_at) as s on s.tenant_id = i.tenant_id
      left join billing.invoice_void as v on v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id
       and (known_at is null or v.known_since <= known_at)
     where i.tenant_id = for_tenant and i.number = with_number and (known_at is null or i.finalised_at <= known_at)
$$;

create or replace function billing.explain_invoices(for_tenant text, with_number text, among uuid[], known_at timestamptz)
returns table (
    tenant text, customer text, subscription text, invoice_type text, period_from timestamptz, period_to timestamptz,
    revision integer, invoice_id text, number text, currency text, total_minor bigint, amount_due_minor bigint,
    events_known_at timestamptz, sequence bigint, is_final boolean, voided_at timestamptz, document text
)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select i.tenant_id::text, i.customer, coalesce(i.subscription, ''), i.invoice_type, i.period_from, i.period_to, i.revision,
           i.invoice_id::text, i.number, i.currency::text, i.total_minor, i.amount_due_minor, i.events_known_at, i.sequence,
           true, v.voided_at, i.document
      from billing.invoice as i
      left join billing.invoice_void as v
        on v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id
        and (known_at is null or v.known_since <= known_at)
     where i.tenant_id = for_tenant and i.status = 'finalised' and (i.number = with_number or i.invoice_id = any(among))
       and (known_at is null or i.finalised_at <= known_at)
$$;

create or replace function billing.explain_related(for_tenant text, of_invoice uuid, known_at timestamptz)
returns table (
    link text, key text, dimensions jsonb, number text, issued_on date, amount_minor bigint, quantity numeric,
    event_count bigint, status text
)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select case when l.corrected_invoice_id = of_invoice then 'correction' else 'before' end, l.key, l.dimensions, o.number,
           o.issued_on, l.amount_minor, l.quantity, l.event_count,
           case when v.invoice_id is null then o.status else 'voided' end
      from billing.invoice_line as l
      join billing.invoice as o on o.tenant_id = l.tenant_id and o.invoice_id = l.invoice_id
      left join billing.invoice_void as v
        on v.tenant_id = o.tenant_id and v.invoice_id = o.invoice_id
        and (known_at is null or v.known_since <= known_at)
     where l.tenant_id = for_tenant and (known_at is null or o.finalised_at <= known_at)
       and (l.corrected_invoice_id = of_invoice
            or l.invoice_id in (
                select t.invoice_id from billing.invoice as t
                  join billing.invoice as i on i.tenant_id = t.tenant_id and i.invoice_id = of_invoice
                 where t.tenant_id = for_tenant and t.invoice_type = 'threshold' and t.subscription = i.subscription
                   and t.period_from = i.period_from and t.period_to < i.period_to
                   and i.invoice_type in ('period', 'threshold'))
               and l.kind = 'usage' and v.invoice_id is null)
     order by o.issued_on, o.number
$$;

create or replace function value.effective_lines(of_tenants text[], until timestamptz)
returns table (
    tenant text, invoice text, sequence bigint, line_no integer, customer text, key text, kind text, currency text,
    service_from date, service_to date, amount_minor bigint
)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select l.tenant_id::text, i.number, i.sequence, l.line_no, i.customer, l.key, l.kind, l.currency::text,
           (l.service_from at time zone z.zone)::date, (l.service_to at time zone z.zone)::date,
           (l.amount_minor - l.discount_minor)::bigint
      from billing.invoice_line as l
      join billing.invoice as i on i.tenant_id = l.tenant_id and i.invoice_id = l.invoice_id
      join billing.tenant as t on t.tenant_id = l.tenant_id
      left join billing.subscription as s on s.tenant_id = i.tenant_id and s.subscription = i.subscription
     cross join lateral (select coalesce(s.timezone, t.timezone) as zone) as z
     where l.tenant_id = any(of_tenants) and i.status = 'finalised' and (until is null or i.finalised_at <= until)
       and not exists (select from billing.invoice_void as v
                        where v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id and (until is null or v.known_since <= until))
     order by l.tenant_id, i.sequence, l.line_no
$$;

do $$
declare
    one regprocedure;
begin
    for one in
        select p.oid from pg_proc as p
         where p.pronamespace = 'billing'::regnamespace and p.proname in ('prior_lines', 'event_corrections', 'explain_booked')
    loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_builder, valueverse_reader', one);
    end loop;
end $$;
reset role;

set local role valueverse_reader;
drop function api.prior_lines(text, text, timestamptz, uuid[]);
drop function api.event_corrections(text, timestamptz);
drop function api.explain_booked(text, uuid, timestamptz, bigint, timestamptz);

create function api.prior_lines(for_tenant text, of_customer text, known_at timestamptz, among uuid[])
returns table (
    tenant text, invoice_id text, line_no integer, key text, kind text, description text, meter text, dimensions text,
    service_from timestamptz, service_to timestamptz, quantity numeric, amount_precise numeric, amount_minor bigint,
    discount_minor bigint, tax_minor bigint, event_count bigint, corrected_invoice_id text, tax_percent numeric, tax_key text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query select * from billing.prior_lines(for_tenant, of_customer, known_at, among);
end $$;

create function api.event_corrections(for_tenant text, at timestamptz)
returns table (
    tenant text, invoice_id text, line_no integer, key text, kind text, description text, meter text, dimensions text,
    service_from timestamptz, service_to timestamptz, quantity numeric, amount_precise numeric, amount_minor bigint,
    discount_minor bigint, tax_minor bigint, event_count bigint, corrected_invoice_id text, tax_percent numeric, tax_key text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query select * from billing.event_corrections(for_tenant, at);
end $$;

create function api.explain_booked(
    for_tenant text, of_invoice uuid, before timestamptz, ahead_sequence bigint, ahead_close timestamptz
)
returns table (
    tenant text, invoice_id text, line_no integer, key text, kind text, description text, meter text, dimensions text,
    service_from timestamptz, service_to timestamptz, quantity numeric, amount_precise numeric, amount_minor bigint,
    discount_minor bigint, tax_minor bigint, event_count bigint, corrected_invoice_id text, tax_percent numeric, tax_key text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query select * from billing.explain_booked(for_tenant, of_invoice, before, ahead_sequence, ahead_close);
end $$;

create or replace function api.invoices(
    for_tenant text, of_customer text, with_status text, in_currency text, from_day date, to_day date,
    after_issued_on date, after_invoice uuid, at_most integer, known_at timestamptz default null
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
          left join billing.invoice_void as v
            on v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id
            and (known_at is null or v.known_since <= known_at)
          left join billing.subscription as s on s.tenant_id = i.tenant_id and s.subscription = i.subscription
          left join billing.customer as c on c.tenant_id = i.tenant_id and c.customer = i.customer
          left join billing.tenant as t on t.tenant_id = i.tenant_id
         cross join lateral (select coalesce(s.timezone, c.timezone, t.timezone, 'UTC') as zone) as place
         where i.tenant_id = for_tenant
           and (known_at is null or i.finalised_at <= known_at)
           and (of_customer is null or i.customer = of_customer)
           and (in_currency is null or i.currency = in_currency)
           and (with_status is null or with_status = case when v.invoice_id is null then i.status else 'voided' end)
           and (from_day is null or i.period_from >= from_day::timestamp at time zone place.zone)
           and (to_day is null or i.period_to <= to_day::timestamp at time zone place.zone)
           and (after_issued_on is null or (i.issued_on, i.invoice_id) < (after_issued_on, after_invoice))
         order by i.issued_on desc, i.invoice_id desc
         limit at_most;
end $$;

create or replace function api.portal_invoices(
    for_tenant text, for_customer text, of_customer text, with_status text, in_currency text, from_day date, to_day date,
    after_issued_on date, after_invoice uuid, at_most integer, known_at timestamptz default null
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
           and (known_at is null or v.known_since <= known_at)
          left join billing.subscription as s on s.tenant_id = i.tenant_id and s.subscription = i.subscription
          left join billing.customer as c on c.tenant_id = i.tenant_id and c.customer = i.customer
          left join billing.tenant as t on t.tenant_id = i.tenant_id
         cross join lateral (select coalesce(s.timezone, c.timezone, t.timezone, 'UTC') as zone) as place
         where i.tenant_id = for_tenant and i.customer = for_customer and i.status = 'finalised'
           and (known_at is null or i.finalised_at <= known_at)
           and (of_customer is null or i.customer = of_customer)
           and (in_currency is null or i.currency = in_currency)
           and (with_status is null or with_status = case when v.invoice_id is null then i.status else 'voided' end)
           and (from_day is null or i.period_from >= from_day::timestamp at time zone place.zone)
           and (to_day is null or i.period_to <= to_day::timestamp at time zone place.zone)
           and (after_issued_on is null or (i.issued_on, i.invoice_id) < (after_issued_on, after_invoice))
         order by i.issued_on desc, i.invoice_id desc
         limit at_most;
end $$;

do $$
declare
    one regprocedure;
begin
    for one in
        select p.oid from pg_proc as p
         where p.pronamespace = 'api'::regnamespace and p.proname in ('prior_lines', 'event_corrections', 'explain_booked')
    loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_api', one);
    end loop;
end $$;
reset role;
