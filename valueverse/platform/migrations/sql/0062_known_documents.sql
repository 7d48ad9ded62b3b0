-- What documents of invoices show beside them, as it was known at an instant: names and addresses of both sides, the plan, credit
-- notes, and voids by when they were recorded. Billing runs replace what they know of a tenant; what was replaced is stored here.
set local role valueverse_owner;
create table billing.earlier_state (
    tenant_id billing.tenant_key not null,
    kind text not null check (kind in ('tenant', 'customer', 'subscription', 'credit_note')),
    key text not null,
    customer text,
    held_until timestamptz not null,
    state jsonb,
    primary key (tenant_id, kind, key, held_until)
);
create index on billing.earlier_state (tenant_id, customer, kind);
comment on table billing.earlier_state is
    'What documents of invoices showed of tenants, customers, subscriptions and credit notes before a billing run replaced it.';
comment on column billing.earlier_state.customer is 'Whom it is about; null: the tenant itself.';
comment on column billing.earlier_state.held_until is 'The instant of the billing run that replaced it; it held from the one before on.';
comment on column billing.earlier_state.state is 'The columns that are shown, of the table of that kind; null: there was none.';
grant select on billing.earlier_state to valueverse_reader;
create policy api_reader on billing.earlier_state to valueverse_reader using (true);
create policy api_tenant on billing.earlier_state as restrictive to valueverse_reader
    using (tenant_id = (select current_setting('valueverse.tenant', true)));
create policy api_customer on billing.earlier_state as restrictive to valueverse_reader
    using (customer is null
           or customer = coalesce((select nullif(current_setting('valueverse.customer', true), '')), customer));

alter table billing.invoice_void add column recorded_at timestamptz;
comment on column billing.invoice_void.recorded_at is 'The instant of the billing run that recorded it; null: before that was stored.';

-- One row, or none: the tenant, the customer or the subscription with a key. known_at: as it was at that instant; null: as it is.
create function billing.known_tenant(for_tenant text, known_at timestamptz) returns setof billing.tenant
language sql stable set search_path = pg_catalog, pg_temp as $$
    with earlier as (
        select e.state from billing.earlier_state as e
         where e.tenant_id = for_tenant and e.kind = 'tenant' and e.key = for_tenant and e.held_until > known_at
         order by e.held_until limit 1)
    select (jsonb_populate_record(null::billing.tenant, t.state || jsonb_build_object('tenant_id', for_tenant))).* from earlier as t where t.state is not null
    union all
    select c.* from billing.tenant as c
     where c.tenant_id = for_tenant and not exists (select from earlier)
$$;

create function billing.known_customer(for_tenant text, of_customer text, known_at timestamptz) returns setof billing.customer
language sql stable set search_path = pg_catalog, pg_temp as $$
    with earlier as (
        select e.state from billing.earlier_state as e
         where e.tenant_id = for_tenant and e.kind = 'customer' and e.key = of_customer and e.held_until > known_at
         order by e.held_until limit 1)
    select (jsonb_populate_record(null::billing.customer, t.state || jsonb_build_object('tenant_id', for_tenant))).* from earlier as t where t.state is not null
    union all
    select c.* from billing.customer as c
     where c.tenant_id = for_tenant and c.customer = of_customer and not exists (select from earlier)
$$;

create function billing.known_subscription(for_tenant text, of_subscription text, known_at timestamptz) returns setof billing.subscription
language sql stable set search_path = pg_catalog, pg_temp as $$
    with earlier as (
        select e.state from billing.earlier_state as e
         where e.tenant_id = for_tenant and e.kind = 'subscription' and e.key = of_subscription and e.held_until > known_at
         order by e.held_until limit 1)
    select (jsonb_populate_record(null::billing.subscription, t.state || jsonb_build_object('tenant_id', for_tenant))).* from earlier as t where t.state is not null
    union all
    select c.* from billing.subscription as c
     where c.tenant_id = for_tenant and c.subscription = of_subscription and not exists (select from earlier)
$$;

