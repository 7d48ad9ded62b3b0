-- What came of committed models: metrics they are bound to, runs, results, fee proposals and what was said to them.
set local role valueverse_owner;

-- As measured by the newest run; runs keep the values they used.
create table value.metric (
    tenant_id billing.tenant_key not null,
    metric text not null,
    customer text not null,
    month date not null check (extract(day from month) = 1),
    currency billing.currency_code,
    value numeric(38, 18) not null,
    known_at timestamptz not null,
    unique nulls not distinct (tenant_id, month, customer, metric, currency)
);

-- One row per (commit, case, month, state of knowledge); late data makes a new one beside the old.
create table value.run (
    tenant_id billing.tenant_key not null,
    run_hash text not null check (run_hash ~ '^[0-9a-f]{64}$'),
    commit_id text not null,
    case_name text not null check (case_name in ('committed', 'forecast', 'realised')),
    month date not null check (extract(day from month) = 1),
    known_at timestamptz not null,
    content_hash text not null check (content_hash ~ '^[0-9a-f]{64}$'),
    document text not null,
    run_id text,
    computed_at timestamptz not null,
    primary key (tenant_id, run_hash),
    foreign key (tenant_id, commit_id) references value.commit
);
create index on value.run (tenant_id, commit_id, month, case_name, computed_at);

create table value.result (
    tenant_id billing.tenant_key not null,
    run_hash text not null,
    name text not null,
    value numeric not null check (value not in ('NaN', 'Infinity', '-Infinity')),
    unit text not null,
    primary key (tenant_id, run_hash, name),
    foreign key (tenant_id, run_hash) references value.run
);

create table value.proposal (
    tenant_id billing.tenant_key not null,
    proposal text not null,
    commit_id text not null,
    run_hash text not null,
    model text not null,
    customer text not null,
    subscription text not null,
    charge text not null,
    period_from timestamptz not null,
    period_to timestamptz not null check (period_to > period_from),
    realised_value numeric not null check (realised_value not in ('NaN', 'Infinity', '-Infinity')),
    fee_to_date numeric(38, 18) not null,
    binding text not null check (binding in ('none', 'floor', 'cap')),
    amount numeric(38, 18) not null,
    currency billing.currency_code not null,
    proposed_at timestamptz not null,
    disputable_until timestamptz not null check (disputable_until >= proposed_at),
    primary key (tenant_id, proposal),
    foreign key (tenant_id, commit_id) references value.commit,
    foreign key (tenant_id, run_hash) references value.run
);
create index on value.proposal (tenant_id, commit_id, charge, period_to);

create table value.verdict (
    tenant_id billing.tenant_key not null,
    proposal text not null,
    verdict text not null check (verdict in ('accepted', 'disputed', 'withdrawn')),
    said_by text not null check (said_by <> ''),
    reason text check (verdict = 'accepted' or reason <> ''),
    said_at timestamptz not null,
    primary key (tenant_id, proposal, verdict),
    foreign key (tenant_id, proposal) references value.proposal
);

create table value.closing (
    tenant_id billing.tenant_key not null,
    commit_id text not null,
    outcome text not null check (outcome in ('confirmed', 'written_off')),
    closed_by text not null check (closed_by <> ''),
    reason text not null check (reason <> ''),
    closed_at timestamptz not null,
    primary key (tenant_id, commit_id),
    foreign key (tenant_id, commit_id) references value.commit
);

do $$
declare
    one text;
begin
    foreach one in array array['run', 'result', 'proposal', 'verdict', 'closing'] loop
        execute format('create trigger insert_only before update or delete or truncate on value.%I '
            'for each statement execute function billing.refuse_change()', one);
        execute format('alter table value.%I enable always trigger insert_only', one);
    end loop;
end $$;

reset role;
