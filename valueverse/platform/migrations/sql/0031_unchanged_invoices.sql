-- Finalised invoices that a run recomputed because of events received since, and of which no amount changed. Where no
-- invoice of the subscription will come there is no line that says so: these events are accounted for by this table.
set local role valueverse_owner;
create table billing.unchanged_invoice (
    tenant_id billing.tenant_key not null,
    invoice_id uuid not null,
    events_known_at timestamptz not null,
    found_at timestamptz not null,
    primary key (tenant_id, invoice_id, events_known_at),
    foreign key (tenant_id, invoice_id) references billing.invoice
);

-- A line of 0 says which events were counted; an invoice is corrected by lines that change its amounts.
create or replace function billing.invoice_history(for_tenant text, with_number text) returns jsonb
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
                       and p.invoice = i.number
                       and e.kind in ('payment_received', 'payment_failed', 'payment_refunded')
                     group by e.kind, e.reference, e.date
                    having sum(p.amount_minor) <> 0) as one),
        'credit_notes', (
            select coalesce(jsonb_agg(to_jsonb(one) order by one.created_at, one.amount), '[]')
              from (select n.amount::text as amount, n.reason, n.created_at at time zone 'UTC' as created_at
                      from billing.credit_note as n
                     where n.tenant_id = for_tenant and n.number = i.number) as one),
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
                       and l.amount_minor <> 0 and o.number is not null) as one),
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
               and o.number is not null))
      from billing.invoice as i
      left join billing.subscription as s on s.tenant_id = i.tenant_id and s.subscription = i.subscription
      left join billing.invoice_void as v on v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id
     where i.tenant_id = for_tenant and i.number = with_number
$$;
reset role;
