-- What a tenant was notified of stays when its deliveries are removed, so that a run that is repeated later notifies of nothing
-- again; and notifications of payments received and of usage that reached a threshold.
set local role valueverse_owner;
create table billing.notification (
    tenant_id billing.tenant_key not null,
    type text not null,
    object text not null,
    written_at timestamptz not null default now(),
    primary key (tenant_id, type, object)
);
comment on table billing.notification is 'What a tenant was notified of: of each object a type is notified once.';
create policy notifications_of_triggers on billing.notification to valueverse_owner using (true) with check (true);
insert into billing.notification (tenant_id, type, object, written_at)
select d.tenant_id, d.type, d.object, min(d.created_at) from billing.webhook_delivery as d
 where d.type <> 'webhook.test' group by d.tenant_id, d.type, d.object;
create index webhook_delivery_over on billing.webhook_delivery (tenant_id, due_at) where state <> 'waiting';

-- Of what was so before an endpoint was made (since: when it became known) that endpoint is not notified.
create or replace function billing.notify_endpoints(changes jsonb) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    with taken as (
        select c.tenant, c.type, c.object, c.data, e.endpoint
          from jsonb_to_recordset(changes) as c (tenant text, type text, object text, data jsonb, since timestamptz)
          join billing.webhook_endpoint as e
            on e.tenant_id = c.tenant and e.disabled_at is null and (e.types = '{}' or c.type = any (e.types))
           and (c.since is null or c.since >= e.created_at)),
    added as (
        insert into billing.notification (tenant_id, type, object)
        select distinct t.tenant, t.type, t.object from taken as t order by 1, 2, 3
            on conflict do nothing
        returning tenant_id, type, object)
    insert into billing.webhook_delivery (tenant_id, endpoint, type, object, message_id, body)
    select t.tenant, t.endpoint, t.type, t.object,
           'msg_' || left(encode(sha256(convert_to(jsonb_build_array(t.tenant, t.type, t.object)::text, 'UTF8')), 'hex'), 32),
           jsonb_build_object(
               'type', t.type, 'timestamp', to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'data', t.data
           )::text
      from taken as t
      join added as n on n.tenant_id = t.tenant and n.type = t.type and n.object = t.object
        on conflict do nothing
$$;

create or replace function billing.notify_of_invoice() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select from billing.webhook_endpoint where disabled_at is null) then
        perform billing.notify_endpoints(jsonb_agg(jsonb_build_object(
            'tenant', n.tenant_id, 'type', t.type, 'object', n.invoice_id, 'data', jsonb_build_object(
                'invoice_id', n.invoice_id, 'number', n.number, 'customer', n.customer, 'subscription', n.subscription,
                'status', n.status))))
           from new_rows as n
          cross join lateral unnest(array_remove(array[
                'invoice.' || case n.status when 'draft' then 'drafted' else 'finalised' end,
                case n.invoice_type when 'threshold' then 'usage.threshold' end], null)) as t (type)
          where n.status in ('draft', 'finalised');
    end if;
    return null;
end $$;

-- As whoever books, who sees the entry: the first booking of a payment, and not what takes it back later.
create function billing.notify_of_payment() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select from billing.webhook_endpoint where disabled_at is null) then
        perform billing.notify_endpoints(jsonb_agg(jsonb_build_object(
            'tenant', n.tenant_id, 'type', 'payment.received', 'object', e.reference,
            'data', jsonb_build_object('payment', e.reference, 'invoice', n.invoice, 'customer', n.customer))))
           from new_rows as n
           join billing.journal_entry as e on e.tenant_id = n.tenant_id and e.entry_id = n.entry_id
          where n.account = 'receivable' and e.kind = 'payment_received' and e.revision = 0;
    end if;
    return null;
end $$;
revoke execute on function billing.notify_of_payment() from public;
create trigger notified after insert on billing.journal_posting
    referencing new table as new_rows for each statement execute function billing.notify_of_payment();
reset role;