create function billing.known_credit_notes(for_tenant text, of_customer text, known_at timestamptz)
returns setof billing.credit_note
language sql stable set search_path = pg_catalog, pg_temp as $$
    with earlier as (
        select distinct on (e.key) e.key, e.state from billing.earlier_state as e
         where e.tenant_id = for_tenant and e.customer = of_customer and e.kind = 'credit_note' and e.held_until > known_at
         order by e.key, e.held_until)
    select (jsonb_populate_record(null::billing.credit_note, t.state || jsonb_build_object('tenant_id', for_tenant))).* from earlier as t where t.state is not null
    union all
    select c.* from billing.credit_note as c
     where c.tenant_id = for_tenant and c.customer = of_customer
       and not exists (select from earlier as t where t.key = c.credit_note)
$$;

drop function billing.invoice_history(text, text);
create function billing.invoice_history(for_tenant text, with_number text, known_at timestamptz) returns jsonb
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
       and (known_at is null or coalesce(v.recorded_at, v.voided_at) <= known_at)
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
        and (known_at is null or coalesce(v.recorded_at, v.voided_at) <= known_at)
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
        and (known_at is null or coalesce(v.recorded_at, v.voided_at) <= known_at)
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

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p
                where p.pronamespace = 'billing'::regnamespace and (p.proname ~ '^known_' or p.proname = 'invoice_history') loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_builder, valueverse_reader', one);
    end loop;
end $$;
reset role;

set local role valueverse_reader;
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
            and (known_at is null or coalesce(v.recorded_at, v.voided_at) <= known_at)
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

drop function api.portal_invoices(text, text, text, text, text, date, date, date, uuid, integer);
create function api.portal_invoices(
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
           and (known_at is null or coalesce(v.recorded_at, v.voided_at) <= known_at)
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

drop function api.invoice_parties(text, text);
create function api.invoice_parties(for_tenant text, of_customer text, known_at timestamptz default null)
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
          from billing.known_tenant(for_tenant, known_at) as t
          left join billing.known_customer(for_tenant, of_customer, known_at) as c on c.tenant_id = t.tenant_id;
end $$;

drop function api.portal_invoice_parties(text, text, text);
create function api.portal_invoice_parties(for_tenant text, for_customer text, of_customer text, known_at timestamptz default null)
returns table (
    seller text, seller_country text, seller_tax_id text, seller_address text, seller_invoicing text,
    seller_timezone text, buyer text, buyer_country text, buyer_timezone text, buyer_metadata text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.customer', for_customer, true);
    return query select found.* from api.invoice_parties(for_tenant, of_customer, known_at) as found where of_customer = for_customer;
end $$;

drop function api.invoice_history(text, text);
create function api.invoice_history(for_tenant text, with_number text, known_at timestamptz default null) returns table (history text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select one::text from billing.invoice_history(for_tenant, with_number, known_at) as one where one is not null;
end $$;

drop function api.portal_invoice_history(text, text, text);
create function api.portal_invoice_history(for_tenant text, for_customer text, with_number text, known_at timestamptz default null)
returns table (history text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.customer', for_customer, true);
    return query
        select found.history from api.invoice_history(for_tenant, with_number, known_at) as found
         where exists (select from billing.invoice as i
                        where i.tenant_id = for_tenant and i.customer = for_customer and i.number = with_number);
end $$;

-- Finalised invoices of the customer with their documents: as api.explain_invoices.
create function api.portal_explain_invoices(
    for_tenant text, for_customer text, with_number text, among uuid[], known_at timestamptz
) returns table (
    tenant text, customer text, subscription text, invoice_type text, period_from timestamptz, period_to timestamptz,
    revision integer, invoice_id text, number text, currency text, total_minor bigint, amount_due_minor bigint,
    events_known_at timestamptz, sequence bigint, is_final boolean, voided_at timestamptz, document text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.customer', for_customer, true);
    return query select found.* from api.explain_invoices(for_tenant, with_number, among, known_at) as found
                  where found.customer = for_customer;
end $$;

do $$
declare
    one regprocedure;
begin
    for one in
        select p.oid from pg_proc as p
         where p.pronamespace = 'api'::regnamespace
           and p.proname in ('portal_invoices', 'invoice_parties', 'portal_invoice_parties', 'invoice_history',
                             'portal_invoice_history', 'portal_explain_invoices') loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_api', one);
    end loop;
end $$;
reset role;
