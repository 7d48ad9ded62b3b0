-- What a line of an invoice came from. The builder calls the functions of schema billing, the API those of schema api, which call the
-- same. known_at: as it was at that instant; null: as it is.
set local role valueverse_owner;
grant select on value.commit to valueverse_reader;
create policy api_reader on value.commit to valueverse_reader using (true);
create policy api_tenant on value.commit as restrictive to valueverse_reader
    using (tenant_id = (select current_setting('valueverse.tenant', true)));

-- Finalised invoices with their documents: the one with a number, or those among.
create function billing.explain_invoices(for_tenant text, with_number text, among uuid[], known_at timestamptz)
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
        on v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id and (known_at is null or v.voided_at <= known_at)
     where i.tenant_id = for_tenant and i.status = 'finalised' and (i.number = with_number or i.invoice_id = any(among))
       and (known_at is null or i.finalised_at <= known_at)
$$;

-- Lines of other invoices that belong to lines of this one: they correct them, or are of a threshold invoice of the same period.
create function billing.explain_related(for_tenant text, of_invoice uuid, known_at timestamptz)
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
        on v.tenant_id = o.tenant_id and v.invoice_id = o.invoice_id and (known_at is null or v.voided_at <= known_at)
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

-- The lines of a finalised invoice that correct another one, with what that run found of the other one.
create function billing.explain_corrected(for_tenant text, of_invoice uuid)
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
        on v.tenant_id = o.tenant_id and v.invoice_id = o.invoice_id and v.voided_at < i.finalised_at
     where l.tenant_id = for_tenant and l.invoice_id = of_invoice and i.finalised_at is not null
     order by l.line_no
$$;

-- Lines of an invoice and of what corrects it, on invoices that stood for the run that finalised others at an instant: those finalised
-- before, and those that it numbered before ahead_sequence and that close no later than ahead_close.
create function billing.explain_booked(
    for_tenant text, of_invoice uuid, before timestamptz, ahead_sequence bigint, ahead_close timestamptz
) returns table (
    tenant text, invoice_id text, line_no integer, key text, kind text, description text, meter text, dimensions text,
    service_to timestamptz, quantity numeric, amount_precise numeric, amount_minor bigint, discount_minor bigint,
    tax_minor bigint, event_count bigint, corrected_invoice_id text, tax_percent numeric, tax_key text
)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select l.tenant_id::text, l.invoice_id::text, l.line_no, l.key, l.kind, l.description, l.meter,
           coalesce(l.dimensions::text, ''), l.service_to, l.quantity, l.amount_precise, l.amount_minor, l.discount_minor,
           l.tax_minor, l.event_count, l.corrected_invoice_id::text, null::numeric, null::text
      from billing.invoice_line as l
      join billing.invoice as i on i.tenant_id = l.tenant_id and i.invoice_id = l.invoice_id
     where l.tenant_id = for_tenant
       and (l.invoice_id = of_invoice and l.corrected_invoice_id is null or l.corrected_invoice_id = of_invoice)
       and (i.finalised_at < before
            or i.finalised_at = before and i.sequence < ahead_sequence
               and case i.invoice_type when 'start' then i.period_from else i.period_to end <= ahead_close)
       and not exists (select from billing.invoice_void as v
                        where v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id and v.voided_at < before)
$$;

-- Billing events that could not be applied.
create function billing.explain_rejections(for_tenant text)
returns table (tenant text, source text, event_id text, reason text, message text)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select r.tenant_id::text, r.source, r.event_id, r.reason, r.message from billing.rejected_event as r where r.tenant_id = for_tenant
$$;

-- The commit whose run proposed the fee that a line bills.
create function billing.explain_outcome(for_tenant text, of_invoice uuid, with_line integer)
returns table (commit_id text, run_hash text, document text)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select p.commit_id, p.run_hash, c.document
      from billing.invoice_line as l
      join value.proposal as p on p.tenant_id = l.tenant_id and p.proposal = l.proposal
      join value.commit as c on c.tenant_id = p.tenant_id and c.commit_id = p.commit_id
     where l.tenant_id = for_tenant and l.invoice_id = of_invoice and l.line_no = with_line
$$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'billing'::regnamespace and p.proname ~ '^explain_' loop
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
         where p.pronamespace = 'billing'::regnamespace and p.proname ~ '^explain_'
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
