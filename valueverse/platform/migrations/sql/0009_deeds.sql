-- What was done to commits, in one hash chain per tenant; the order in which runs were written.
set local role valueverse_owner;

create table value.deed (
    tenant_id billing.tenant_key not null,
    sequence bigint not null check (sequence >= 1),
    commit_id text not null,
    did text not null check (did in ('proposed', 'vendor', 'customer', 'superseded', 'confirmed', 'written_off')),
    document text not null,
    previous_hash text check ((previous_hash is null) = (sequence = 1)),
    chain_hash text not null check (chain_hash ~ '^[0-9a-f]{64}$'),
    primary key (tenant_id, sequence),
    foreign key (tenant_id, commit_id) references value.commit
);
create trigger insert_only before update or delete or truncate on value.deed
    for each statement execute function billing.refuse_change();
alter table value.deed enable always trigger insert_only;

-- Two runs of one state of knowledge and one present: the one written last is the newest.
alter table value.run add column written bigint generated always as identity;

reset role;

-- As the migration's login: the owner sees no row under forced row-level security.
do $$
declare
    one record;
    tenant text := null;
    place bigint;
    before text;
    told text;
    chained text;
begin
    for one in
        select tenant_id, commit_id, 'proposed' as did, author as who, committed_at as at, null as reason,
               null as successor
          from value.commit
        union all
        select tenant_id, commit_id, side, approved_by, approved_at, null, null from value.approval
        union all
        select tenant_id, commit_id, outcome, closed_by, closed_at, reason, null from value.closing
        union all
        select child.tenant_id, child.parent, 'superseded', last.approved_by, last.approved_at, null, child.commit_id
          from value.commit as child
          join lateral (
              select a.approved_by, a.approved_at, count(*) over () as sides from value.approval as a
               where a.tenant_id = child.tenant_id and a.commit_id = child.commit_id
               order by a.approved_at desc, a.side desc limit 1) as last on last.sides = 2
         where child.parent is not null
         order by tenant_id, at, commit_id, did
    loop
        if tenant is distinct from one.tenant_id then
            tenant := one.tenant_id;
            place := 0;
            before := null;
        end if;
        place := place + 1;
        -- Keys in RFC 8785's order; the texts of to_json are escaped as it asks.
        told := format('{"at":"%s","by":%s,"commit":"%s","did":"%s","reason":%s,"successor":%s}',
                       to_char(one.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
                       to_json(one.who), one.commit_id, one.did,
                       coalesce(to_json(one.reason)::text, 'null'), coalesce(to_json(one.successor)::text, 'null'));
        chained := encode(sha256(convert_to(
            format('{"deed":"%s","previous_hash":%s,"sequence":%s}', encode(sha256(convert_to(told, 'UTF8')), 'hex'),
                   coalesce(to_json(before)::text, 'null'), place), 'UTF8')), 'hex');
        insert into value.deed values (tenant, place, one.commit_id, one.did, told, before, chained);
        before := chained;
    end loop;
end $$;
