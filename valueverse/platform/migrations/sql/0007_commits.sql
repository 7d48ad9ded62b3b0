-- Committed value models: insert-only, one hash chain per tenant.
set local role valueverse_owner;

create table value.commit (
    tenant_id billing.tenant_key not null,
    commit_id text not null check (commit_id ~ '^[0-9a-f]{64}$'),
    sequence bigint not null check (sequence >= 1),
    model text not null,
    author text not null,
    parent text,
    document text not null,
    previous_hash text,
    chain_hash text not null,
    committed_at timestamptz not null,
    primary key (tenant_id, commit_id),
    unique (tenant_id, sequence),
    foreign key (tenant_id, parent) references value.commit (tenant_id, commit_id)
);

create table value.approval (
    tenant_id billing.tenant_key not null,
    commit_id text not null,
    side text not null check (side in ('vendor', 'customer')),
    approved_by text not null,
    approved_at timestamptz not null,
    primary key (tenant_id, commit_id, side),
    foreign key (tenant_id, commit_id) references value.commit
);

create trigger insert_only before update or delete or truncate on value.commit
    for each statement execute function billing.refuse_change();
create trigger insert_only before update or delete or truncate on value.approval
    for each statement execute function billing.refuse_change();
alter table value.commit enable always trigger insert_only;
alter table value.approval enable always trigger insert_only;

reset role;
