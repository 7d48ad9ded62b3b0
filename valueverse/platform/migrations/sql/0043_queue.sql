-- Jobs are work that is done after the transaction that asked for it, by the server `worker`. A job names a tenant and one of its
-- objects: what is to be done with it is in the tables of that object.
set local search_path = pg_catalog, queue;
alter table queue.procrastinate_jobs
    add column tenant_id text not null generated always as (args ->> 'tenant') stored check (tenant_id <> '');
create policy jobs_of_everybody on queue.procrastinate_jobs to valueverse_owner using (true) with check (true);
create index job_waits on queue.procrastinate_jobs (queue_name, tenant_id, coalesce(scheduled_at, '-infinity'), id) where status = 'todo';
create index job_under_way on queue.procrastinate_jobs (queue_name, tenant_id) where status = 'doing';

create table queue.tenant_share (
    queue_name text primary key,
    jobs integer not null check (jobs >= 1)
);
comment on table queue.tenant_share is 'The queues, and how many jobs of one tenant are under way in each at once.';
insert into queue.tenant_share (queue_name, jobs) values ('computations', 1);

create table queue.tenant_turn (
    tenant_id text not null,
    queue_name text not null,
    taken_at timestamptz not null,
    primary key (tenant_id, queue_name)
);
comment on table queue.tenant_turn is 'When a job of a tenant was taken last: whoever waits longest has the next turn.';

-- In place of the library's own, which takes the oldest job of all: a tenant's many jobs would hold up everybody else's. The next
-- one is of a tenant with the fewest jobs under way, of those the one whose turn was longest ago; of it the job that is due first.
create or replace function queue.procrastinate_fetch_job_v2(target_queue_names character varying[], p_worker_id bigint)
returns queue.procrastinate_jobs
language plpgsql as $$
declare
    taken procrastinate_jobs;
begin
    -- One at a time: two would both find a tenant below its share.
    perform pg_advisory_xact_lock(hashtextextended('take a job', 0));
    with recursive waiting as (
        select s.queue_name, s.jobs, (
            select min(j.tenant_id) from procrastinate_jobs as j
             where j.status = 'todo' and j.queue_name = s.queue_name) as tenant_id
          from tenant_share as s
         where target_queue_names is null or s.queue_name = any (target_queue_names)
        union all
        select w.queue_name, w.jobs, (
            select min(j.tenant_id) from procrastinate_jobs as j
             where j.status = 'todo' and j.queue_name = w.queue_name and j.tenant_id > w.tenant_id)
          from waiting as w
         where w.tenant_id is not null
    ),
    next_job as (
        select first.id
          from waiting as w
          left join tenant_turn as t on t.tenant_id = w.tenant_id and t.queue_name = w.queue_name
         cross join lateral (
            select count(*) as jobs from procrastinate_jobs as j
             where j.tenant_id = w.tenant_id and j.queue_name = w.queue_name and j.status = 'doing') as busy
         cross join lateral (
            select j.id from procrastinate_jobs as j
             where j.tenant_id = w.tenant_id and j.queue_name = w.queue_name and j.status = 'todo'
               and coalesce(j.scheduled_at, '-infinity') <= now()
               and not exists (
                   select from procrastinate_jobs as same
                    where same.tenant_id = j.tenant_id and same.lock = j.lock and same.status = 'doing')
             order by coalesce(j.scheduled_at, '-infinity'), j.id
             limit 1) as first
         where busy.jobs < w.jobs
         order by busy.jobs, t.taken_at nulls first, first.id
         limit 1
    )
    update procrastinate_jobs as j set status = 'doing', worker_id = p_worker_id
     where j.id = (select n.id from next_job as n) and j.status = 'todo'
    returning j.* into taken;
    if taken.id is not null then
        insert into tenant_turn (tenant_id, queue_name, taken_at)
        values (taken.tenant_id, taken.queue_name, clock_timestamp())
        on conflict (tenant_id, queue_name) do update set taken_at = excluded.taken_at;
    end if;
    return taken;
end $$;

-- A job that has ended leaves a place to the next one of its tenant: a worker looks again, as when a job is put in.
create function queue.notify_of_place() returns trigger
language plpgsql as $$
begin
    if exists (select from procrastinate_jobs as j
                where j.tenant_id = old.tenant_id and j.queue_name = old.queue_name and j.status = 'todo') then
        perform pg_notify('procrastinate_queue_v1#' || old.queue_name,
                          json_build_object('type', 'job_inserted', 'job_id', old.id)::text);
    end if;
    return null;
end $$;
create trigger place_after_update after update of status on queue.procrastinate_jobs
    for each row when (old.status = 'doing' and new.status <> 'doing') execute function queue.notify_of_place();
create trigger place_after_delete after delete on queue.procrastinate_jobs
    for each row when (old.status = 'doing') execute function queue.notify_of_place();

-- Put a job into a queue, in the transaction of whatever it is about; its number. Of one object no two jobs of a task are under way
-- at once. It carries the request and the trace that the transaction names, so that what the worker logs and sends is theirs too.
create function queue.defer(
    for_tenant text, to_queue text, for_task text, of_object text, due timestamptz default now()
) returns bigint
language sql security definer as $$
    select (procrastinate_defer_jobs_v1(array[row(
        to_queue, for_task, 0, concat_ws(' ', for_task, for_tenant, of_object), null,
        jsonb_strip_nulls(jsonb_build_object(
            'tenant', for_tenant, 'key', of_object, 'request', nullif(current_setting('valueverse.request', true), ''),
            'traceparent', nullif(current_setting('valueverse.traceparent', true), ''))),
        due)::procrastinate_job_to_defer_v1]))[1]
$$;

-- Take a job out of its queue; one that is under way is ended. Nothing where the tenant has no such job, or it is over.
create function queue.cancel(for_tenant text, of_job bigint) returns void
language sql security definer as $$
    select procrastinate_cancel_job_v1(j.id, true, false) from procrastinate_jobs as j
     where j.tenant_id = for_tenant and j.id = of_job
$$;

-- The library's functions name nothing with its schema; whoever calls them has another path.
do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'queue'::regnamespace loop
        execute format('alter function %s set search_path = pg_catalog, queue, pg_temp', one);
        execute format('revoke execute on function %s from public', one);
    end loop;
end $$;
grant usage on schema queue to valueverse_builder, valueverse_reader;
grant select, insert, update, delete on all tables in schema queue to valueverse_builder;
grant usage on all sequences in schema queue to valueverse_builder;
grant execute on all functions in schema queue to valueverse_builder;
grant execute on function queue.defer(text, text, text, text, timestamptz), queue.cancel(text, bigint) to valueverse_reader;
reset search_path;
reset role;
