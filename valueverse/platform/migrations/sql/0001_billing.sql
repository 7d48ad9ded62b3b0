-- Every key starts with tenant_id, so that no key of one tenant can be met, guessed or probed from another.
-- Amounts: *_minor in the currency's minor unit beside the exact *_precise. Times are instants in UTC.
set local role valueverse_owner;

create domain billing.tenant_key as text check (value ~ '^[a-z0-9][a-z0-9_.-]{0,62}$');
create domain billing.currency_code as text check (value ~ '^[A-Z]{3}$');

create table billing.tenant (
    tenant_id billing.tenant_key primary key,
    name text,
    timezone text not null,
    currency billing.currency_code not null,
    grace_seconds bigint not null default 86400 check (grace_seconds >= 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table billing.customer (
    tenant_id billing.tenant_key not null,
    customer text not null check (length(customer) between 1 and 128 and customer !~ '/'),
    name text,
    email text,
    currency billing.currency_code,
    timezone text,
    country text,
    metadata jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, customer)
);

create table billing.catalog (
    tenant_id billing.tenant_key not null,
    catalog_hash text not null,
    effective_at timestamptz not null,
    document jsonb not null,
    primary key (tenant_id, catalog_hash, effective_at)
);

create table billing.plan (
    tenant_id billing.tenant_key not null,
    plan text not null,
    version integer not null check (version >= 1),
    catalog_hash text not null,
    currency billing.currency_code not null,
    period_every integer not null check (period_every >= 1),
    period_unit text not null check (period_unit in ('day', 'week', 'month', 'quarter', 'year')),
    period_align text not null check (period_align in ('anniversary', 'calendar')),
    document jsonb not null,
    primary key (tenant_id, plan, version)
);

create table billing.subscription (
    tenant_id billing.tenant_key not null,
    subscription text not null check (length(subscription) between 1 and 128 and subscription !~ '/'),
    customer text not null,
    plan text not null,
    plan_version integer not null,
    timezone text not null,
    currency billing.currency_code not null,
    anchor_date date not null,
    started_at timestamptz not null,
    ended_at timestamptz check (ended_at >= started_at),
    status text not null,
    primary key (tenant_id, subscription),
    foreign key (tenant_id, customer) references billing.customer
);
create index on billing.subscription (tenant_id, customer);

create table billing.invoice (
    tenant_id billing.tenant_key not null,
    invoice_id uuid not null,
    number text,
    sequence bigint check (sequence >= 1),
    status text not null check (status in ('draft', 'finalised')),
    customer text not null,
    subscription text,
    currency billing.currency_code not null,
    period_from timestamptz not null,
    period_to timestamptz not null check (period_to >= period_from),
    purpose text not null check (purpose in ('start', 'period')),
    issued_on date not null,
    due_on date,
    subtotal_minor bigint not null,
    discount_total_minor bigint not null,
    tax_total_minor bigint not null,
    total_minor bigint not null,
    credit_total_minor bigint not null,
    amount_due_minor bigint not null,
    events_known_at timestamptz,
    catalog_hash text,
    rules_version text,
    rounding jsonb,
    document text,
    content_hash text,
    previous_hash text,
    chain_hash text,
    run_id text,
    computed_at timestamptz not null default now(),
    finalised_at timestamptz,
    primary key (tenant_id, invoice_id),
    unique (tenant_id, number),
    unique (tenant_id, sequence),
    unique (tenant_id, subscription, period_from, period_to, purpose),
    constraint finalised_is_numbered check (
        case status
            when 'finalised' then num_nulls(number, sequence, content_hash, finalised_at) = 0
            else num_nonnulls(number, sequence, finalised_at) = 0
        end
    ),
    constraint totals_add_up check (
        total_minor = subtotal_minor - discount_total_minor + tax_total_minor
        and amount_due_minor = total_minor - credit_total_minor
    )
);
create unique index on billing.invoice (tenant_id, customer, period_from, period_to, purpose) where subscription is null;
create index on billing.invoice (tenant_id, customer, issued_on);

create table billing.invoice_line (
    tenant_id billing.tenant_key not null,
    invoice_id uuid not null,
    line_no integer not null,
    key text not null,
    kind text not null check (kind in ('fee', 'usage', 'minimum', 'adjustment', 'one_off', 'outcome')),
    description text not null,
    meter text,
    dimensions jsonb,
    service_from timestamptz,
    service_to timestamptz,
    quantity numeric(38, 18),
    amount_precise numeric(38, 18) not null,
    amount_minor bigint not null,
    currency billing.currency_code not null,
    event_count bigint not null default 0,
    tiers jsonb,
    primary key (tenant_id, invoice_id, line_no),
    foreign key (tenant_id, invoice_id) references billing.invoice on delete cascade
);

create table billing.invoice_void (
    tenant_id billing.tenant_key not null,
    invoice_id uuid not null,
    reason text not null,
    voided_at timestamptz not null,
    primary key (tenant_id, invoice_id),
    foreign key (tenant_id, invoice_id) references billing.invoice
);

create table billing.invoice_sequence (
    tenant_id billing.tenant_key primary key,
    last_sequence bigint not null check (last_sequence >= 0),
    last_hash text
);

create table billing.usage_daily (
    tenant_id billing.tenant_key not null,
    customer text not null,
    subscription text not null default '',
    meter text not null,
    day date not null,
    dimensions text not null default '',
    quantity numeric(38, 18),
    events bigint not null check (events >= 0),
    primary key (tenant_id, day, customer, subscription, meter, dimensions)
);

create table billing.unbilled_usage (
    tenant_id billing.tenant_key not null,
    day date not null,
    reason text not null,
    customer text not null,
    meter text not null default '',
    events bigint not null check (events >= 0),
    quantity numeric(38, 18),
    primary key (tenant_id, day, reason, customer, meter)
);

create table billing.rejected_event (
    tenant_id billing.tenant_key not null,
    source text not null,
    event_id text not null,
    type text not null,
    reason text not null,
    message text not null,
    event_time timestamptz,
    decided_at timestamptz not null,
    primary key (tenant_id, source, event_id)
);

-- The two tables below may name a tenant nobody has created: they tell what was wrong with files.
create table billing.ingestion_file (
    tenant_id text not null,
    file text not null,
    file_hash text not null,
    day date not null,
    received bigint not null check (received >= 0),
    accepted bigint not null check (accepted >= 0),
    duplicate bigint not null check (duplicate >= 0),
    quarantined bigint not null check (quarantined >= 0),
    conflicts bigint not null default 0 check (conflicts between 0 and quarantined),
    ingested_at timestamptz not null,
    primary key (tenant_id, file_hash, file),
    constraint nothing_is_lost check (received = accepted + duplicate + quarantined)
);

create table billing.quarantine_summary (
    tenant_id text not null,
    file_hash text not null,
    file text not null,
    reason text not null,
    events bigint not null check (events >= 0),
    example text,
    primary key (tenant_id, file_hash, file, reason)
);

create table billing.event_day (
    tenant_id billing.tenant_key not null,
    day date not null,
    accepted bigint not null check (accepted >= 0),
    billed bigint not null check (billed >= 0),
    unbilled bigint not null check (unbilled >= 0),
    primary key (tenant_id, day)
);

create table billing.reconciliation (
    tenant_id billing.tenant_key not null,
    check_name text not null,
    period text not null,
    expected numeric,
    actual numeric,
    difference numeric,
    ok boolean not null,
    detail text,
    run_id text,
    checked_at timestamptz not null,
    primary key (tenant_id, check_name, period)
);

create table billing.release (
    tenant_id billing.tenant_key not null,
    period text not null,
    status text not null check (status in ('released', 'held')),
    reason text,
    run_id text,
    decided_at timestamptz not null,
    primary key (tenant_id, period)
);

create table inbox.event (
    tenant_id billing.tenant_key not null,
    seq bigint generated always as identity,
    received_at timestamptz not null default now(),
    body text not null,
    primary key (tenant_id, seq)
);

create table auth.api_key (
    tenant_id billing.tenant_key not null,
    prefix text not null,
    key_hash text not null,
    scopes text[] not null default '{}',
    name text,
    created_at timestamptz not null default now(),
    revoked_at timestamptz,
    primary key (tenant_id, prefix)
);

create table auth.refresh_token (
    tenant_id billing.tenant_key not null,
    token_hash text not null,
    family uuid not null,
    scopes text[] not null default '{}',
    issued_at timestamptz not null default now(),
    used_at timestamptz,
    idle_expires_at timestamptz not null,
    expires_at timestamptz not null,
    revoked_at timestamptz,
    primary key (tenant_id, token_hash)
);
create index on auth.refresh_token (tenant_id, family);

reset role;
