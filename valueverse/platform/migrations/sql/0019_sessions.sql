-- The memory of a process in bytes, where the server may read it (Linux, a superuser); else null.
create function guard.memory_of(process integer) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
    return 1024 * substring(pg_read_file(format('/proc/%s/status', process), 0, 8192, true) from 'RssAnon:\s+(\d+) kB')::bigint;
exception when insufficient_privilege or io_error or undefined_file or invalid_parameter_value then
    return null;
end $$;
revoke execute on function guard.memory_of(integer) from public;

-- Everybody may lift a time limit that is a default of the login, raise work_mem, hold a lock on a table that it may read, and
-- LISTEN without reading on, which fills the one queue of notifications that all databases of the server share (Dagster
-- notifies with each event that it stores). None of these is a right that could be revoked. So sessions of analysts and of
-- the API that go beyond bounds are ended from outside: a sensor calls this as the builder, which may end no session by itself.
drop function guard.end_long_sessions(interval, interval);
create function guard.end_long_sessions(
    at_most_query interval, at_most_transaction interval, at_most_wait interval, at_most_bytes bigint,
    at_most_percent integer
) returns table (role_name text, pid integer, reason text)
language sql security definer set search_path = pg_catalog, pg_temp as $$
    with low as materialized (
        select session.pid, session.usename::text as role_name, session.usename = 'valueverse_api' as of_api, session.state,
               session.query_start, session.xact_start
          from pg_stat_activity as session
          join pg_roles as login on login.oid = session.usesysid
         where (login.rolname = 'valueverse_api' or pg_has_role(login.oid, 'valueverse_analyst', 'member'))
           and not login.rolsuper
    ),
    -- Whoever waits behind the builder or an administrator waits for them, so these alone are asked whom they wait for.
    blocking as materialized (
        select unnest(pg_blocking_pids(waiting.pid)) as pid
          from pg_locks as waiting
         where not waiting.granted and clock_timestamp() - waiting.waitstart > at_most_wait
           and waiting.pid not in (select low.pid from low)
    ),
    judged as materialized (
        select low.role_name, low.pid,
               case when low.state = 'active' and clock_timestamp() - low.query_start > at_most_query
                         or clock_timestamp() - low.xact_start > at_most_transaction
                    then extract(epoch from clock_timestamp() - low.xact_start)::integer || ' s in one transaction'
                    when low.pid in (select blocking.pid from blocking) then 'holds a lock that others wait for'
                    when guard.memory_of(low.pid) > at_most_bytes then 'holds too much memory'
                    when not low.of_api and low.xact_start is not null and pg_notification_queue_usage() * 100 > at_most_percent
                    then 'the queue of notifications fills'
               end as reason
          from low
    )
    select judged.role_name, judged.pid, judged.reason from judged
     where judged.reason is not null and pg_terminate_backend(judged.pid)
$$;
revoke execute on function guard.end_long_sessions(interval, interval, interval, bigint, integer) from public;
grant execute on function guard.end_long_sessions(interval, interval, interval, bigint, integer) to valueverse_builder;
