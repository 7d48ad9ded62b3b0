-- Nodes of the Merkle tree over the entries of a tenant's audit log (RFC 6962): a proof reads some two for each doubling of the
-- log, not every entry. They follow from the entries, and whoever holds a checkpoint sees when they do not.
set local role valueverse_owner;
create table audit.node (
    tenant_id billing.tenant_key not null,
    level smallint not null check (level between 1 and 62),
    place bigint not null check (place >= 0),
    hash bytea not null check (octet_length(hash) = 32),
    primary key (tenant_id, level, place)
);
comment on table audit.node is 'Hashes of complete subtrees over the log''s entries; an entry''s own hash is worked out from it.';
comment on column audit.node.place is 'From 0: the node is over the entries from place * 2^level + 1 to (place + 1) * 2^level.';
grant select on audit.node to valueverse_reader;
create policy api_reader on audit.node to valueverse_reader using (true);
create policy api_tenant on audit.node as restrictive to valueverse_reader
    using (tenant_id = (select current_setting('valueverse.tenant', true)));

create function audit.leaf_hash(entry text) returns bytea
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select sha256('\x00'::bytea || convert_to(entry, 'UTF8'))
$$;

-- Adds the nodes of these tenants' logs that lie beyond the first entries, whose nodes are there. A level without new nodes has
-- none above it: a node is complete once the last one below it is. What somebody wrote there before stays, and verification
-- finds it: one tenant's nodes never keep another's entries from being put in order.
create function audit.add_nodes(tenants text[], first bigint[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
begin
    insert into audit.node (tenant_id, level, place, hash)
    select t.tenant_id, 1, (l.sequence - 1) / 2, sha256('\x01'::bytea || audit.leaf_hash(l.entry) || audit.leaf_hash(r.entry))
      from unnest(tenants, first) as t (tenant_id, first)
      join audit.entry as l on l.tenant_id = t.tenant_id and l.sequence > (t.first >> 1) * 2 and l.sequence % 2 = 1
      join audit.entry as r on r.tenant_id = t.tenant_id and r.sequence = l.sequence + 1
        on conflict do nothing;
    for below in 1..61 loop
        exit when not found;
        insert into audit.node (tenant_id, level, place, hash)
        select t.tenant_id, below + 1, l.place / 2, sha256('\x01'::bytea || l.hash || r.hash)
          from unnest(tenants, first) as t (tenant_id, first)
          join audit.node as l on l.tenant_id = t.tenant_id and l.level = below and l.place >= (t.first >> (below + 1)) * 2
                              and l.place % 2 = 0
          join audit.node as r on r.tenant_id = t.tenant_id and r.level = below and r.place = l.place + 1
            on conflict do nothing;
    end loop;
end $$;
revoke execute on function audit.leaf_hash(text) from public;
revoke execute on function audit.add_nodes(text[], bigint[]) from public;
grant execute on function audit.leaf_hash(text) to valueverse_builder, valueverse_reader;
grant execute on function audit.add_nodes(text[], bigint[]) to valueverse_builder;
reset role;

-- Nodes of the logs that exist. Not as the owner, whom row-level security shows no rows.
select audit.add_nodes(array_agg(e.tenant_id), array_agg(0::bigint)) from (select distinct tenant_id from audit.entry) as e;

set local role valueverse_reader;
drop function api.audit_leaves(text, bigint);
-- The hash of each of these nodes of the tenant's tree, of leaves (level 0) too; null where there is none.
create function api.audit_nodes(for_tenant text, of_levels smallint[], of_places bigint[])
returns table (level smallint, place bigint, hash bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select asked.level, asked.place,
               case when asked.level = 0
                    then (select audit.leaf_hash(e.entry) from audit.entry as e
                           where e.tenant_id = for_tenant and e.sequence = asked.place + 1)
                    else (select n.hash from audit.node as n
                           where n.tenant_id = for_tenant and n.level = asked.level and n.place = asked.place) end
          from unnest(of_levels, of_places) as asked (level, place);
end $$;
revoke execute on function api.audit_nodes(text, smallint[], bigint[]) from public;
grant execute on function api.audit_nodes(text, smallint[], bigint[]) to valueverse_api;
reset role;
