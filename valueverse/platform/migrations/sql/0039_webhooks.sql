-- Webhooks. A change writes its notifications in its own transaction, one for each endpoint of the tenant that takes its
-- type; services.webhooks delivers them. No secret is here: it is derived from the installation's and an endpoint's version.
set local role valueverse_owner;
create table billing.webhook_endpoint (
    tenant_id billing.tenant_key not null,
    endpoint text not null check (endpoint ~ '^we_[0-9a-f]{24}$'),
    url text not null check (url ~ '^https?://' and length(url) <= 2000),
    types text[] not null,
    secret_version integer not null default 1 check (secret_version >= 1),
    previous_until timestamptz,
    disabled_at timestamptz,
    disabled_reason text,
    created_at timestamptz not null default now(),
    primary key (tenant_id, endpoint)
);
comment on column billing.webhook_endpoint.types is 'Types of the notifications that it takes; empty: all.';
comment on column billing.webhook_endpoint.previous_until is 'Until when the secret of the version before signs as well.';

create table billing.webhook_delivery (
    tenant_id billing.tenant_key not null,
    delivery bigint generated always as identity,
    endpoint text not null,
    type text not null,
    object text not null,
    message_id text not null,
    body text not null,
    created_at timestamptz not null default now(),
    state text not null default 'waiting' check (state in ('waiting', 'delivered', 'dead')),
    attempts integer not null default 0,
    due_at timestamptz not null default now(),
    status integer,
    reason text,
    delivered_at timestamptz,
    primary key (tenant_id, delivery),
    unique (tenant_id, endpoint, type, object),
    foreign key (tenant_id, endpoint) references billing.webhook_endpoint
);
create index webhook_delivery_due on billing.webhook_delivery (tenant_id, due_at) where state = 'waiting';
comment on column billing.webhook_delivery.object is 'What the notification is about: of each object a type is notified once.';
comment on column billing.webhook_delivery.due_at is 'When it is tried next; while it is tried, when another process may take it over.';
create policy endpoints_of_triggers on billing.webhook_endpoint for select to valueverse_owner using (true);
create policy deliveries_of_triggers on billing.webhook_delivery to valueverse_owner using (true) with check (true);

-- An array of objects {tenant, type, object, data} becomes the notifications of the endpoints that take them.
create function billing.notify_endpoints(changes jsonb) returns void
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
revoke execute on function billing.notify_endpoints(jsonb) from public;
grant execute on function billing.notify_endpoints(jsonb) to valueverse_builder;

create function billing.notify_of_invoice() returns trigger
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
create trigger notified after insert on billing.invoice
    referencing new table as new_rows for each statement execute function billing.notify_of_invoice();
create trigger notified_again after update on billing.invoice
    referencing new table as new_rows for each statement execute function billing.notify_of_invoice();

create function billing.notify_of_void() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform billing.notify_endpoints(jsonb_agg(jsonb_build_object(
        'tenant', n.tenant_id, 'type', 'invoice.voided', 'object', n.invoice_id,
        'data', jsonb_build_object('invoice_id', n.invoice_id, 'reason', n.reason)))) from new_rows as n;
    return null;
end $$;
create trigger notified after insert on billing.invoice_void
    referencing new table as new_rows for each statement execute function billing.notify_of_void();

create function billing.notify_of_credit_note() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform billing.notify_endpoints(jsonb_agg(jsonb_build_object(
        'tenant', n.tenant_id, 'type', 'credit_note.issued', 'object', n.credit_note,
        'data', jsonb_build_object('credit_note', n.credit_note, 'number', n.number, 'customer', n.customer)))) from new_rows as n;
    return null;
end $$;
create trigger notified after insert on billing.credit_note
    referencing new table as new_rows for each statement execute function billing.notify_of_credit_note();

create function billing.notify_of_hold() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform billing.notify_endpoints(jsonb_agg(jsonb_build_object(
        'tenant', n.tenant_id, 'type', 'quality.held', 'object', n.period || ' ' || coalesce(n.reason, ''),
        'data', jsonb_build_object('period', n.period, 'reason', n.reason)))) from new_rows as n where n.status = 'held';
    return null;
end $$;
create trigger notified after insert on billing.release
    referencing new table as new_rows for each statement execute function billing.notify_of_hold();
create trigger notified_again after update on billing.release
    referencing new table as new_rows for each statement execute function billing.notify_of_hold();

create function billing.notify_of_commit() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform billing.notify_endpoints(jsonb_agg(jsonb_build_object(
        'tenant', n.tenant_id, 'type', case n.action when 'proposed' then 'commit.proposed' else 'commit.approved' end,
        'object', n.commit_id || ' ' || n.action, 'data', jsonb_build_object(
            'commit', n.commit_id, 'side', nullif(n.action, 'proposed'))))) from new_rows as n
     where n.action in ('proposed', 'vendor', 'customer');
    return null;
end $$;
create trigger notified after insert on value.commit_event
    referencing new table as new_rows for each statement execute function billing.notify_of_commit();

create function billing.notify_of_proposal() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform billing.notify_endpoints(jsonb_agg(jsonb_build_object(
        'tenant', n.tenant_id, 'type', 'fee.proposed', 'object', n.proposal,
        'data', jsonb_build_object('proposal', n.proposal, 'commit', n.commit_id, 'customer', n.customer)))) from new_rows as n;
    return null;
end $$;
create trigger notified after insert on value.proposal
    referencing new table as new_rows for each statement execute function billing.notify_of_proposal();

create function billing.notify_of_verdict() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform billing.notify_endpoints(jsonb_agg(jsonb_build_object(
        'tenant', n.tenant_id, 'type', 'fee.disputed', 'object', n.proposal,
        'data', jsonb_build_object('proposal', n.proposal, 'reason', n.reason)))) from new_rows as n where n.verdict = 'disputed';
    return null;
end $$;
create trigger notified after insert on value.verdict
    referencing new table as new_rows for each statement execute function billing.notify_of_verdict();

create function billing.notify_of_run() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform billing.notify_endpoints(jsonb_agg(jsonb_build_object(
        'tenant', n.tenant_id, 'type', 'run.completed', 'object', n.run_hash,
        'data', jsonb_build_object('run', n.run_hash, 'commit', n.commit_id, 'case', n.case_name)))) from new_rows as n;
    return null;
end $$;
create trigger notified after insert on value.run
    referencing new table as new_rows for each statement execute function billing.notify_of_run();

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'billing'::regnamespace and p.proname like 'notify\_of\_%' loop
        execute format('revoke execute on function %s from public', one);
    end loop;
end $$;
reset role;
