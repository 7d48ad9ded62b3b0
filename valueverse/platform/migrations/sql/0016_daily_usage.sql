-- A maximum, a mean or a number of distinct values of a day does not add up with those of other days. Null: written before
-- this was kept.
set local role valueverse_owner;
alter table billing.usage_daily add column aggregation text;
reset role;

-- A mart that dbt has built takes further columns only if it has them.
set local role valueverse_builder;
alter table if exists marts.fct_usage_daily add column if not exists aggregation text;
alter table if exists marts.fct_usage_daily add column if not exists is_additive boolean;
reset role;

set local role valueverse_reader;
drop function api.usage(text, text, date, date, text, date, text, text, text, integer);
create function api.usage(
    for_tenant text, of_customer text, from_day date, to_day date, of_meter text,
    after_day date, after_meter text, after_subscription text, after_dimensions text, at_most integer
) returns table (day date, meter text, subscription text, dimensions text, quantity text, events bigint, aggregation text)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select u.day, u.meter, u.subscription, u.dimensions, trim_scale(u.quantity)::text, u.events, u.aggregation
          from billing.usage_daily as u
         where u.tenant_id = for_tenant and u.customer = of_customer
           and (from_day is null or u.day >= from_day)
           and (to_day is null or u.day < to_day)
           and (of_meter is null or u.meter = of_meter)
           and (after_day is null or (u.day, u.meter, u.subscription, u.dimensions)
                > (after_day, after_meter, after_subscription, after_dimensions))
         order by u.day, u.meter, u.subscription, u.dimensions
         limit at_most;
end $$;
revoke execute on function api.usage(text, text, date, date, text, date, text, text, text, integer) from public;
grant execute on function api.usage(text, text, date, date, text, date, text, text, text, integer) to valueverse_api;
reset role;
