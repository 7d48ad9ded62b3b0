-- What the warehouse knows of one event. The builder calls the functions of schema billing; those of schema api call the same.
set local role valueverse_owner;
grant select on billing.unchanged_invoice to valueverse_reader;
create policy api_reader on billing.unchanged_invoice to valueverse_reader using (true);
create policy api_tenant on billing.unchanged_invoice as restrictive to valueverse_reader
    using (tenant_id = (select current_setting('valueverse.tenant', true)));

-- Invoices, drafts and voided ones too, whose period holds an instant, and invoices that correct them.
create function billing.event_invoices(for_tenant text, at timestamptz)
returns table (
    tenant text, customer text, subscription text, invoice_type text, period_from timestamptz, period_to timestamptz,
    revision integer, invoice_id text, number text, currency text, total_minor bigint, amount_due_minor bigint,
    events_known_at timestamptz, sequence bigint, is_final boolean, voided_at timestamptz
)
language sql stable set search_path = pg_catalog, pg_temp as $$
    with around as (
        select i.tenant_id, i.invoice_id from billing.invoice as i
         where i.tenant_id = for_tenant and i.period_from <= at and i.period_to > at),
    wanted as (
        select a.tenant_id, a.invoice_id from around as a
         union
        select l.tenant_id, l.invoice_id from billing.invoice_line as l
          join around as a on a.tenant_id = l.tenant_id and a.invoice_id = l.corrected_invoice_id
         where l.tenant_id = for_tenant)
    select i.tenant_id::text, i.customer, coalesce(i.subscription, ''), i.invoice_type, i.period_from, i.period_to, i.revision,
           i.invoice_id::text, i.number, i.currency::text, i.total_minor, i.amount_due_minor, i.events_known_at, i.sequence,
           i.status = 'finalised', v.voided_at
      from billing.invoice as i
      join wanted as w on w.tenant_id = i.tenant_id and w.invoice_id = i.invoice_id
      left join billing.invoice_void as v on v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id
     where i.tenant_id = for_tenant
$$;

-- Lines that correct an invoice whose period holds an instant.
create function billing.event_corrections(for_tenant text, at timestamptz)
returns table (
    tenant text, invoice_id text, line_no integer, key text, kind text, description text, meter text, dimensions text,
    service_to timestamptz, quantity numeric, amount_precise numeric, amount_minor bigint, discount_minor bigint,
    tax_minor bigint, event_count bigint, corrected_invoice_id text, tax_percent numeric, tax_key text
)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select l.tenant_id::text, l.invoice_id::text, l.line_no, l.key, l.kind, l.description, l.meter,
           coalesce(l.dimensions::text, ''), l.service_to, l.quantity, l.amount_precise, l.amount_minor, l.discount_minor,
           l.tax_minor, l.event_count, l.corrected_invoice_id::text, null::numeric, null::text
      from billing.invoice_line as l
      join billing.invoice as i on i.tenant_id = l.tenant_id and i.invoice_id = l.corrected_invoice_id
     where l.tenant_id = for_tenant and i.period_from <= at and i.period_to > at
$$;

-- Invoices whose period holds an instant, each time that later events were found to change nothing of them.
create function billing.event_unchanged(for_tenant text, at timestamptz)
returns table (tenant text, invoice_id text, events_known_at timestamptz, subscription text, number text, sequence bigint)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select u.tenant_id::text, u.invoice_id::text, u.events_known_at, coalesce(i.subscription, ''), i.number, i.sequence
      from billing.unchanged_invoice as u
      join billing.invoice as i on i.tenant_id = u.tenant_id and i.invoice_id = u.invoice_id
     where u.tenant_id = for_tenant and i.period_from <= at and i.period_to > at
$$;

-- Lines that bill an event: those of its period with the key of its charge, and adjustments of them.
create function billing.event_lines(
    for_tenant text, of_subscription text, with_key text, at timestamptz, received timestamptz
) returns table (invoice text, status text, line text, kind text, amount_minor bigint, currency text, catalog text)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select distinct o.number, o.status, l.key, l.kind, l.amount_minor, o.currency::text,
           (select k.document::text from billing.catalog as k
             where k.tenant_id = o.tenant_id and k.catalog_hash = o.catalog_hash limit 1)
      from billing.invoice as i
      join billing.invoice_line as l
        on l.tenant_id = i.tenant_id and (l.invoice_id = i.invoice_id or l.corrected_invoice_id = i.invoice_id)
       and l.key = with_key and l.kind in ('usage', 'adjustment')
      join billing.invoice as o on o.tenant_id = l.tenant_id and o.invoice_id = l.invoice_id
     where i.tenant_id = for_tenant and i.subscription = of_subscription and i.invoice_type in ('period', 'threshold')
       and i.period_from <= at and i.period_to > at and o.events_known_at >= received
     order by 1, 2, 3, 4, 5
$$;

create function billing.event_rejection(for_tenant text, of_source text, with_id text)
returns table (reason text, message text)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select r.reason, r.message from billing.rejected_event as r
     where r.tenant_id = for_tenant and r.source = of_source and r.event_id = with_id
$$;

-- Requests in the inbox that have a key, found by its hash.
create function billing.event_waiting(for_tenant text, with_key_hash bytea)
returns table (receipt text, received_at timestamptz, key_hashes bytea, body bytea)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select b.receipt::text, b.received_at, b.key_hashes, b.body from inbox.batch as b
     where b.tenant_id = for_tenant and position(with_key_hash in b.key_hashes) > 0
     order by b.batch_id
$$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'billing'::regnamespace and p.proname ~ '^event_' loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_builder, valueverse_reader', one);
    end loop;
end $$;
reset role;

set local role valueverse_reader;
create function api.event_invoices(for_tenant text, at timestamptz)
returns table (
    tenant text, customer text, subscription text, invoice_type text, period_from timestamptz, period_to timestamptz,
    revision integer, invoice_id text, number text, currency text, total_minor bigint, amount_due_minor bigint,
    events_known_at timestamptz, sequence bigint, is_final boolean, voided_at timestamptz
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query select * from billing.event_invoices(for_tenant, at);
end $$;

create function api.event_corrections(for_tenant text, at timestamptz)
returns table (
    tenant text, invoice_id text, line_no integer, key text, kind text, description text, meter text, dimensions text,
    service_to timestamptz, quantity numeric, amount_precise numeric, amount_minor bigint, discount_minor bigint,
    tax_minor bigint, event_count bigint, corrected_invoice_id text, tax_percent numeric, tax_key text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query select * from billing.event_corrections(for_tenant, at);
end $$;

create function api.event_unchanged(for_tenant text, at timestamptz)
returns table (tenant text, invoice_id text, events_known_at timestamptz, subscription text, number text, sequence bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query select * from billing.event_unchanged(for_tenant, at);
end $$;

create function api.event_lines(
    for_tenant text, of_subscription text, with_key text, at timestamptz, received timestamptz
) returns table (invoice text, status text, line text, kind text, amount_minor bigint, currency text, catalog text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query select * from billing.event_lines(for_tenant, of_subscription, with_key, at, received);
end $$;

create function api.event_rejection(for_tenant text, of_source text, with_id text)
returns table (reason text, message text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query select * from billing.event_rejection(for_tenant, of_source, with_id);
end $$;

create function api.event_waiting(for_tenant text, with_key_hash bytea)
returns table (receipt text, received_at timestamptz, key_hashes bytea, body bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query select * from billing.event_waiting(for_tenant, with_key_hash);
end $$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'api'::regnamespace and p.proname ~ '^event_' loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_api', one);
    end loop;
end $$;
reset role;
