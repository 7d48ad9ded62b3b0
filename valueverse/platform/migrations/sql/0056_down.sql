set local role valueverse_reader;
drop function api.audit_nodes(text, smallint[], bigint[]);
create function api.audit_leaves(for_tenant text, up_to bigint) returns table (sequence bigint, leaf_hash bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select e.sequence, sha256('\x00'::bytea || convert_to(e.entry, 'UTF8')) from audit.entry as e
         where e.tenant_id = for_tenant and (up_to is null or e.sequence <= up_to) order by e.sequence;
end $$;
revoke execute on function api.audit_leaves(text, bigint) from public;
grant execute on function api.audit_leaves(text, bigint) to valueverse_api;
reset role;

set local role valueverse_owner;
drop function audit.add_nodes(text[], bigint[]);
drop function audit.leaf_hash(text);
drop table audit.node;
reset role;
