-- Simulations and plans of re-ratings that a tenant asks for over HTTP. The server `worker` works them out; the result stays.
set local role valueverse_owner;
create table billing.computation (
    tenant_id billing.tenant_key not null,
    computation uuid not null,
    kind text not null check (kind in ('simulation', 'rerating')),
    request text not null check (request::json is not null),
    state text not null default 'waiting'
        check (state in ('waiting', 'running', 'done', 'failed', 'cancelled', 'applying', 'applied', 'stale')),
    attempt integer not null default 0 check (attempt >= 0),
    job bigint,
    step text,
    steps_done integer not null default 0,
    steps integer not null check (steps >= 1 and steps_done between 0 and steps),
    result text,
    problem_code text,
    problem_message text,
    problem_path text,
    applied_invoices integer,
    requested_by text not null check (requested_by <> ''),
    requested_at timestamptz not null default now(),
    ended_at timestamptz,
    applied_at timestamptz,
    primary key (tenant_id, computation),
    check (kind = 'rerating' or state not in ('applying', 'applied', 'stale')),
    check (result is not null or state not in ('done', 'applying', 'applied', 'stale')),
    check (problem_code is not null or state not in ('failed', 'stale'))
);
create index computation_list on billing.computation (tenant_id, kind, requested_at, computation);
comment on table billing.computation is 'Simulations and plans of re-ratings that were asked for over HTTP, with their results.';
comment on column billing.computation.attempt is 'Of the work: what an attempt comes to is stored if it is still the newest one.';
comment on column billing.computation.job is 'The newest job of the queue that is about it.';
comment on column billing.computation.requested_by is 'Prefix of the API key, or id of the person.';
grant select, insert on billing.computation to valueverse_reader;
grant update (state, attempt, job, step, steps_done, problem_code, problem_message, problem_path, ended_at)
    on billing.computation to valueverse_reader;
create policy api_reader on billing.computation to valueverse_reader using (true);
create policy api_tenant on billing.computation as restrictive to valueverse_reader
    using (tenant_id = (select current_setting('valueverse.tenant', true)));
reset role;

set local role valueverse_reader;
create type api.computation_answer as (
    computation uuid, kind text, state text, step text, steps_done integer, steps integer, problem_code text, problem_message text,
    problem_path text, applied_invoices integer, requested_by text, requested_at timestamptz, ended_at timestamptz,
    applied_at timestamptz, result text
);

-- One; its result where that is asked for.
create function api.computation(for_tenant text, of_kind text, of_computation uuid, with_result boolean)
returns setof api.computation_answer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select c.computation, c.kind, c.state, c.step, c.steps_done, c.steps, c.problem_code, c.problem_message, c.problem_path,
               c.applied_invoices, c.requested_by, c.requested_at, c.ended_at, c.applied_at,
               case when with_result then c.result end
          from billing.computation as c
         where c.tenant_id = for_tenant and c.kind = of_kind and c.computation = of_computation;
end $$;

-- Asks for one, in a transaction that begin_write began. No row: the tenant has as many waiting as it may have.
create function api.request_computation(
    for_tenant text, of_kind text, of_computation uuid, with_request text, with_steps integer, at_most integer, with_actor text,
    with_request_id text, with_traceparent text
) returns setof api.computation_answer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request_id, true),
            set_config('valueverse.traceparent', coalesce(with_traceparent, ''), true);
    if (select count(*) from billing.computation as c where c.tenant_id = for_tenant and c.state in ('waiting', 'running')) >= at_most then
        return;
    end if;
    insert into billing.computation (tenant_id, computation, kind, request, steps, requested_by, job)
    values (for_tenant, of_computation, of_kind, with_request, with_steps, with_actor, queue.defer(
        for_tenant, 'computations', case of_kind when 'simulation' then 'simulate' else 'plan_rerating' end, of_computation::text));
    perform audit.submit(
        for_tenant, of_kind || '.requested', of_computation::text, encode(sha256(convert_to(with_request, 'UTF8')), 'hex'), with_actor);
    return query select * from api.computation(for_tenant, of_kind, of_computation, false);
end $$;

-- The newest first, without what was asked and what came of it.
create function api.computations(
    for_tenant text, of_kind text, before_at timestamptz, before_computation uuid, at_most integer
)
returns setof api.computation_answer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select c.computation, c.kind, c.state, c.step, c.steps_done, c.steps, c.problem_code, c.problem_message, c.problem_path,
               c.applied_invoices, c.requested_by, c.requested_at, c.ended_at, c.applied_at, null::text
          from billing.computation as c
         where c.tenant_id = for_tenant and c.kind = of_kind
           and (before_at is null or (c.requested_at, c.computation) < (before_at, before_computation))
         order by c.requested_at desc, c.computation desc limit at_most;
end $$;

-- Ends one that waits or is under way; changes nothing of one that is over. What it is then; no row: the tenant has no such one.
create function api.cancel_computation(
    for_tenant text, of_kind text, of_computation uuid, with_actor text, with_request_id text
) returns setof api.computation_answer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    of_job bigint;
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request_id, true);
    update billing.computation as c set state = 'cancelled', ended_at = now()
     where c.tenant_id = for_tenant and c.kind = of_kind and c.computation = of_computation and c.state in ('waiting', 'running')
    returning c.job into of_job;
    if found then
        perform queue.cancel(for_tenant, of_job);
        perform audit.submit(for_tenant, of_kind || '.cancelled', of_computation::text, '', with_actor);
    end if;
    return query select * from api.computation(for_tenant, of_kind, of_computation, false);
end $$;

-- Has a plan of a re-rating applied; changes nothing unless it is done. What it is then; no row: the tenant has no such plan.
create function api.apply_rerating(
    for_tenant text, of_computation uuid, with_actor text, with_request_id text, with_traceparent text
) returns setof api.computation_answer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request_id, true),
            set_config('valueverse.traceparent', coalesce(with_traceparent, ''), true);
    update billing.computation as c set state = 'applying', problem_code = null, problem_message = null, problem_path = null
     where c.tenant_id = for_tenant and c.kind = 'rerating' and c.computation = of_computation and c.state = 'done';
    if found then
        update billing.computation as c
           set job = queue.defer(for_tenant, 'computations', 'apply_rerating', of_computation::text)
         where c.tenant_id = for_tenant and c.computation = of_computation;
        perform audit.submit(for_tenant, 'rerating.apply_requested', of_computation::text, '', with_actor);
    end if;
    return query select * from api.computation(for_tenant, 'rerating', of_computation, false);
end $$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'api'::regnamespace
                  and p.proname in ('request_computation', 'computation', 'computations', 'cancel_computation', 'apply_rerating') loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_api', one);
    end loop;
end $$;
reset role;
