-- Webhooks over HTTP: each attempt is on record, what disables an endpoint ends what waits for it, and every change is audited.
set local role valueverse_owner;
create table billing.webhook_attempt (
    tenant_id billing.tenant_key not null,
    delivery bigint not null,
    attempt_id bigint generated always as identity,
    attempted_at timestamptz not null default now(),
    status integer,
    reason text,
    milliseconds integer not null check (milliseconds >= 0),
    primary key (tenant_id, delivery, attempt_id),
    foreign key (tenant_id, delivery) references billing.webhook_delivery on delete cascade
);
comment on column billing.webhook_attempt.status is 'Of HTTP; null: no answer came, and reason says why.';
create index webhook_delivery_of_endpoint on billing.webhook_delivery (tenant_id, endpoint, delivery);
create index webhook_delivery_dead on billing.webhook_delivery (tenant_id, delivery) where state = 'dead';

grant select, insert, update (url, types, secret_version, previous_until, disabled_at, disabled_reason)
    on billing.webhook_endpoint to valueverse_reader;
grant select, insert, update (state, attempts, due_at, status, reason, delivered_at)
    on billing.webhook_delivery to valueverse_reader;
grant select on billing.webhook_attempt to valueverse_reader;
do $$
declare
    one regclass;
begin
    foreach one in array array['billing.webhook_endpoint', 'billing.webhook_delivery', 'billing.webhook_attempt']::regclass[]
    loop
        execute format('create policy api_reader on %s to valueverse_reader using (true)', one);
        execute format('create policy api_tenant on %s as restrictive to valueverse_reader
            using (tenant_id = (select current_setting(''valueverse.tenant'', true)))', one);
    end loop;
end $$;

create function billing.end_deliveries() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    update billing.webhook_delivery as d set state = 'dead', reason = new.disabled_reason
     where d.tenant_id = new.tenant_id and d.endpoint = new.endpoint and d.state = 'waiting';
    return null;
end $$;
revoke execute on function billing.end_deliveries() from public;
create trigger ended after update of disabled_at on billing.webhook_endpoint
    for each row when (old.disabled_at is null and new.disabled_at is not null) execute function billing.end_deliveries();

create function audit.on_webhook_endpoint() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    done text[] := '{created}';
begin
    if tg_op = 'UPDATE' then
        done := array_remove(array[
            case when (old.url, old.types) is distinct from (new.url, new.types) then 'changed' end,
            case when old.secret_version <> new.secret_version then 'secret_rotated' end,
            case when old.disabled_at is null and new.disabled_at is not null then 'disabled'
                 when old.disabled_at is not null and new.disabled_at is null then 'enabled' end], null);
    end if;
    insert into audit.submitted (tenant_id, entry)
    select new.tenant_id,
           audit.entry_text(new.tenant_id, 'webhook_endpoint.' || action, new.endpoint,
                            encode(sha256(convert_to(jsonb_build_array(new.url, to_jsonb(new.types))::text, 'UTF8')), 'hex'),
                            coalesce(nullif(current_setting('valueverse.actor', true), ''), 'system'))
      from unnest(done) with ordinality as u (action, turn) order by turn;
    return null;
end $$;
revoke execute on function audit.on_webhook_endpoint() from public;
create trigger audited after insert or update on billing.webhook_endpoint
    for each row execute function audit.on_webhook_endpoint();
reset role;
