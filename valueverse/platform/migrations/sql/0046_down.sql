set local role valueverse_owner;
drop trigger notified on billing.journal_posting;
drop function billing.notify_of_payment();
create or replace function billing.notify_of_invoice() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select from billing.webhook_endpoint where disabled_at is null) then
        perform billing.notify_endpoints(jsonb_agg(jsonb_build_object(
            'tenant', n.tenant_id, 'type', 'invoice.' || case n.status when 'draft' then 'drafted' else 'finalised' end,
            'object', n.invoice_id, 'data', jsonb_build_object(
                'invoice_id', n.invoice_id, 'number', n.number, 'customer', n.customer, 'subscription', n.subscription,
                'status', n.status)))) from new_rows as n where n.status in ('draft', 'finalised');
    end if;
    return null;
end $$;
create or replace function billing.notify_endpoints(changes jsonb) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into billing.webhook_delivery (tenant_id, endpoint, type, object, message_id, body)
    select c.tenant, e.endpoint, c.type, c.object,
           'msg_' || left(encode(sha256(convert_to(jsonb_build_array(c.tenant, c.type, c.object)::text, 'UTF8')), 'hex'), 32),
           jsonb_build_object(
               'type', c.type, 'timestamp', to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'data', c.data
           )::text
      from jsonb_to_recordset(changes) as c (tenant text, type text, object text, data jsonb)
      join billing.webhook_endpoint as e
        on e.tenant_id = c.tenant and e.disabled_at is null and (e.types = '{}' or c.type = any (e.types))
        on conflict do nothing
$$;
drop index billing.webhook_delivery_over;
drop table billing.notification;
reset role;
