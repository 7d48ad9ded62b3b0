-- What is finalised of one customer: what its next invoices are billed on. The builder calls the functions of schema billing,
-- the API those of schema api, which call the same. known_at: as it was at that instant; null: as it is.
set local role valueverse_owner;
grant usage on schema value to valueverse_reader;
do $$
declare
    one regclass;
begin
    foreach one in array array['billing.invoice_credit', 'billing.invoice_discount', 'billing.rerating', 'value.proposal',
        'value.verdict']::regclass[]
    loop
        execute format('grant select on %s to valueverse_reader', one);
        execute format('create policy api_reader on %s to valueverse_reader using (true)', one);
        execute format('create policy api_tenant on %s as restrictive to valueverse_reader '
            'using (tenant_id = (select current_setting(''valueverse.tenant'', true)))', one);
    end loop;
end $$;

-- Finalised invoices, voided ones with the instant.
create function billing.prior_invoices(for_tenant text, of_customer text, known_at timestamptz)
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
        on v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id and (known_at is null or v.voided_at <= known_at)
     where i.tenant_id = for_tenant and i.customer = of_customer and i.status = 'finalised'
       and (known_at is null or i.finalised_at <= known_at)
$$;

-- Lines of invoices that stand, with their tax rates. Among none: one-offs, corrections and threshold invoices; else those of these
-- invoices, and what corrects them.
create function billing.prior_lines(for_tenant text, of_customer text, known_at timestamptz, among uuid[])
returns table (
    tenant text, invoice_id text, line_no integer, key text, kind text, description text, meter text, dimensions text,
    service_to timestamptz, quantity numeric, amount_precise numeric, amount_minor bigint, discount_minor bigint,
    tax_minor bigint, event_count bigint, corrected_invoice_id text, tax_percent numeric, tax_key text
)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select l.tenant_id::text, l.invoice_id::text, l.line_no, l.key, l.kind, l.description, l.meter,
           coalesce(l.dimensions::text, ''), l.service_to, l.quantity, l.amount_precise, l.amount_minor, l.discount_minor,
           l.tax_minor, l.event_count, l.corrected_invoice_id::text,
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

-- What coupons, credit notes and wallets took of invoices that stand; kind null: a coupon.
create function billing.prior_deductions(for_tenant text, of_customer text, known_at timestamptz)
returns table (tenant text, invoice_id text, "position" integer, kind text, origin text, key text, amount_minor bigint)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select p.tenant, p.invoice_id, c."position", c.kind, c.origin, c.key, c.amount_minor
      from billing.prior_invoices(for_tenant, of_customer, known_at) as p
      join billing.invoice_credit as c on c.tenant_id = p.tenant and c.invoice_id = p.invoice_id::uuid
     where p.voided_at is null
     union all
    select p.tenant, p.invoice_id, s."position", null, s.origin, s.key, s.amount_minor
      from billing.prior_invoices(for_tenant, of_customer, known_at) as p
      join billing.invoice_discount as s on s.tenant_id = p.tenant and s.invoice_id = p.invoice_id::uuid
     where p.voided_at is null
     order by 2, 3
$$;

-- Invoices that were recomputed without a change; events_known_at null: whose correction was voided.
create function billing.prior_recomputed(for_tenant text, of_customer text, known_at timestamptz)
returns table (tenant text, invoice_id text, events_known_at timestamptz)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select p.tenant, p.invoice_id, max(u.events_known_at)
      from billing.prior_invoices(for_tenant, of_customer, known_at) as p
      join billing.unchanged_invoice as u on u.tenant_id = p.tenant and u.invoice_id = p.invoice_id::uuid
     where known_at is null or u.found_at <= known_at
     group by 1, 2
     union all
    select distinct p.tenant, l.corrected_invoice_id::text, null::timestamptz
      from billing.prior_invoices(for_tenant, of_customer, known_at) as p
      join billing.invoice_line as l on l.tenant_id = p.tenant and l.invoice_id = p.invoice_id::uuid
     where p.voided_at is not null and l.corrected_invoice_id is not null
     order by 2, 3
