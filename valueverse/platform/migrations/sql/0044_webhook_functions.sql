-- What the command line and the routes do with a tenant's webhooks. Who writes in a session writes while it is open; without
-- a session (null) it is the command line.
set local role valueverse_reader;
create function api.webhook_endpoints(
    for_tenant text, of_endpoint text, after_created timestamptz, after_endpoint text, at_most integer
) returns table (
    endpoint text, url text, types text[], secret_version integer, previous_until timestamptz, disabled_at timestamptz,
    disabled_reason text, created_at timestamptz
)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select e.endpoint, e.url, e.types, e.secret_version, e.previous_until, e.disabled_at, e.disabled_reason, e.created_at
          from billing.webhook_endpoint as e
         where e.tenant_id = for_tenant and (of_endpoint is null or e.endpoint = of_endpoint)
           and (after_created is null or (e.created_at, e.endpoint) > (after_created, after_endpoint))
         order by e.created_at, e.endpoint limit at_most;
end $$;

-- Makes an endpoint. outcome: made | ended (the session) | full: the tenant has at_most that are not disabled.
create function api.add_webhook_endpoint(
    for_tenant text, by_family uuid, new_endpoint text, with_url text, with_types text[], at_most integer, with_actor text,
    with_request text
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.actor', with_actor, true),
            set_config('valueverse.request', with_request, true);
    if by_family is not null and not auth.is_open(for_tenant, by_family) then
        return 'ended';
    end if;
    perform pg_advisory_xact_lock(hashtextextended(concat_ws(' ', 'webhooks', for_tenant), 0));
    if (select count(*) from billing.webhook_endpoint as e where e.tenant_id = for_tenant and e.disabled_at is null) >= at_most then
        return 'full';
    end if;
    insert into billing.webhook_endpoint (tenant_id, endpoint, url, types) values (for_tenant, new_endpoint, with_url, with_types);
    return 'made';
end $$;

-- Changes what is not null: address, types, whether it is disabled and why; with an overlap it gets the next version of its
-- secret, and the one before signs for that long. outcome: changed | ended (the session) | unknown | full.
create function api.change_webhook_endpoint(
    for_tenant text, by_family uuid, of_endpoint text, with_url text, with_types text[], with_disabled text, overlap interval,
    at_most integer, with_actor text, with_request text
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.actor', with_actor, true),
            set_config('valueverse.request', with_request, true);
    if by_family is not null and not auth.is_open(for_tenant, by_family) then
        return 'ended';
    end if;
    perform pg_advisory_xact_lock(hashtextextended(concat_ws(' ', 'webhooks', for_tenant), 0));
    -- An empty reason enables it.
    if with_disabled = '' and (select count(*) from billing.webhook_endpoint as e where e.tenant_id = for_tenant
                                 and e.disabled_at is null and e.endpoint <> of_endpoint) >= at_most then
        return 'full';
    end if;
    update billing.webhook_endpoint as e
       set url = coalesce(with_url, e.url), types = coalesce(with_types, e.types),
           disabled_at = case when with_disabled = '' then null when with_disabled is null then e.disabled_at
                              else coalesce(e.disabled_at, now()) end,
           disabled_reason = case when with_disabled = '' then null when e.disabled_at is not null then e.disabled_reason
                                  else with_disabled end,
           secret_version = e.secret_version + case when overlap is null then 0 else 1 end,
           previous_until = case when overlap is null then e.previous_until else now() + overlap end
     where e.tenant_id = for_tenant and e.endpoint = of_endpoint;
    return case when found then 'changed' else 'unknown' end;
end $$;

-- A notification to one endpoint alone that is not disabled. outcome: sent | ended (the session) | unknown.
create function api.send_webhook_test(
    for_tenant text, by_family uuid, of_endpoint text, with_type text, with_message text, with_body text, with_actor text,
    with_request text
) returns table (outcome text, delivery bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request, true);
    if by_family is not null and not auth.is_open(for_tenant, by_family) then
        return query select 'ended', null::bigint;
        return;
    end if;
    return query
        insert into billing.webhook_delivery as d (tenant_id, endpoint, type, object, message_id, body)
        select for_tenant, e.endpoint, with_type, with_message, with_message, with_body
          from billing.webhook_endpoint as e
         where e.tenant_id = for_tenant and e.endpoint = of_endpoint and e.disabled_at is null
        returning 'sent', d.delivery;
    if not found then
        return query select 'unknown', null::bigint;
        return;
    end if;
    perform audit.submit(for_tenant, 'webhook_endpoint.tested', of_endpoint, '', with_actor);
end $$;

-- The newest first.
create function api.webhook_deliveries(
    for_tenant text, of_endpoint text, of_type text, of_state text, created_from timestamptz, created_to timestamptz,
    before_delivery bigint, at_most integer
) returns table (
    delivery bigint, endpoint text, type text, message_id text, state text, attempts integer, status integer, reason text,
    created_at timestamptz, due_at timestamptz, delivered_at timestamptz
)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select d.delivery, d.endpoint, d.type, d.message_id, d.state, d.attempts, d.status, d.reason, d.created_at, d.due_at,
               d.delivered_at
          from billing.webhook_delivery as d
         where d.tenant_id = for_tenant and (of_endpoint is null or d.endpoint = of_endpoint)
           and (of_type is null or d.type = of_type) and (of_state is null or d.state = of_state)
           and (created_from is null or d.created_at >= created_from) and (created_to is null or d.created_at < created_to)
           and (before_delivery is null or d.delivery < before_delivery)
         order by d.delivery desc limit at_most;
end $$;

-- One delivery with its body and a JSON array of its attempts, the oldest first.
create function api.webhook_delivery(for_tenant text, of_delivery bigint)
returns table (
    delivery bigint, endpoint text, type text, message_id text, state text, attempts integer, status integer, reason text,
    created_at timestamptz, due_at timestamptz, delivered_at timestamptz, body text, history text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select d.delivery, d.endpoint, d.type, d.message_id, d.state, d.attempts, d.status, d.reason, d.created_at, d.due_at,
               d.delivered_at, d.body,
               coalesce((select jsonb_agg(jsonb_build_object(
                                    'at', to_char(a.attempted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                                    'status', a.status, 'reason', a.reason, 'milliseconds', a.milliseconds) order by a.attempt_id)
                           from billing.webhook_attempt as a
                          where a.tenant_id = for_tenant and a.delivery = of_delivery), '[]')::text
          from billing.webhook_delivery as d where d.tenant_id = for_tenant and d.delivery = of_delivery;
end $$;

-- Delivers again, with the ids that they had, the oldest at_most that are selected and whose endpoint is not disabled, with
-- attempts counted from the beginning. outcome: done | ended (the session); last_delivery: place of the next request.
create function api.replay_webhook_deliveries(
    for_tenant text, by_family uuid, of_delivery bigint, of_endpoint text, of_type text, of_state text, created_from timestamptz,
    created_to timestamptz, after_delivery bigint, at_most integer, with_actor text, with_request text
) returns table (outcome text, replayed bigint, last_delivery bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    numbers bigint[];
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request, true);
    if by_family is not null and not auth.is_open(for_tenant, by_family) then
        return query select 'ended', 0::bigint, null::bigint;
        return;
    end if;
    with selected as (
        select d.delivery from billing.webhook_delivery as d
          join billing.webhook_endpoint as e on e.tenant_id = d.tenant_id and e.endpoint = d.endpoint
         where d.tenant_id = for_tenant and e.disabled_at is null and (of_delivery is null or d.delivery = of_delivery)
           and (of_endpoint is null or d.endpoint = of_endpoint) and (of_type is null or d.type = of_type)
           and (of_state is null or d.state = of_state)
           and (created_from is null or d.created_at >= created_from) and (created_to is null or d.created_at < created_to)
           and (after_delivery is null or d.delivery > after_delivery)
         order by d.delivery limit at_most for update of d),
    replayed as (
        update billing.webhook_delivery as d
           set state = 'waiting', attempts = 0, due_at = now(), status = null, reason = null, delivered_at = null
          from selected as s where d.tenant_id = for_tenant and d.delivery = s.delivery
        returning d.delivery)
    select array_agg(r.delivery order by r.delivery) into numbers from replayed as r;
    if numbers is not null then
        perform audit.submit(
            for_tenant, 'webhook_deliveries.replayed', coalesce(of_delivery::text, of_endpoint, ''),
            encode(sha256(convert_to(jsonb_build_array(of_type, of_state, created_from, created_to, to_jsonb(numbers))::text, 'UTF8')), 'hex'),
            with_actor);
    end if;
    return query select 'done', coalesce(cardinality(numbers), 0)::bigint, numbers[cardinality(numbers)];
end $$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'api'::regnamespace
                  and p.proname in ('webhook_endpoints', 'add_webhook_endpoint', 'change_webhook_endpoint', 'send_webhook_test',
                                    'webhook_deliveries', 'webhook_delivery', 'replay_webhook_deliveries') loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_api', one);
    end loop;
end $$;
reset role;
