drop function guard.end_long_sessions(interval, interval, interval, bigint, integer);
drop function guard.memory_of(integer);
create function guard.end_long_sessions(at_most_query interval, at_most_transaction interval)
returns table (role_name text, pid integer, seconds integer)
language sql security definer set search_path = pg_catalog, pg_temp as $$
    with long as (
        select session.usename::text as role_name, session.pid,
               extract(epoch from clock_timestamp() - session.xact_start)::integer as seconds
          from pg_stat_activity as session
          join pg_roles as login on login.oid = session.usesysid
         where (login.rolname = 'valueverse_api' or pg_has_role(login.oid, 'valueverse_analyst', 'member'))
           and not login.rolsuper
           and (session.state = 'active' and clock_timestamp() - session.query_start > at_most_query
                or clock_timestamp() - session.xact_start > at_most_transaction)
    )
    select long.role_name, long.pid, long.seconds from long where pg_terminate_backend(long.pid)
$$;
revoke execute on function guard.end_long_sessions(interval, interval) from public;
grant execute on function guard.end_long_sessions(interval, interval) to valueverse_builder;