$$;

-- The last re-rating applied to each invoice.
create function billing.prior_reratings(for_tenant text, of_customer text, known_at timestamptz)
returns table (tenant text, invoice_id text, rerate_catalog_hash text, document text)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select distinct on (r.invoice_id) r.tenant_id::text, r.invoice_id::text, r.catalog_hash, r.document
      from billing.prior_invoices(for_tenant, of_customer, known_at) as p
      join billing.rerating as r on r.tenant_id = p.tenant and r.invoice_id = p.invoice_id::uuid
     where known_at is null or r.applied_at <= known_at
     order by r.invoice_id, r.applied_at desc, r.plan_id
$$;

-- Fee proposals that are approved by an instant, with the invoice that bills them.
create function billing.prior_proposals(for_tenant text, of_customer text, known_at timestamptz, approved_by timestamptz)
returns table (
    tenant text, proposal text, customer text, subscription text, charge text, period_from timestamptz, period_to timestamptz,
    amount numeric, currency text, approved_at timestamptz, model text, commit_id text, run_hash text, invoice_id text
)
language sql stable set search_path = pg_catalog, pg_temp as $$
    with answers as (
        select v.tenant_id, v.proposal, min(v.said_at) filter (where v.verdict = 'accepted') as accepted_at,
               bool_or(v.verdict = 'disputed') as disputed, bool_or(v.verdict = 'withdrawn') as withdrawn
          from value.verdict as v
         where v.tenant_id = for_tenant and v.said_at <= approved_by group by 1, 2),
    decided as (
        select p.*, coalesce(a.accepted_at, case when a.disputed then null else p.disputable_until end) as approved_at
          from value.proposal as p
          left join answers as a on a.tenant_id = p.tenant_id and a.proposal = p.proposal
         where p.tenant_id = for_tenant and p.customer = of_customer and not coalesce(a.withdrawn, false)),
    billed as (
        select l.tenant_id, l.proposal, min(p.invoice_id) as invoice_id
          from billing.prior_invoices(for_tenant, of_customer, known_at) as p
          join billing.invoice_line as l on l.tenant_id = p.tenant and l.invoice_id = p.invoice_id::uuid
         where p.voided_at is null and l.kind = 'outcome' group by 1, 2)
    select p.tenant_id::text, p.proposal, p.customer, p.subscription, p.charge, p.period_from, p.period_to, p.amount,
           p.currency::text, p.approved_at, p.model, p.commit_id, p.run_hash, b.invoice_id
      from decided as p
      left join billed as b on b.tenant_id = p.tenant_id and b.proposal = p.proposal
     where p.approved_at <= approved_by and p.amount <> 0
     order by p.proposal
$$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'billing'::regnamespace and p.proname ~ '^prior_' loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_builder, valueverse_reader', one);
    end loop;
end $$;
reset role;

set local role valueverse_reader;
do $$
declare
    one record;
begin
    for one in
        select p.proname, p.oid::regprocedure as signature, pg_get_function_arguments(p.oid) as arguments,
               pg_get_function_result(p.oid) as result, array_to_string(p.proargnames[1:p.pronargs], ', ') as names
          from pg_proc as p
         where p.pronamespace = 'billing'::regnamespace and p.proname ~ '^prior_'
         order by p.proname
    loop
        execute format(
            'create function api.%I(%s) returns %s language plpgsql security definer '
            'set search_path = pg_catalog, pg_temp as $f$begin perform set_config(''valueverse.tenant'', for_tenant, true); '
            'return query select * from billing.%I(%s); end$f$',
            one.proname, one.arguments, one.result, one.proname, one.names);
        execute format('revoke execute on function api.%I from public', one.proname);
        execute format('grant execute on function api.%I to valueverse_api', one.proname);
    end loop;
end $$;
reset role;
